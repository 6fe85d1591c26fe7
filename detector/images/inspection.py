"""Read every image of a run once: name all bad ones together, and note what their files give away."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from detector import InputError
from detector.cli.output import progress
from detector.files.cache import Cache, key
from detector.images.border import border_properties
from detector.images.duplicates import perceptual_hash
from detector.images.lungs import colourfulness, seems_inverted
from detector.images.pixel_store import PixelStore
from detector.images.radiographs import (
    READER_VERSION,
    Radiograph,
    decode,
    file_bytes,
    from_decoded,
    name_all,
    require_contrast,
)

# Raise when what is read of the same file changes: cached properties of the old kind must never be met again.
PROPERTIES_VERSION = 6
AT_A_TIME = 256  # files whose properties are looked up, and kept, in one go


@dataclass(frozen=True)
class ImageProperties:
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
    border : list of float
        Properties of the outer tenth of the image, as `border.border_properties` returns it.
    hash : str
        As `duplicates.perceptual_hash` returns it.
    note : str
        What a user should know of how it is shown; mostly empty.
    colourfulness : float
        As `lungs.colourfulness` returns it.
    inverted : bool
        As `lungs.seems_inverted` returns it.
    """

    digest: str
    width: int
    height: int
    format: str
    colour: bool
    mean: float
    deviation: float
    border: list[float] = field(default_factory=list)
    hash: str = ""
    note: str = ""
    colourfulness: float = 0.0
    inverted: bool = False


# From paths to the position of each with its properties, or why it cannot be used, in any order.
Elsewhere = Callable[[Sequence[Path]], Iterator[tuple[int, "ImageProperties | InputError"]]]


def inspect(
    paths: Sequence[Path],
    cache: Cache,
    pixel_store: PixelStore,
    quiet: bool = False,
    elsewhere: Elsewhere | None = None,
    before_decoding: Callable[[], object] = bool,
) -> list[ImageProperties]:
    """Read image files with all cores.

    Parameters
    ----------
    paths : sequence of Path
    cache : Cache
        An image whose properties it holds has been read before and is not decoded again.
    pixel_store : PixelStore
        Gets the pixels of those that are decoded here.
    quiet : bool
        Show no progress.
    elsewhere : callable, optional
        Reads them on other machines. So that this one need not read them all, a file is then known by its path, size
        and time of change.
    before_decoding : callable, optional
        Called before images are decoded here, each time that the cache lacks some.

    Returns
    -------
    list of ImageProperties

    Raises
    ------
    InputError
        If any cannot be used; it names every one.
    """
    if elsewhere is not None:
        return _usable(_inspected_elsewhere(paths, cache, quiet, elsewhere))
    found: list[ImageProperties | InputError] = []
    # Each thread holds an image at full size: more of them would take more memory than time.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        try:
            inspected = _inspected(paths, cache, pixel_store, pool, before_decoding)
            found += progress(inspected, len(paths), "reading images", quiet)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _usable(found)


def _usable(found: list[ImageProperties | InputError]) -> list[ImageProperties]:
    failures = [result for result in found if isinstance(result, InputError)]
    if failures:
        raise name_all(failures, len(found))
    return [result for result in found if isinstance(result, ImageProperties)]


def _inspected_elsewhere(
    paths: Sequence[Path], cache: Cache, quiet: bool, elsewhere: Elsewhere
) -> list[ImageProperties | InputError]:
    names = [_file_name(path) for path in paths]
    held = cache.get(names)
    found: dict[int, ImageProperties | InputError] = {
        i: ImageProperties(**json.loads(held[name])) for i, name in enumerate(names) if name in held
    }
    missing = [i for i in range(len(paths)) if i not in found]
    if missing:
        shown = progress(elsewhere([paths[i] for i in missing]), len(missing), "reading images", quiet)
        new: dict[bytes, bytes] = {}
        for count, (position, one) in enumerate(shown, 1):
            found[missing[position]] = one
            if isinstance(one, ImageProperties):
                text = as_text(one).encode()
                new |= {names[missing[position]]: text, _name(one.digest): text}
            if len(new) >= AT_A_TIME or count == len(missing):
                cache.put(new)
                new = {}
    return [found[i] for i in range(len(paths))]


def _file_name(path: Path) -> bytes:
    try:
        status = path.stat()
        what = str(path.resolve()), status.st_size, status.st_mtime_ns
    except OSError:
        what = str(path), 0, 0  # a node may see it, or say that it does not
    return key(kind="file", file=what, version=(READER_VERSION, PROPERTIES_VERSION))


def _inspected(
    paths: Sequence[Path],
    cache: Cache,
    pixel_store: PixelStore,
    pool: ThreadPoolExecutor,
    before_decoding: Callable[[], object],
) -> Iterator[ImageProperties | InputError]:
    """Yield the properties of each image, or why it cannot be used; what is new is kept as it comes."""
    for start in range(0, len(paths), AT_A_TIME):
        some = paths[start : start + AT_A_TIME]
        digests = list(pool.map(_digest, some))
        held = cache.get(_name(digest) for digest in digests if isinstance(digest, str))
        known = [held.get(_name(digest)) if isinstance(digest, str) else digest for digest in digests]
        if None in known:
            before_decoding()
        found = pool.map(partial(_one, pixel_store=pixel_store), some, known)
        new: dict[bytes, bytes] = {}
        for before, one in zip(known, found, strict=True):
            if before is None and isinstance(one, ImageProperties):
                new[_name(one.digest)] = as_text(one).encode()
            yield one
        cache.put(new)


def _digest(path: Path) -> str | InputError:
    try:
        return hashlib.sha256(file_bytes(path)).hexdigest()
    except InputError as error:
        return error


def _one(path: Path, known: bytes | InputError | None, pixel_store: PixelStore) -> ImageProperties | InputError:
    if isinstance(known, InputError):
        return known
    if known is not None:
        return ImageProperties(**json.loads(known))
    try:
        properties, radiograph = inspect_file(path)
    except InputError as error:
        return error
    pixel_store.put(radiograph)
    return properties


def inspect_file(path: Path) -> tuple[ImageProperties, Radiograph]:
    """Read one image file: its properties, and what the network sees of it.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    data = file_bytes(path)
    decoded = decode(data, path)
    radiograph = require_contrast(from_decoded(decoded, hashlib.sha256(data).hexdigest()), path)
    return properties_of(radiograph, decoded.pixels), radiograph


def as_text(properties: ImageProperties) -> str:
    """Return properties as they are kept."""
    return json.dumps(asdict(properties))


def properties_of(radiograph: Radiograph, decoded: np.ndarray) -> ImageProperties:
    """Return the properties of an image, given it as the network sees it and as it was decoded."""
    names = ("digest", "width", "height", "format", "colour", "note")
    return ImageProperties(
        **{name: getattr(radiograph, name) for name in names},
        mean=round(float(radiograph.pixels.mean()), 4),
        deviation=round(float(radiograph.pixels.std()), 4),
        border=border_properties(decoded),
        hash=perceptual_hash(radiograph.pixels),
        colourfulness=round(colourfulness(radiograph.pixels), 4),
        inverted=seems_inverted(radiograph.pixels),
    )


def _name(digest: str) -> bytes:
    return key(kind="properties", image=digest, version=(READER_VERSION, PROPERTIES_VERSION))
