"""The pages: whatever strangers named is text, nothing is fetched, and a browser finds no fault."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, inside, refused, script
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import write_dicom

from detector import InputError
from detector.audit.checks import Check
from detector.images import phantom
from detector.inference.predictor import Prediction
from detector.network.model import Description
from detector.reports import html_report, prediction_report, training_report

HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "javascript:alert(1)",
    "</script><script>document.title=1</script>",
    "abc\u202egnp.exe",
    "'\"><svg onload=document.title=1>",
)


class Tags(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def harmless(text: str) -> None:
    """Assert that a page holds nothing that runs or is fetched, but for its own script."""
    tags = Tags(text).tags
    assert sum(tag == "script" for tag, _ in tags) == 1
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("src", "href", "action", "data"):
            if name in attributes:
                assert attributes[name].startswith("data:image/"), attributes
        if tag in ("img", "svg"):
            assert "alt" in attributes or "aria-label" in attributes
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", text)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for kind in ("style", "script"):
        inner = re.search(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def predictions_page(names, note=""):
    pixels, grad_cam = np.zeros((224, 224, 3), np.uint8), np.zeros((14, 14), np.float32)
    done = [Prediction(Path(name), name, [0.75, 0.25], note, pixels, grad_cam) for name in names]
    classes = [*names[:1], "other"] if len(names) < 2 else list(names)
    description = Description(classes, names[0], "tutorial", "tutorial")
    skipped = [InputError(f"{name}: {note}") for name in names]
    return prediction_report.prediction_report(done, skipped, description, "m.h5").decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name):
    text = predictions_page([name], note=name)
    harmless(text)
    # Without a mark of HTML's or of direction it is harmless as it stands.
    assert name.startswith("javascript:") or name not in text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_characters="\0/"), min_size=1, max_size=60).filter(lambda name: name != "other"))
def test_any_name_is_text(name):
    harmless(predictions_page([name], note=name))


def test_five_hundred_images_make_a_small_page():
    drawn = [phantom.draw(seed % 2 == 0, seed) for seed in range(8)]
    images = [np.repeat(cv2.resize(one, (224, 224))[..., None], 3, axis=2) for one in drawn]
    grad_cam = np.random.default_rng(0).random((14, 14))
    done = [
        Prediction(Path(f"{number}.png"), "covid", [0.75, 0.25], "", images[number % 8], grad_cam)
        for number in range(html_report.MOST)
    ]
    description = Description(["covid", "normal"], "covid", "tutorial", "tutorial")
    data = prediction_report.prediction_report(done, [], description, "m.h5")
    assert data.count(b"<details>") == 500
    # Figures and their tables, which a training run adds, take half a MiB.
    assert len(data) < 4.5 * 2**20


def test_the_verdict_comes_first():
    from detector.statistics.evaluation import Predictions, evaluate

    labels = np.array([0, 1] * 20)
    patients = np.arange(40).astype(str)
    predictions = Predictions.of_one_model(labels, patients, np.eye(2)[labels] * 0.8 + 0.1, labels)
    result = evaluate(predictions, ["covid", "normal"], 0)
    fine, doubt = (Check("views", status, "Found.") for status in ("pass", "warn"))
    assert "None of 2 checks warns." in training_report.conclusion(result, [fine, fine])
    assert "1 of 2 checks warns: views." in training_report.conclusion(result, [fine, doubt])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train, audit and predict with names that strangers gave."""
    folder = tmp_path_factory.mktemp("pages")
    assert inside("make_phantom_dataset.py", "-o", "data", "-n", 8, "--quiet", cwd=folder).returncode == 0
    other = "normal<img src=x onerror=alert(1)>"
    shutil.move(folder / "data" / "normal", folder / "data" / other)
    for label in ("covid", other):
        path = folder / "data" / label / "manifest.csv"
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row, cell in zip(rows, HOSTILE, strict=False):
            row["finding"] = cell
            row["patient"] = cell
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    film = next((folder / "data" / "covid").glob("*.png"))
    (folder / "strangers").mkdir()
    for name in HOSTILE:
        shutil.copy(film, folder / "strangers" / f"{name.replace('/', '')}.png")
    write_dicom(
        folder / "strangers" / "film.dcm",
        np.arange(4096, dtype=np.uint16).reshape(64, 64),
        12,
        "MONOCHROME2",
        StudyDescription=HOSTILE[0],
    )
    for command in (
        ("train_covid19.py", "-d", "data", "--recipe", "probe", "--folds", 2),
        ("audit_covid19.py", "-d", "data", "--recipe", "probe", "--folds", 2, "--repeats", 1),
        ("predict_covid19.py", "data", "strangers", "--force", "--json", "said/p.json"),
    ):
        done = inside(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


PAGES = ("report.html", "audit/report.html", "said/predictions.html")


@pytest.mark.parametrize("name", PAGES)
def test_a_run_leaves_a_page_that_needs_nothing_else(run, name):
    data = (run / name).read_bytes()
    harmless(data.decode())
    assert len(data) < 5 * 2**20


def test_every_held_out_image_is_on_the_page_mistakes_first(run):
    text = (run / "report.html").read_text(encoding="utf-8")
    told = json.loads((run / "covid19.json").read_text())
    answers = re.findall(r'data-answer="(\w+)"', text)
    assert len(answers) == len(told["held_out"])
    assert answers == sorted(answers, reverse=True)
    for check in told["checks"]:
        assert check["message"].split(" ")[0] in text


def test_no_page_where_none_is_wanted(run, tmp_path):
    done = inside("train_covid19.py", "-d", run / "data", "--recipe", "probe", "--no-report", cwd=tmp_path)
    assert done.returncode == 0
    assert not (tmp_path / "report.html").exists()
    both = script("train_covid19.py", "-d", run / "data", "--no-report", "--report", "x.html", cwd=tmp_path)
    refused(both, "not allowed with")
    same = script("train_covid19.py", "-d", run / "data", "--report", "plot.png", cwd=tmp_path)
    refused(same, "--report and --plot both name plot.png")


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_doubts_have_a_colour_in_a_terminal_only(environment, coloured):
    code = "from detector.command_line import BAD, say; say('! doubt', BAD); say('fine')"
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | environment
    leader, follower = os.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=clean, stdout=follower, check=True)
    said = os.read(leader, 1000).decode()
    assert ("\x1b[" in said) == coloured
    assert "! doubt" in said and said.rstrip().endswith("fine")
    piped = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True
    )
    assert piped.stdout == "! doubt\nfine\n"


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
def test_a_browser_shows_it_without_fault(run, browser, name, scheme):
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
    # Nothing is wider than a telephone.
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(run / name).as_uri()]
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make browser")
    # By the debugger: the page's own policy forbids any other script.
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    faults = tab.evaluate("axe.run().then(found => found.violations.map(v => [v.impact, v.id, v.nodes.length]))")
    assert [fault for fault in faults if fault[0] in ("serious", "critical")] == []
    context.close()


def test_images_are_filtered(run, browser):
    tab = browser.new_page()
    tab.goto((run / "report.html").as_uri())
    cards = tab.locator(".cards > li")
    everything = cards.count()
    tab.select_option("select[name=label]", "0")
    shown = [card for card in cards.all() if card.is_visible()]
    assert 0 < len(shown) < everything
    assert {card.get_attribute("data-label") for card in shown} == {"0"}
    assert f"{len(shown)} of {everything} images shown" in tab.locator("output").inner_text()


def test_without_javascript_everything_is_there(run, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((run / "report.html").as_uri())
    assert not tab.locator("form.filter").is_visible()
    tab.locator("summary").first.click()
    assert tab.locator(".more").first.is_visible()
    assert tab.locator("img.heat").first.is_visible()
    context.close()
