"""Image files of every kind, and masks, written for a test."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from detector.images import phantom
from detector.images.read import decode


def dicom(
    values: np.ndarray,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    syntax: str = ExplicitVRLittleEndian,
    **elements,
) -> FileDataset:
    """Return a DICOM radiograph of one or several frames of values, and with elements of its header."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    meta.TransferSyntaxUID = UID(syntax)
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[-2:]
    if values.ndim == 3:
        dataset.NumberOfFrames = len(values)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    dataset.PixelRepresentation = int(values.min() < 0)
    dataset.PixelData = values.astype(f"<{'iu'[values.min() >= 0]}{dataset.BitsAllocated // 8}").tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def stored(dataset: FileDataset) -> bytes:
    data = io.BytesIO()
    dataset.save_as(data, enforce_file_format=True)
    return data.getvalue()


def write_dicom(
    path: Path, values: np.ndarray, bits: int = 12, photometric: str = "MONOCHROME2", **elements: object
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stored(dicom(values, bits, photometric, **elements)))


def small_dicom(**elements: object) -> bytes:
    """Return a small DICOM file with elements of its header."""
    return stored(dicom(np.arange(480).reshape(20, 24) * 8, **elements))


def radiograph(path: Path, **elements: object) -> None:
    """Write `small_dicom`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(small_dicom(**elements))


def png(parts: dict[bytes, bytes]) -> bytes:
    """Return a PNG of chunks."""
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def bomb(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return png({b"IHDR": header, b"IDAT": zlib.compress(b"\0" * 100_000, 9), b"IEND": b""})


def bad_files(folder: Path) -> dict[str, str]:
    """Write one file of every bad kind; return name → a word of what is said of it."""
    noise = np.random.default_rng(3).integers(0, 256, (300, 300), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("jpg", "png"):
        data = cv2.imencode(f".{suffix}", noise)[1].tobytes()
        (folder / f"truncated.{suffix}").write_bytes(data[: len(data) // 2])
    (folder / "text.png").write_text("not an image\n")
    (folder / "empty.jpeg").write_bytes(b"")
    (folder / "folder.jpg").mkdir()
    (folder / "bomb.png").write_bytes(bomb(60000, 60000))
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    return {
        "truncated.jpg": "truncated",
        "truncated.png": "truncated",
        "text.png": "not a readable image",
        "empty.jpeg": "empty",
        "folder.jpg": "folder",
        "bomb.png": "more than 30000000 pixels",
        "dangling.jpg": "No such file",
    }


def require_near(path: Path, expected: np.ndarray, tolerance: float) -> None:
    pixels = decode(path.read_bytes(), path).pixels
    if pixels.ndim == 3:
        pixels = pixels.mean(axis=2)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(float) - expected).max() <= tolerance


def phantom_pixels(seed: int, covid: bool) -> np.ndarray:
    small = cv2.resize(phantom.draw(covid, seed), (224, 224), interpolation=cv2.INTER_AREA)
    return np.repeat(small[..., None], 3, axis=2)


def phantom_lungs(seed: int) -> np.ndarray:
    """Return where the lungs of a phantom are, (512, 512), bool."""
    anatomy, exposure, _ = phantom.generators(seed)
    habitus, fields = phantom.body(anatomy)
    return cv2.warpAffine(np.maximum(*fields), phantom.pose(habitus.tilt, exposure), (512, 512)) > 0.5


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def ellipses(*centres: float, height: float = 0.3, width: float = 0.13) -> np.ndarray:
    y, x = np.mgrid[:224, :224] / 224
    return np.any([((x - c) / width) ** 2 + ((y - 0.5) / height) ** 2 < 1 for c in centres], axis=0)


def tiff(
    values: np.ndarray, order: str, *, missing: int = 0, says: tuple[int, int] | None = None, **tags: int
) -> bytes:
    """Return a TIFF of one strip a plane, as no library here writes it: any type, in either byte order.

    `missing` bytes are cut off the pixels; `says` is another width and height. Tags are ``photometric``,
    ``compression``, ``planes`` and ``orientation``.
    """
    height, width = values.shape[:2]
    samples = 1 if values.ndim == 2 else values.shape[2]
    stored = values.astype(values.dtype.newbyteorder(order))
    planes = [stored] if tags.get("planes", 1) == 1 or samples == 1 else list(np.moveaxis(stored, -1, 0))
    strips = [np.ascontiguousarray(plane).tobytes() for plane in planes]
    strips = [zlib.compress(strip) if tags.get("compression") == 8 else strip for strip in strips]
    strips = [strip[: len(strip) - missing] for strip in strips]
    starts = [8 + sum(map(len, strips[:i])) for i in range(len(strips))]
    columns, rows = says or (width, height)
    found = {
        256: [columns],
        257: [rows],
        258: [8 * values.dtype.itemsize] * samples,
        259: [tags.get("compression", 1)],
        262: [tags.get("photometric", 1)],
        273: starts,
        274: [tags.get("orientation", 1)],
        277: [samples],
        278: [rows],
        279: [len(strip) for strip in strips],
        284: [tags.get("planes", 1)],
        339: [{"u": 1, "i": 2, "f": 3}[values.dtype.kind]] * samples,
    }
    body, directory = b"".join(strips), struct.pack(f"{order}H", len(found))
    behind, tail = 8 + len(body) + 2 + 12 * len(found) + 4, b""
    for number, numbers in found.items():
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(data) > 4:
            data, tail = struct.pack(f"{order}I", behind + len(tail)), tail + data
        directory += struct.pack(f"{order}HHI", number, 4, len(numbers)) + data
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return mark + struct.pack(f"{order}I", 8 + len(body)) + body + directory + bytes(4) + tail
