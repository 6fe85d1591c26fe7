"""Small images of every format, to begin fuzzing with."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from tools.fuzzing.dicom_seeds import dicom_seeds


def picture_seeds(kind: str) -> list[bytes]:
    """Return small images of a format, in several modes."""
    if kind == "DICOM":
        return dicom_seeds()
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
    return [*seeds, *_deep_seeds(kind)]


def _deep_seeds(kind: str) -> list[bytes]:
    """Return small images of types that Pillow does not write: 16-bit colours, alpha, and floats of 64 bits."""
    import cv2

    generator = np.random.default_rng(0)
    deep = {channels: generator.integers(0, 2**16, (20, 24, channels), dtype=np.uint16) for channels in (3, 4)}
    arrays: dict[str, list[np.ndarray]] = {"PNG": [*deep.values()], "TIFF": [*deep.values(), deep[3][..., 0] / 2.0]}
    return [cv2.imencode(f".{kind.lower()}", values)[1].tobytes() for values in arrays.get(kind, [])]
