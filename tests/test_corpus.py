"""Readers of untrusted input read or reject: what once broke one (tests/corpus), and what hypothesis thinks up."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import small_dicom
from PIL import Image

from detector import InputError, printable
from detector.collections import cohen, covidx, record, siim
from detector.datasets import manifest
from detector.files import tables
from detector.images import dicom, read
from detector.images.raster import rejecting
from detector.network import model_file

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())
NAME = Path("given")


def names(data: bytes) -> None:
    """Cells come back from a table as they were written, and drive no terminal."""
    text = data.decode("utf-8", "surrogateescape")
    assert tables.unescaped(tables.escaped(text)) == text
    assert printable(text).isprintable()


def images(data: bytes) -> None:
    radiograph = read.from_bytes(data, NAME)
    assert (radiograph.pixels.shape, radiograph.pixels.dtype) == ((224, 224, 3), np.uint8)


def headers(data: bytes) -> None:
    with rejecting(NAME):
        found = dicom.header(data)
    assert (found.view + found.sex + found.modality).isprintable()
    assert found.age == "" or 0 <= float(found.age) <= 120


def metadata(data: bytes) -> None:
    for entry in cohen.Cohen().parse(data, NAME):
        inside = record.require_inside(entry)
        assert ".." not in inside.parts and not inside.is_absolute()


def listed(data: bytes) -> None:
    assert all(entry.filename and entry.patient for entry in covidx.Covidx().parse(data, NAME, {}, "train"))


def studies(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        for name in (siim.STUDIES, siim.IMAGES):
            Path(folder, name).write_bytes(data)
        siim.Siim().read(Path(folder))


def manifests(data: bytes) -> None:
    rows = manifest.parse(data, NAME)
    assert manifest.parse(manifest.as_file(rows.values()), NAME) == rows


def read_or_reject(reader: Callable[[bytes], object], data: bytes) -> None:
    """Give bytes to a reader: it raises nothing but an error of one line."""
    try:
        reader(data)
    except InputError as error:
        assert printable(error) and "\n" not in str(error)


READERS = {
    "DICOM-headers": headers,
    "TIFF-images": images,
    "file-names": names,
    "model-files": model_file.parse,
}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_broke_a_reader_is_read_or_rejected(path, capfd):
    read_or_reject(READERS[path.parent.name], path.read_bytes())
    assert capfd.readouterr().err == ""


def picture(kind: str, mode: str) -> bytes:
    """Return a small image file."""
    values = (np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) % 251).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(values).convert("I" if mode == "I;16" else mode).convert(mode).save(data, kind)
    return data.getvalue()


ROW = dict.fromkeys(manifest.COLUMNS, "a") | {"file": "a.png", "age": "-3", "finding": "=1+1"}
SEEDS = {
    "PNG": (images, [picture("PNG", mode) for mode in ("L", "P", "RGBA", "I;16", "1")]),
    "JPEG": (images, [picture("JPEG", mode) for mode in ("L", "CMYK")]),
    "TIFF": (images, [picture("TIFF", mode) for mode in ("L", "F", "I;16")]),
    "BMP": (images, [picture("BMP", "L")]),
    "DICOM": (images, [small_dicom(), small_dicom(WindowCenter="2000", WindowWidth="3000", RescaleSlope="2")]),
    "DICOM header": (headers, [small_dicom(PatientAge="058Y", PatientSex="F", ViewPosition="PA")]),
    "manifest": (manifests, [manifest.as_file([ROW])]),
    "metadata": (metadata, [b'Patientid, Finding ,VIEW,filename\n7,"Pneumonia/COVID-19, ""x""",PA,a.png\n']),
    "COVIDx": (listed, [b"1 a.png positive cohen\nSITE2-000265 MIDRC-99793-1.png negative ricord\n"]),
    "SIIM": (
        studies,
        [
            b"id,Negative for Pneumonia,Typical Appearance,Indeterminate Appearance,Atypical Appearance,boxes,"
            b"label,StudyInstanceUID\n"
            b"s1_study,0,1,0,0,\"[{'x': 1, 'y': 2, 'width': 3, 'height': 4}]\",opacity,s1\n"
        ],
    ),
}


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_file_is_read_or_rejected(name):
    reader, seeds = SEEDS[name]
    for seed in seeds:
        reader(seed)

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def damage(data):
        damaged = bytearray(data.draw(st.sampled_from(seeds)))
        for _ in range(data.draw(st.integers(1, 6))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        read_or_reject(reader, bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))

    damage()


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["COVID-19", "PA", "X-ray", "images", "..", "=1+1", "'-3", "-3", "\x1b[31m", "<b>&amp;", "a.png", "\r", "\n", '"']
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(cells, min_size=8, max_size=8), max_size=4))
def test_metadata_of_any_cells_are_read_or_rejected(table):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["patientid", "finding", "view", "modality", "folder", "filename", "license", "clinical_notes"])
    writer.writerows(table)
    read_or_reject(metadata, text.getvalue().encode())
    names(text.getvalue().encode())
