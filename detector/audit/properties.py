"""The properties of images that manifests and files know, for the plane of utility and detectability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.baselines import known_ages, known_sexes
from detector.audit.linear_baseline import border_matrix, indicators
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.images.inspect import ImageProperties
from detector.statistics.metric import WIDTH

# Columns that DICOM headers or manifests may have: the device, and how the exposure was made.
DEVICE = ("manufacturer", "model", "device", "station", "detector", "modality", "photometric_interpretation")
EXPOSURE = ("kvp", "exposure", "exposure_time", "tube_current", "pixel_spacing", "bits_stored")
SEVERAL_VALUES = 0.5  # of a column's cells, at most, may be different values for it to be a set of categories


@dataclass(frozen=True)
class Property:
    """A property of some images.

    Attributes
    ----------
    name : str
    rows : ndarray of shape (known,), int
        Of which images it is known.
    columns : ndarray of shape (known, columns)
        What the class is predicted from.
    is_number : bool
        Whether detectability is that of a number (R²), or of the most telling category (ROC AUC).
    """

    name: str
    rows: np.ndarray
    columns: np.ndarray
    is_number: bool


def properties(images: Sequence[Image], files: Sequence[ImageProperties]) -> Iterator[Property]:
    """Yield what manifests and files know of images: at least two different values of each."""
    everything = np.arange(len(images))
    rows, columns = known_ages(images)
    if len(set(columns[:, 0])) > 1:
        yield Property("age", rows, columns, True)
    rows, columns = known_sexes(images)
    if columns.shape[1] > 1:
        yield Property("sex", rows, columns, False)
    for name, values in (("site", [image.site for image in images]), ("view", [image.view for image in images])):
        yield from _categories(name, values)
    for name in (*DEVICE, *EXPOSURE):
        yield from _of_column(name, [image.row.get(name, "") for image in images])
    sizes = np.array([[np.log(one.width), np.log(one.height)] for one in files])
    for name, numbers in (
        ("border", border_matrix(files)),
        ("image size", sizes),
        ("brightness", np.array([[one.mean] for one in files], float)),
        ("contrast", np.array([[one.deviation] for one in files], float)),
    ):
        if numbers.std(axis=0).max() > WIDTH:
            yield Property(name, everything, numbers, True)
    yield from _categories("file format", [one.format for one in files])
    yield from _categories("colour", ["colour" if one.colour else "grey" for one in files])


def _of_column(name: str, cells: Sequence[str]) -> Iterator[Property]:
    """Yield a manifest's column as numbers, where all that is known are numbers, or else as categories."""
    known = np.array([row for row, cell in enumerate(cells) if not clinical.is_missing(cell)], int)
    numbers = [clinical.number(cells[row]) for row in known]
    if len(known) and all(number is not None for number in numbers) and len(set(numbers)) > 2:
        yield Property(name.replace("_", " "), known, np.array(numbers, float)[:, None], True)
    elif len({cells[row] for row in known}) <= SEVERAL_VALUES * len(known):
        yield from _categories(name.replace("_", " "), ["" if clinical.is_missing(cell) else cell for cell in cells])


def _categories(name: str, values: Sequence[str]) -> Iterator[Property]:
    known = np.flatnonzero(np.array(values) != "")
    if len(known) and len({values[row] for row in known}) > 1:
        yield Property(name, known, indicators([values[row] for row in known]), False)
