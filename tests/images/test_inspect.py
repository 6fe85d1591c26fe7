"""Properties of images, and what is printed of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from conftest import picture, rejection
from image_helpers import bad_files

from detector.files.cache import Cache
from detector.images import phantom
from detector.images.inspect import NAMES, PixelStore, border_properties, inspect
from detector.images.read import read


def test_what_waits_for_decoding_is_called_only_for_images_that_the_cache_lacks(tmp_path):
    paths, calls = [tmp_path / "0.png", tmp_path / "1.png"], []
    for seed, path in enumerate(paths):
        picture(path, seed)
    for known, expected in ((paths[:1], 1), (paths[:1], 1), (paths, 2), (paths, 2)):
        inspect(known, Cache(tmp_path / "cache"), PixelStore(), True, before_decoding=lambda: calls.append(1))
        assert len(calls) == expected


def test_a_file_is_read_once_and_again_only_where_it_changed(tmp_path, monkeypatch):
    picture(tmp_path / "a.png", 1)
    opened, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name) or read_bytes(path))

    def digest() -> str:
        return inspect([tmp_path / "a.png"], Cache(tmp_path / "cache"), PixelStore(), True)[0].digest

    first = digest()
    assert digest() == first == hashlib.sha256(read_bytes(tmp_path / "a.png")).hexdigest() and opened == ["a.png"]
    picture(tmp_path / "a.png", 2)
    assert digest() != first and len(opened) == 2


def test_every_file_that_cannot_be_used_is_named_together(tmp_path):
    for name in ("a.png", "c.png"):
        picture(tmp_path / name, 1)
    words = bad_files(tmp_path / "bad")
    paths = [tmp_path / "a.png", *(tmp_path / "bad" / name for name in words), tmp_path / "c.png"]
    with rejection(f"{len(words)} of {len(paths)} images cannot be used; correct or remove them:") as caught:
        inspect(paths, Cache(None), PixelStore(), True)
    assert [Path(line.partition(":")[0]).name for line in caught.value.details] == list(words)


def test_the_border_does_not_see_the_chest():
    image = phantom.draw(True, 1)
    other = np.pad(np.full((372, 372), 99, np.uint8), 70)
    other[other == 0] = image[other == 0]
    assert border_properties(image) == border_properties(other)
    assert len(border_properties(image)) == len(NAMES) == 13
    assert border_properties(np.stack([image] * 3, axis=-1)) == pytest.approx(border_properties(image), abs=2e-3)


@pytest.mark.parametrize("room", [2, 9])
def test_pixels_are_those_that_were_stored_or_decoded_again(tmp_path, monkeypatch, room):
    monkeypatch.setattr("detector.images.inspect.MOST_STORED", room * 224 * 224 * 3)
    store, paths = PixelStore(), [tmp_path / f"{seed}.png" for seed in range(3)]
    for seed, path in enumerate(paths):
        picture(path, seed)
        store.put(read(path))
    assert len(store._offsets) == min(3, room)
    assert all(np.array_equal(store.pixels(path, (one := read(path)).digest), one.pixels) for path in paths)
    with rejection("2.png changed"):
        store.pixels(paths[2], "0" * 64)
