"""Boxes of an image of a data set, as its manifest has them."""

from __future__ import annotations

from detector import InputError
from detector.collections.boxes import Box, from_cell
from detector.datasets import manifest
from detector.datasets.dataset import Image


def boxes_of(image: Image) -> tuple[Box, ...]:
    """Return the boxes that were drawn around opacities of an image.

    Parameters
    ----------
    image : Image

    Returns
    -------
    tuple of Box
        In fractions of the image's width and height; empty where the manifest has none.

    Raises
    ------
    InputError
        If the cell of the manifest holds something else.
    """
    try:
        return from_cell(image.row.get(manifest.BOXES, ""))
    except ValueError as error:
        raise InputError(
            f"{image.path.parent / manifest.NAME}, column {manifest.BOXES}: {image.path.name} {error}; correct the "
            "cell, or clear it"
        ) from None
