"""Names and formats of the files that a training run writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import rejection

from detector.training.options import NamedOutputs, OutputPaths, output_paths


def names(given: NamedOutputs, report: bool = True) -> list[str]:
    return [path.as_posix() for path in output_paths(given, report).by_flag().values()]


def test_the_tutorials_names_have_no_prefix():
    expected = ["plot.png", "evaluation.png", "covid19.model.h5", "covid19.json", "report.html"]
    assert names(NamedOutputs()) == expected
    assert names(NamedOutputs(output_dir=Path("out"))) == [f"out/{name}" for name in expected]
    assert names(NamedOutputs(), report=False) == expected[:-1]


def test_outputs_of_another_model_have_its_name():
    assert names(NamedOutputs(model=Path("m/second.keras"))) == [
        *("m/second.plot.png", "m/second.evaluation.png"),
        *("m/second.keras", "m/second.json", "m/second.report.html"),
    ]
    assert names(NamedOutputs(model=Path("covid19.model"), plot=Path("p/plot.pdf"))) == [
        *("p/plot.pdf", "p/evaluation.png", "covid19.model", "covid19.json", "p/report.html")
    ]


@pytest.mark.parametrize(
    ("flag", "name", "said"),
    [
        ("model", "m.pb", r"--model m.pb: a model is written as HDF5 .* or in Keras' format \(.keras\)"),
        ("plot", "p.gif", "--plot p.gif: a figure is written as one of .png, .pdf"),
        ("evaluation_plot", "e", "--evaluation-plot e: a figure is written as one of"),
    ],
)
def test_a_suffix_of_no_known_format_is_rejected(flag, name, said):
    output_paths(NamedOutputs(), True).require_suffixes()
    with rejection(said):
        output_paths(NamedOutputs(**{flag: Path(name)}), True).require_suffixes()


def test_outputs_are_listed_by_their_flags():
    paths = [Path(name) for name in "abcde"]
    flags = ["--plot", "--evaluation-plot", "--model", "--json", "--report"]
    assert OutputPaths(*paths).by_flag() == dict(zip(flags, paths, strict=True))
