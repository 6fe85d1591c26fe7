"""Near duplicates of a data set: pairs of radiographs, never of two phantoms, and those that join patients."""

from __future__ import annotations

from dataclasses import replace

from audit_helpers import Case, extractor_of

from detector.images.phantom import SOURCE
from detector.training.near_duplicates import find_alike, of_different_patients


def opened(phantoms=()):
    """Return four images of which the first, the second and the last have hashes of a bit's difference."""
    made = extractor_of(Case((2, 2), images=2))
    hashes = ["0" * 64, "0" * 63 + "1", "5" * 64, "0" * 63 + "2"]
    properties = [replace(one, hash=text) for one, text in zip(made.properties, hashes, strict=True)]
    images = [replace(one, source=SOURCE) if i in phantoms else one for i, one in enumerate(made.dataset.images)]
    return replace(made.dataset, images=images), properties


def test_pairs_are_sorted_and_those_of_two_patients_are_told_apart():
    dataset, properties = opened()
    pairs = find_alike(dataset, properties)
    assert pairs == [(0, 1), (0, 3), (1, 3)]
    # The first two are of one patient.
    assert of_different_patients(dataset, properties, pairs) == [(0, 3), (1, 3)]
    same = [properties[0], properties[1], properties[2], replace(properties[3], digest=properties[0].digest)]
    assert (0, 3) not in of_different_patients(dataset, same, pairs)


def test_two_phantoms_are_never_alike():
    assert find_alike(*opened(phantoms=range(4))) == []
    assert find_alike(*opened(phantoms=(0, 1))) == [(0, 3), (1, 3)]
