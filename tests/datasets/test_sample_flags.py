"""Flags of a sample, and the settings that they stand for."""

from __future__ import annotations

from pathlib import Path

from detector.cli.arguments import Parser, add_common
from detector.datasets import sample_flags
from detector.datasets.sampling import Draw, SampleOptions


def parsed(*arguments: str) -> SampleOptions:
    parser = Parser("Sample.", "sample")
    sample_flags.add_sample(parser)
    add_common(parser)
    return sample_flags.sample_options(parser.parse_args(arguments))


def test_without_flags_25_normal_images_of_as_many_patients_are_sampled():
    draw = Draw(25, 42, True, (), False)
    assert parsed() == SampleOptions(None, Path("dataset/normal"), "normal", "train", draw, False)


def test_each_flag_arrives_where_it_belongs():
    found = parsed(
        *("-k", "chest_xray", "-o", "d", "-s", "3", "--finding", "virus", "--split", "test", "--view", "PA"),
        *("--adults", "--no-one-per-patient", "--seed", "7", "--quiet"),
    )
    draw = Draw(3, 7, False, ["PA"], True)
    assert found == SampleOptions(Path("chest_xray"), Path("d"), "virus", "test", draw, True)
