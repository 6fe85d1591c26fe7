"""Images that may be no frontal chest radiographs: named, and left out where a recipe reads the lungs only.

One rule: what `predict_covid19.py` predicts no class for (a colour image, an image without lungs) is left out of a run
that reads the lungs only (``--pooling lungs``, ``--input lungs``). Every other run, the tutorial's recipe among them,
keeps it and names it. Lateral views and images with one lung are always kept and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from detector import InputError, counted, first_names
from detector.datasets.dataset import Image
from detector.images.lungs import describe
from detector.images.plausibility import Implausibility, implausibility
from detector.training.extraction import FeatureExtractor


@dataclass(frozen=True)
class ImplausibleImage:
    """An image that may be no frontal chest radiograph.

    Attributes
    ----------
    file : str
        Its name relative to the data set.
    reason : str
        What such images are, such as ``"without lungs"``.
    left_out : bool
        Whether the run goes on without it.
    """

    file: str
    reason: str
    left_out: bool


def implausibilities(
    extractor: FeatureExtractor, rows: Sequence[int] | np.ndarray, masks: Iterable[np.ndarray]
) -> list[Implausibility | None]:
    """Return why each of some images may be no frontal chest radiograph, given their lung masks."""
    found = []
    for row, mask in zip(rows, masks, strict=True):
        known = extractor.properties[row]
        found.append(
            implausibility(known.colourfulness, describe(mask), extractor.dataset.images[row].view, known.inverted)
        )
    return found


def without_implausible(extractor: FeatureExtractor) -> tuple[FeatureExtractor, list[ImplausibleImage]]:
    """Leave out what a recipe that reads the lungs only cannot use; it finds lungs in the pass that gives features.

    Returns
    -------
    extractor : FeatureExtractor
        Without these images.
    implausible : list of ImplausibleImage
        Those left out, and those kept.

    Raises
    ------
    InputError
        If a class has no other images.
    """
    extractor.log.info("finding lungs...")
    rows = range(len(extractor.properties))
    with extractor.log.timed("find lungs"):
        found = implausibilities(extractor, rows, extractor.lungs(rows))
    named = as_list(extractor, rows, found, leave_out=True)
    if named:
        extractor.log.info(line(named, len(rows)))
    kept = np.array([not (one and one.rejected) for one in found])
    require_every_class(extractor.dataset.images, kept)
    return (extractor if kept.all() else extractor.subset(np.flatnonzero(kept))), named


def find_implausible(
    extractor: FeatureExtractor, held_out: Sequence[int], rotations: int, seed: int
) -> list[ImplausibleImage]:
    """Name what may be no frontal chest radiograph, by lungs that were found in the passes that gave the features.

    Parameters
    ----------
    extractor : FeatureExtractor
    held_out : sequence of int
        Images of which features were computed as they are.
    rotations : int
        Copies of every other image; 0 where its features, too, are those of the image as it is.
    seed : int
        Of the rotations.

    Returns
    -------
    list of ImplausibleImage
    """
    everything = range(len(extractor.properties))
    as_they_are = list(everything) if not rotations else sorted(int(row) for row in held_out)
    copied = sorted(set(everything) - set(as_they_are))
    found = dict(zip(as_they_are, implausibilities(extractor, as_they_are, extractor.lungs(as_they_are)), strict=True))
    found |= zip(copied, implausibilities(extractor, copied, extractor.lungs_of_copies(copied, seed)), strict=True)
    return as_list(extractor, everything, [found[row] for row in everything], leave_out=False)


def as_list(
    extractor: FeatureExtractor,
    rows: Sequence[int] | np.ndarray,
    found: Sequence[Implausibility | None],
    leave_out: bool,
) -> list[ImplausibleImage]:
    """Return the images that may be no frontal chest radiograph, and whether each is left out."""
    return [
        ImplausibleImage(extractor.dataset.images[row].file, one.group, leave_out and one.rejected)
        for row, one in zip(rows, found, strict=True)
        if one
    ]


def require_every_class(images: Sequence[Image], kept: np.ndarray) -> None:
    """Require that an image of every class is kept.

    Parameters
    ----------
    images : sequence of Image
        Of a data set.
    kept : ndarray of shape (n,), bool

    Raises
    ------
    InputError
    """
    left = {image.label for image, one in zip(images, kept, strict=True) if one}
    for label in dict.fromkeys(image.label for image in images):
        if label not in left:
            names = [image.file for image in images if image.label == label]
            raise InputError(
                f"lungs were found in none of {counted(len(names), 'image')} of class {label} ({first_names(names)}); "
                "give frontal chest radiographs, or use --pooling global, which keeps such images"
            )


def line(implausible: Sequence[ImplausibleImage], total: int) -> str:
    """Return how many images may be no frontal chest radiographs, why, and what becomes of them, in a line."""
    parts = []
    for left_out, what in ((True, "left out"), (False, "kept")):
        files: dict[str, list[str]] = {}
        for one in implausible:
            if one.left_out == left_out:
                files.setdefault(one.reason, []).append(one.file)
        if files:
            reasons = ", ".join(f"{len(names)} {reason} ({first_names(names)})" for reason, names in files.items())
            parts.append(f"{what}: {reasons}")
    return f"{len(implausible)} of {counted(total, 'image')} may not be frontal chest radiographs; {'; '.join(parts)}"
