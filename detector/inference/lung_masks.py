"""Lung masks for files and folders: found in batches, each with its image for an overlay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector import InputError
from detector.images.lungs import Lungs, describe, doubt, refined
from detector.images.masks import SUFFIX, NetworkInput
from detector.images.raster import joined
from detector.images.read import Radiograph, decode, file_bytes, from_decoded
from detector.network.features import BATCH, Backbone

MOST_PIXELS = 1024  # of a picture's longer side


@dataclass(frozen=True)
class FoundLungs:
    """The lungs of one image.

    Attributes
    ----------
    note : str
        What a user should know of the image; empty for most.
    mask : ndarray of shape (224, 224), bool, or None
        None where the lungs are not plausible, or once the mask is written.
    size : (int, int)
        Height and width of the image.
    picture : ndarray of shape (height, width, 3), uint8, or None
        The image, at most 1024 pixels wide and high, if it is asked for; None once it is written.
    """

    path: Path
    lungs: Lungs
    note: str = ""
    mask: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    picture: np.ndarray | None = None


def require_names(paths: Sequence[Path]) -> None:
    """Reject images whose masks would have the same name."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other != path:
            raise InputError(
                f"{other} and {path} would have the same mask, {path.stem}{SUFFIX}.png; find their lungs in two runs, "
                "each with its own -o"
            )


def find_all(backbone: Backbone, paths: Sequence[Path], with_pictures: bool) -> Iterator[FoundLungs | InputError]:
    """Yield the lungs of each image that can be read, or why it cannot be read.

    Parameters
    ----------
    with_pictures : bool
        Keep each image, for an overlay of its lungs.
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
            picture = shrunk(decoded.pixels) if with_pictures else None
            images[NetworkInput(path, radiograph.digest)] = radiograph, picture
        if not images:
            continue
        decoded_pixels = {one: radiograph.pixels for one, (radiograph, _) in images.items()}
        masks = backbone.lungs(list(images), decoded_pixels.__getitem__)
        for (one, (radiograph, picture)), mask in zip(images.items(), masks, strict=True):
            lungs, size = describe(mask), (radiograph.height, radiograph.width)
            small = refined(mask) if lungs.found else None
            note = joined(radiograph.note, doubt(radiograph.pixels))
            yield FoundLungs(one.path, lungs, note, small, size, picture)


def shrunk(pixels: np.ndarray) -> np.ndarray:
    """Return an image in RGB, at most 1024 pixels wide and high."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(1.0, MOST_PIXELS / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB) if small.ndim == 2 else small
