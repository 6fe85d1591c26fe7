"""What is fuzzed: every reader of untrusted input, what must hold of its answer, and seeds to start with."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from unittest import mock

import h5py
import numpy as np
from PIL import Image
from pydicom.datadict import dictionary_VR, tag_for_keyword

from detector import InputError, printable
from detector.collections import (
    actualmed,
    boxes,
    cohen,
    covidx,
    csv_table,
    dicom_header,
    figure1,
    findings,
    hannover,
    kermany,
    nih,
    rsna,
    siim,
    values,
)
from detector.collections import image_record as entry_module
from detector.datasets import clinical_table, manifest, sampling, selection, write_manifests
from detector.images import dicom as dicom_reader
from detector.images import radiographs
from detector.network import lung_decoder, model, model_file
from detector.network.model import ATTRIBUTE, Description
from detector.storage import spreadsheet

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

NAME = Path("given")
# A network of the same make, but small: its arrays are numbers that no reader looks into.
LAYERS, CHANNELS, HIDDEN, WIDTH = ("block1_conv1", "block2_conv1"), (3, 2, 4), 3, 4
DECODER = [(name, (*shape[:2], 1, 1)) for name, shape in lung_decoder.shapes()]

# What dicom.py and pydicom's decoders read of an image, and what may stand there instead of what should.
ATTRIBUTES = (
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "RescaleSlope", "RescaleIntercept"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleType", "PatientAge", "PatientSex", "ViewPosition"),
)
EXTREMES: tuple[bytes | str, ...] = (
    *("missing", "1e308", "-1e308", "1e-308", "0", "-1", "nan", "inf", "text", "1\\2\\3", "1" * 60, "058Y", "\x1b[31m"),
    *(b"\0\0", b"\1\0", b"\3\0", b"\x08\0", b"\xff\xff", b"\0\x80", b"\0\0\0\0", b"MONOCHROME1 ", b"SIGMOID ", b"RGB "),
    *(b" ", b"", b"LINEAR_EXACT", b"1e12", b"65535", b"4096"),
)


def metadata(data: bytes) -> None:
    """A `metadata.csv`: what is kept of it lies in the clone, and every row is accounted for."""
    _account_for(cohen.parse_metadata(data, NAME))


def siblings(data: bytes) -> None:
    """The tables of Cohen's sibling collections: whichever has the columns that are there."""
    refusals = 0
    for module, yielding in (
        (actualmed, actualmed.entries),
        (figure1, lambda rows: figure1.entries(rows, lambda name: "1" in name)),
        (hannover, hannover.entries),
    ):
        try:
            rows = csv_table.parse_table(data, NAME, module.NEEDED, module.SOURCE)
        except InputError:
            refusals += 1
            continue
        _account_for(list(yielding(rows)))
    if refusals == 3:
        raise InputError("a table of none")


def samples(data: bytes) -> None:
    """The tables of NIH and RSNA: what is drawn of them lies in its folder."""
    refusals = 0
    for module, yielding in (
        (nih, lambda rows: nih.entries(rows, NAME, {row["Image Index"]: "images" for row in rows}, "Pneumonia")),
        (rsna, lambda rows: rsna.entries(rows, NAME, "Normal")),
    ):
        try:
            found = yielding(csv_table.parse_table(data, NAME, module.NEEDED, module.SOURCE))
            drawn = sampling.draw(found, sampling.Draw(min(3, len(found)), 0, False, ["frontal"], True))
        except InputError:
            refusals += 1
            continue
        for entry in drawn.drawn:
            _inside(entry.path)
    if refusals == 2:
        raise InputError("a table of neither")


def challenge(data: bytes) -> None:
    """The tables of SIIM-FISABIO-RSNA, the one behind the other: boxes lie within the image, paths in the folder."""
    first, _, second = data.partition(b"\n\n")
    labels = siim.labels(csv_table.parse_table(first, NAME, siim.NEEDED_STUDIES, siim.SOURCE), NAME)
    rows = csv_table.parse_table(second, NAME, siim.NEEDED_IMAGES, siim.SOURCE)
    for entry in siim.entries(rows, NAME, labels, {}):
        inside, _ = boxes.in_fractions(entry.pixel_boxes, 100, 80)
        assert all(0 <= box.x <= box.x + box.width <= 1.0001 for box in inside)
        with suppress(InputError):
            _inside(entry_module.require_inside(entry))


