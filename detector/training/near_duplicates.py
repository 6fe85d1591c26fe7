"""Pairs of images of a data set that are copies of each other, and those of them that join two patients."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from detector.datasets.dataset import Dataset
from detector.images.duplicates import SEARCH_VERSION, Copy, near_pairs
from detector.images.inspection import ImageProperties
from detector.images.phantom import SOURCE as PHANTOM
from detector.storage.cache import Cache, key


def find_alike(dataset: Dataset, properties: Sequence[ImageProperties], cache: Cache) -> dict[tuple[int, int], Copy]:
    """Return pairs of images that are copies of each other, sorted, the smaller index first.

    Phantoms are more alike than people are, and the bound was measured on people: they have none.

    Parameters
    ----------
    dataset : Dataset
    properties : sequence of ImageProperties
    cache : Cache
        Keeps what was found among the same images.
    """
    drawn = [image.source == PHANTOM for image in dataset.images]
    if all(drawn):
        return {}
    hashes = [image_properties.hash for image_properties in properties]
    name = key(kind="near duplicates", version=SEARCH_VERSION, hashes=hashes)
    held = cache.get([name])
    if name in held:
        pairs = {(i, j): Copy(mirrored, angle) for i, j, mirrored, angle in json.loads(held[name])}
    else:
        pairs = near_pairs(hashes)
        cache.put({name: json.dumps([[i, j, *copy] for (i, j), copy in pairs.items()]).encode()})
    return {(i, j): copy for (i, j), copy in pairs.items() if not (drawn[i] and drawn[j])}


def of_different_patients(
    patients: np.ndarray, properties: Sequence[ImageProperties], alike: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return those of some pairs that are of different patients and not byte for byte the same."""
    return [(i, j) for i, j in alike if patients[i] != patients[j] and properties[i].digest != properties[j].digest]
