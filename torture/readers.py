"""What is fuzzed: every reader of strangers' bytes, what must hold of its answer, and seeds to begin with."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import h5py
import numpy as np
from PIL import Image

from detector import (
    InputError,
    clinical_table,
    cohen,
    kaggle,
    manifest,
    model_file,
    printable,
    radiographs,
    selection,
    spreadsheet,
)
from detector.model import ATTRIBUTE, Description

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

NAME = Path("given")
# A model of the same make, but small: its arrays are numbers that no reader looks into.
SMALL = {"LAYERS": ("block1_conv1", "block2_conv1"), "CHANNELS": (3, 2, 4), "WIDTH": 4, "HIDDEN": 3}


def metadata(data: bytes) -> None:
    """A `metadata.csv`: what is kept of it lies in the clone, and every row is accounted for."""
    entries = cohen.parse_metadata(data, NAME)
    chosen = selection.select(entries, lambda finding: cohen.names_finding(finding, "COVID-19"), ["PA"])
    assert len(entries) == len(chosen.kept) + sum(chosen.dropped.values())
    for name, entry in zip(selection.file_names(chosen.kept), chosen.kept, strict=True):
        _inside(entry.path)
        row = selection.manifest_row(entry, name, "covid", "0" * 64)
        assert manifest.parse(manifest.as_file([row], selection.CLINICAL), NAME) == {name: row}


def manifests(data: bytes) -> None:
    """A manifest: it is written as it was read."""
    rows = manifest.parse(data, NAME)
    extra = [name for name in next(iter(rows.values()), {}) if name not in manifest.COLUMNS]
    assert manifest.parse(manifest.as_file(rows.values(), extra), NAME) == rows


def clinical(data: bytes) -> None:
    """A table of clinical values."""
    for values in clinical_table.parse(data, NAME, ["age", "sex"]).values():
        assert values.keys() == {"age", "sex"}


def names(data: bytes) -> None:
    """File names and findings: nothing leads out, drives a terminal, or is a formula."""
    text = data.decode("utf-8", "surrogateescape")
    folder, _, name = text.partition("/")
    entry = cohen.Entry(1, {"folder": folder, "filename": name, "finding": text, "view": "PA", "patientid": text})
    assert spreadsheet.armed(spreadsheet.disarmed(text)) == text
    assert printable(text).isprintable()
    kaggle.patient(text)
    if cohen.names_finding(text, "COVID-19"):
        assert not cohen.is_control(text, "COVID-19")
    _inside(selection.require_inside(entry))


def pictures(data: bytes) -> None:
    """The bytes of an image file of any format."""
    radiograph = radiographs.from_bytes(data, NAME)
    assert radiograph.pixels.shape == (224, 224, 3)
    assert radiograph.pixels.dtype == np.uint8


def models(data: bytes) -> None:
    """The bytes of a model file, of a network that is smaller than the real one."""
    for name, value in SMALL.items():
        setattr(model_file, name, value)
    weights, head, _ = model_file.parse(data)
    assert all(np.isfinite(array).all() for pair in weights.values() for array in pair)
    assert all(np.isfinite(array).all() for array in head)


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
        b"images/NORMAL2-IM-1179-0001.jpeg",
        b"images/../person101_virus_187.jpeg",
    ]


def picture_seeds(kind: str) -> list[bytes]:
    """Return small images of a format, in several modes."""
    if kind == "DICOM":
        return _dicom_seeds()
    grey = Image.fromarray((np.arange(24 * 20, dtype=np.uint16).reshape(20, 24) % 251).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, list[tuple[str, dict[str, object]]]] = {
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

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    meta.TransferSyntaxUID = syntax
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


def model_seeds() -> list[bytes]:
    """Return a small model in both formats."""
    for name, value in SMALL.items():
        setattr(model_file, name, value)
    layers, channels, width, hidden = SMALL.values()
    description = json.dumps(asdict(Description(["covid", "normal"], "covid", "corner", 0.5)))
    config = [{"class_name": kind, "config": {"name": name}} for kind, name in model_file.architecture(clinical=False)]
    config = json.dumps({"class_name": "Functional", "config": {"layers": config}})
    arrays = {layer: ((3, 3, channels[i], channels[i + 1]), channels[i + 1]) for i, layer in enumerate(layers)}
    arrays |= {"hidden": ((width, hidden), hidden), "probabilities": ((hidden, 2), 2)}
    plain, inner, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with h5py.File(plain, "w") as file:
        file.attrs[ATTRIBUTE], file.attrs["model_config"] = description, config
        for layer, (kernel, bias) in arrays.items():
            file[f"model_weights/{layer}/{layer}/kernel"] = np.ones(kernel, np.float32)
            file[f"model_weights/{layer}/{layer}/bias"] = np.ones(bias, np.float32)
    with h5py.File(inner, "w") as file:
        for layer, (kernel, bias) in zip(("conv2d", "conv2d_1", "dense", "dense_1"), arrays.values(), strict=True):
            file[f"layers/{layer}/vars/0"] = np.ones(kernel, np.float32)
            file[f"layers/{layer}/vars/1"] = np.ones(bias, np.float32)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr(f"{ATTRIBUTE}.json", description)
        archive.writestr("model.weights.h5", inner.getvalue())
    return [plain.getvalue(), zipped.getvalue()]


# Reader → what it is given first, and its share of all inputs.
READERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]], float]] = {
    "metadata rows": (metadata, csv_seeds, 0.25),
    "manifests": (manifests, csv_seeds, 0.2),
    "clinical tables": (clinical, csv_seeds, 0.1),
    "file names": (names, csv_seeds, 0.2),
    **{
        f"{kind} images": (pictures, lambda kind=kind: picture_seeds(kind), 0.035)
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
    },
    "DICOM images": (pictures, lambda: picture_seeds("DICOM"), 0.035),
    "model files": (models, model_seeds, 0.04),
}
