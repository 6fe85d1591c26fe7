"""The lung decoder: its file, and the lungs that it finds."""

from __future__ import annotations

import csv

import numpy as np
from conftest import SHARED, needs, rejection
from image_helpers import dice

from detector.files.cache import Cache
from detector.images import lungs
from detector.images.masks import NetworkInput
from detector.network.backbone import DECODER_FILE, read_decoder
from detector.network.features import Backbone


def test_the_decoder_is_small_and_a_changed_one_is_rejected(tmp_path):
    arrays = [array for pair in read_decoder().values() for array in pair]
    assert sum(array.size for array in arrays) <= 150_000
    assert all(np.isfinite(array).all() for array in arrays)
    changed = bytearray(DECODER_FILE.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "decoder.npy").write_bytes(changed)
    with rejection("was changed"):
        read_decoder(tmp_path / "decoder.npy")


@needs(SHARED)
def test_lungs_of_real_radiographs_are_found(weights):
    """The masks' own radiographs: that the file in the repository is the decoder it says it is, not how good it is."""
    from detector.images.masks import read_mask
    from detector.images.read import read

    listed = list(csv.DictReader((SHARED / "lung-masks-v7" / "list.csv").open(encoding="utf-8")))[::30]
    images = [SHARED / "lung-masks-v7" / "images" / row["file"] for row in listed]
    radiographs = {NetworkInput(path, path.name): read(path).pixels for path in images}
    found = Backbone(weights, Cache(None)).lungs(list(radiographs), radiographs.__getitem__)
    agreement = [
        dice(mask, read_mask(SHARED / "lung-masks-v7" / "masks" / row["mask"]))
        for row, mask in zip(listed, found, strict=True)
    ]
    assert np.median(agreement) > 0.94
    assert min(agreement) > 0.85


@needs(SHARED)
def test_laterals_and_slices_have_no_lungs(weights):
    from detector.images.read import read

    folder = SHARED / "covid-chestxray-dataset"
    rows = csv.DictReader((folder / "metadata.csv").open(encoding="utf-8"))
    paths = [folder / "images" / row["filename"] for row in rows if row["view"] == "L" or row["modality"] == "CT"]
    images = {NetworkInput(path, path.name): read(path).pixels for path in paths if path.is_file()}
    assert len(images) >= 10
    for image, mask in zip(images, Backbone(weights, Cache(None)).lungs(list(images), images.__getitem__), strict=True):
        assert not lungs.describe(mask).found, image
