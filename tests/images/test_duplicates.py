"""Near duplicates: changed copies are found and named, other images are not, one image stands for its group."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.images import duplicates
from detector.images.duplicates import Copy, among, find_copies, perceptual_hash
from detector.images.phantom import CLASSES

COUNT = 12
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def shown(pixels):
    """Return a grey image as a run reads it."""
    return cv2.cvtColor(cv2.resize(np.ascontiguousarray(pixels), (224, 224), interpolation=cv2.INTER_AREA), 8)


def turned(pixels, angle, value=0):
    """Return an image rotated on its own canvas, with corners of one value."""
    side = len(pixels)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
    return cv2.warpAffine(np.ascontiguousarray(pixels), matrix, (side, side), borderValue=value)


def expanded(pixels, angle):
    """Return an image rotated on a canvas that holds all of it."""
    border = len(pixels) // 12
    return turned(cv2.copyMakeBorder(pixels, *[border] * 4, cv2.BORDER_CONSTANT), angle)


def copies_among(grey):
    """Return the copies among grey images, of which each is another file."""
    pixels = [shown(one) for one in grey]
    return find_copies([perceptual_hash(one) for one in pixels], [*map(str, range(len(pixels)))], pixels.__getitem__)


CHANGES = {
    "mirrored": lambda pixels: pixels[:, ::-1],
    "rotated by about 10°": lambda pixels: turned(pixels, 10, 255),
    "rotated by about 5°": lambda pixels: turned(pixels, -5),
    "mirrored and rotated by about 7°": lambda pixels: turned(pixels[:, ::-1], 7),
    "rotated by about 8°": lambda pixels: expanded(pixels, 8),
    "": lambda pixels: cv2.resize(pixels[40:, 40:], (300, 260)),
    "mirrored and rotated by about 180°": lambda pixels: pixels[::-1],
    "rotated by about 180°": lambda pixels: pixels[::-1, ::-1],
    "rotated by about 90°": np.rot90,
    "mirrored and rotated by about 90°": lambda pixels: pixels.T,
    "negative": lambda pixels: 255 - pixels,
    "negative and mirrored and rotated by about 90°": lambda pixels: 255 - np.rot90(pixels[:, ::-1]),
}


@pytest.fixture(scope="module")
def patients(phantoms_of):
    """Return phantoms of different patients."""
    return [image for label in CLASSES for image in phantoms_of.images(label, COUNT // 2)]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_named(patients, change):
    found = copies_among([*patients, *(CHANGES[change](pixels) for pixels in patients[:3])])
    assert list(found) == [(row, COUNT + row) for row in range(3)]
    angle = float("".join(letter for letter in change if letter.isdigit()) or 0)
    for copy in found.values():
        assert (copy.mirrored, copy.negative) == ("mirrored" in change, "negative" in change)
        assert abs(abs(copy.angle) - angle) < 2.0


def textures(count):
    """Return smooth noise, each of another image."""
    noise = np.random.default_rng(0).normal(0, 1, (count, 224, 224)).astype(np.float32)
    smooth = [cv2.GaussianBlur(one, (0, 0), 3 + 3 * (i % 3)) for i, one in enumerate(noise)]
    return [cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8) for one in smooth]


def test_other_images_are_no_copies():
    assert copies_among([*textures(40), np.full((224, 224), 90, np.uint8), np.zeros((224, 224), np.uint8)]) == {}
    assert copies_among(textures(1)) == {}


def test_each_copy_is_paired_with_the_first_of_its_group_and_described_from_there(patients):
    """The last is too far from the first to be found beside it: the one between them joins both."""
    chain = [turned(patients[0], angle) for angle in (-9, 0, 9)]
    found = copies_among([patients[1], chain[0], chain[1][:, ::-1], chain[2], patients[1][:, ::-1]])
    assert list(found) == [(0, 4), (1, 2), (1, 3)]
    assert found[1, 2].mirrored and abs(abs(found[1, 2].angle) - 9) < 1.5
    assert not found[1, 3].mirrored and abs(abs(found[1, 3].angle) - 18) < 1.5


def test_the_same_file_is_a_copy_without_a_look(patients):
    hashes = [perceptual_hash(shown(patients[i])) for i in (0, 1, 0)]
    assert find_copies(hashes, ["a", "b", "a"], lambda row: shown(textures(3)[row])) == {(0, 2): Copy()}


def test_a_group_costs_as_many_agreements_as_it_has_further_images(patients, monkeypatch):
    """25 copies of 4 radiographs make 1,200 pairs of copies; at most two pairs of two groups may disagree."""
    calls = []
    compared = duplicates._compared
    monkeypatch.setattr(duplicates, "_compared", lambda *given: calls.append(compared(*given)) or calls[-1])
    generator = np.random.default_rng(0)
    copies = [np.roll(pixels, generator.integers(-9, 10, 2), (0, 1)) for _ in range(25) for pixels in patients[:4]]
    found = copies_among(copies)
    assert list(found) == [(row % 4, row) for row in sorted(range(4, 100), key=lambda row: (row % 4, row))]
    assert sum(copy is not None for copy in calls) == 96
    assert sum(copy is None for copy in calls) <= 40


PAIRS = {(0, 2): Copy(mirrored=True), (0, 3): Copy(True, 6.0), (1, 4): Copy()}


@pytest.mark.parametrize(
    ("rows", "left"), [([0, 3, 4], {(0, 1): Copy(True, 6.0)}), ([2, 3], {(0, 1): Copy(False, 6.0)}), ([1, 2], {})]
)
def test_pairs_among_some_images_are_those_of_the_first_that_is_left(rows, left):
    assert among(PAIRS, np.array(rows)) == left


@pytest.mark.parametrize(
    ("copy", "words"),
    [
        (Copy(False, 1.4), ""),
        (Copy(False, -5.2), "rotated by about 5°"),
        (Copy(True, 9.7), "mirrored and rotated by about 10°"),
        (Copy(False, 0.2, 1.0, True), "negative"),
    ],
)
def test_copies_are_described(copy, words):
    assert str(copy) == words


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there")
def test_no_two_radiographs_are_joined_by_turns_and_negatives():
    paths = sorted((SHARED / "nih-chest-xrays").rglob("*.png"))[:60]
    grey = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    assert copies_among(grey) == {}
    found = copies_among([*grey[:20], *(255 - np.rot90(one) for one in grey[:20])])
    assert list(found) == [(row, 20 + row) for row in range(20)]
