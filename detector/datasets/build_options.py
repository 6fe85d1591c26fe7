"""What a build was asked for: small frozen groups of settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector.collections.record import Convention
from detector.datasets.build import SelectionCriteria
from detector.datasets.build_source import SourceOptions


@dataclass(frozen=True)
class SelectionOptions:
    """Which of its images are kept.

    Attributes
    ----------
    finding : str
        Empty for the collection's positive finding.
    views : tuple of str
        Empty for those of the collection's convention.
    one_per_patient : bool or None
        None for the collection's convention.
    limit : int or None
        Images of each folder, sampled at random.
    seed : int
    shared_sites_only : bool
        Keep sites that have images for every folder.
    """

    finding: str
    views: tuple[str, ...]
    one_per_patient: bool | None
    limit: int | None
    seed: int
    shared_sites_only: bool

    def wanted(self, convention: Convention) -> SelectionCriteria:
        """Return what is kept of a collection, by its convention where nothing else was asked for."""
        per_patient = convention.one_per_patient if self.one_per_patient is None else self.one_per_patient
        views = self.views or tuple(convention.views)
        return SelectionCriteria(self.finding, views, per_patient, self.limit, self.seed, self.shared_sites_only)


@dataclass(frozen=True)
class BuildOptions:
    """All that a build was asked for.

    Attributes
    ----------
    source : SourceOptions
    selection : SelectionOptions
    output : Path
        Class folder.
    controls_output : Path or None
        Class folder of the controls.
    quiet : bool
    """

    source: SourceOptions
    selection: SelectionOptions
    output: Path
    controls_output: Path | None
    quiet: bool

    @property
    def folders(self) -> list[Path]:
        """Class folders that are written."""
        return [folder for folder in (self.output, self.controls_output) if folder]


@dataclass(frozen=True)
class ManifestOptions:
    """Class folders of the user's own, which get manifests.

    Attributes
    ----------
    folder : Path
        Of the class folders.
    source : str
        Name of the data set.
    views : tuple of str
        View of all images; empty where it is not known.
    patients : Path or None
        Table of the patients of files.
    quiet : bool
    """

    folder: Path
    source: str
    views: tuple[str, ...]
    patients: Path | None
    quiet: bool
