"""The flags of a build, and the settings that they stand for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli.arguments import Parser, whole_number

if TYPE_CHECKING:
    from detector.datasets.build_options import BuildOptions, ManifestOptions


def add_build(parser: Parser) -> None:
    """Add the flags that say which images of a collection go into which folder."""
    parser.add_argument(
        "-c",
        "--covid",
        type=Path,
        default=Path("covid-chestxray-dataset"),
        metavar="DIR",
        help="collection to read: Cohen's, Actualmed, Figure 1, Hannover, SIIM, COVIDx, Radiography Database",
    )
    parser.add_argument(
        "--download", action="store_true", help="fetch what is missing of Cohen's collection into the folder of --covid"
    )
    parser.add_argument("--base-url", metavar="URL", help="where --download fetches from (default: a pinned commit)")
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/covid"), metavar="DIR", help="class folder")
    parser.add_argument(
        "--controls-output", type=Path, metavar="DIR", help="class folder of the controls: other findings, same site"
    )
    parser.add_argument(
        "--shared-sites-only", action="store_true", help="with --controls-output: keep only sites that have both"
    )
    parser.add_argument(
        "--view",
        action="append",
        metavar="VIEW",
        help="view to keep, repeatable: PA, AP, frontal, or the collection's own (default: PA, or any)",
    )
    parser.add_argument(
        "--finding", metavar="NAME", help="finding to keep, at any level of its path (default: COVID-19)"
    )
    parser.add_argument("--split", default="", metavar="PART", help="part of COVIDx to keep: train, val or test")
    parser.add_argument(
        "--one-per-patient",
        action=argparse.BooleanOptionalAction,
        help="keep one image of each patient (default: as the collection needs)",
    )
    parser.add_argument(
        "-n",
        "--limit",
        type=whole_number(1),
        metavar="N",
        help="keep at most N images of each folder, sampled at random",
    )


def add_manifests(parser: Parser) -> None:
    """Add the flags that describe class folders of the user's own."""
    parser.add_argument(
        "--write-manifests", type=Path, metavar="DIR", help="only write manifests for your own class folders"
    )
    parser.add_argument("--source", metavar="NAME", help="with --write-manifests: name of the data set")
    parser.add_argument("--patients", type=Path, metavar="CSV", help="table with the columns file and patient")


def require_together(parser: Parser, given: argparse.Namespace) -> None:
    """End with one line if flags are given without those that they need, or the same folder twice."""
    if given.controls_output and os.path.realpath(given.controls_output) == os.path.realpath(given.output):
        parser.error(f"argument --controls-output: {given.controls_output} is the same folder as --output")
    if given.shared_sites_only and not given.controls_output:
        parser.error("argument --shared-sites-only: needs --controls-output")
    if bool(given.write_manifests) != bool(given.source):
        parser.error("argument --write-manifests: needs --source, and --source needs --write-manifests")


def options_from(given: argparse.Namespace) -> BuildOptions | ManifestOptions:
    """Return what the flags of `add_build` and `add_manifests` say."""
    from detector.collections import cohen
    from detector.datasets.build_options import BuildOptions, ManifestOptions, SelectionOptions
    from detector.datasets.build_source import SourceOptions

    views = tuple(given.view or ())
    if given.write_manifests:
        return ManifestOptions(given.write_manifests, given.source, views, given.patients, given.quiet)
    base_url = given.base_url or cohen.BASE_URL
    source = SourceOptions(given.covid, base_url if given.download else None, given.split, given.patients)
    selection = SelectionOptions(
        given.finding or "", views, given.one_per_patient, given.limit, given.seed, given.shared_sites_only
    )
    return BuildOptions(source, selection, given.output, given.controls_output, given.quiet)
