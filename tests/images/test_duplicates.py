"""Near duplicates: mirrored, rotated and cropped copies are found, other images are not, and a run knows them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import classes, inside, picture
from PIL import Image

from detector.cli.output import Log
from detector.datasets import identity
from detector.datasets.dataset import Dataset
from detector.datasets.dataset import Image as ImageFile
from detector.files.cache import Cache
from detector.images.duplicates import Copy, as_array, coefficients, near_any, near_pairs, perceptual_hash
from detector.images.inspect import ImageProperties
from detector.images.phantom import CLASSES
from detector.training.dataset import FeatureExtractor, find_near_duplicates
from detector.training.options import EvaluationOptions
from detector.training.run import choose_split

COUNT = 12


def hash_of(pixels):
    """Return the hash of a grey image as a run computes it."""
    return perceptual_hash(cv2.cvtColor(cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA), 8))


def turned(pixels, angle, value=0):
    """Return an image rotated on its own canvas, with corners of one value."""
    side = len(pixels)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), angle, 1.0)
    return cv2.warpAffine(pixels, matrix, (side, side), borderValue=value)


def expanded(pixels, angle):
    """Return an image rotated on a canvas that holds all of it."""
    border = len(pixels) // 12
    return turned(cv2.copyMakeBorder(pixels, *[border] * 4, cv2.BORDER_CONSTANT), angle)


CHANGES = {
    "mirrored": lambda pixels: pixels[:, ::-1],
    "rotated by about 10°": lambda pixels: turned(pixels, 10, 255),
    "rotated by about 5°": lambda pixels: turned(pixels, -5),
    "mirrored and rotated by about 7°": lambda pixels: turned(np.ascontiguousarray(pixels[:, ::-1]), 7),
    "rotated by about 8°": lambda pixels: expanded(pixels, 8),
    "": lambda pixels: cv2.resize(pixels[40:, 40:], (300, 260)),
}


@pytest.fixture(scope="module")
def patients(phantoms_of):
    """Return phantoms of different patients."""
    return [image for label in CLASSES for image in phantoms_of.images(label, COUNT // 2)]


@pytest.fixture(scope="module")
def pairs(patients):
    """Return near duplicates among all phantoms and changed copies of four: 12 originals, then 4 of each change."""
    changed = [np.ascontiguousarray(change(pixels)) for change in CHANGES.values() for pixels in patients[:4]]
    return near_pairs([hash_of(pixels) for pixels in [*patients, *changed]])


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_changed_copies_are_found_and_named(pairs, number):
    change = list(CHANGES)[number]
    kinds = [pairs[row, COUNT + 4 * number + row] for row in range(4)]
    assert {copy.mirrored for copy in kinds} == {"mirrored" in change}
    angle = float("".join(letter for letter in change if letter.isdigit()) or 0)
    assert all(abs(abs(copy.angle) - angle) < 2.0 for copy in kinds)


def test_copies_are_found_in_another_set(patients):
    hashes = [hash_of(pixels) for pixels in patients]
    copies = [hash_of(turned(pixels, 8)) for pixels in patients[:2]]
    assert set(near_any([hashes[0], *copies], hashes[:1])) == {0, 1}


def textures(count):
    """Return smooth noise, each of another image."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, (count, 224, 224)).astype(np.float32)
    smooth = [cv2.GaussianBlur(one, (0, 0), 3 + 3 * (i % 3)) for i, one in enumerate(noise)]
    return [cv2.normalize(one, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8) for one in smooth]


def test_other_images_are_no_copies():
    assert near_pairs([hash_of(one) for one in textures(60)]) == {}


def test_pairs_are_sorted_and_equal_hashes_are_paired_with_the_first(patients):
    first, second = (hash_of(pixels) for pixels in patients[:2])
    mirrored = hash_of(np.ascontiguousarray(patients[0][:, ::-1]))
    found = near_pairs([first, mirrored, second, first, second, second])
    assert [*found] == [(0, 1), (0, 3), (2, 4), (2, 5)]
    assert found[0, 1].mirrored and found[0, 3] == Copy()
    assert near_pairs([]) == near_pairs([first]) == {}
    assert near_any([], [first]) == near_any([first], []) == {}


def test_copies_are_described():
    assert [str(Copy(*one)) for one in ((False, 1.4), (False, -5.2), (True, 0.3), (True, 9.7))] == [
        "",
        "rotated by about 5°",
        "mirrored",
        "mirrored and rotated by about 10°",
    ]


def test_coefficients_are_of_norm_one(patients):
    found = coefficients(as_array([hash_of(pixels) for pixels in patients]))
    assert found.shape == (COUNT, 512)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-5)


def test_augmented_copies_of_unknown_patients_stay_with_their_original():
    """With ``--split patient``, in a folder that says nothing of patients, with augmented copies of one class."""
    originals = textures(COUNT)
    changed = [np.ascontiguousarray(CHANGES["mirrored"](pixels)) for pixels in originals[:6]]
    names = [f"{'covid' if i < 6 or i >= COUNT else 'normal'}/{i}.png" for i in range(COUNT + 6)]
    images = [ImageFile(Path(name), name, name.split("/")[0], None, "", "", {}) for name in names]
    made = [
        ImageProperties(f"{i:064x}", 224, 224, "PNG", False, 90.0, 30.0, [], hash_of(pixels))
        for i, pixels in enumerate([*originals, *changed])
    ]
    data = Dataset(images, ["covid", "normal"])
    shown = [
        cv2.cvtColor(cv2.resize(one, (224, 224), interpolation=cv2.INTER_AREA), 8) for one in (*originals, *changed)
    ]
    near_duplicates = find_near_duplicates(data, made, Cache(None), shown.__getitem__)
    known = identity.patients(images, [one.digest for one in made])
    joined = sorted(near_duplicates)
    assert joined == [(i, COUNT + i) for i in range(6)]
    same = identity.merged(known, joined)
    extractor = FeatureExtractor(data, made, same, near_duplicates, joined, None, slice(0), None, Log(True))
    for options in (EvaluationOptions(folds=3, split="patient"), EvaluationOptions(test_size=0.4, split="patient")):
        kind, plan = choose_split(options, extractor)
        assert kind == "patient"
        for _, _, _, held_out in plan:
            assert all((i in held_out) == (COUNT + i in held_out) for i in range(6))


def test_an_image_of_two_journals_is_of_one_patient(tmp_path):
    """Scaled, cropped a little and compressed anew, under another patient number: the split and the output know.

    So do they of augmented copies in one class: all of them are on one side of every split.
    """
    classes(tmp_path / "data", covid=5, normal=5)
    picture(tmp_path / "radiograph.png", 77, (512, 512))
    with Image.open(tmp_path / "radiograph.png") as image:
        image.resize((400, 400)).save(tmp_path / "data" / "covid" / "NORMAL2-IM-0007-0001.jpeg", quality=70)
        image.crop((2, 2, 510, 510)).save(tmp_path / "data" / "covid" / "person9_virus_1.jpeg", quality=90)
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(6).save(tmp_path / "data" / "covid" / "augmented.png")
    pooled = ("--recipe", "probe", "--pooling", "global")  # no lungs are found in these pictures
    done = inside("train_covid19.py", "-d", "data", *pooled, "--folds", 2, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "near duplicates, whose patients count as one: covid/NORMAL2-IM-0007-0001.jpeg = " in done.stdout
    assert "covid/augmented.png (mirrored and rotated by about 6°)" in done.stdout
    assert "13 images of 11 patients" in done.stdout
