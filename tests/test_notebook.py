"""The lesson: its commands are accepted, its paired test is DeLong's, and a failed command stops it."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shlex

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from detector.datasets import manifest
from detector.statistics.auc import auc
from tools import notebook_helpers as helpers
from tools import paired_auc

NOTEBOOK = ROOT / "tutorial.ipynb"
RENDERED = ROOT / "docs" / "tutorial.html"


def cells(kind):
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def commands():
    text = "\n".join(cells("code")).replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^!python (.+)$", text, re.MULTILINE)]


def test_every_command_of_the_notebook_is_accepted_by_its_script():
    assert len(commands()) >= 12
    for name, *arguments in commands():
        importlib.import_module(name.removesuffix(".py")).parse_arguments(arguments)


def test_a_command_that_fails_stops_the_notebook():
    names = {}
    run = helpers.checked(lambda command: names.update(_exit_code=int(command)), names)
    run("0")
    with pytest.raises(helpers.FailedCommandError, match="exit status 2"):
        run("2")


def record(folder, scores, truth, patients, folds=None):
    """Write as much of a run's record as the lesson reads."""
    folder.mkdir()
    held_out = [
        {
            "file": f"{number:03d}.png",
            "label": "covid" if positive else "normal",
            "patient": str(patient),
            "probabilities": {"covid": float(score), "normal": 1 - float(score)},
            "fold": None if folds is None else int(folds[number]),
        }
        for number, (score, positive, patient) in enumerate(zip(scores, truth, patients, strict=True))
    ]
    area = {"value": auc(scores[truth], scores[~truth]), "ci_low": 0.5, "ci_high": 1.0}
    metrics = {"roc_auc": area | {"n_positive": int(truth.sum()), "n_negative": int((~truth).sum())}}
    run = {"held_out": held_out, "settings": {"positive_class": "covid"}, "metrics": metrics}
    (folder / "covid19.json").write_text(json.dumps(run), encoding="utf-8")
    return str(folder)


def delong(first, second, truth):
    """Return difference and standard error, from placements compared pair by pair."""
    components = []
    for scores in (first, second):
        wins = np.sign(scores[truth][:, None] - scores[~truth][None, :]) / 2 + 0.5
        components.append((wins.mean(), wins.mean(axis=1), wins.mean(axis=0)))
    (one, rows, columns), (two, more_rows, more_columns) = components
    variance = np.var(more_rows - rows, ddof=1) / truth.sum() + np.var(more_columns - columns, ddof=1) / (~truth).sum()
    return two - one, np.sqrt(variance)


def test_the_paired_test_is_delongs(tmp_path):
    generator, truth = np.random.default_rng(1), np.arange(80) < 35
    first = np.where(truth, 0.6, 0.4) + generator.normal(0, 0.3, 80)
    second = first + np.where(truth, 0.15, 0.0) + generator.normal(0, 0.1, 80)
    folders = [record(tmp_path / str(k), one, truth, np.arange(80)) for k, one in enumerate((first, second))]
    found, (difference, error) = paired_auc.auc_change(*folders), delong(first, second, truth)
    assert found.value == pytest.approx(difference)
    assert (found.high - found.low) / 2 == pytest.approx(error * 2.032, rel=2e-3)  # Student's, 34 degrees of freedom
    assert found.verb == "rose" and found.p < 0.05
    back = paired_auc.auc_change(*reversed(folders))
    assert back.verb == "fell" and back.p == pytest.approx(found.p)


def test_without_a_difference_none_is_claimed_too_often(tmp_path):
    generator, truth, claimed = np.random.default_rng(2), np.arange(80) < 40, 0
    for draw in range(150):
        shared = np.where(truth, 0.6, 0.4) + generator.normal(0, 0.2, 80)
        folders = [
            record(tmp_path / f"{draw}-{k}", shared + generator.normal(0, 0.2, 80), truth, np.arange(80))
            for k in (0, 1)
        ]
        claimed += "did not change" not in paired_auc.auc_change(*folders).verb
    assert claimed <= 15


