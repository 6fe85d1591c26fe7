"""Images that may be no frontal chest radiographs are named; a recipe that reads the lungs only leaves them out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
from audit_helpers import Case, FakeExtractor, extractor_of, lungs
from conftest import inside, rejected, rejection
from PIL import Image as Picture

from detector.images.duplicates import Copy
from detector.training.dataset import (
    FeatureExtractor,
    ImplausibleImage,
    find_implausible,
    implausible_line,
    without_implausible,
)


@dataclass(frozen=True)
class Looked(FakeExtractor):
    """Lungs that differ by image; a copy's are asked for apart."""

    duplicates: tuple = ()
    without: tuple[int, ...] = ()
    one_lung: tuple[int, ...] = ()

    def lungs(self, rows):
        """Yield two lungs, one or none."""
        self.asked.append(f"whole {[*rows]}")
        return [self._mask(row) for row in rows]

    def lungs_of_copies(self, rows, seed):
        """Yield the same of copies."""
        self.asked.append(f"copies {[*rows]}")
        return [self._mask(row) for row in rows]

    def _mask(self, row):
        mask = lungs()
        if row in self.one_lung:
            mask[:, 112:] = False
        return mask & (row not in self.without)

    subset = FeatureExtractor.subset


def looked(counts=(4, 4), coloured=(), lateral=(), **masks):
    made = extractor_of(Case(counts))
    properties = [replace(p, colourfulness=90.0 if i in coloured else 0.0) for i, p in enumerate(made.properties)]
    images = [
        replace(image, row=image.row | {"view": "L" if i in lateral else "PA"})
        for i, image in enumerate(made.dataset.images)
    ]
    dataset = replace(made.dataset, images=images)
    return Looked(
        dataset,
        properties,
        made.patients,
        made.by_part,
        made.mask,
        near_duplicates={(0, 2): Copy(), (1, 3): Copy(mirrored=True)},
        **masks,
    )


def test_what_no_class_is_predicted_for_is_left_out_and_all_else_kept():
    extractor = looked(coloured=[1], lateral=[3, 5], without=(5, 6), one_lung=(7,))
    left, named = without_implausible(extractor)
    assert [image.file for image in left.dataset.images] == [
        "covid/0.png",
        "covid/2.png",
        "covid/3.png",
        "normal/0.png",
        "normal/3.png",
    ]
    assert [p.digest for p in left.properties] == [image.file for image in left.dataset.images]
    assert left.patients.tolist() == extractor.patients[[0, 2, 3, 4, 7]].tolist()
    assert left.near_duplicates == {(0, 1): Copy()}
    assert {one.file: (one.reason, one.left_out) for one in named} == {
        "covid/1.png": ("in colour", True),
        "covid/3.png": ("of a lateral view", False),
        "normal/1.png": ("of a lateral view", True),
        "normal/2.png": ("without lungs", True),
        "normal/3.png": ("with one lung only", False),
    }


def test_where_every_image_is_plausible_the_run_is_the_same():
    extractor = looked()
    left, named = without_implausible(extractor)
    assert left is extractor and named == []


def test_a_class_without_lungs_cannot_be_trained_on():
    with rejection(
        "lungs were found in none of 2 images of class normal .normal/0.png, normal/1.png.; .*--pooling glob"
    ):
        without_implausible(looked((3, 2), without=(3, 4)))


def test_other_recipes_look_at_what_went_through_the_network():
    extractor = looked(without=(0, 5))
    named = find_implausible(extractor, [5, 1], 2, 0)
    assert extractor.asked == ["whole [1, 5]", "copies [0, 2, 3, 4, 6, 7]"]
    kept = [ImplausibleImage(name, "without lungs", False) for name in ("covid/0.png", "normal/1.png")]
    assert named == kept
    extractor.asked.clear()
    assert find_implausible(extractor, [5, 1], 0, 0) == kept
    assert extractor.asked == ["whole [0, 1, 2, 3, 4, 5, 6, 7]", "copies []"]


def test_the_line_counts_by_reason():
    named = [ImplausibleImage(f"{i}.png", "without lungs", True) for i in range(5)]
    named += [ImplausibleImage("a.png", "in colour", True), ImplausibleImage("b.png", "with one lung only", False)]
    assert implausible_line(named, 50) == (
        "7 of 50 images may not be frontal chest radiographs; left out: 5 without lungs (0.png, 1.png, 2.png and 2 "
        "more), 1 in colour (a.png); kept: 1 with one lung only (b.png)"
    )


def test_training_names_them_and_lung_pooling_goes_on_without(phantoms_of, tmp_path):
    phantoms_of.write(tmp_path / "d", 5)
    for manifest in tmp_path.glob("d/*/manifest.csv"):
        manifest.unlink()
    noise = np.random.default_rng(0).integers(0, 256, (2, 300, 300), dtype=np.uint8)
    names = ["covid/noise.png", "normal/noise.png"]
    for name, pixels in zip(names, noise, strict=True):
        Picture.fromarray(pixels).save(tmp_path / "d" / name)
    common = ("train_covid19.py", "-d", "d", "--no-report", "--quiet")
    kept = inside(*common, "--epochs", 1, "--rotations", 1, "-m", "t.h5", cwd=tmp_path)
    left_out = inside(*common, "--recipe", "probe", "-m", "p.h5", cwd=tmp_path)
    for done, record, what in ((kept, "t.json", "kept"), (left_out, "p.json", "left out")):
        assert done.returncode == 0, done.stderr
        sentence = f"2 of 12 images may not be frontal chest radiographs; {what}: 2 without lungs ({', '.join(names)})"
        assert f"warn image content {sentence}" in " ".join(done.stdout.split())
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