def lists(data: bytes) -> None:
    """A list of COVIDx."""
    for entry in covidx.parse(data, NAME, lambda name: "", "train"):
        assert entry.filename and entry.patient and entry.finding
        with suppress(InputError):
            _inside(entry_module.require_inside(entry))


def drawn_boxes(data: bytes) -> None:
    """Cells of boxes, as collections list them and as a manifest has them."""
    text = data.decode("utf-8", "replace")
    for parse in (boxes.parse_listed, boxes.from_cell):
        try:
            found = parse(text)
        except ValueError as error:
            assert printable(error)
        else:
            assert all(box.width > 0 and box.height > 0 for box in found)


def rsna_boxes(data: bytes) -> None:
    """The table of RSNA's boxes."""
    rows = csv_table.parse_table(data, NAME, rsna.NEEDED_BOXES, rsna.SOURCE)
    for found in rsna.boxes_of(rows, NAME).values():
        assert all(box.width > 0 for box in found)


def headers(data: bytes) -> None:
    """The header of a DICOM radiograph: the age is a person's, the patient a hash."""
    found = dicom_header.parse(data, NAME)
    assert found.age == "" or 0 <= float(found.age) <= values.OLDEST
    assert found.patient == "" or len(found.patient) == 16
    assert (found.view + found.sex + found.modality).isprintable()


def attributes(data: bytes) -> None:
    """A DICOM film whose attributes are extreme, empty, text or missing: three bytes of the input choose each."""
    chosen = {}
    for i in range(0, len(data) - 2, 3):
        name = ATTRIBUTES[data[i] % len(ATTRIBUTES)]
        chosen[name] = EXTREMES[data[i + 1] % len(EXTREMES)] or data[i + 2 : i + 2 + data[i + 2] % 16]
    film = film_with(chosen)
    found = dicom_reader.parse_header(film, NAME, ("PatientAge", "PatientSex", "ViewPosition"))
    assert all(text.isprintable() for text in found.values())
    pictures(film)


