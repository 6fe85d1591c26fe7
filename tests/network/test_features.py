"""VGG16's features, those of the saved model, from anywhere and in any order; lungs, and cells that raise a class."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import keras_helpers
import numpy as np
import pytest
from conftest import SHARED, needs, picture, rejection
from image_helpers import dice, phantom_pixels

from detector.files.cache import Cache
from detector.images import lungs, phantom
from detector.images.masks import NetworkInput, read_mask, rotate_mask
from detector.images.read import read
from detector.network import backbone, runtime
from detector.network.backbone import COLUMNS, WIDTH, read_decoder, seen_cells
from detector.network.features import Backbone

runtime.ready()

from detector.network.forward import heat_maps  # noqa: E402


@pytest.fixture
def views(tmp_path) -> dict[NetworkInput, np.ndarray]:
    pixels = {}
    for i in range(5):
        small = picture(tmp_path / f"{i}.png", i, (224, 224))
        pixels[NetworkInput(tmp_path / f"{i}.png", f"{i:064x}", angle=float(i))] = np.repeat(
            small[..., None], 3, axis=2
        )
    return pixels


@pytest.fixture(scope="module")
def uncached(weights) -> Backbone:
    """Return a backbone that keeps what it has computed in memory."""
    return Backbone(weights, Cache(None))


def test_pooling_inside_the_lungs_is_a_weighted_mean_of_their_cells(weights, uncached, chests):
    import keras

    inputs = list(chests)
    features = uncached.features(inputs, chests.__getitem__)
    masks = list(uncached.lungs(inputs, chests.__getitem__))
    base = keras.applications.VGG16(weights=None, include_top=False)
    for name, pair in weights.items():
        base.get_layer(name).set_weights(list(pair))
    last = base.predict(np.stack([chests[one] for one in inputs]).astype(np.float32) / 255, verbose=0)
    for row, mask, cells in zip(features, masks, last, strict=True):
        shares = mask.reshape(7, 32, 7, 32).mean(axis=(1, 3))
        weight = (shares if shares.any() else np.ones_like(shares))[..., None]
        expected = (weight * cells).sum(axis=(0, 1)) / weight.sum()
        assert np.allclose(expected, row[COLUMNS["tutorial", "lungs"]], rtol=1e-4, atol=1e-5)
        if not mask.any():
            np.testing.assert_allclose(
                row[COLUMNS["probe", "lungs"]], row[COLUMNS["probe", "global"]], rtol=1e-4, atol=1e-5
            )
    assert [mask.any() for mask in masks] == [True, True, False]


def test_lungs_of_a_rotated_copy_are_those_of_the_image(weights, chests):
    backbone = Backbone(weights, Cache(None))
    shown, pixels = next(iter(chests.items()))
    one, copy = replace(shown, angle=0.0), replace(shown, angle=12.0)
    (exact,) = backbone.lungs([one], lambda _: pixels)
    features = backbone.features([copy], lambda _: pixels)
    (rotated,) = backbone.lungs([copy], lambda _: pixels)
    assert backbone.computed == 2
    turned_back = rotate_mask(rotated, -copy.angle)
    assert dice(exact, turned_back) > 0.85
    assert (exact & rotated).sum() < (exact & turned_back).sum()
    whole, inside = (features[0, COLUMNS["probe", pooling]] for pooling in ("global", "lungs"))
    assert np.abs(whole - inside).max() > 0.01


@pytest.fixture(scope="module")
def chests() -> dict[NetworkInput, np.ndarray]:
    """Return two phantoms, which have lungs, and an even image, which has none."""
    drawn = [phantom.draw(seed == 0, seed) for seed in range(2)]
    small = [
        cv2.resize(one, (224, 224), interpolation=cv2.INTER_AREA) for one in (*drawn, np.full((224, 224), 90, np.uint8))
    ]
    return {
        NetworkInput(Path(f"{i}.png"), f"{i:064x}"): np.repeat(one[..., None], 3, axis=2).astype(np.uint8)
        for i, one in enumerate(small)
    }


def test_features_depend_on_neither_cache_nor_batch_nor_order(weights, views, tmp_path):
    reference = Backbone(weights, Cache(None)).features(list(views), views.__getitem__)
    cache = Cache(tmp_path / "cache")
    cached = Backbone(weights, cache)
    backwards = cached.features(list(views)[::-1], views.__getitem__)[::-1]
    one_by_one = [cached.features([view], views.__getitem__)[0] for view in views]
    untouched = Backbone(weights, cache)
    from_cache = untouched.features(list(views), views.__getitem__)
    assert untouched.computed == 0
    for other in (backwards, one_by_one, from_cache):
        assert np.allclose(other, reference, rtol=1e-5, atol=1e-5)


def test_lungs_are_computed_with_the_features_and_cached(weights, chests, tmp_path):
    backbone = Backbone(weights, Cache(tmp_path / "cache"))
    backbone.features(list(chests), chests.__getitem__)
    found = list(backbone.lungs(list(chests), chests.__getitem__))
    assert backbone.computed == len(chests)
    later = Backbone(weights, Cache(tmp_path / "cache"))
    assert np.array_equal(list(later.lungs(list(chests), chests.__getitem__)), found) and later.computed == 0


def test_features_that_are_not_finite_are_rejected(tmp_path, monkeypatch, weights):

    base = Backbone(weights, Cache(None))
    nothing = np.full((1, WIDTH), np.nan, np.float32), np.zeros((1, 224, 224), bool)
    monkeypatch.setattr(base, "forward", lambda *ignored: nothing)
    view = NetworkInput(tmp_path / "a.png", "0" * 64, 0.0, "")
    with rejection("not finite"):
        base.features([view], lambda view: np.zeros((224, 224, 3), np.uint8))


def test_the_decoder_is_small_and_a_changed_one_is_rejected(tmp_path, monkeypatch):
    arrays = [array for pair in read_decoder().values() for array in pair]
    assert sum(array.size for array in arrays) <= 150_000
    assert all(np.isfinite(array).all() for array in arrays)
    changed = bytearray(backbone.DECODER_FILE.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "decoder.npy").write_bytes(changed)
    monkeypatch.setattr(backbone, "DECODER_FILE", tmp_path / "decoder.npy")
    with rejection("decoder.npy was changed"):
        read_decoder()


@needs(SHARED)
def test_lungs_of_real_radiographs_are_found(weights):
    """The masks' own radiographs: that the file in the repository is the decoder it says it is, not how good it is."""
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
    folder = SHARED / "covid-chestxray-dataset"
    rows = csv.DictReader((folder / "metadata.csv").open(encoding="utf-8"))
    paths = [folder / "images" / row["filename"] for row in rows if row["view"] == "L" or row["modality"] == "CT"]
    images = {NetworkInput(path, path.name): read(path).pixels for path in paths if path.is_file()}
    assert len(images) >= 10
    for image, mask in zip(images, Backbone(weights, Cache(None)).lungs(list(images), images.__getitem__), strict=True):
        assert not lungs.describe(mask).found, image