def test_runs_on_other_files_or_with_equal_ranks_are_not_compared(tmp_path):
    scores, truth = np.linspace(0, 1, 40), np.arange(40) % 3 == 0
    one = record(tmp_path / "one", scores, truth, np.arange(40))
    fewer = record(tmp_path / "fewer", scores[:30], truth[:30], np.arange(30))
    with pytest.raises(ValueError, match="same files"):
        paired_auc.auc_change(one, fewer)
    with pytest.raises(ValueError, match="nothing to test"):
        paired_auc.auc_change(one, one)


def test_two_runs_of_equal_ranks_end_no_lesson(tmp_path, monkeypatch):
    truth = np.arange(40) < 20
    folders = [record(tmp_path / str(k), truth * 0.5 + 0.2 + 0.1 * k, truth, np.arange(40)) for k in range(2)]
    monkeypatch.setattr(helpers, "markdown", lambda *lines: "\n".join(lines))
    shown = helpers.change_sentence(*folders)
    assert "the same in both runs" in shown and "every pair is ranked alike" in shown


@pytest.mark.parametrize("shortcut", ["", "mark"])
def test_relabelled_patients_have_no_disease_and_one_class_a_shortcut(tmp_path, monkeypatch, shortcut):
    monkeypatch.setattr(helpers, "markdown", lambda *lines: "\n".join(lines))
    source, target = tmp_path / "normal", tmp_path / "made"
    source.mkdir()
    rows = ["file,label,patient,view,finding,source,licence,url,sha256"]
    for number in range(8):
        Image.new("L", (60, 60), 40 + number).save(source / f"{number}.png")
        rows.append(f"{number}.png,normal,p{number // 2},PA,No Finding,phantoms,CC0 1.0,,")
    (source / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    said = helpers.relabel_patients(str(source), str(target), shortcut=shortcut)
    assert said.endswith("4 images covid, 4 images normal, of 4 patients without disease.")
    patients = {}
    for label in ("covid", "normal"):
        written = manifest.read(target / label)
        patients[label] = {row["patient"] for row in written.values()}
        for name, row in written.items():
            data = (target / label / name).read_bytes()
            assert row["label"] == label and row["sha256"] == hashlib.sha256(data).hexdigest()
            assert (data == (source / name).read_bytes()) != (label == "covid" and bool(shortcut))
    assert len(patients["covid"]) == len(patients["normal"]) == 2 and not patients["covid"] & patients["normal"]


def test_errors_are_listed_most_confident_first(tmp_path):
    truth = np.array([True, True, False, False])
    folder = record(tmp_path / "run", np.array([0.9, 0.1, 0.7, 0.2]), truth, np.arange(4))
    assert [image["file"] for image in helpers.test_errors(folder)] == ["001.png", "002.png"]


def test_the_rendered_copy_is_of_this_notebook_and_fetches_nothing():
    text = RENDERED.read_text(encoding="utf-8")
    assert RENDERED.stat().st_size < 3e6
    shown = re.sub(r"<[^>]*>", "", text)
    for heading in re.findall(r"^#+ (.+)$", "\n".join(cells("markdown")), re.MULTILINE):
        assert heading.replace("'", "&#39;") in shown or heading in shown, heading
    for name, *_ in commands():
        assert name in shown
    assert "Traceback" not in shown and "FailedCommandError" not in shown
    assert "Conclusion:" in shown and "paired test p" in shown
    assert (
        re.findall(
            r'(?:src|href)="(?!data:|#|[\w-]+\.md)[^"]*"', re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
        )
        == []
    )


def test_the_rendered_lesson_has_the_style_of_its_template():
    template = (ROOT / "tools" / "notebook_template" / "index.html.j2").read_text(encoding="utf-8")
    style = re.search(r"<style>.*?</style>", template, re.DOTALL)[0]
    assert style in RENDERED.read_text(encoding="utf-8"), "make notebook writes it anew"
    # On a telephone the lines of a run scroll sideways: broken anywhere, its tables could not be read.
    assert "pre { white-space: pre; word-break: normal; overflow-x: auto; }" in style
