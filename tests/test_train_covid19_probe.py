"""train_covid19.py with --recipe probe, and predictions of its model."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, accepted, inside, rejected

from detector.network.features import Backbone

PRINTED = (
    "acc: ",
    "ROC AUC",
    "stratified ROC AUC",
    "metadata-only baseline",
    "border-only baseline",
    "average precision",
    "PPV",
)


NAMES = ("accuracy", "roc_auc", "roc_auc_stratified", "metadata_baseline", "border_baseline", "brier_score", "ppv")


@pytest.fixture(scope="module")
def trained(phantoms_of, tmp_path_factory):
    """Return phantoms, and what a probe's training on them said and wrote."""
    folder = tmp_path_factory.mktemp("probe")
    phantoms_of.write(folder / "data", 12)
    common = ("train_covid19.py", "-d", "data", "--recipe", "probe", "--prevalence", 0.01)
    done = inside(*common, "-m", "m.h5", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_metrics_are_printed_in_order(trained):
    folder, first = trained
    assert first.stderr == ""
    assert "all 20 training images share one site and view" in " ".join(first.stdout.split())
    lines = first.stdout.splitlines()
    starts = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in PRINTED]
    assert starts == sorted(starts)
    assert "at prevalence 0.01" in first.stdout and "Validity checks" in lines
    assert all(len(line) <= 80 for line in lines[starts[0] :] if "n/a" not in line and not line.startswith("  "))
    written = json.loads((folder / "m.json").read_text())
    assert set(NAMES) <= set(written["metrics"])
    assert written["settings"]["recipe"] == "probe"
    assert set(written["history"]) == {"strength", "loss", "cv_loss", "chosen"}
    assert "Epoch" not in first.stdout


def test_a_second_run_writes_the_same_without_tensorflow(trained):
    folder, _ = trained
    arguments = ["-d", "data", "--recipe", "probe", "--prevalence", "0.01", "-o", "again", "-m", "again/m.h5"]
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import train_covid19
assert train_covid19.main({arguments!r}) == 0
print(sorted({{"tensorflow", "keras"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n"), done.stdout
    # All of the model file but the time of the run is the same, byte for byte.
    files = [(folder / name / "m.h5").read_bytes() for name in (".", "again")]
    times = [re.findall(rb'"created": "([^"]+)"', data) for data in files]
    assert [len(found) for found in times] == [1, 1]
    assert files[0].replace(times[0][0], times[1][0]) == files[1]
    first, second = (json.loads((folder / name / "m.json").read_text()) for name in (".", "again"))
    assert first.keys() == second.keys() and first["times"].keys() == second["times"].keys()
    for record in (first, second):
        for check in record["checks"]:
            del check["recommendation"]  # the command that made the record, with more flags
    for name in first.keys() - {"created", "command", "times"}:
        assert first[name] == second[name], name


def test_predictions_of_a_probe_are_the_reported_ones(trained, tmp_path):
    folder, _ = trained
    reported = json.loads((folder / "m.json").read_text())["held_out"]
    files = [folder / "data" / image["file"] for image in reported]
    arguments = ("-m", folder / "m.h5", *files, "--json", "p.json", "--no-report", "--force", "--gradcam", "cam")
    accepted(inside("predict_covid19.py", *arguments, cwd=tmp_path))
    found = json.loads((tmp_path / "p.json").read_text())["predictions"]
    for one, image in zip(found, reported, strict=True):
        assert one["probabilities"] == pytest.approx(image["probabilities"], abs=1e-5)
    assert len(list((tmp_path / "cam").glob("*.gradcam.png"))) == len(files)


def test_a_model_that_does_not_fit_an_audit_is_rejected(trained, tmp_path):
    folder, _ = trained
    audit = ("audit_covid19.py", "-d", folder / "data", "--external", folder / "data", "-m", folder / "m.h5")
    rejected(inside(*audit, cwd=tmp_path), "was trained with --recipe probe; audit with the same")
    rejected(inside(*audit, "--recipe", "probe", "--external", folder / "data", cwd=tmp_path), "is given twice")
    shutil.copytree(folder / "data" / "covid", tmp_path / "other" / "sick")
    shutil.copytree(folder / "data" / "normal", tmp_path / "other" / "normal")
    for name in ("sick", "normal"):
        (tmp_path / "other" / name / "manifest.csv").unlink()
    other = (*audit[:4], "other", *audit[5:], "--recipe", "probe")
    rejected(inside(*other, cwd=tmp_path), "--external other has the classes normal, sick", "covid")
    assert {path.name for path in tmp_path.iterdir()} == {"other"}


# A second recipe


@pytest.fixture
def no_forward_pass(monkeypatch):
    """Fail if the network runs."""

    def forward(*arguments):
        raise AssertionError("features are computed")

    monkeypatch.setattr(Backbone, "forward", forward)


def test_a_comparison_of_poolings_computes_no_features(trained, no_forward_pass):
    folder, _ = trained
    flags = ("-d", "data", "--recipe", "probe", "--folds", 2, "--compare", "probe:global", "--no-report", "-o", "both")
    done = inside("train_covid19.py", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "both" / "covid19.json").read_text())
    found = record["comparison"]
    assert (found["recipe"], found["compared_with"]) == ("probe:lungs", "probe:global")
    assert found["roc_auc"] == record["metrics"]["roc_auc"]
    areas = [found[name]["value"] for name in ("roc_auc", "compared_roc_auc")]
    assert found["difference"]["value"] == pytest.approx(areas[0] - areas[1])
    assert found["difference"]["n_positive"] == found["difference"]["n_negative"] == 12
    assert record["settings"]["compare"] == "probe:global"
    lines = done.stdout.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("Comparison on the same images")))
    assert lines[start + 1].startswith("linear probe (lungs)  ")
    assert lines[start + 2].startswith("linear probe (global)  ")
    assert lines[start + 3].startswith("  linear probe (lungs) minus linear probe (global): ")
    assert max(map(len, lines[start : start + 5])) <= 80