NOTHING = np.zeros((2, 0))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([phantom_pixels(seed, True) for seed in (1, 2)])


@pytest.mark.parametrize("pooling", ["global", "lungs"])
def test_the_cells_of_a_probe_add_up_to_its_logit(weights, pixels, pooling):
    """The cells of a Grad-CAM, before what speaks against the class is cut off, add up to the logit's lead."""
    import keras

    kernel = np.random.default_rng(0).uniform(0, 1e-3, (1408, 1)).astype(np.float32)
    columns = COLUMNS["probe", pooling]
    maps = heat_maps(weights, [np.concatenate([kernel, -kernel], axis=1), np.zeros(2, np.float32)], columns)
    heat = maps(pixels, np.array([0, 0]), NOTHING)
    assert heat.shape == (2, 14, 14) and seen_cells(columns) == 14 and heat.max() == 1.0
    assert not maps(pixels, np.array([1, 1]), NOTHING).any()
    model = keras_helpers.built("probe", pooling, 2)
    keras_helpers.put(model, weights | (read_decoder() if pooling == "lungs" else {}))
    inputs = pixels.astype(np.float32) / 255
    means = keras.Model(model.input, model.get_layer("blocks").output)(inputs).numpy()
    raw = _cells(model, inputs, kernel[:, 0], pooling)
    assert raw.sum(axis=(1, 2)) == pytest.approx(means @ kernel[:, 0], rel=1e-4)
    assert heat == pytest.approx(raw / raw.max(axis=(1, 2), keepdims=True), abs=1e-4)


