"""What Pillow does only by private names still works."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, features

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
