"""The settings that stand in the JSON file of a training run."""

from __future__ import annotations

import json

import pytest

from train_covid19 import parse_arguments

MODEL = {
    "recipe": "tutorial",
    "pooling": "tutorial",
    "adjust": "auto",
    "class_weight": "balanced",
    "epochs": 25,
    "batch_size": 8,
    "learning_rate": 0.001,
    "rotations": 2,
}
PROBE = {"recipe": "probe", "pooling": "lungs"} | dict.fromkeys(("epochs", "batch_size", "learning_rate", "rotations"))
TRAINING = MODEL | {
    "input": "image",
    "test_size": 0.2,
    "positive_class": "covid",
    "seed": 42,
    "folds": None,
    "repeats": 1,
    "threshold": None,
    "target_sensitivity": None,
    "prevalence": None,
    "clinical_columns": [],
    "allow_informative_missingness": False,
    "leave_one_site_out": False,
    "compare": None,
    "split": "patient",
}


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ("", {}),
        ("--recipe probe", PROBE),
        ("--recipe probe --input lungs", PROBE | {"pooling": "global", "input": "lungs"}),
        ("--compare probe", {"compare": "probe:lungs"}),
        ("--input lungs --compare probe", {"input": "lungs", "compare": "probe:global"}),
        (
            "--recipe probe --compare tutorial --epochs 4",
            {"recipe": "probe", "pooling": "lungs", "epochs": 4, "compare": "tutorial:tutorial"},
        ),
        (
            "--recipe probe --compare probe:global --adjust strata",
            PROBE | {"compare": "probe:global", "adjust": "strata"},
        ),
        (
            "--epochs 3 --rotations 0 --class-weight none --folds 5 --repeats 2 --target-sensitivity 0.9",
            {"epochs": 3, "rotations": 0, "class_weight": "none", "folds": 5, "repeats": 2, "target_sensitivity": 0.9},
        ),
        (
            "--clinical-columns age,sex --allow-informative-missingness --leave-one-site-out --prevalence 0.1 "
            "--threshold 0.3 --test-size 0.3 --seed 7 --positive-class covid19",
            {
                "clinical_columns": ["age", "sex"],
                "allow_informative_missingness": True,
                "leave_one_site_out": True,
                "prevalence": 0.1,
                "threshold": 0.3,
                "test_size": 0.3,
                "seed": 7,
                "positive_class": "covid19",
            },
        ),
    ],
)
def test_the_settings_of_a_training_run_are_its_flags_with_their_defaults(arguments, changed):
    settings = parse_arguments(arguments.split()).settings("patient")
    assert json.loads(json.dumps(settings)) == TRAINING | changed
    assert list(settings) == list(TRAINING)
