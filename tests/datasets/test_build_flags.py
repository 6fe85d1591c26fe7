"""Flags of a build, and the settings that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.cli.arguments import Parser, add_common
from detector.collections import cohen
from detector.collections.record import Convention
from detector.datasets import build_flags
from detector.datasets.build import SelectionCriteria
from detector.datasets.build_options import BuildOptions, ManifestOptions, SelectionOptions
from detector.datasets.build_source import SourceOptions


def parsed(*arguments: str) -> BuildOptions | ManifestOptions:
    parser = Parser("Build.", "build")
    build_flags.add_build(parser)
    build_flags.add_manifests(parser)
    add_common(parser)
    given = parser.parse_args(arguments)
    build_flags.require_together(parser, given)
    return build_flags.options_from(given)


def test_without_flags_cohens_collection_is_built_by_its_convention():
    found = parsed()
    assert found.source == SourceOptions(Path("covid-chestxray-dataset"), None, "", None)
    assert found.folders == [Path("dataset/covid")]
    convention = Convention(views=("AP",), one_per_patient=True)
    assert found.selection.wanted(convention) == SelectionCriteria("", ("AP",), True, None, 42, False)


def test_each_flag_arrives_where_it_belongs():
    found = parsed(
        *("-c", "mine", "-o", "d/covid", "--controls-output", "c", "--shared-sites-only", "--view", "PA"),
        *("--finding", "SARS", "--split", "train", "--no-one-per-patient", "-n", "9", "--patients", "p.csv"),
        *("--seed", "3", "--quiet"),
    )
    selection = SelectionOptions("SARS", ("PA",), False, 9, 3, True)
    source = SourceOptions(Path("mine"), None, "train", Path("p.csv"))
    assert found == BuildOptions(source, selection, Path("d/covid"), Path("c"), True)
    assert found.folders == [Path("d/covid"), Path("c")]
    convention = Convention(views=("AP",), one_per_patient=True)
    assert selection.wanted(convention) == SelectionCriteria("SARS", ("PA",), False, 9, 3, True)


def test_a_download_has_an_address():
    assert parsed("--download").source.download_from == cohen.BASE_URL
    assert parsed("--download", "--base-url", "http://here").source.download_from == "http://here"
    assert parsed("--base-url", "http://here").source.download_from is None


def test_manifests_of_ones_own_folders_are_no_build():
    found = parsed("--write-manifests", "d", "--source", "ours", "--view", "PA", "--patients", "p.csv", "--quiet")
    assert found == ManifestOptions(Path("d"), "ours", ("PA",), Path("p.csv"), True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "d", "--controls-output", "./d"), "d is the same folder as --output"),
        (("--shared-sites-only",), "--shared-sites-only: needs --controls-output"),
        (("--source", "ours"), "--write-manifests: needs --source, and --source needs --write-manifests"),
    ],
)
def test_flags_that_need_others_are_rejected_without_them(arguments, said, monkeypatch):
    messages: list[str] = []

    def fail(name: str, message: str) -> None:  # which otherwise ends the process
        messages.append(message)
        raise SystemExit(2)

    monkeypatch.setattr("detector.cli.arguments.fail", fail)
    with pytest.raises(SystemExit):
        parsed(*arguments)
    assert said in messages[0]
