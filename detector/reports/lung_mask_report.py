"""Lung masks as files: what is printed, PNGs, overlays and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from detector import InputError, counted, printable
from detector.cli.output import DISCLAIMER
from detector.files.atomic import require_folder, require_outputs, write_together
from detector.images.lungs import enlarged
from detector.images.masks import SUFFIX
from detector.inference.lung_masks import FoundLungs
from detector.reports.colours import BLUE, ORANGE, rgb
from detector.reports.text import table

OVERLAY = "_overlay"

TINT = 0.15


@dataclass(frozen=True)
class LungMaskOutputs:
    """What is written.

    Attributes
    ----------
    folder : Path
        Of the masks.
    overlay : bool
        Also draw each image with its lungs.
    json : Path or None
    """

    folder: Path
    overlay: bool
    json: Path | None

    def require_writable(self) -> None:
        """Reject outputs that could not be written later.

        Raises
        ------
        InputError
        """
        require_folder(self.folder)
        require_outputs({"--json": self.json} if self.json else {})


def with_masks(
    results: Iterable[FoundLungs | InputError], outputs: LungMaskOutputs
) -> Iterator[FoundLungs | InputError]:
    """Write each image's mask and overlay as it comes, and yield what was found without them."""
    for result in results:
        if isinstance(result, InputError):
            yield result
            continue
        if files := mask_files(result, outputs.folder):
            write_together(files)
        yield replace(result, mask=None, picture=None)


def mask_files(one: FoundLungs, folder: Path) -> dict[Path, bytes]:
    """Return the mask of an image, of its own size, and the overlay if it has a picture; nothing without a mask."""
    if one.mask is None:
        return {}
    marked = enlarged(one.mask, *one.size)
    files = {folder / f"{one.path.stem}{SUFFIX}.png": as_file(np.where(marked, 255, 0).astype(np.uint8))}
    if one.picture is not None:
        files[folder / f"{one.path.stem}{OVERLAY}.png"] = as_file(drawn_over(one.picture, one.mask))
    return files


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


def lines(found: Sequence[FoundLungs]) -> list[str]:
    """Return what is printed of images: the share of each lung, the file, and what is implausible below."""
    rows: list[list[object]] = [["right lung", "left lung", "file"]]
    for one in found:
        shares = [f"{one.lungs.right:.1%}", f"{one.lungs.left:.1%}"] if one.plausible else ["no mask", "no mask"]
        rows.append([*shares, one.path])
        rows += [["", "", part] for part in textwrap.wrap(one.lungs.warning, 56)]
    return table(rows, whole=True) if found else []


def summary(found: Sequence[FoundLungs], failures: Sequence[InputError], folder: Path) -> str:
    """Return how many masks were written, and where."""
    written = sum(one.plausible for one in found)
    text = f"{counted(written, 'mask')} in {folder}" if written else "no mask was written"
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
                "mask": f"{one.path.stem}{SUFFIX}.png" if one.plausible else None,
            }
            for one in found
        ],
        "failures": [printable(failure) for failure in failures],
    }
    return (json.dumps(record, indent=1) + "\n").encode()
