"""The flags of both builders: one field, one flag, one line of help."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from detector import InputError
from detector.cli.arguments import CommonOptions, flag, seed_flag, whole_number
from detector.collections.record import ImageRecord
from detector.datasets.folders import PATIENT_FROM, patient_pattern


@dataclass(frozen=True)
class BuildOptions(CommonOptions):
    """What a build is asked for; what is not given is as the collection needs."""

    exact: ClassVar[bool] = False  # whether fewer images than the limit are an error

    output: Path = flag("outputs", Path("dataset/covid"), "class folder", "-o", metavar="DIR")
    controls_output: Path | None = flag(
        "outputs", None, "class folder of the controls: other findings, same site", type=Path, metavar="DIR"
    )
    finding: str = flag(
        "selection", "", "finding to keep, at any level of its path (default: COVID-19)", metavar="NAME"
    )
    view: list[str] | None = flag(
        "selection",
        None,
        "view to keep, repeatable: PA, AP, frontal, or the collection's own (default: PA, or any)",
        action="append",
        metavar="VIEW",
    )
    adults: bool = flag("selection", False, "keep patients of 18 years and over only")
    one_per_patient: bool | None = flag(
        "selection",
        None,
        "keep one image of each patient (default: as the collection needs)",
        action=argparse.BooleanOptionalAction,
    )
    limit: int | None = flag(
        "selection",
        None,
        "keep at most N images of each folder, sampled at random",
        "-n",
        type=whole_number(1),
        metavar="N",
    )
    shared_sites_only: bool = flag("selection", False, "with --controls-output: keep only sites that have both")
    split: str = flag("selection", "", "part of a published split: train, val or test", metavar="PART")
    patients: Path | None = flag(
        "selection",
        None,
        "table of the patients of files: columns file and patient, or those of a published table",
        type=Path,
        metavar="CSV",
    )
    seed: int = seed_flag()

    def __post_init__(self) -> None:
        """Reject flags without those that they need, or the same folder twice."""
        if self.controls_output and os.path.realpath(self.controls_output) == os.path.realpath(self.output):
            raise InputError(f"--controls-output: {self.controls_output} is the same folder as --output")
        if self.shared_sites_only and not self.controls_output:
            raise InputError("--shared-sites-only needs --controls-output")

    def rank(self, entry: ImageRecord) -> bytes:
        """Return what an image is drawn by: its path, or its name alone in a collection that lies in any layout."""
        return rank(self.seed, entry.filename if self.exact else entry.path.as_posix())


@dataclass(frozen=True)
class CovidOptions(BuildOptions):
    """What build_covid_dataset.py is asked for."""

    covid: Path = flag(
        "input",
        Path("covid-chestxray-dataset"),
        "collection to read: Cohen's, Actualmed, Figure 1, Hannover, SIIM, COVIDx, Radiography Database",
        "-c",
        metavar="DIR",
    )
    download: bool = flag("input", False, "fetch what is missing of Cohen's collection into the folder of --covid")
    write_manifests: Path | None = flag(
        "input", None, "only write manifests for your own class folders", type=Path, metavar="DIR"
    )
    source: str = flag("input", "", "with --write-manifests: name of the data set", metavar="NAME")
    patient_from: re.Pattern[str] | None = flag("input", None, PATIENT_FROM, type=patient_pattern, metavar="REGEX")

    def __post_init__(self) -> None:
        """Reject flags without those that they need."""
        super().__post_init__()
        if bool(self.write_manifests) != bool(self.source):
            raise InputError("--write-manifests needs --source, and --source needs --write-manifests")
        if self.write_manifests and len(self.view or ()) > 1:
            raise InputError("--write-manifests takes one --view for all images")


@dataclass(frozen=True)
class SampleOptions(BuildOptions):
    """What sample_kaggle_dataset.py is asked for."""

    exact: ClassVar[bool] = True

    output: Path = flag("outputs", Path("dataset/normal"), "class folder", "-o", metavar="DIR")
    finding: str = flag(
        "selection",
        "normal",
        "finding to sample: a label or class of the data set; virus or bacteria in Kermany's",
        metavar="NAME",
    )
    limit: int | None = flag(
        "selection",
        25,
        "number of images to sample",
        *("-s", "-n", "--sample"),
        dest="limit",
        type=whole_number(1),
        metavar="N",
    )
    kaggle: Path | None = flag(
        "input",
        None,
        "unpacked: Kermany's chest_xray, NIH ChestX-ray14 or its sample, RSNA's challenge (default: Kermany's, by "
        "kagglehub)",
        "-k",
        type=Path,
        metavar="DIR",
    )


def rank(seed: int, name: str) -> bytes:
    """Return the hash by which images are drawn: not by the order of a file system, nor by a random generator."""
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
