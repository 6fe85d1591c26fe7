"""HTML reports of whole runs: names are text, nothing is fetched, a browser reports no error."""

from __future__ import annotations

import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, inside, rejected
from image_helpers import write_dicom
from report_helpers import HOSTILE, harmless

from detector.datasets import manifest
from detector.files.cache import Cache
from detector.reports import html


@pytest.fixture(scope="module")
def run(phantoms_of, tmp_path_factory):
    """Train, audit and predict with names that are untrusted input."""
    folder, other = tmp_path_factory.mktemp("pages"), "normal<img src=x onerror=alert(1)>"
    phantoms_of.write(folder / "data", 5)
    shutil.move(folder / "data" / "normal", folder / "data" / other)
    for label in ("covid", other):
        rows = list(manifest.read(folder / "data" / label).values())
        for row, cell in zip(rows, HOSTILE, strict=True):
            row |= {"label": label, "finding": cell, "patient": cell}
        manifest.write(folder / "data" / label, rows)
    radiograph = next((folder / "data" / "covid").glob("*.png"))
    (folder / "untrusted").mkdir()
    for name in HOSTILE:
        shutil.copy(radiograph, folder / "untrusted" / f"{name.replace('/', '')}.png")
    grey = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    write_dicom(folder / "untrusted" / "radiograph.dcm", grey, 12, "MONOCHROME2", StudyDescription=HOSTILE[0])
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


def test_outputs_that_contradict_each_other_are_rejected(run, tmp_path):
    for flags, words in (
        (("--no-report", "--report", "x.html"), "not allowed with"),
        (("--evaluation-plot", "plot.png"), "--evaluation-plot and --plot both name plot.png"),
    ):
        rejected(inside("train_covid19.py", "-d", run / "data", *flags, cwd=tmp_path), words)


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


def test_images_can_be_filtered_and_everything_is_shown_without_javascript(run, browser):
    tab = browser.new_page()
    tab.goto((run / "report.html").as_uri())
    cards = tab.locator(".cards > li").all()
    tab.select_option("select[name=label]", "0")
    shown = [card for card in cards if card.is_visible()]
    assert 0 < len(shown) < len(cards)
    assert {card.get_attribute("data-label") for card in shown} == {"0"}
    assert f"{len(shown)} of {len(cards)} images shown" in tab.locator("output").inner_text()
    plain = browser.new_page(java_script_enabled=False)
    plain.goto((run / "report.html").as_uri())
    assert not plain.locator("form.filter").is_visible()
    plain.locator("summary").first.click()
    assert plain.locator(".more").first.is_visible() and plain.locator("img.heat").first.is_visible()


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


def test_a_second_run_reads_no_image_again(tmp_path):
    read = []

    def pixels(row):
        read.append(row)
        return np.full((224, 224, 3), 64 * (row + 1) - 8, np.uint8)

    properties = [SimpleNamespace(digest=digest) for digest in "abc"]
    cached, not_cached = (
        SimpleNamespace(backbone=SimpleNamespace(cache=Cache(folder)), properties=properties, pixels=pixels)
        for folder in (tmp_path, None)
    )
    found = html.image_uris(cached, [2, 0])
    assert read == [2, 0] and len(set(found)) == 2
    assert html.image_uris(cached, [0, 1, 2])[::2] == found[::-1] and read == [2, 0, 1]
    assert html.image_uris(not_cached, [2, 0]) == found and found[0].startswith("data:image/jpeg;base64,")