def _cells(model, pixels, kernel, pooling):
    """Return what each of 14 × 14 cells adds to the logit, computed without the module that draws them."""
    import keras

    found, start = np.zeros((len(pixels), 14, 14)), 0
    for block in ("block2", "block3", "block4", "block5"):
        values = np.asarray(keras.Model(model.input, model.get_layer(f"{block}_pool").output)(pixels))
        n, cells, _, channels = values.shape
        weights = np.full((n, cells, cells), 1 / cells**2)
        if pooling == "lungs":
            output = model.get_layer(f"{block}_lung_weights").output
            weights = np.asarray(keras.Model(model.input, output)(pixels)).reshape(n, cells, cells)
        added = weights * (values @ kernel[start : start + channels])
        if cells == 7:
            found += np.repeat(np.repeat(added / 4, 2, axis=1), 2, axis=2)
        else:
            found += added.reshape(n, 14, cells // 14, 14, cells // 14).sum(axis=(2, 4))
        start += channels
    return found


@pytest.mark.parametrize("pooling", ["tutorial", "global", "lungs"])
def test_a_bias_and_clinical_values_are_spread_over_the_cells_that_are_seen(weights, pixels, pooling):
    columns = COLUMNS["probe", pooling]
    width = columns.stop - columns.start
    kernel, bias = np.zeros((width + 1, 2), np.float32), np.array([1, 0], np.float32)
    kernel[-1] = 2, -2
    maps = heat_maps(weights, [kernel, bias], columns)
    heat = maps(pixels, np.array([0, 0]), np.ones((2, 1)))
    seen = seen_cells(columns)
    assert not heat[:, seen:].any() and not heat[:, :, seen:].any() and heat.max() == 1
    assert pooling == "lungs" or (heat[:, :seen, :seen] > 0.99).all()
    assert not maps(pixels, np.array([1, 1]), np.ones((2, 1))).any()


def test_grad_cam_marks_the_cells_that_raise_the_class(weights):
    """A head that reads one channel of the upper left cells has its heat where that channel is."""
    hidden, output = np.zeros((512, 64), np.float32), np.zeros((64, 2), np.float32)
    image = np.zeros((1, 224, 224, 3), np.uint8)
    image[0, 40:90, 40:90] = np.random.default_rng(0).integers(0, 256, (50, 50, 3))
    hidden[:, 0], output[0, 0] = 1.0, 1.0
    head = [hidden, np.zeros(64, np.float32), output, np.zeros(2, np.float32)]
    maps, nothing = heat_maps(weights, head, COLUMNS["tutorial", "tutorial"]), np.zeros((1, 0))
    (heat,) = maps(image, np.array([0]), nothing)
    assert heat.shape == (14, 14)
    assert heat.max() == 1.0
    assert seen_cells(COLUMNS["tutorial", "tutorial"]) == 8
    assert not heat[8:].any()
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 1 <= row <= 6
    assert 1 <= column <= 6
    assert not maps(image, np.array([1]), nothing).any()
