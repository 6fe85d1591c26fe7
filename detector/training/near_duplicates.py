"""Pairs of images of a data set that are copies of each other, and those of them that join two patients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from detector.datasets.dataset import Dataset
from detector.files.cache import Cache, key
from detector.images.duplicates import SEARCH_VERSION, Copy, near_pairs
from detector.images.inspection import ImageProperties
from detector.images.phantom import SOURCE as PHANTOM
from detector.images.pixel_agreement import SAME_RADIOGRAPH, pixel_agreement


def find_near_duplicates(
    dataset: Dataset, properties: Sequence[ImageProperties], cache: Cache, pixels: Callable[[int], np.ndarray]
) -> dict[tuple[int, int], Copy]:
    """Return pairs of images that are copies of each other, sorted, the smaller index first.

    Phantoms resemble each other more than people do, and the bound was measured on people: they have none.

    Parameters
    ----------
    dataset : Dataset
    properties : sequence of ImageProperties
    cache : Cache
        Keeps what was found among the same images.
    pixels : callable
        From an image's position to its pixels, (224, 224, 3), uint8; called for pairs that the hash takes for copies.
    """
    drawn = [image.source == PHANTOM for image in dataset.images]
    if all(drawn):
        return {}
    hashes = [one.hash for one in properties]

    def is_same(i: int, j: int, copy: Copy) -> bool:
        if properties[i].digest == properties[j].digest:
            return True
        return pixel_agreement(pixels(i), pixels(j), copy.mirrored, abs(copy.angle)) >= SAME_RADIOGRAPH

    name = key(kind="near duplicates", version=SEARCH_VERSION, hashes=hashes)
    held = cache.get([name])
    if name in held:
        pairs = {(i, j): Copy(*copy) for i, j, *copy in json.loads(held[name])}
    else:
        pairs = {(i, j): copy for (i, j), copy in near_pairs(hashes).items() if is_same(i, j, copy)}
        cache.put({name: json.dumps([[i, j, *copy] for (i, j), copy in pairs.items()]).encode()})
    return {(i, j): copy for (i, j), copy in pairs.items() if not (drawn[i] and drawn[j])}


def of_different_patients(
    patients: np.ndarray, properties: Sequence[ImageProperties], near_duplicates: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return those of some pairs that join two patients into one, and are not byte for byte the same.

    Parameters
    ----------
    patients : ndarray of shape (n,), str
        As `datasets.identity.patients` returns them.
    properties : sequence of ImageProperties
    near_duplicates : iterable of (int, int)
        Pairs as `find_near_duplicates` returns them.
    """
    return [
        (i, j)
        for i, j in near_duplicates
        if patients[i] != patients[j] and properties[i].digest != properties[j].digest
    ]
