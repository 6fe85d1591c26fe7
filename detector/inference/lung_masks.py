"""Lung masks for files and folders: found in batches, drawn to check them by, written as images and for programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError, counted, printable
from detector.command_line.printing import DISCLAIMER, wrapped
from detector.images.colours import BLUE, ORANGE, rgb
from detector.images.lungs import Lungs, describe, enlarged, refined
from detector.images.network_input import NetworkInput
from detector.images.occlusion import SUFFIX
from detector.images.radiographs import Radiograph, decode, file_bytes, from_decoded
from detector.network.backbone import BATCH, Backbone
from detector.storage.files import write_together

OVERLAY = "_overlay"
MOST_PIXELS = 1024  # of an overlay's longer side
TINT = 0.15


@dataclass(frozen=True)
class FoundLungs:
    """The lungs of one image; `written` says whether they were plausible enough to be written."""

    path: Path
    lungs: Lungs
    written: bool
    note: str = ""


def require_names(paths: Sequence[Path]) -> None:
    """Reject images whose masks would have the same name.

    Raises
    ------
    InputError
    """
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other != path:
            raise InputError(
                f"{other} and {path} would have the same mask, {path.stem}{SUFFIX}.png; find their lungs in two runs, "
                "each with its own -o"
            )


def find_all(
    backbone: Backbone, paths: Sequence[Path], output: Path, overlay: bool
) -> Iterator[FoundLungs | InputError]:
    """Yield the lungs of each image that can be read, its mask written, or why it cannot be read.

    Parameters
    ----------
    backbone : Backbone
    paths : sequence of Path
    output : Path
        Folder of the masks.
    overlay : bool
        Also draw each image with its lungs.
    """
    for start in range(0, len(paths), BATCH):
        images: dict[NetworkInput, tuple[Radiograph, np.ndarray | None]] = {}
        for path in paths[start : start + BATCH]:
            try:
                data = file_bytes(path)
                decoded = decode(data, path)
            except InputError as error:
                yield error
                continue
            radiograph = from_decoded(decoded, hashlib.sha256(data).hexdigest())
            images[NetworkInput(path, radiograph.digest)] = radiograph, shrunk(decoded.pixels) if overlay else None
        if not images:
            continue
        decoded_pixels = {one: radiograph.pixels for one, (radiograph, _) in images.items()}
        masks = backbone.lungs(list(images), decoded_pixels.__getitem__)
        for (one, (radiograph, picture)), mask in zip(images.items(), masks, strict=True):
            lungs, small = describe(mask), refined(mask)
            if lungs.found:
                marked = enlarged(small, radiograph.height, radiograph.width)
                files = {output / f"{one.path.stem}{SUFFIX}.png": as_file(np.where(marked, 255, 0).astype(np.uint8))}
                if picture is not None:
                    files[output / f"{one.path.stem}{OVERLAY}.png"] = as_file(drawn_over(picture, small))
                write_together(files)
            yield FoundLungs(one.path, lungs, lungs.found, radiograph.note)


def shrunk(pixels: np.ndarray) -> np.ndarray:
    """Return an image in RGB, at most 1024 pixels wide and high."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, MOST_PIXELS / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small


def drawn_over(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return an image in RGB with its lungs outlined and tinted, given them at 224 × 224 pixels.

    The outline is orange beside blue, so that it is seen on black, on white, in grey print and by every eye.
    """
    import cv2

    inside = enlarged(mask, *picture.shape[:2])
    tinted = np.where(inside[..., None], (1 - TINT) * picture + TINT * np.array(rgb(ORANGE)), picture).astype(np.uint8)
    contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(max(picture.shape) / 300))
    cv2.drawContours(tinted, contours, -1, rgb(BLUE), 3 * thickness)
    cv2.drawContours(tinted, contours, -1, rgb(ORANGE), thickness)
    return tinted


def as_file(pixels: np.ndarray) -> bytes:
    """Return pixels, grey or RGB, as the bytes of a PNG file."""
    import cv2

    return cv2.imencode(".png", pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def table(found: Sequence[FoundLungs]) -> list[str]:
    """Return what is printed of images: the share of each lung, the file, and what is implausible below."""
    if not found:
        return []
    rows = ["right lung  left lung  file"]
    for one in found:
        shares = (f"{one.lungs.right:.1%}", f"{one.lungs.left:.1%}") if one.written else ("no mask", "no mask")
        rows.append(f"{shares[0]:>10}  {shares[1]:>9}  {printable(one.path)}")
        if one.lungs.warning:
            rows += wrapped(one.lungs.warning, " " * 23, " " * 25)
    return rows


def summary(found: Sequence[FoundLungs], failures: Sequence[InputError], folder: Path) -> str:
    """Return how many masks were written, and where."""
    written = sum(one.written for one in found)
    text = f"{counted(written, 'mask')} in {folder}"
    if written < len(found):
        text += f"; {counted(len(found) - written, 'image')} without plausible lungs"
    return text + (f"; {counted(len(failures), 'file')} skipped" if failures else "")


def as_json(found: Sequence[FoundLungs], failures: Sequence[InputError]) -> bytes:
    """Return what was found, for programs."""
    record = {
        "notice": DISCLAIMER,
        "images": [
            {
                "file": printable(one.path),
                "right_lung": round(one.lungs.right, 4),
                "left_lung": round(one.lungs.left, 4),
                "warning": one.lungs.warning,
                "mask": f"{one.path.stem}{SUFFIX}.png" if one.written else None,
            }
            for one in found
        ],
        "failures": [printable(failure) for failure in failures],
    }
    return (json.dumps(record, indent=1) + "\n").encode()
