"""Near duplicates of a data set: pairs of radiographs, never of two phantoms, and those that join patients."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from audit_helpers import Case, extractor_of

from detector.files.cache import Cache
from detector.images.duplicates import Copy, perceptual_hash
from detector.images.phantom import SOURCE, draw
from detector.training.dataset import find_near_duplicates, of_different_patients

NOWHERE = Cache(None)


def pixels(row):
    """Return the same picture for every image that `opened` has."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8)
    return np.kron(noise, np.ones((16, 16, 1), np.uint8))


def hash_of(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), np.uint8)
    return perceptual_hash(np.kron(noise, np.ones((16, 16, 1), np.uint8)))


def opened(phantoms=()):
    """Return four images of which the first, the second and the last have nearly the same hash, and their patients."""
    made = extractor_of(Case((2, 2), images=2))
    one = hash_of(0)
    changed = [one[:i] + f"{int(one[i], 16) ^ 1:x}" + one[i + 1 :] for i in (10, 20)]
    hashes = [one, changed[0], hash_of(1), changed[1]]
    properties = [replace(known, hash=text) for known, text in zip(made.properties, hashes, strict=True)]
    images = [replace(image, source=SOURCE) if i in phantoms else image for i, image in enumerate(made.dataset.images)]
    return replace(made.dataset, images=images), properties, made.patients


def test_pairs_are_sorted_and_those_of_two_patients_are_separate():
    dataset, properties, patients = opened()
    pairs = find_near_duplicates(dataset, properties, NOWHERE, pixels)
    assert list(pairs) == [(0, 1), (0, 3), (1, 3)]
    assert not any(str(copy) for copy in pairs.values())  # neither mirrored nor rotated
    # The first two are of one patient.
    assert of_different_patients(patients, properties, pairs) == [(0, 3), (1, 3)]
    same = [properties[0], properties[1], properties[2], replace(properties[3], digest=properties[0].digest)]
    assert (0, 3) not in of_different_patients(patients, same, pairs)


def test_two_recorded_patients_stay_two_unless_the_pixels_show_one_radiograph():
    """Phantoms as DICOM, without a manifest that marks them, stay as many patients as their headers name."""
    dataset, properties, patients = opened()
    assert None not in [image.patient for image in dataset.images]
    drawn = [cv2.cvtColor(cv2.resize(draw(seed % 2 == 0, seed), (224, 224)), cv2.COLOR_GRAY2RGB) for seed in range(2)]
    shown = [drawn[0], drawn[0][:, ::-1], drawn[1], drawn[1]]
    pairs = find_near_duplicates(dataset, properties, NOWHERE, shown.__getitem__)
    assert pairs == {}, "the hash takes the second for a copy that is not mirrored, the last for one of the first"
    shown[1] = cv2.resize(drawn[0][8:, 8:], (224, 224))
    assert (
        of_different_patients(
            patients, properties, find_near_duplicates(dataset, properties, NOWHERE, shown.__getitem__)
        )
        == []
    )
    shown = [drawn[0], drawn[1], drawn[1], shown[1]]
    assert of_different_patients(
        patients, properties, find_near_duplicates(dataset, properties, NOWHERE, shown.__getitem__)
    ) == [(0, 3)]


def test_two_phantoms_are_never_near_duplicates():
    assert find_near_duplicates(*opened(phantoms=range(4))[:2], NOWHERE, pixels) == {}
    assert list(find_near_duplicates(*opened(phantoms=(0, 1))[:2], NOWHERE, pixels)) == [(0, 3), (1, 3)]


def test_what_was_found_is_kept(tmp_path, monkeypatch):
    dataset, properties, _ = opened()
    found = find_near_duplicates(dataset, properties, Cache(tmp_path), pixels)
    monkeypatch.setattr(dataset, "near_pairs", lambda hashes: {(0, 2): Copy(False, 0.0, 0.9)})
    assert find_near_duplicates(dataset, properties, Cache(tmp_path), pixels) == found
    assert find_near_duplicates(dataset, properties, NOWHERE, pixels) == {(0, 2): Copy(False, 0.0, 0.9)}


def test_pixels_decide_what_the_hash_cannot():
    dataset, properties, _ = opened()
    noise = np.random.default_rng(1).integers(0, 256, (4, 224, 224, 3), np.uint8)
    assert find_near_duplicates(dataset, properties, NOWHERE, lambda row: noise[row]) == {}
