"""A report's small images: from the cache, and as this run sees them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from detector.files.cache import Cache
from detector.images.masks import LUNGS_ONLY, Occlusion
from detector.reports.html import image_uris


@dataclass
class Images:
    """What `image_uris` asks of an extractor, and the rows whose pixels it asked for."""

    backbone: SimpleNamespace
    occlusion: Occlusion | None = None
    read: list[int] = field(default_factory=list)
    properties: list[SimpleNamespace] = field(default_factory=lambda: [SimpleNamespace(digest=f"d{i}") for i in "012"])

    def pixels(self, row, occlusion):
        self.read.append(row)
        return np.full((224, 224, 3), 24 if occlusion else 64 * (row + 1) - 8, np.uint8)


def brightness(uri):
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    return int(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).mean())


def test_a_second_run_reads_no_image_again(tmp_path):
    first = Images(SimpleNamespace(cache=Cache(tmp_path)))
    found = image_uris(first, [2, 0])
    assert [brightness(uri) for uri in found] == pytest.approx([184, 56], abs=2)
    assert first.read == pytest.approx([2, 0], abs=2)
    second = Images(SimpleNamespace(cache=Cache(tmp_path)))
    assert image_uris(second, [0, 1, 2]) == [found[1], *image_uris(Images(second.backbone), [1]), found[0]]
    assert second.read == pytest.approx([1], abs=2)


def test_an_image_of_which_a_part_is_hidden_is_another(tmp_path):
    cache = SimpleNamespace(cache=Cache(tmp_path))
    image_uris(Images(cache), [0])
    masked = Images(cache, Occlusion(LUNGS_ONLY))
    assert [brightness(uri) for uri in image_uris(masked, [0])] == pytest.approx([24], abs=2)


def test_without_a_cache_images_are_read():
    images = Images(SimpleNamespace(cache=Cache(None)))
    assert [brightness(uri) for uri in image_uris(images, [0, 0, 1])] == pytest.approx([56, 56, 120], abs=2)
