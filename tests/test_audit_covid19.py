"""The audit as a user runs it: a shortcut where it is a shortcut, the lungs where it is the lungs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import SHARED, classes, inside, needs, picture, rejected, script, tree
from PIL import Image

from detector.audit import evidence as conclusion
from detector.audit import experiments
from detector.audit.baselines import shortcut_risks
from detector.audit.context import Audit, AuditOptions, load_image_sets
from detector.audit.localisation import POINTING, check, localise
from detector.cli.output import Log
from detector.cluster.connection import ComputeOptions
from detector.images import shortcuts
from detector.training.dataset import open_dataset
from detector.training.recipes import ProbeRecipe, TutorialRecipe

COHEN = SHARED / "covid-chestxray-dataset"


def completed(*command, cwd):
    """Run a script to its end, and return what it printed."""
    done = inside(*command, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def audited(*arguments, cwd):
    """Run an audit, and return what it printed, its JSON file, and the ROC AUC of each experiment."""
    printed = completed("audit_covid19.py", *arguments, "--repeats", 1, cwd=cwd)
    written = json.loads((cwd / "audit" / "audit.json").read_text())
    return printed, written, {one["id"]: one["roc_auc"]["value"] for one in written["experiments"]}


def test_what_a_run_sees_for_free(tmp_path):
    """Two collections, one of large colour images; a copy of a training image under another name and quality."""
    for i in range(12):
        picture(tmp_path / "data" / "covid" / f"c{i}.png", i, (400 + i, 300), "RGB")
        picture(tmp_path / "data" / "normal" / f"person{i}_virus_{i}.jpeg", 100 + i, (256, 256))
    for i in range(12):
        with Image.open(tmp_path / "data" / "covid" / f"c{i}.png") as image:
            twin = image if i else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            twin.save(tmp_path / "data" / "covid" / f"twin-of-{i}.jpg", quality=92)
    few = ("--epochs", 1, "--rotations", 0, "--split", "image", "--folds", 2)
    printed = completed("train_covid19.py", "-d", "data", *few, "--quiet", "--no-report", cwd=tmp_path)
    assert "Validity checks" in printed and "from 24 test patients" in printed
    found = {one["id"]: one for one in json.loads((tmp_path / "covid19.json").read_text())["checks"]}
    assert found["file_properties"]["status"] == "warn" and found["site_and_view"]["status"] == "not_assessed"
    assert "0 exact and 12 near duplicates" in found["duplicates"]["message"]
    assert "covid/c0.png = covid/twin-of-0.jpg (mirrored), " in found["duplicates"]["message"]


@pytest.fixture(scope="module")
def phantoms(phantoms_of, tmp_path_factory):
    """22 phantoms of each class."""
    return phantoms_of.write(tmp_path_factory.mktemp("phantoms") / "data", 22)


def test_clean_phantoms_show_no_shortcut(phantoms, tmp_path):
    few = ("--rotations", 0, "--pooling", "global", "--no-report")
    printed, written, values = audited("-d", phantoms, *few, cwd=tmp_path)
    # So few images exclude no source: "lungs" would claim more than they show, and there is no shortcut.
    assert written["conclusion"]["code"] in (conclusion.LUNGS, conclusion.INCONCLUSIVE), printed
    assert values[conclusion.FULL] > 0.75 and values[conclusion.MASKED_OUT] < values[conclusion.FULL]
    with Image.open(tmp_path / "audit" / "audit.png") as figure:
        assert min(figure.size) > 500
    lines = printed.splitlines()
    assert max(len(line) for line in lines if not line.startswith(("[INFO]", "WARNING"))) <= 80
    assert [line for line in lines if line in conclusion.GROUPS] == [conclusion.SIGNAL, conclusion.BASELINES]
    assert any(line.startswith("Conclusion: ") for line in lines)
    assert written["schema_version"] == 1 and written["created"] and "audit_covid19.py" in written["command"]
    assert {one["property"] for one in written["shortcut_risks"]} >= {"border", "brightness"}
    # Grad-CAM points at the opacities more often than a random point of the lungs does.
    pointing = written["localisation"]["pointing_game"]
    assert pointing["found"]["value"] > pointing["random"]["value"] + 0.1
    assert pointing["others"]["value"] is not None
    assert pointing["found"]["n_positive"] >= 15 and 0.2 < pointing["random"]["value"] < 0.6
    assert [one["id"] for one in written["checks"]] == ["localisation"]
    assert any(line.startswith("  maximum in a box ") for line in lines)


def test_a_planted_mark_draws_grad_cam_out_of_the_boxes(phantoms, tmp_path):
    """The phantoms that are judged above, of the same recipe, with a letter beside the shoulder of those of covid."""
    shutil.copytree(phantoms, tmp_path / "marked")
    for number, path in enumerate(sorted((tmp_path / "marked" / "covid").glob("*.png"))):
        with Image.open(path) as image:
            planted = shortcuts.plant(np.asarray(image), "mark", 2, 42 * 10**6 + number)
        Image.fromarray(planted).save(path)
    sets, recipe = load_image_sets(AuditOptions(dataset=tmp_path / "marked")), TutorialRecipe("global", rotations=0)
    audit = Audit(open_dataset(sets.dataset, Log(True), recipe), sets, AuditOptions(repeats=1), recipe, {})
    assert audit.scored.auc().value > 0.9
    found = localise(audit)
    pointing = found.metrics[POINTING]
    assert len(found.images) >= 15 and pointing["found"].value < pointing["random"].value
    assert check(found, "global").status == "warn"


def test_an_audit_takes_four_passes_an_image_and_the_next_one_none(phantoms_of, tmp_path):
    sets = load_image_sets(AuditOptions(dataset=phantoms_of.write(tmp_path / "data", 2)))
    found = []
    for passes in (4, 0):
        recipe = ProbeRecipe()
        extractor = open_dataset(sets.dataset, Log(True), recipe, ComputeOptions(cache=tmp_path / "cache"))
        audit = Audit(extractor, sets, AuditOptions(folds=2, repeats=1), recipe, {})
        found.append(experiments.run_experiments(audit))
        shortcut_risks(audit)
        assert extractor.backbone.computed == passes * len(sets.dataset.images)
    reasons = {one.id: one.metric.reason for one in found[0]}
    # Of so few images nothing can be estimated, and every experiment says why.
    assert all(reasons.values())
    assert reasons[conclusion.AGE] == "not recorded for any image"
    assert found[0] == found[1]


def test_images_without_lungs_are_named(tmp_path):
    classes(tmp_path / "data", covid=6, normal=6)
    few = ("-d", "data", "--recipe", "probe", "--folds", 2, "--no-report")
    done = inside("audit_covid19.py", *few, cwd=tmp_path)
    rejected(done, "lungs were found in none of 6 images of class covid")
    printed, written, _ = audited(*few, "--pooling", "global", cwd=tmp_path)
    assert "WARNING: 12 of 12 images may not be frontal chest radiographs; kept: 12 without lungs" in printed
    assert "lungs were found in 0 images, too few" in printed
    assert written["conclusion"]["code"] == conclusion.INCONCLUSIVE


@needs(COHEN)
def test_the_real_data_is_judged_by_its_source(tmp_path):
    """A few of the images, without rotated copies, show what all of them show."""
    one = ("--one-per-patient", "--limit", 12, "--quiet")
    build = ("build_covid_dataset.py", "-c", COHEN, "-o", "data/covid", "--controls-output", "other", *one)
    completed(*build, cwd=tmp_path)
    completed(
        *("sample_kaggle_dataset.py", "-k", SHARED / "chest_xray", "-o", "data/normal", "-s", 12, "--quiet"),
        cwd=tmp_path,
    )
    few = ("-d", "data", "--rotations", 0, "--epochs", 12)
    completed("train_covid19.py", *few, "--quiet", "--no-report", cwd=tmp_path)
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere")
    others = ("--controls", "other", "--external", "elsewhere", "--masks", COHEN / "annotations" / "lungVAE-masks")
    _, written, values = audited(*few, *others, cwd=tmp_path)
    assert written["conclusion"]["code"] == conclusion.SHORTCUT
    assert values[conclusion.FULL] > 0.95
    assert values[conclusion.MASKED_OUT] > 0.85
    assert values[conclusion.CONTROLS_V_OTHERS] > 0.95
    assert values[conclusion.SAME_SITE] < 0.85
    assert "external:elsewhere" in values
    assert written["controls_predicted_positive"]["value"] > 0.8


def test_bad_arguments(tmp_path):
    classes(tmp_path / "data", covid=2, normal=2)
    run = lambda *arguments: inside("audit_covid19.py", "-d", "data", *arguments, cwd=tmp_path)  # noqa: E731
    before = set(tree(tmp_path))
    done = script("audit_covid19.py", "-d", "data", "--controls", "nowhere", cwd=tmp_path)
    rejected(done, "--controls nowhere does not exist")
    rejected(run("--masks", "nowhere"), "--masks nowhere is not a folder")
    rejected(run("--external", "data"), "--external needs a saved model")
    rejected(run("--positive-class", "sick"), "no class sick", "--positive-class")
    rejected(run("--folds", "1"), "--folds")
    rejected(run("-o", "data/covid/covid-000.png"), "is a file")
    classes(tmp_path / "other", covid=1, tuberculosis=1)
    rejected(run("--external", "other", "-m", "data/covid/covid-000.png"), "model data/covid/covid-000.png is rejected")
    classes(tmp_path / "sick", sick=1, tuberculosis=1)
    rejected(run("--external", "sick"), "sick, tuberculosis", "covid must be among them")
    rejected(run("--masks", "data/covid"), "holds no mask of any image")
    classes(tmp_path / "other", controls=1, covid=1)
    rejected(inside("audit_covid19.py", "-d", "other", cwd=tmp_path), "has a class named controls")
    rejected(run(), "too few for 5 folds", "class covid")
    assert {name for name in tree(tmp_path) if not name.startswith(("other/", "sick/"))} == before
