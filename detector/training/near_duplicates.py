"""Pairs of images of a data set that are nearly the same, and those of them that join two patients."""

from __future__ import annotations

from collections.abc import Sequence

from detector.datasets.dataset import Dataset
from detector.datasets.identity import patients
from detector.images.duplicates import near_pairs
from detector.images.inspection import ImageProperties
from detector.images.phantom import SOURCE as PHANTOM


def find_alike(dataset: Dataset, properties: Sequence[ImageProperties]) -> list[tuple[int, int]]:
    """Return pairs of images that are nearly the same, sorted, the smaller index first.

    Phantoms are more alike than people are, and the bound was measured on people: they have none.
    """
    if all(image.source == PHANTOM for image in dataset.images):
        return []
    drawn = [image.source == PHANTOM for image in dataset.images]
    pairs = near_pairs([image_properties.hash for image_properties in properties])
    return [(i, j) for i, j in pairs if not (drawn[i] and drawn[j])]


def of_different_patients(
    dataset: Dataset, properties: Sequence[ImageProperties], alike: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return those of some pairs that are of different patients and not byte for byte the same."""
    who = patients(dataset.images, [image_properties.digest for image_properties in properties])
    return [(i, j) for i, j in alike if who[i] != who[j] and properties[i].digest != properties[j].digest]
