"""An opened data set: near duplicates, images that may be no frontal chest radiographs, features of a hold-out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from audit_helpers import Case, FakeExtractor, extractor_of, lungs
from conftest import inside, rejected, rejection
from PIL import Image as Picture

from detector.files.cache import Cache
from detector.images.duplicates import Copy, perceptual_hash
from detector.images.phantom import SOURCE, draw
from detector.training import dataset as opened_dataset
from detector.training.dataset import (
    ImplausibleImage,
    extract,
    find_near_duplicates,
    implausible_among,
    implausible_line,
    without_implausible,
)
from detector.training.recipes import TutorialRecipe


def pixels(row):
    """Return the same picture for every image that `opened` has."""
    noise = np.random.default_rng(0).integers(0, 256, (14, 14, 3), np.uint8)
    return np.kron(noise, np.ones((16, 16, 1), np.uint8))


def hash_of(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (14, 14, 3), np.uint8)
    return perceptual_hash(np.kron(noise, np.ones((16, 16, 1), np.uint8)))


def opened(phantoms=()):
    """Return four images of which the first, the second and the last have nearly the same hash."""
    made = extractor_of(Case((2, 2), images=2))
    one = hash_of(0)
    changed = [one[:i] + f"{int(one[i], 16) ^ 1:x}" + one[i + 1 :] for i in (10, 20)]
    hashes = [one, changed[0], hash_of(1), changed[1]]
    properties = [replace(known, hash=text) for known, text in zip(made.properties, hashes, strict=True)]
    images = [replace(image, source=SOURCE) if i in phantoms else image for i, image in enumerate(made.dataset.images)]
    return replace(made.dataset, images=images), properties


def test_two_phantoms_are_never_near_duplicates():
    pairs = find_near_duplicates(*opened(), Cache(None), pixels)
    assert list(pairs) == [(0, 1), (0, 3)]
    assert not any(str(copy) for copy in pairs.values())  # neither mirrored nor rotated
    assert find_near_duplicates(*opened(phantoms=range(4)), Cache(None), pixels) == {}


def test_pixels_decide_what_the_hash_cannot():
    noise = np.random.default_rng(1).integers(0, 256, (4, 224, 224, 3), np.uint8)
    assert find_near_duplicates(*opened(), Cache(None), lambda row: noise[row]) == {}
    drawn = [cv2.cvtColor(cv2.resize(draw(seed % 2 == 0, seed), (224, 224)), cv2.COLOR_GRAY2RGB) for seed in range(2)]
    cropped = cv2.resize(drawn[0][8:, 8:], (224, 224))
    shown = [drawn[0], drawn[1], drawn[1], cropped]
    assert list(find_near_duplicates(*opened(), Cache(None), shown.__getitem__)) == [(0, 3)]


def test_what_was_found_is_kept(tmp_path, monkeypatch):
    found = find_near_duplicates(*opened(), Cache(tmp_path), pixels)
    monkeypatch.setattr(opened_dataset, "find_copies", lambda *given: {(0, 2): Copy(False, 0.0, 0.9)})
    assert find_near_duplicates(*opened(), Cache(tmp_path), pixels) == found != {(0, 2): Copy(False, 0.0, 0.9)}


@dataclass(frozen=True)
class Looked(FakeExtractor):
    """Lungs that differ by image; a copy's are asked for apart."""

    without: tuple[int, ...] = ()
    one_lung: tuple[int, ...] = ()
    asked: list[str] = field(default_factory=list)

    def lungs(self, rows, seed=None):
        """Yield two lungs, one or none."""
        self.asked.append(f"{'whole' if seed is None else 'copies'} {[*map(int, rows)]}")
        return (self._mask(row) for row in rows)

    def _mask(self, row):
        mask = lungs()
        if row in self.one_lung:
            mask[:, 112:] = False
        return mask & (row not in self.without)


def looked(counts=(4, 4), coloured=(), lateral=(), **masks):
    made = extractor_of(Case(counts))
    properties = [replace(p, colourfulness=90.0 if i in coloured else 0.0) for i, p in enumerate(made.properties)]
    images = [
        replace(image, row=image.row | {"view": "L" if i in lateral else "PA"})
        for i, image in enumerate(made.dataset.images)
    ]
    pairs = {(0, 2): Copy(), (1, 3): Copy(mirrored=True)}
    data = replace(made.dataset, images=images)
    return Looked(data, properties, made.patients, made.by_part, made.mask, near_duplicates=pairs, **masks)


