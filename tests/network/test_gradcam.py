"""Grad-CAM: the cells that raise the predicted class."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from detector.images import phantom
from detector.network.model_file import Description, join


@pytest.mark.parametrize("pooling", ["global", "lungs"])
def test_the_cells_of_a_probe_add_up_to_its_logit(weights, pooling):
    """The cells of a Grad-CAM, before what speaks against the class is cut off, add up to the logit's lead."""
    import keras

    from detector.network.gradcam import heat_maps, seen_cells

    kernel = np.random.default_rng(0).uniform(0, 1e-3, (1408, 1)).astype(np.float32)
    arrays = [np.concatenate([kernel, -kernel], axis=1), np.zeros(2, np.float32)]
    model = join(weights, arrays, Description(["a", "b"], "a", "probe", pooling))
    drawn = np.stack(
        [cv2.resize(phantom.draw(True, seed), (224, 224), interpolation=cv2.INTER_AREA) for seed in (1, 2)]
    )
    pixels = np.repeat(drawn[..., None], 3, axis=3).astype(np.float32) / 255
    heat = heat_maps(model)(pixels, np.array([0, 0]))
    assert heat.shape == (2, 14, 14) and seen_cells(model) == 14 and heat.max() == 1.0
    assert not heat_maps(model)(pixels, np.array([1, 1])).any()
    means = keras.Model(model.input, model.get_layer("blocks").output)(pixels).numpy()
    raw = _cells(model, pixels, kernel[:, 0], pooling)
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


def test_grad_cam_marks_the_cells_that_raise_the_class(weights):
    """A head that reads one channel of the upper left cells has its heat where that channel is."""
    from detector.network.gradcam import heat_maps, seen_cells
    from detector.network.model_file import Description, join

    hidden, output = np.zeros((512, 64), np.float32), np.zeros((64, 2), np.float32)
    pixels = np.zeros((1, 224, 224, 3), np.float32)
    pixels[0, 40:90, 40:90] = np.random.default_rng(0).random((50, 50, 3))
    hidden[:, 0], output[0, 0] = 1.0, 1.0
    zeros = np.zeros(64, np.float32), np.zeros(2, np.float32)
    model = join(weights, [hidden, zeros[0], output, zeros[1]], Description(["a", "b"], "a", "tutorial", "tutorial"))
    (heat,) = heat_maps(model)(pixels, np.array([0]))
    assert heat.shape == (14, 14)
    assert heat.max() == 1.0
    assert seen_cells(model) == 8
    assert not heat[8:].any()
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 1 <= row <= 6
    assert 1 <= column <= 6
    assert not heat_maps(model)(pixels, np.array([1])).any()
