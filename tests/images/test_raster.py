"""Images that Pillow decodes: which page is shown, what cannot be decoded, and no line on stderr."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, rejection
from PIL import Image, features

from detector.images import raster
from detector.images.read import from_bytes

LOAD = """
import io, sys
from contextlib import suppress
from PIL import Image
from detector.images import raster
if sys.argv[1] == "quietly":
    raster.quieten()
with suppress(OSError):
    Image.open(io.BytesIO(sys.stdin.buffer.read())).load()
"""


@pytest.mark.skipif(sys.platform == "win32" or not features.check("libtiff"), reason="libtiff is built into Pillow")
def test_libtiff_does_not_write_to_stderr_by_itself():
    stored = io.BytesIO()
    Image.fromarray(np.arange(64 * 64).reshape(64, 64).astype(np.uint8)).save(stored, "TIFF", compression="tiff_lzw")
    damaged = bytearray(stored.getvalue())
    damaged[8:40] = b"\xff" * 32
    said = {}
    for how in ("as it is", "quietly"):
        command = [sys.executable, "-c", LOAD, how]
        said[how] = subprocess.run(command, input=bytes(damaged), cwd=ROOT, capture_output=True, check=True).stderr
    assert said["as it is"], "libtiff no longer writes to stderr: remove _quieten_libtiff of detector/images/raster.py"
    assert said["quietly"] == b"", (
        "libtiff writes to stderr again: this version of Pillow has moved PIL._imaging or its libtiff; change "
        "_quieten_libtiff in detector/images/raster.py"
    )


def deep_colours() -> bytes:
    """Return a PNG of three different channels of 16 bits."""
    import cv2

    values = np.random.default_rng(0).integers(0, 2**16, (64, 64, 3), dtype=np.uint16)
    return cv2.imencode(".png", values)[1].tobytes()


def test_colours_of_16_bits_that_are_damaged_are_rejected(capfd):
    whole = deep_colours()
    assert from_bytes(whole, "a.png").colour
    with rejection(r"a.png: damaged or not supported \(image file is truncated"):
        from_bytes(whole[: len(whole) // 2], "a.png")
    assert capfd.readouterr().err == ""


def test_the_first_frame_that_shows_something_is_used():
    flat, image = np.full((9, 9), 7, np.uint8), np.arange(81, dtype=np.uint8).reshape(9, 9) * 3

    def frames(*pixels):
        return raster.first_shown(len(pixels), lambda position: (pixels[position], False, str(position)))

    assert frames(flat, flat, image, image)[1] == 2
    assert frames(image, flat)[1] == 0
    shown, position = frames(flat, flat)
    assert position == 0 and shown[0] is flat


def test_notes_are_joined():
    assert raster.joined("a", "", "b") == "a; b"
    assert raster.joined("", "") == ""
