"""What the experiments of an audit have in common: images, without those that prove nothing, masks, folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_helpers import Case, audit_of
from conftest import rejection

from audit_covid19 import EXAMPLE
from detector.audit import evidence, experiments
from detector.audit.context import AuditOptions, without_implausible, without_overlap
from detector.audit.experiments import evaluate_external
from detector.cli.arguments import parse
from detector.images.duplicates import Copy
from detector.images.masks import LUNGS_ONLY
from detector.images.phantom import SOURCE as PHANTOM
from detector.network.model_file import Description, SavedModel, shortened
from detector.training.recipes import ProbeRecipe, TutorialRecipe

EVERYTHING = np.arange(48)


def parse_arguments(arguments):
    return parse(AuditOptions, "", EXAMPLE, arguments)


def test_lungs_are_found_where_no_masks_are_given():
    rows, files, notes = audit_of(Case()).with_lungs(EVERYTHING)
    assert rows.tolist() == EVERYTHING.tolist() and (files, notes) == (None, ())


def test_masks_from_files_are_used_if_both_sides_have_enough():
    audit = audit_of(Case(counts=(24, 24)))
    masked = [Path(f"{label}/{number}.png") for label in ("covid", "normal") for number in range(20)]
    enough = replace(audit, masks={path: Path("masks") / path for path in masked})
    rows, files, notes = enough.with_lungs(EVERYTHING)
    assert len(rows) == 40 and files == enough.masks
    assert notes == ("uses 40 of 48 images: those with a lung mask",)
    few = replace(audit, masks={Path("covid/0.png"): Path("0.png")})
    rows, files, notes = few.with_lungs(EVERYTHING)
    assert len(rows) == 48 and files is None and "too few" in notes[0]


def test_too_few_lungs_are_a_reason():
    with rejection("found in 3 images, too few"):
        audit_of(Case()).compare(np.arange(3), part=LUNGS_ONLY)


@pytest.mark.parametrize(
    ("site", "shared"),
    [
        (lambda positive, number: "a", True),
        (lambda positive, number: "a" if positive else "b", False),
        (lambda positive, number: "", False),
        (lambda positive, number: "a" if positive or number == 0 else "b", False),
    ],
)
def test_whether_classes_share_their_sites(site, shared):
    assert audit_of(Case(site=site)).shares_sites() == shared


# What an audit can be asked for

AUDIT = {
    "recipe": "tutorial",
    "adjust": "auto",
    "class_weight": "balanced",
    "epochs": 25,
    "batch_size": 8,
    "learning_rate": 0.001,
    "rotations": 1,
    "folds": 5,
    "repeats": 3,
    "permuted_labels": 0,
    "pooling": "tutorial",
    "positive_class": "covid",
    "clinical_columns": [],
    "seed": 42,
}
PROBE = {"recipe": "probe", "pooling": "lungs", "rotations": 0}
PROBE |= dict.fromkeys(("epochs", "batch_size", "learning_rate"))


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ("", {}),
        ("--recipe probe --clinical-columns age,sex", PROBE | {"clinical_columns": ["age", "sex"]}),
        (
            "--pooling global --folds 4 --repeats 1 --seed 3 --positive-class c --batch-size 4 --permuted-labels 99",
            {"pooling": "global", "folds": 4, "repeats": 1, "seed": 3, "positive_class": "c", "batch_size": 4}
            | {"permuted_labels": 99},
        ),
    ],
)
def test_the_settings_of_an_audit_are_its_flags_with_their_defaults(arguments, changed):
    assert json.loads(json.dumps(parse_arguments(arguments.split()).settings())) == AUDIT | changed


def test_the_report_lies_in_the_output_folder_unless_it_is_named():
    written = {"json": Path("a/audit.json"), "figure": Path("a/audit.png")}
    assert parse_arguments(["-o", "a"]).outputs() == written | {"report": Path("a/report.html")}
    assert parse_arguments(["-o", "a", "--report", "r.html"]).outputs() == written | {"report": Path("r.html")}
    assert parse_arguments(["-o", "a", "--no-report"]).outputs() == written


# Images of controls and external sets that prove nothing are named and left out


@pytest.fixture
def audit():
    """Return an audit of 24 v 24 images with 12 controls and 12 v 12 external images, none of them shared."""
    made = audit_of(Case((48, 36)))
    own, external = [*range(24), *range(48, 72)], np.array([*range(36, 48), *range(72, 84)])
    sets = replace(made.sets, own=np.array(own), controls=np.arange(24, 36), external={"e": external})
    return replace(made, sets=sets)


def share(audit, row, other):
    """Let an image be the same file as another one."""
    properties = audit.extractor.properties
    properties[row] = replace(properties[row], digest=properties[other].digest)


def of_patient(audit, patient, *rows):
    """Let images be of one patient."""
    images = audit.extractor.dataset.images
    for row in rows:
        images[row] = replace(images[row], patient=patient)


def test_exact_near_and_by_patient(audit):
    share(audit, 24, 3)
    of_patient(audit, "set/one", 0, 38)
    of_patient(audit, "/1", 1, 39)
    trained = [shortened(audit.extractor.properties[40].digest)]
    copies = {(5, 6): Copy(), (5, 36): Copy(mirrored=True), (25, 26): Copy(), (41, 42): Copy()}
    sets = without_overlap(audit.sets, replace(audit.extractor, near_duplicates=copies), trained)
    assert sorted({*range(24, 48)} - {*sets.controls, *sets.external["e"]}) == [24, 36, 38, 40]
    control, external = sets.notes[""], sets.notes["e"]
    assert control.startswith("left out, ") and "1 image also in the data set (1 the same file)" in control
    assert control.endswith(": covid/24.png") and external.startswith("left out, ")
    assert "3 images also in the training set (1 the same file, 1 a near duplicate, 1 the same patient)" in external
    assert external.endswith("covid/36.png (mirrored), covid/38.png, covid/40.png")


def test_phantoms_are_similar_without_being_the_same(audit):
    images = audit.extractor.dataset.images
    images[36] = replace(images[36], source=PHANTOM)
    extractor = replace(audit.extractor, near_duplicates={(5, 36): Copy()})
    assert not any(without_overlap(audit.sets, extractor).notes.values())


def model(threshold=None):
    kernel = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    description = Description(["covid", "normal"], "covid", "probe", "global", threshold)
    return SavedModel({}, [kernel, np.zeros(2, np.float32)], description)


@pytest.mark.parametrize(("shared", "available"), [(2, True), (3, False)])
def test_an_external_result_is_marked_and_too_few_images_give_none(audit, shared, available):
    for row in range(shared):
        share(audit, 36 + row, row)
    sets = without_overlap(audit.sets, audit.extractor)
    found = evaluate_external(replace(audit, sets=sets), "e", sets.external["e"], model())
    assert found.metric.available == available
    assert found.as_json()["notes"] == (sets.notes["e"],)
    if not available:
        assert found.metric.reason == "too few images that are left (9 and 12; 10 of each needed)"
        assert not found.beside  # the reason stands once


def test_an_external_set_of_which_every_image_is_called_positive_says_so(audit):
    found = evaluate_external(audit, "e", audit.sets.external["e"], model(0.0))
    assert (found.beside["sensitivity"].value, found.beside["specificity"].value) == (1.0, 0.0)
    assert found.warning.startswith("others is never predicted (24 covid, 0 others), whatever the ROC AUC is")


# What may be no frontal chest radiograph


def audit_without(rows, counts=(30, 30)):
    """Return an audit of which some images have no lungs; its last ten are external, the ten before controls."""
    made = audit_of(Case(counts))
    everything = made.sets.own
    sets = replace(made.sets, own=everything[:-20], controls=everything[-20:-10], external={"e": everything[-10:]})
    return replace(made, extractor=replace(made.extractor, without=frozenset(rows)), sets=sets)


def test_the_tutorials_recipe_keeps_them():
    audit = audit_without([1, 45, 55])
    sets, named = without_implausible(audit.sets, audit.extractor, TutorialRecipe())
    assert sets.own.tolist() == audit.sets.own.tolist() and sets.controls.tolist() == audit.sets.controls.tolist()
    assert [(one.file, one.left_out) for one in named] == [
        ("covid/1.png", False),
        ("normal/15.png", False),
        ("normal/25.png", False),
    ]
    assert sets.notes == {"": "", "e": ""}


def test_lung_pooling_goes_on_without_them():
    audit = audit_without([1, 45, 55])
    sets, named = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    assert set(audit.sets.own) - set(sets.own) == {1}
    assert 45 not in sets.controls and len(sets.controls) == 9
    assert 55 not in sets.external["e"] and len(sets.external["e"]) == 9
    assert all(one.left_out for one in named) and len(named) == 3
    assert "left out: 1 without lungs (normal/15.png)" in sets.notes[""]
    results = {one.id: one for one in experiments.run_experiments(replace(audit, sets=sets))}
    assert any("normal/15.png" in note for note in results[evidence.CONTROLS_V_OTHERS].notes)


def test_a_set_without_any_lungs_has_no_auc_and_says_why():
    audit = audit_without(range(40, 60))
    sets, _ = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    left = replace(audit, sets=sets)
    results = {one.id: one for one in experiments.run_experiments(left)}
    assert results[evidence.SAME_SITE].metric.reason == "every control was left out"
    found = evaluate_external(left, "e", sets.external["e"], model())
    assert found.metric.reason == "too few images that are left (0 and 0; 10 of each needed)"
    assert "without lungs" in found.notes[0]


@pytest.mark.parametrize("recipe", [ProbeRecipe(), TutorialRecipe(pooling="lungs")])
def test_a_class_without_lungs_cannot_be_audited(recipe):
    audit = audit_without(range(30), (30, 40))
    with rejection("lungs were found in none of 30 images of class covid"):
        without_implausible(audit.sets, audit.extractor, recipe)