def film_with(values: Mapping[str, bytes | str]) -> bytes:
    """Return a DICOM film with attributes of any bytes; ``"missing"`` leaves one out.

    Written by hand, since pydicom refuses to write what a scanner, or a stranger, may have written.
    """
    pixels = bytes(range(0, 240)) * 4
    elements: dict[str, bytes | str] = {
        "SamplesPerPixel": b"\1\0",
        "PhotometricInterpretation": b"MONOCHROME2 ",
        "Rows": (20).to_bytes(2, "little"),
        "Columns": (24).to_bytes(2, "little"),
        "BitsAllocated": b"\x10\0",
        "BitsStored": b"\x0c\0",
        "HighBit": b"\x0b\0",
        "PixelRepresentation": b"\0\0",
        **values,
    }
    body = b""
    for name in sorted(elements, key=lambda name: tag_for_keyword(name) or 0):
        value, tag = elements[name], tag_for_keyword(name) or 0
        if value == "missing":
            continue
        value = value.encode() if isinstance(value, str) else value
        value += b" " * (len(value) % 2)
        body += (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        body += dictionary_VR(tag).encode()[:2] + len(value).to_bytes(2, "little") + value
    tail = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little") + pixels
    return _meta_information() + body + tail


@functools.cache
def _meta_information() -> bytes:
    data = io.BytesIO()
    film = dicom("1.2.840.10008.1.2.1", 20, 24, 16)
    film.PixelData = bytes(960)
    film.save_as(data, enforce_file_format=True)
    whole = data.getvalue()
    # The group's length, after the mark and its own head, says where the data set begins.
    return whole[: 144 + int.from_bytes(whole[140:144], "little")]


def patients(data: bytes) -> None:
    """A user's table of patients."""
    assert all(write_manifests.parse_patients(data, NAME))


def _account_for(entries: list[entry_module.ImageRecord]) -> None:
    chosen = selection.select(entries, lambda finding: findings.names_finding(finding, "COVID-19"), ["PA"])
    assert len(entries) == len(chosen.kept) + sum(chosen.dropped.values())
    for name, entry in zip(selection.file_names(chosen.kept), chosen.kept, strict=True):
        _inside(entry.path)
        row = entry_module.manifest_row(entry, name, "covid", "0" * 64)
        assert manifest.parse(manifest.as_file([row], entry_module.CLINICAL), NAME) == {name: row}


def manifests(data: bytes) -> None:
    """A manifest: it is written as it was read."""
    rows = manifest.parse(data, NAME)
    extra = [name for name in next(iter(rows.values()), {}) if name not in manifest.COLUMNS]
    assert manifest.parse(manifest.as_file(rows.values(), extra), NAME) == rows


def clinical(data: bytes) -> None:
    """A table of clinical values."""
    for cells in clinical_table.parse(data, NAME, ["age", "sex"]).values():
        assert cells.keys() == {"age", "sex"}


def names(data: bytes) -> None:
    """File names and findings: nothing leads out, drives a terminal, or is a formula."""
    text = data.decode("utf-8", "surrogateescape")
    folder, _, name = text.partition("/")
    entry = entry_module.ImageRecord("line 1", folder, name, text, "PA", text, "source", "site")
    assert spreadsheet.unescaped(spreadsheet.escaped(text)) == text
    assert printable(text).isprintable()
    kermany.patient(text)
    assert text.startswith(figure1.person(text))
    assert cohen.site(text)
    assert values.age_cell(text) == "" or float(values.age_cell(text)) <= 120
    if findings.names_finding(text, "COVID-19"):
        assert not findings.is_control(text, "COVID-19")
    _inside(entry_module.require_inside(entry))


def pictures(data: bytes) -> None:
    """The bytes of an image file of any format."""
    radiograph = radiographs.from_bytes(data, NAME)
    assert radiograph.pixels.shape == (224, 224, 3)
    assert radiograph.pixels.dtype == np.uint8


def models(data: bytes) -> None:
    """The bytes of a model file, of a network that is smaller than the real one."""
    with small_network():
        weights, head, *_ = model_file.parse(data)
    assert all(np.isfinite(array).all() for pair in weights.values() for array in pair)
    assert all(np.isfinite(array).all() for array in head)


@contextmanager
def small_network() -> Iterator[None]:
    """Let models be read as if VGG16, the heads and the lung decoder were small."""
    with (
        mock.patch.object(model_file, "LAYERS", LAYERS),
        mock.patch.object(model_file, "CHANNELS", CHANNELS),
        mock.patch.object(model_file, "HIDDEN", HIDDEN),
        mock.patch.object(model, "width_of", lambda recipe, pooling: WIDTH),
        mock.patch.object(lung_decoder, "shapes", lambda: DECODER),
    ):
        yield


def _inside(path: PurePosixPath) -> None:
    assert not path.is_absolute()
    assert ".." not in path.parts


def answer(reader: Callable[[bytes], None], data: bytes) -> str | None:
    """Give bytes to a reader; return its refusal, if that is what it answers with."""
    try:
        reader(data)
    except InputError as error:
        assert printable(error)
        return str(error)
    return None


# Seeds


def csv_seeds() -> list[bytes]:
    """Return tables such as the readers expect."""
    row = dict.fromkeys(manifest.COLUMNS, "a") | {"file": "a.png", "age": "-3", "finding": "=1+1"}
    return [
        b"patientid,finding,view,modality,folder,filename,license,url\n1,COVID-19,PA,X-ray,images,a.png,CC0,http://x\n",
        b'Patientid, Finding ,VIEW,filename\n7,"Pneumonia/Viral/COVID-19, ""x""",PA,../a.png\n8,SARS,AP,b.png\n',
        manifest.as_file([row], ["age"]),
        b'file,age,sex\na.png,30,F\nb.png,,"M"\n',
        b"patientid,finding,view,imagename\nA1,No finding,PA,a.png\nA2,COVID-19,AP,b.png\n",
        b"patientid,offset,sex,age,finding,view\nCOVID-00003a,1,M,50+,COVID-19,PA\n",
        b"patient_id,image_id,sex,admission_offset,projection,neutrophils_offset,neutrophils_val\n"
        b"p,ab12,m,-3.0,pa,0.0,inf\nq,cd34,w,,ap,1.0,2.5\n",
        b"Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n"
        b"1.png,Pneumonia|Mass,1,058Y,F,PA\n2.png,No Finding,2,414,M,AP\n",
        b"patientId,class\n0a,Normal\n0b,Lung Opacity\n0b,Lung Opacity\n",
        b"file,patient\na.png,1\nb.png,2\n",
        b"sep=;\nFile;Patient\nx\\a.png;1\n",
        "file\tpatient\na.png\t1\n".encode("utf-16"),
        b"<!DOCTYPE html>\n<html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
        b"images/NORMAL2-IM-1179-0001.jpeg",
        b"images/../person101_virus_187.jpeg",
    ]


def challenge_seeds() -> list[bytes]:
    """Return pairs of tables such as the challenge's."""
    studies = b"id," + ",".join(siim.LABELS).encode() + b"\ns1_study,0,1,0,0\ns2_study,1,0,0,0\n"
    cell = b"\"[{'x': 10.5, 'y': -2, 'width': 30, 'height': 20}, {'x': 1e9, 'y': 0, 'width': 1, 'height': 1}]\""
    images = b"id,boxes,label,StudyInstanceUID\ni1_image," + cell + b",opacity,s1\ni2_image,,none,s2\n"
    return [studies + b"\n" + images, studies.replace(b",", b";") + b"\n" + images]


def list_seeds() -> list[bytes]:
    """Return lists such as COVIDx', old ones among them."""
    return [
        b"419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png positive ricord\n1 ../b.png negative rsna\n",
        b"COVID-19 (69) COVID-19 (69).png COVID-19 sirm\n3 SARS Fig 8a.jpeg pneumonia\n",
    ]


def box_seeds() -> list[bytes]:
    """Return boxes in the three forms that are read."""
    return [
        b"[{'x': 789.28836, 'y': 582.43035, 'width': 1026.65662, 'height': 1917.30292}]",
        b'[{"x": 1, "y": 2, "width": 3, "height": 4}, {"x": nan, "y": 2, "width": 3, "height": 4}]',
        b"0.1 0.2 0.25 0.4; 0.6 0.25 0.3 0.5",
        b"patientId,x,y,width,height,Target\na,264.0,152.0,213.0,379.0,1\nb,,,,,0\n",
    ]


def picture_seeds(kind: str) -> list[bytes]:
    """Return small images of a format, in several modes."""
    if kind == "DICOM":
        return _dicom_seeds()
    grey = Image.fromarray((np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) % 251).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "PNG": [("L", {}), ("P", {}), ("RGBA", {"exif": exif}), ("I;16", {}), ("1", {})],
        "JPEG": [("L", {"exif": exif}), ("RGB", {"progressive": True}), ("CMYK", {})],
        "TIFF": [("L", {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")]
        + [("F", {}), ("I;16", {}), ("1", {"compression": "group4"})],
        "WEBP": [("RGB", {"lossless": True}), ("RGBA", {"exif": exif}), ("L", {})],
        "BMP": [("L", {}), ("RGB", {}), ("1", {})],
    }
    seeds = []
    for mode, more in options[kind]:
        data = io.BytesIO()
        grey.convert("I" if mode == "I;16" else mode).convert(mode).save(data, kind, **more)
        seeds.append(data.getvalue())
    return seeds


def dicom(syntax: str, rows: int, columns: int, bits: int) -> FileDataset:
    """Return a DICOM radiograph of a transfer syntax, without its pixels."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.1"), UID("1.2.3")
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME1", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    return dataset


def _dicom_seeds() -> list[bytes]:
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

    values = (np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) * 8).astype("<u2")
    eight = Image.fromarray((values // 16).astype(np.uint8))
    seeds = []
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000Lossless, "RLE"):
        bits = 8 if syntax in (JPEGBaseline8Bit, JPEG2000Lossless) else 16
        dataset = dicom(ExplicitVRLittleEndian if syntax == "RLE" else syntax, 20, 24, bits)
        if bits == 16:
            dataset.WindowCenter, dataset.WindowWidth = "2000", "3000"
            dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-100"
            dataset.PixelData = values.tobytes()
        else:
            data = io.BytesIO()
            eight.save(data, "JPEG" if syntax == JPEGBaseline8Bit else "JPEG2000", no_jp2=True)
            dataset.PixelData = encapsulate([data.getvalue()])
        if syntax == "RLE":
            from pydicom.uid import RLELossless

            dataset.compress(RLELossless)
        data = io.BytesIO()
        dataset.save_as(data, enforce_file_format=True)
        seeds.append(data.getvalue())
    return seeds


def attribute_seeds() -> list[bytes]:
    """Return a choice of every attribute with every value, one at a time, and some together."""
    alone = [bytes([name, value, 0]) for name in range(len(ATTRIBUTES)) for value in range(len(EXTREMES))]
    return [*alone, *(b"".join(alone[start::97]) for start in range(20))]


def model_seeds() -> list[bytes]:
    """Return small models of each recipe, some of which find lungs, in both formats."""
    classes = ["covid", "normal"]
    return [
        seed
        for described in (
            Description(classes, "covid", "tutorial", "tutorial", threshold=0.5),
            Description(classes, "covid", "probe", "global"),
            Description(classes, "covid", "probe", "lungs"),
            Description(classes, "covid", "tutorial", "global", input="lungs"),
        )
        for seed in _model_files(described)
    ]


def _model_files(description: Description) -> list[bytes]:
    """Return a small model as HDF5 and in Keras' own format."""
    text = json.dumps(asdict(description))
    kinds = model_file.architecture
    with small_network():
        layers = kinds(description)
        dense = model_file.dense_layers(description)
    config = {"layers": [{"class_name": kind, "config": {"name": name}} for kind, name in layers]}
    architecture = json.dumps({"class_name": "Functional", "config": config})
    shapes: dict[str, tuple[int, ...]] = {layer: (3, 3, *CHANNELS[i : i + 2]) for i, layer in enumerate(LAYERS)}
    shapes |= dict(zip(dense, pairwise([WIDTH, *[HIDDEN] * (len(dense) - 1), 2]), strict=True))
    shapes |= dict(DECODER) if description.finds_lungs else {}
    with small_network():
        groups = model_file._numbered_by_kind(layers)
    plain, inner, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with h5py.File(plain, "w") as file:
        file.attrs[ATTRIBUTE], file.attrs["model_config"] = text, architecture
        for layer, shape in shapes.items():
            file[f"model_weights/{layer}/{layer}/kernel"] = np.ones(shape, np.float32)
            file[f"model_weights/{layer}/{layer}/bias"] = np.ones(shape[-1:], np.float32)
    with h5py.File(inner, "w") as file:
        for layer, shape in shapes.items():
            file[f"layers/{groups[layer]}/vars/0"] = np.ones(shape, np.float32)
            file[f"layers/{groups[layer]}/vars/1"] = np.ones(shape[-1:], np.float32)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("config.json", architecture)
        archive.writestr(f"{ATTRIBUTE}.json", text)
        archive.writestr("model.weights.h5", inner.getvalue())
    return [plain.getvalue(), zipped.getvalue()]


# Reader → what it is given first, and its share of all inputs.
READERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]], float]] = {
    "metadata rows": (metadata, csv_seeds, 0.08),
    "sibling collections": (siblings, csv_seeds, 0.08),
    "NIH and RSNA tables": (samples, csv_seeds, 0.08),
    "SIIM tables": (challenge, challenge_seeds, 0.06),
    "COVIDx lists": (lists, list_seeds, 0.05),
    "boxes": (drawn_boxes, box_seeds, 0.03),
    "RSNA boxes": (rsna_boxes, box_seeds, 0.02),
    "patients": (patients, csv_seeds, 0.05),
    "manifests": (manifests, csv_seeds, 0.12),
    "clinical tables": (clinical, csv_seeds, 0.05),
    "file names": (names, csv_seeds, 0.08),
    "DICOM headers": (headers, lambda: picture_seeds("DICOM"), 0.02),
    "DICOM attributes": (attributes, attribute_seeds, 0.03),
    **{
        f"{kind} images": (pictures, functools.partial(picture_seeds, kind), 0.035)
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
    },
    "DICOM images": (pictures, lambda: picture_seeds("DICOM"), 0.035),
    "model files": (models, model_seeds, 0.04),
}
