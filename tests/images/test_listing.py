"""Which files of a folder are images, and what is said of the others."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import picture, rejection
from image_helpers import dicom, stored
from PIL import Image

from detector.images.listing import Listing, list_images
from detector.images.read import read


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_images(folder).images]


def report(path: Path, sop_class: str) -> None:
    """Write a DICOM file of a class."""
    dataset = dicom(np.zeros((4, 4)))
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = sop_class
    path.write_bytes(stored(dataset))


def test_images_are_recognised_by_content(tmp_path):
    picture(tmp_path / "whole.png", 1)
    image = Image.open(tmp_path / "whole.png").convert("L")
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "caso53": "JPEG", "d.JPEG.jpg": "JPEG", "t": "TIFF", "w": "WEBP"}
    others = {"c.gif": "GIF", "d.jp2": "JPEG2000", "e.ppm": "PPM"}
    for name, kind in (kinds | others).items():
        image.save(tmp_path / name, kind)
    listing = list_images(tmp_path)
    assert {path.name for path in listing.images} == {"whole.png", *kinds}
    assert listing.left_out == {"of a format that is not read": 3}
    assert all(read(path).pixels.std() > 1 for path in listing.images)


def test_what_is_left_out_is_counted_by_reason(tmp_path):
    picture(tmp_path / "a.png", 1)
    for name in (".hidden.png", "._a.png", "Thumbs.db", "desktop.ini", "notes.txt", "manifest.csv", "DICOMDIR"):
        (tmp_path / name).write_bytes(b"x")
    for name in (
        "__MACOSX/._b.png",
        "@eaDir/a.png/thumb.jpg",
        "$RECYCLE.BIN/b.png",
        "lost+found/c.png",
        "System Volume Information/d.png",
    ):
        picture(tmp_path / name, 1)
    report(tmp_path / "sr.dcm", "1.2.840.10008.5.1.4.1.1.88.11")
    report(tmp_path / "pdf", "1.2.840.10008.5.1.4.1.1.104.1")
    listing = list_images(tmp_path)
    assert [path.name for path in listing.images] == ["a.png"]
    assert listing.left_out == {"hidden": 2, "of the system": 7, "not an image": 1, "DICOM without an image": 3}
    assert [Listing([], Counter(masks=1)).note, Listing().note] == ["1 file left out: 1 mask", ""]
    assert listing.note == "13 files left out: 3 DICOM without an image, 2 hidden, 1 not an image, 7 of the system"


def test_folders_of_masks_hold_no_images(tmp_path):
    """Beside ``images``, beside the images themselves, and beside the classes, however they are spelt."""
    masks = ("COVID/masks", "COVID/Lung-Masks", "Normal/lung_masks", "Normal/LungMasks", "Normal/leftMask", "Masks")
    for folder in ("COVID/images", "Normal", "masked", *masks, "COVID/lung masks"):
        picture(tmp_path / folder / "a.png", 1)
    assert names(tmp_path) == ["COVID/images/a.png", "Normal/a.png", "masked/a.png"]
    assert list_images(tmp_path).left_out == {"masks": 7}
    assert len(list_images(tmp_path / "Masks").images) == 1  # a folder that is asked for by name


def test_masks_and_overlays_beside_their_image_are_no_images(tmp_path):
    drawn = ("1_mask.png", "1-overlay.jpg", "3 mask.png")
    for name in ("1.png", "2_mask.png", "3.jpg", "IM_mask_4.png", "unmask.png", *drawn):
        picture(tmp_path / name, 1)
    assert names(tmp_path) == ["1.png", "2_mask.png", "3.jpg", "IM_mask_4.png", "unmask.png"]
    assert list_images(tmp_path).left_out == {"masks": 2, "overlays": 1}


def test_archives_and_volumes_are_named(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    assert list_images(tmp_path).note == "1 file left out: 1 archive: unpack it"
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(b"a"))
    (tmp_path / "c.nii.gz").write_bytes(gzip.compress(b"a"))
    left_out = {"archives: unpack them": 2, "NIfTI or the like (a format that is not read)": 1}
    assert list_images(tmp_path).left_out == left_out


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_are_followed_and_loops_end(tmp_path):
    picture(tmp_path / "elsewhere" / "b.png", 1)
    picture(tmp_path / "data" / "covid" / "a.png", 2)
    (tmp_path / "data" / "normal").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "covid" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "covid" / "again").symlink_to(tmp_path / "data" / "covid")
    (tmp_path / "data" / "broken").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path / "data") == ["covid/a.png", "normal/b.png"]
    assert list_images(tmp_path / "data").left_out == {
        "in a linked folder that is listed already": 2,
        "not an image": 1,
    }


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbf  <!DOCTYPE html><html>", "it is a web page, not the file itself; download the raw file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "it is a Git LFS pointer"),
        (b"PK\x03\x04xl/workbook.xml", "it is a workbook or a ZIP archive"),
        (b"\0\0\0\x18ftypheic", "not a readable image .supported: DICOM, PNG, JPEG, BMP, TIFF, WEBP"),
    ],
)
def test_what_is_in_place_of_an_image_is_named(tmp_path, data, said):
    (tmp_path / "a.png").write_bytes(data)
    with rejection(f"a.png: {said}"):
        read(tmp_path / "a.png")
    assert not list_images(tmp_path).left_out
