"""Grad-CAM: the cells that raise the predicted class."""

from __future__ import annotations

import keras_helpers
import numpy as np
import pytest
from image_helpers import phantom_pixels

from detector.network import runtime
from detector.network.backbone import COLUMNS, read_decoder, seen_cells

runtime.ready()

from detector.network.forward import heat_maps  # noqa: E402

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
