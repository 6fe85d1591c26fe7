"""Near duplicates: found, fast and all, and known to a training run."""

from __future__ import annotations

import numpy as np
from conftest import classes, inside, picture
from PIL import Image

from detector.images import duplicates


def test_near_duplicates_differ_by_few_bits():
    hashes = np.zeros((4, 4), np.uint64)
    hashes[1, :2] = 2**20 - 1  # 40 bits
    hashes[2, :2] = 2**20 - 1, 2**21 - 1  # 41 bits
    # The first and the last are the same, the third is 41 bits from these and one from the second.
    assert duplicates.near_pairs([one.tobytes().hex() for one in hashes]) == [(0, 1), (0, 3), (1, 2)]


def test_near_pairs_of_many_images_are_found_fast_and_all():
    """Against a plain comparison of every pair."""
    generator = np.random.default_rng(0)
    words = generator.integers(0, 2**63, (700, 4)).astype(np.uint64)
    words[650:] = words[:50] ^ (np.uint64(1) << generator.integers(0, 63, (50, 4)).astype(np.uint64))
    found = duplicates.near_pairs([one.tobytes().hex() for one in words])
    bits = np.unpackbits(words.view(np.uint8).reshape(700, -1), axis=1).astype(np.int32)
    distance = bits @ (1 - bits).T + (1 - bits) @ bits.T
    assert found == [(i, j) for i, j in zip(*np.nonzero(distance <= duplicates.NEAR_BITS), strict=True) if i < j]
    assert len(found) == 50


def test_an_image_of_two_journals_is_of_one_patient(tmp_path):
    """Scaled, cropped a little and compressed anew, under another patient number: the split and the output know."""
    classes(tmp_path / "data", covid=5, normal=5)
    picture(tmp_path / "film.png", 77, (512, 512))
    with Image.open(tmp_path / "film.png") as image:
        image.resize((400, 400)).save(tmp_path / "data" / "covid" / "NORMAL2-IM-0007-0001.jpeg", quality=70)
        image.crop((2, 2, 510, 510)).save(tmp_path / "data" / "covid" / "person9_virus_1.jpeg", quality=90)
    pooled = ("--recipe", "probe", "--pooling", "global")  # no lungs are found in these pictures
    done = inside("train_covid19.py", "-d", "data", *pooled, "--folds", 2, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "near duplicates, whose patients count as one: covid/NORMAL2-IM-0007-0001.jpeg = " in done.stdout
    assert "12 images of 11 patients" in done.stdout
