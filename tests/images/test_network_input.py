"""What the network sees of an image."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from detector.images.masks import LUNGS_ONLY, NetworkInput


def test_an_input_is_the_same_on_every_node(tmp_path):
    from detector.images.lungs import packed
    from detector.images.masks import Occlusion, rotate

    generator = np.random.default_rng(0)
    mask = np.zeros((224, 224), bool)
    mask[60:160, 30:90] = mask[60:160, 130:190] = True
    pixels = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    one = NetworkInput(tmp_path / "a.png", "0" * 64, 5.0, "lungs only, found", LUNGS_ONLY, packed(mask))
    wanted = rotate(Occlusion(LUNGS_ONLY).apply(pixels, mask), 5.0)
    assert np.array_equal(NetworkInput(**asdict(one)).shown(pixels), wanted)
