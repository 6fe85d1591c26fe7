"""The flags of a sample, and the settings that they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cli.arguments import Parser, whole_number

if TYPE_CHECKING:
    from detector.datasets.sampling import SampleOptions


def add_sample(parser: Parser) -> None:
    """Add the flags that say which images of a data set are sampled."""
    parser.add_argument(
        "-k",
        "--kaggle",
        type=Path,
        metavar="DIR",
        help="unpacked: Kermany's chest_xray, NIH ChestX-ray14 or its sample, RSNA's challenge "
        "(default: Kermany's, by kagglehub)",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("dataset/normal"), metavar="DIR", help="class folder")
    parser.add_argument(
        "-s", "-n", "--sample", type=whole_number(1), default=25, metavar="N", help="number of images to sample"
    )
    parser.add_argument(
        "--finding",
        default="normal",
        metavar="NAME",
        help="finding to sample: a label or class of the data set; virus or bacteria in Kermany's",
    )
    parser.add_argument("--split", default="train", metavar="NAME", help="split to sample from, in Kermany's")
    parser.add_argument("--view", action="append", metavar="VIEW", help="view to sample, repeatable: PA, AP, frontal")
    parser.add_argument("--adults", action="store_true", help="sample patients of 18 years and over only")
    parser.add_argument(
        "--one-per-patient",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="sample one image of each patient",
    )


def sample_options(given: argparse.Namespace) -> SampleOptions:
    """Return what the flags of `add_sample` say."""
    from detector.datasets.sampling import Draw, SampleOptions

    draw = Draw(given.sample, given.seed, given.one_per_patient, given.view or (), given.adults)
    return SampleOptions(given.kaggle, given.output, given.finding, given.split, draw, given.quiet)
