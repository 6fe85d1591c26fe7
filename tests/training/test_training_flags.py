"""Flags of a training run, and the settings that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.cli.arguments import Parser
from detector.training.crossvalidation import OperatingPoint
from detector.training.options import (
    DataOptions,
    EvaluationOptions,
    add_data,
    add_evaluation,
    data_options,
    evaluation_options,
)


def parsed(*arguments: str):
    parser = Parser("Train.", "train")
    add_data(parser)
    add_evaluation(parser)
    options = parser.parse_args(arguments)
    options.seed = 42
    return data_options(options), evaluation_options(options)


def test_without_flags_the_settings_are_the_defaults_of_their_classes():
    assert parsed() == (DataOptions(Path("dataset")), EvaluationOptions())


def test_each_flag_arrives_where_it_belongs():
    data, evaluation = parsed(
        *("-d", "mine", "--positive-class", "Covid", "--input", "lungs", "--clinical-columns", "age, sex"),
        *("--allow-informative-missingness", "--test-size", "0.3", "--split", "image", "--folds", "4"),
        *("--repeats", "2", "--target-sensitivity", "0.9", "--prevalence", "0.05"),
    )
    assert data == DataOptions(Path("mine"), "Covid", "lungs", ("age", "sex"), True)
    assert evaluation == EvaluationOptions(42, "image", 0.3, 4, 2, OperatingPoint(None, 0.9), 0.05)


@pytest.mark.parametrize(
    "arguments",
    [("--threshold", "0.4", "--target-sensitivity", "0.9"), ("--folds", "1"), ("--test-size", "1"), ("-d", "http://x")],
)
def test_what_cannot_be_meant_is_rejected(arguments, monkeypatch):
    said: list[str] = []

    def fail(name: str, message: str) -> None:  # which otherwise ends the process
        said.append(message)
        raise SystemExit(2)

    monkeypatch.setattr("detector.cli.arguments.fail", fail)
    with pytest.raises(SystemExit):
        parsed(*arguments)
    assert arguments[-2] in said[0]
