"""Steps of a training run: images that can be trained on, the split, the adjustment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from audit_helpers import Case, extractor_of
from conftest import classes, rejection

from detector.datasets import manifest
from detector.images.masks import LUNGS_ONLY, Occlusion
from detector.training import run
from detector.training.dataset import ImplausibleImage
from detector.training.options import DataOptions, EvaluationOptions, ModelOptions
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def test_images_of_one_patient_stay_on_one_side():
    extractor = extractor_of(Case((12, 12), images=3))
    chosen = run.choose_split(EvaluationOptions(test_size=0.25), extractor)
    assert chosen.kind == "patient" and chosen.plan is None
    train, held_out = (set(extractor.patients[side]) for side in chosen.sides)
    assert not train & held_out and len(train | held_out) == 8
    by_image = run.choose_split(EvaluationOptions(split="image", test_size=0.25), extractor)
    assert by_image.kind == "image" and len(by_image.held_out) == 6


def test_images_without_patients_are_split_at_random():
    extractor = extractor_of(Case((12, 12)))
    for image in extractor.dataset.images:
        object.__setattr__(image, "patient", None)
    assert run.choose_split(EvaluationOptions(), extractor).kind == "image"


def test_in_a_cross_validation_all_images_are_on_both_sides():
    chosen = run.choose_split(EvaluationOptions(folds=3, repeats=2), extractor_of(Case((12, 12))))
    assert len(chosen.train) == len(chosen.held_out) == 24
    assert len(list(chosen.plan.training_sides)) == 6


def test_only_a_probe_is_adjusted_and_only_where_strata_hold_two_classes():
    mixed, apart = extractor_of(Case()), extractor_of(Case(site=lambda positive, number: "ab"[positive]))
    chosen = run.choose_split(EvaluationOptions(), mixed)
    tutorial = TutorialRecipe()
    assert run.decide_adjustment(tutorial, "auto", mixed, chosen) is tutorial
    assert run.decide_adjustment(ProbeRecipe(), "auto", mixed, chosen) == replace(ProbeRecipe(), adjusted=True)
    assert not run.decide_adjustment(ProbeRecipe(), "none", mixed, chosen).adjusted
    assert not run.decide_adjustment(ProbeRecipe(), "auto", apart, chosen).adjusted
    with rejection("--adjust strata: not every class shares a site and view"):
        run.decide_adjustment(ProbeRecipe(), "strata", apart, chosen)


def test_images_are_listed_and_clinical_columns_checked(tmp_path):
    data = classes(tmp_path / "data", covid=2, normal=2)
    found, positive = run.load_images(DataOptions(data, positive_class="COVID"))
    assert (len(found.images), positive) == (4, "covid")
    with rejection("--clinical-columns age is no column"):
        run.load_images(DataOptions(data, clinical_columns=("age",)))
    for label in ("covid", "normal"):
        rows = [{"file": f"{label}-00{i}.png", "age": "50" if label == "covid" else ""} for i in range(2)]
        manifest.write(data / label, rows, ["age"])
    with rejection("--clinical-columns age: whether the value is missing predicts the class"):
        run.load_images(DataOptions(data, clinical_columns=("age",)))
    allowed = DataOptions(data, clinical_columns=("age",), allow_informative_missingness=True)
    assert run.load_images(allowed)[1] == "covid"


@pytest.mark.parametrize(
    ("shown", "model", "expected"),
    [
        ("image", ModelOptions(), False),
        ("lungs", ModelOptions(), True),
        ("image", ModelOptions("probe", "lungs"), True),
        ("image", ModelOptions(compared=("probe", "lungs")), True),
        ("image", ModelOptions(compared=("probe", "global")), False),
    ],
)
def test_lungs_are_needed_if_one_of_the_recipes_reads_nothing_else(shown, model, expected):
    assert run.reads_lungs_only(DataOptions(Path("d"), input=shown), model) == expected
    if not expected:
        extractor = extractor_of(Case())
        assert run.leave_out_implausible(DataOptions(Path("d")), model, extractor) == (extractor, None)


def test_images_that_were_found_before_the_split_are_not_looked_for_again():
    extractor = extractor_of(Case())  # it has no network: lungs could not be found
    chosen = run.choose_split(EvaluationOptions(), extractor)
    for known in ([], [ImplausibleImage("covid/a.png", "without lungs", True)]):
        assert run.implausible_images(known, extractor, ProbeRecipe(), chosen, 0) is known


def test_all_but_the_lungs_is_masked_out_where_they_are_the_input():
    extractor = extractor_of(Case())
    assert run.mask_out(DataOptions(Path("d")), extractor) is extractor
    assert run.mask_out(DataOptions(Path("d"), input="lungs"), extractor).occlusion == Occlusion(LUNGS_ONLY)
