"""HTML reports of whole runs: names are text, nothing is fetched, a browser reports no error."""

from __future__ import annotations

import csv
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, inside, rejected
from image_helpers import write_dicom
from report_helpers import HOSTILE, harmless

from detector.files.cache import Cache
from detector.reports import html


@pytest.fixture(scope="module")
def run(phantoms_of, tmp_path_factory):
    """Train, audit and predict with names that are untrusted input."""
    folder = tmp_path_factory.mktemp("pages")
    phantoms_of.write(folder / "data", 5)
    other = "normal<img src=x onerror=alert(1)>"
    shutil.move(folder / "data" / "normal", folder / "data" / other)
    for label in ("covid", other):
        path = folder / "data" / label / "manifest.csv"
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row, cell in zip(rows, HOSTILE, strict=False):
            row["finding"] = cell
            row["patient"] = cell
        for row in rows:
            row["label"] = label
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    radiograph = next((folder / "data" / "covid").glob("*.png"))
    (folder / "untrusted").mkdir()
    for name in HOSTILE:
        shutil.copy(radiograph, folder / "untrusted" / f"{name.replace('/', '')}.png")
    write_dicom(
        folder / "untrusted" / "radiograph.dcm",
        np.arange(4096, dtype=np.uint16).reshape(64, 64),
        12,
        "MONOCHROME2",
        StudyDescription=HOSTILE[0],
    )
    for command in (
        ("train_covid19.py", "-d", "data", "--recipe", "probe", "--folds", 2),
        ("audit_covid19.py", "-d", "data", "--recipe", "probe", "--folds", 2, "--repeats", 1),
        ("predict_covid19.py", "data/covid", "untrusted", "--force", "--json", "said/p.json"),
    ):
        done = inside(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


PAGES = ("report.html", "audit/report.html", "said/predictions.html")


@pytest.mark.parametrize("name", PAGES)
def test_a_report_needs_no_other_file(run, name):
    data = (run / name).read_bytes()
    harmless(data.decode())
    assert len(data) < 5 * 2**20


def test_every_test_image_is_in_the_report_misclassified_ones_first(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    record = json.loads((run / "covid19.json").read_text())
    outcomes = re.findall(r'data-answer="(\w+)"', text)
    assert len(outcomes) == len(record["held_out"])
    assert outcomes == sorted(outcomes, reverse=True)
    for check in record["checks"]:
        assert check["message"].split(" ")[0] in text
    for name, shown in (("folds", "2"), ("clinical_columns", "none"), ("leave_one_site_out", "no")):
        assert f'<th scope="row">{name}</th><td>{shown}</td>' in text
    assert record["settings"]["prevalence"] is None and '<th scope="row">prevalence' not in text


def test_no_report_is_written_if_none_is_wanted(run, tmp_path):
    done = inside("train_covid19.py", "-d", run / "data", "--recipe", "probe", "--no-report", cwd=tmp_path)
    assert done.returncode == 0
    assert not (tmp_path / "report.html").exists()
    both = inside("train_covid19.py", "-d", run / "data", "--no-report", "--report", "x.html", cwd=tmp_path)
    rejected(both, "not allowed with")
    same = inside("train_covid19.py", "-d", run / "data", "--evaluation-plot", "plot.png", cwd=tmp_path)
    rejected(same, "--evaluation-plot and --plot both name plot.png")


# In a real browser

AXE = ROOT / "requirements" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: make browser")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_a_report_without_an_error(run, browser, name, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 800})
    tab, said, asked = context.new_page(), [], []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((run / name).as_uri())
    for summary in tab.locator("summary").all()[:3]:
        summary.focus()
        tab.keyboard.press("Enter")
    if tab.locator("img.heat").count():
        assert tab.locator("img.heat").first.is_visible()
    # Nothing is wider than a telephone, and no table wider than a screen.
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    # Nor does a table scroll sideways, but for the confusion matrix of a class with a long name.
    tables = "[...document.querySelectorAll('.scroll > table:not(.confusion)')]"
    too_wide = f"{tables}.filter(table => table.offsetWidth > table.parentNode.clientWidth)"
    assert tab.evaluate(f"{too_wide}.map(table => table.parentNode.ariaLabel)") == []
    tab.set_viewport_size({"width": 1200, "height": 800})
    assert tab.evaluate(f"{too_wide}.map(table => table.parentNode.ariaLabel)") == []
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(run / name).as_uri()]
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make browser")
    # By the debugger: the page's own policy forbids any other script.
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    faults = tab.evaluate("axe.run().then(found => found.violations.map(v => [v.impact, v.id, v.nodes.length]))")
    assert [fault for fault in faults if fault[0] in ("serious", "critical")] == []
    context.close()


def test_images_of_a_report_can_be_filtered(run, browser):
    tab = browser.new_page()
    tab.goto((run / "report.html").as_uri())
    cards = tab.locator(".cards > li")
    everything = cards.count()
    tab.select_option("select[name=label]", "0")
    shown = [card for card in cards.all() if card.is_visible()]
    assert 0 < len(shown) < everything
    assert {card.get_attribute("data-label") for card in shown} == {"0"}
    assert f"{len(shown)} of {everything} images shown" in tab.locator("output").inner_text()


def test_everything_is_shown_without_javascript(run, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((run / "report.html").as_uri())
    assert not tab.locator("form.filter").is_visible()
    tab.locator("summary").first.click()
    assert tab.locator(".more").first.is_visible()
    assert tab.locator("img.heat").first.is_visible()
    context.close()


@pytest.mark.parametrize(
    ("threshold", "classes", "shown"),
    [(0.0, "ab", 0.0), (0.3, "abc", 0.3), (None, "ab", 0.5), (None, "abc", None)],
)
def test_a_threshold_of_zero_is_one(threshold, classes, shown):
    assert html.shown_threshold(threshold, list(classes)) == shown


@pytest.mark.parametrize(
    ("argv", "pasted"),
    [
        (["/a/train_covid19.py", "-d", "my data"], "python train_covid19.py -d 'my data'"),
        (["/venv/bin/covid19-train", "-d", "x"], "covid19-train -d x"),
    ],
)
def test_the_command_of_a_report_can_be_pasted(monkeypatch, argv, pasted):
    monkeypatch.setattr("sys.argv", argv)
    assert html.command() == pasted


class Images:
    """What `image_uris` asks of an extractor, and the rows whose pixels it asked for."""

    def __init__(self, folder):
        self.backbone = SimpleNamespace(cache=Cache(folder))
        self.properties = [SimpleNamespace(digest=digest) for digest in "abc"]
        self.read = []

    def pixels(self, row):
        self.read.append(row)
        return np.full((224, 224, 3), 64 * (row + 1) - 8, np.uint8)


def test_a_second_run_reads_no_image_again(tmp_path):
    first, second = Images(tmp_path), Images(tmp_path)
    found = html.image_uris(first, [2, 0])
    assert first.read == [2, 0] and len(set(found)) == 2
    assert html.image_uris(second, [0, 1, 2])[::2] == found[::-1]
    assert second.read == [1]


def test_without_a_cache_images_are_read():
    one, other, _ = html.image_uris(Images(None), [0, 0, 1])
    assert one == other and one.startswith("data:image/jpeg;base64,")
