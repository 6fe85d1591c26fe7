"""VGG16's weights: their shapes, their digest, and what is rejected."""

from __future__ import annotations

from conftest import rejection

from detector.network import weights as room


def test_vgg16s_weights_have_their_shapes_and_digest(weights):
    assert list(weights) == list(room.LAYERS)
    assert weights["block1_conv1"][0].shape == (3, 3, 3, 64)
    assert sum(kernel.size + bias.size for kernel, bias in weights.values()) == 14_714_688
    assert room.digest(weights) == room.DIGEST


def test_stored_weights_of_another_length_are_rejected(tmp_path):
    (tmp_path / "short").write_bytes(bytes(100))
    (tmp_path / "long").write_bytes(bytes(4 * 14_714_689))
    for name in ("short", "long"):
        with rejection(f"is too {name}"):
            room.read_kept(tmp_path / name)
