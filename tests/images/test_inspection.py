"""Properties of images, and what is printed of them."""

from __future__ import annotations

from conftest import picture

from detector.files.cache import Cache
from detector.images.inspection import inspect
from detector.images.pixel_store import PixelStore


def test_what_waits_for_decoding_is_called_only_for_images_that_the_cache_lacks(tmp_path):
    for seed in range(2):
        picture(tmp_path / f"{seed}.png", seed)
    paths, calls = [tmp_path / "0.png", tmp_path / "1.png"], []
    for known, expected in ((paths[:1], 1), (paths[:1], 1), (paths, 2), (paths, 2)):
        inspect(known, Cache(tmp_path / "cache"), PixelStore(), True, before_decoding=lambda: calls.append(1))
        assert len(calls) == expected
