"""Pixels are stored between two passes, and read again where a file changed or there is no room."""

from __future__ import annotations

import numpy as np
from conftest import picture, rejection

from detector.images import pixel_store
from detector.images.pixel_store import PixelStore
from detector.images.radiographs import read


def test_stored_pixels_are_those_that_were_stored(tmp_path):
    store = PixelStore()
    radiographs = []
    for i in range(3):
        picture(tmp_path / f"{i}.png", i)
        radiographs.append(read(tmp_path / f"{i}.png"))
        store.put(radiographs[-1])
    for i in (2, 0, 1):
        assert np.array_equal(store.pixels(tmp_path / f"{i}.png", radiographs[i].digest), radiographs[i].pixels)


def test_a_file_that_changed_is_rejected(tmp_path):
    picture(tmp_path / "a.png", 1)
    with rejection("changed"):
        PixelStore().pixels(tmp_path / "a.png", "0" * 64)


def test_pixels_without_room_are_decoded_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_store, "MOST_BYTES", 2 * 224 * 224 * 3)
    store, radiographs = PixelStore(), []
    for seed in range(3):
        picture(tmp_path / f"{seed}.png", seed)
        radiographs.append(read(tmp_path / f"{seed}.png"))
        store.put(radiographs[-1])
    assert len(store._offsets) == 2
    for seed, radiograph in enumerate(radiographs):
        assert np.array_equal(store.pixels(tmp_path / f"{seed}.png", radiograph.digest), radiograph.pixels)
