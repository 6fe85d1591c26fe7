"""Read every image of a run once: name all bad ones together, and note what their files give away."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from detector import InputError
from detector.command_line import progress
from detector.images.duplicates import perceptual_hash
from detector.images.frame import frame_traits
from detector.images.pixel_store import PixelStore
from detector.images.radiographs import READER_VERSION, Radiograph, decode, file_bytes, from_decoded, name_all
from detector.storage.cache import Cache, key

# Raise when a trait changes for the same file: cached ones of the old kind must never be met again.
TRAITS_VERSION = 3


@dataclass(frozen=True)
class Traits:
    """What an image file gives away without a look at the chest in it.

    Attributes
    ----------
    digest : str
        SHA-256 of the file.
    width, height : int
        In pixels.
    format : str
    colour : bool
        Whether the file stores colour.
    mean, deviation : float
        Of the intensity at 224 × 224, in 0…255.
    frame : list of float
        What the outer tenth of the film gives away, as `frame.frame_traits` returns it.
    hash : str
        As `duplicates.perceptual_hash` returns it.
    note : str
        What a user should know of how it is shown; mostly empty.
    """

    digest: str
    width: int
    height: int
    format: str
    colour: bool
    mean: float
    deviation: float
    frame: list[float] = field(default_factory=list)
    hash: str = ""
    note: str = ""


def inspect(paths: Sequence[Path], cache: Cache, pixel_store: PixelStore, quiet: bool = False) -> list[Traits]:
    """Read image files with all cores.

    Parameters
    ----------
    paths : sequence of Path
    cache : Cache
        An image whose traits it holds has been read before and is not decoded again.
    pixel_store : PixelStore
        Gets the pixels of those that are decoded.
    quiet : bool
        Show no progress.

    Returns
    -------
    list of Traits

    Raises
    ------
    InputError
        If any cannot be used; it names every one.
    """

    def one(path: Path) -> Traits | InputError:
        try:
            data = file_bytes(path)
            name = _name(hashlib.sha256(data).hexdigest())
            if held := cache.get([name]).get(name):
                return Traits(**json.loads(held))
            decoded = decode(data, path)
        except InputError as error:
            return error
        radiograph = from_decoded(decoded, hashlib.sha256(data).hexdigest())
        pixel_store.put(radiograph)
        return traits_of(radiograph, decoded.pixels)

    # Each holds an image at full size: more of them would take more memory than time.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        try:
            found = list(progress(pool.map(one, paths), len(paths), "reading images", quiet))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failures = [result for result in found if isinstance(result, InputError)]
    if failures:
        raise name_all(failures, len(paths))
    cache.put({_name(traits.digest): json.dumps(asdict(traits)).encode() for traits in found})
    return found


def traits_of(radiograph: Radiograph, decoded: np.ndarray) -> Traits:
    """Return the traits of an image, given it as the network sees it and as it was decoded."""
    names = ("digest", "width", "height", "format", "colour", "note")
    return Traits(
        **{name: getattr(radiograph, name) for name in names},
        mean=round(float(radiograph.pixels.mean()), 4),
        deviation=round(float(radiograph.pixels.std()), 4),
        frame=frame_traits(decoded),
        hash=perceptual_hash(radiograph.pixels),
    )


def _name(digest: str) -> bytes:
    return key(kind="traits", image=digest, version=(READER_VERSION, TRAITS_VERSION))


def named_notes(notes: Iterable[tuple[object, str]], most: int = 3) -> list[str]:
    """Return a line for each different note, with the number and the first names of the images that it is about.

    Parameters
    ----------
    notes : iterable of (object, str)
        Names of images, and what a user should know of them; empty for most.
    most : int, default=3
        Names in a line.

    Returns
    -------
    list of str
    """
    names: dict[str, list[str]] = {}
    for name, note in notes:
        if note:
            names.setdefault(note, []).append(str(name))
    return [f"{first_names(about, most)}: {note}" for note, about in names.items()]


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
