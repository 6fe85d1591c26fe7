"""What the arguments of all scripts share."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from conftest import ROOT, inside, rejected, script

from detector import __version__
from detector.cli.arguments import local_path, output_of


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("*.py")))
def test_every_script_prints_its_version(tmp_path, name):
    done = inside(name, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{name} {__version__}\n", "")


@pytest.mark.parametrize(
    "name", ["build_covid_dataset", "sample_kaggle_dataset", "make_phantom_dataset", "train_covid19"]
)
def test_help_has_an_example_and_states_that_nothing_is_a_diagnosis(tmp_path, name):
    (tmp_path / "tensorflow.py").write_text("raise SystemError('imported')\n")
    done = script(f"{name}.py", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.count(f"example: python {name}.py") == (3 if name == "train_covid19" else 1)
    assert "never a diagnosis" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("train_covid19", "-d"),
        ("train_covid19", "--model"),
        ("audit_covid19", "--external"),
        ("build_covid_dataset", "--write-manifests"),
        ("build_covid_dataset", "-c"),
        ("predict_covid19", "-m"),
    ],
)
def test_a_url_in_place_of_a_path_is_named_with_both_of_its_slashes(tmp_path, name, flag):
    done = inside(f"{name}.py", flag, "https://example.org/x", *(["a.png"] if name[0] == "p" else []), cwd=tmp_path)
    rejected(done, "https://example.org/x is a URL; download what it names and give its path")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["p.xlsx", "p.JSON", "p.html"])
def test_an_output_whose_suffix_promises_another_format_is_rejected(name):
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"does not name what is written; give a name that ends in \.csv"
    ):
        output_of(".csv")(name)


def test_an_output_of_its_own_suffix_or_of_none_is_taken():
    assert [output_of(".csv")(name) for name in ("a/p.CSV", "p", "p.v2")] == [Path("a/p.CSV"), Path("p"), Path("p.v2")]
    with pytest.raises(argparse.ArgumentTypeError, match="is a URL"):
        output_of(".csv")("https://a/p.csv")


@pytest.mark.parametrize("text", ["C:/a", "C://a", "a/b:/c", "covid19.model"])
def test_windows_paths_are_no_urls(text):
    assert local_path(text) == Path(text)


def test_an_unknown_flag_is_rejected(tmp_path):
    rejected(inside("train_covid19.py", "--pools", "x", cwd=tmp_path), "unrecognized arguments: --pools")