def test_what_no_class_is_predicted_for_is_left_out_and_all_else_kept():
    extractor = looked(coloured=[1], lateral=[3, 5], without=(5, 6), one_lung=(7,))
    left, named = without_implausible(extractor)
    kept = ["covid/0.png", "covid/2.png", "covid/3.png", "normal/0.png", "normal/3.png"]
    assert [image.file for image in left.dataset.images] == [p.digest for p in left.properties] == kept
    assert left.patients.tolist() == extractor.patients[[0, 2, 3, 4, 7]].tolist()
    assert left.near_duplicates == {(0, 1): Copy()}
    assert {one.file: (one.reason, one.left_out) for one in named} == {
        "covid/1.png": ("in colour", True),
        "covid/3.png": ("of a lateral view", False),
        "normal/1.png": ("of a lateral view", True),
        "normal/2.png": ("without lungs", True),
        "normal/3.png": ("with one lung only", False),
    }
    plausible = looked()
    assert without_implausible(plausible) == (plausible, [])


def test_a_class_without_lungs_cannot_be_trained_on():
    with rejection("lungs were found in none of 2 images of class normal .normal/0.png, normal/1.png.; .*--pooling"):
        without_implausible(looked((3, 2), without=(3, 4)))


def test_other_recipes_look_at_what_went_through_the_network():
    extractor = looked(without=(0, 5))
    kept = [ImplausibleImage(name, "without lungs", False) for name in ("covid/0.png", "normal/1.png")]
    assert implausible_among(extractor, np.array([1, 5]), 1, 0) == kept
    assert extractor.asked == ["whole [1, 5]", "copies [0, 2, 3, 4, 6, 7]"]
    extractor.asked.clear()
    assert implausible_among(extractor, np.array([1, 5]), 0, 0) == kept
    assert extractor.asked == ["whole [0, 1, 2, 3, 4, 5, 6, 7]", "copies []"]


def test_the_line_counts_by_reason():
    named = [ImplausibleImage(f"{i}.png", "without lungs", True) for i in range(5)]
    named += [ImplausibleImage("a.png", "in colour", True), ImplausibleImage("b.png", "with one lung only", False)]
    assert implausible_line(named, 50) == (
        "7 of 50 images may not be frontal chest radiographs; left out: 5 without lungs (0.png, 1.png, 2.png and 2 "
        "more), 1 in colour (a.png); kept: 1 with one lung only (b.png)"
    )


def test_only_features_that_are_used_are_computed():
    extractor = extractor_of(Case((3, 3)))
    object.__setattr__(extractor, "augmented", lambda rows, *given: extractor.features(rows)[:, None])
    rows, labels = np.arange(6), extractor.dataset.labels
    sides = np.array([0, 3]), np.array([1])
    found = extract(extractor, TutorialRecipe(), 0, rows, labels, extractor.dataset.classes, sides)
    assert np.flatnonzero(np.isfinite(found.features[:, 0])).tolist() == [1]
    assert np.flatnonzero(np.isfinite(found.augmented[:, 0, 0])).tolist() == [0, 3]
    assert found.groups.tolist() == found.patients.tolist() == extractor.patients.tolist()


def test_training_names_them_and_lung_pooling_goes_on_without(phantoms_of, tmp_path):
    phantoms_of.write(tmp_path / "d", 5)
    for manifest in tmp_path.glob("d/*/manifest.csv"):
        manifest.unlink()
    noise = np.random.default_rng(0).integers(0, 256, (2, 300, 300), dtype=np.uint8)
    names = ["covid/noise.png", "normal/noise.png"]
    for name, values in zip(names, noise, strict=True):
        Picture.fromarray(values).save(tmp_path / "d" / name)
    common = ("train_covid19.py", "-d", "d", "--no-report", "--quiet")
    kept = inside(*common, "--epochs", 1, "--rotations", 1, "-m", "t.h5", cwd=tmp_path)
    left_out = inside(*common, "--recipe", "probe", "-m", "p.h5", cwd=tmp_path)
    for done, record, what in ((kept, "t.json", "kept"), (left_out, "p.json", "left out")):
        assert done.returncode == 0, done.stderr
        sentence = f"2 of 12 images may not be frontal chest radiographs; {what}: 2 without lungs ({', '.join(names)})"
        assert f"image content {sentence}" in " ".join(done.stdout.split())
        written = json.loads((tmp_path / record).read_text())
        out = what == "left out"
        assert written["implausible_images"] == [
            {"file": name, "reason": "without lungs", "left_out": out} for name in names
        ]
        used = {one["file"] for one in written["train"] + written["held_out"]}
        assert len(used) == (10 if out else 12)
        assert not out or not used & set(names)
    for phantom in (tmp_path / "d" / "normal").glob("phantom*"):
        phantom.unlink()
    rejected(inside(*common, "--recipe", "probe", "-m", "p.h5", cwd=tmp_path), "none of 1 image of class normal")
