"""Image files: every format that is supported is read, every other is rejected by name."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, picture, rejection
from image_helpers import bad_files
from PIL import Image

from detector import InputError
from detector.images import read as reader
from detector.images.raster import MAX_PIXELS
from detector.images.read import name_all, read


def test_pixels_have_the_networks_shape_and_properties_are_those_of_the_file(tmp_path, grey):
    Image.fromarray(grey).save(tmp_path / "a.png")
    radiograph = read(tmp_path / "a.png")
    assert (radiograph.pixels.shape, radiograph.pixels.dtype) == ((224, 224, 3), np.uint8)
    assert (radiograph.width, radiograph.height, radiograph.format, radiograph.colour) == (320, 280, "PNG", False)


@pytest.mark.parametrize(
    ("width", "height", "note"),
    [
        (300, 260, ""),
        (64, 256, ""),
        (63, 200, "only 63 x 200 pixels"),
        (200, 20, "only 200 x 20 pixels"),
        (300, 74, "300 x 74 pixels, an unusual shape"),
    ],
)
def test_an_unusual_size_is_noted(tmp_path, width, height, note):
    picture(tmp_path / "a.png", 1, (width, height))
    assert read(tmp_path / "a.png").note == note


def test_bad_files_are_rejected_by_name(tmp_path):
    for name, word in bad_files(tmp_path).items():
        with rejection(f"(?s){name}.*{word}"):
            read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_named_like_an_image_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with rejection("not a regular file"):
        read(tmp_path / "a.jpg")


def test_an_image_without_permission_or_that_is_too_large_is_named(tmp_path, unreadable, monkeypatch):
    (tmp_path / "a.png").write_text("x" * 100)
    with rejection("(?i)a.png.*permission denied"):
        read(tmp_path / "a.png")
    monkeypatch.setattr(reader, "MAX_BYTES", 10)
    with rejection("a.png: 0 MiB, more than 0"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["CMYK", "F"])
def test_the_largest_image_that_is_read_stays_below_a_gigabyte(tmp_path, mode):
    side = int(MAX_PIXELS**0.5)
    path = tmp_path / {"CMYK": "a.jpg", "F": "a.tif"}[mode]
    grey = Image.linear_gradient("L").resize((side, side)).convert(mode)
    grey.save(path, **({"compression": "tiff_adobe_deflate"} if mode == "F" else {}))
    # Not ru_maxrss where there is another way: a child begins with its parent's.
    code = (
        "import resource, sys; from pathlib import Path; from detector.images.read import read;"
        "read(Path(sys.argv[1])); status = Path('/proc/self/status');"
        "lines = status.read_text().splitlines() if status.exists() else [];"
        "peaks = [int(line.split()[1]) >> 10 for line in lines if line.startswith('VmHWM')];"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10;"
        "peaks += [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit];"
        "print(peaks[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000


@pytest.mark.parametrize(
    ("number", "lines", "last"), [(1, 1, "0.png: no"), (10, 10, "9.png: no"), (13, 11, "and 3 more")]
)
def test_the_first_ten_bad_files_are_named_one_a_line(number, lines, last):
    error = name_all([InputError(f"{i}.png: no") for i in range(number)], 13)
    assert str(error) == f"{number} of 13 images cannot be used; correct or remove them:"
    assert len(error.details) == lines and error.details[-1] == last
