"""Lung masks as files: what is printed, PNGs, overlays and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from detector import InputError, counted, printable
from detector.cli.output import DISCLAIMER
from detector.files.atomic import write_together
from detector.images.lungs import enlarged
from detector.images.masks import SUFFIX
from detector.inference.lung_masks import FoundLungs
from detector.reports import run_record
from detector.reports.text import BLUE, ORANGE, rgb, table

OVERLAY = "_overlay"

TINT = 0.15


def with_masks(results: Iterable[FoundLungs | InputError], folder: Path) -> Iterator[FoundLungs | InputError]:
    """Write each image's mask, and its overlay if it has a picture, as it comes; yield what was found without them."""
    for result in results:
        if isinstance(result, InputError):
            yield result
            continue
        if result.mask is not None:
            name = folder / result.path.stem
            marked = enlarged(result.mask, *result.size)
            files = {Path(f"{name}{SUFFIX}.png"): as_file(np.where(marked, 255, 0).astype(np.uint8))}
            if result.picture is not None:
                files[Path(f"{name}{OVERLAY}.png")] = as_file(drawn_over(result.picture, result.mask))
            write_together(files)
        yield replace(result, mask=None, picture=None)


def drawn_over(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return an image in RGB with its lungs outlined and tinted, given them at 224 × 224 pixels.

    The outline is orange beside blue, so that it is seen on black, on white, in grey print and by every eye.
    """
    inside = enlarged(mask, *picture.shape[:2])
    tinted = np.where(inside[..., None], (1 - TINT) * picture + TINT * np.array(rgb(ORANGE)), picture).astype(np.uint8)
    contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(max(picture.shape) / 300))
    cv2.drawContours(tinted, contours, -1, rgb(BLUE), 3 * thickness)
    cv2.drawContours(tinted, contours, -1, rgb(ORANGE), thickness)
    return tinted


def as_file(pixels: np.ndarray) -> bytes:
    """Return pixels, grey or RGB, as the bytes of a PNG file."""
    return cv2.imencode(".png", pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def lines(found: Sequence[FoundLungs]) -> list[str]:
    """Return what is printed of images: the share of each lung, the file, and what is implausible below."""
    rows: list[list[object]] = [["right lung", "left lung", "file"]]
    for one in found:
        shares = [f"{one.lungs.right:.1%}", f"{one.lungs.left:.1%}"] if one.lungs.found else ["no mask", "no mask"]
        rows.append([*shares, one.path])
        rows += [["", "", part] for part in textwrap.wrap(one.lungs.warning, 56)]
    return table(rows, whole=True) if found else []


def summary(found: Sequence[FoundLungs], failures: Sequence[InputError], folder: Path) -> str:
    """Return how many masks were written, and where."""
    written = sum(one.lungs.found for one in found)
    parts = [f"{counted(written, 'mask')} in {folder}" if written else "no mask was written"]
    parts += [f"{counted(len(found) - written, 'image')} without plausible lungs"] if written < len(found) else []
    parts += [f"{counted(len(failures), 'file')} skipped"] if failures else []
    return "; ".join(parts)


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
                "mask": f"{one.path.stem}{SUFFIX}.png" if one.lungs.found else None,
            }
            for one in found
        ],
        "failures": [printable(failure) for failure in failures],
    }
    return run_record.as_json(record)
