"""Read every image of a run once: name all bad ones together, and note what their files give away."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile

import cv2
import numpy as np

from detector import InputError
from detector.cli.output import progress
from detector.files.cache import Cache, key
from detector.images.duplicates import perceptual_hash
from detector.images.lungs import colourfulness, doubt
from detector.images.read import (
    READER_VERSION,
    SIZE,
    Radiograph,
    decode,
    file_bytes,
    from_decoded,
    name_all,
    read,
    require_contrast,
)

# Raise when what is read of the same file changes: cached properties of the old kind must never be met again.
PROPERTIES_VERSION = 10
AT_A_TIME = 256  # files whose properties are kept in one go
SIDE = 512  # pixels that an image is brought to for its border, so that sharpness is measured on one scale
MARGIN = 0.1  # of the side, along each edge
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
FINE, COARSE = 1.0, 2.5  # pixels: standard deviations of the Gaussians whose difference is the band of middle detail
BLACK, WHITE = 2, 253  # grey values up to and from which a pixel counts as black or white
NAMES = (
    *(f"percentile {p} of grey" for p in PERCENTILES),
    *("median of fine detail", "deviation of fine detail", "deviation of middle detail"),
    *("fine detail over middle detail", "share of black", "share of white"),
)
MOST_STORED = 4 * 2**30  # bytes on disk: 28,000 radiographs


@dataclass(frozen=True)
class ImageProperties:
    """What an image file gives away without a look at the chest in it."""

    digest: str  # SHA-256 of the file
    width: int  # in pixels
    height: int
    format: str
    colour: bool  # whether the file stores colour
    mean: float  # of the intensity at 224 × 224, in 0…255
    deviation: float
    border: list[float] = field(default_factory=list)  # as `border_properties` returns it
    hash: str = ""  # as `duplicates.perceptual_hash` returns it
    note: str = ""  # what a user should know of how it is shown
    colourfulness: float = 0.0  # as `lungs.colourfulness` and `lungs.doubt` return them
    doubt: str = ""


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
    """Read image files with all cores, each once; reject those that cannot be used, all together.

    Parameters
    ----------
    paths : sequence of Path
    cache : Cache
        A file whose properties it holds is not read again: it is known by its path, size and times of change.
    pixel_store : PixelStore
        Gets the pixels of those that are decoded here.
    quiet : bool
        Show no progress.
    elsewhere : callable, optional
        Reads them on other machines.
    before_decoding : callable, optional
        Called before images are decoded here, where the cache lacks some.
    """

    def one(path: Path) -> ImageProperties | InputError:
        try:
            properties, radiograph = inspect_file(path)
        except InputError as error:
            return error
        pixel_store.put(radiograph)
        return properties

    names = [_name(path) for path in paths]
    held = cache.get(names)
    found: dict[int, ImageProperties | InputError] = {
        i: ImageProperties(**json.loads(held[name])) for i, name in enumerate(names) if name in held
    }
    missing = [i for i in range(len(names)) if i not in found]
    new: dict[bytes, bytes] = {}
    # Each thread holds an image at full size: more of them would take more memory than time.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        try:
            if missing and elsewhere is None:
                before_decoding()
            wanted = [paths[i] for i in missing]
            inspected = elsewhere(wanted) if elsewhere and missing else enumerate(pool.map(one, wanted))
            for position, result in progress(inspected, len(missing), "reading images", quiet):
                found[missing[position]] = result
                if isinstance(result, ImageProperties):
                    new[names[missing[position]]] = json.dumps(asdict(result)).encode()
                if len(new) >= AT_A_TIME:
                    cache.put(new)
                    new = {}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            cache.put(new)
    results = [found[i] for i in range(len(names))]
    if failures := [result for result in results if isinstance(result, InputError)]:
        raise name_all(failures, len(results))
    return [result for result in results if isinstance(result, ImageProperties)]


def _name(path: Path) -> bytes:
    try:
        status = path.stat()
        what = str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns
    except OSError:
        what = str(path), 0, 0, 0  # a node may see it, or say that it does not
    return key(kind="file", file=what, version=(READER_VERSION, PROPERTIES_VERSION))


def inspect_file(path: Path) -> tuple[ImageProperties, Radiograph]:
    """Read one image file, here or on any machine: its properties, and what the network sees of it."""
    data = file_bytes(path)
    decoded = decode(data, path)
    radiograph = require_contrast(from_decoded(decoded, hashlib.sha256(data).hexdigest()), path)
    pixels = radiograph.pixels
    properties = ImageProperties(
        **{name: getattr(radiograph, name) for name in ("digest", "width", "height", "format", "colour", "note")},
        mean=round(float(pixels.mean()), 4),
        deviation=round(float(pixels.std()), 4),
        border=border_properties(decoded.pixels),
        hash=perceptual_hash(pixels),
        colourfulness=round(colourfulness(pixels), 4),
        doubt=doubt(pixels),
    )
    return properties, radiograph


def border_properties(pixels: np.ndarray) -> list[float]:
    """Return properties of the outer tenth of an image, grey or RGB, in the order of `NAMES`; grey values in [0, 1].

    Fine detail is what a Gaussian of 1 px removes at 512 × 512 pixels; middle detail lies between Gaussians of 1 and of
    2.5 px. A scanner, an exposure and a compression leave their marks on both wherever they are measured.
    """
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    interpolation = cv2.INTER_AREA if min(grey.shape) >= SIDE else cv2.INTER_LINEAR
    scaled = cv2.resize(grey, (SIDE, SIDE), interpolation=interpolation).astype(np.float32)
    smooth, smoother = (cv2.GaussianBlur(scaled, (0, 0), sigma) for sigma in (FINE, COARSE))
    edge, margin = np.ones((SIDE, SIDE), bool), round(SIDE * MARGIN)
    edge[margin:-margin, margin:-margin] = False
    grey, fine, middle = (layer[edge] / 255.0 for layer in (scaled, scaled - smooth, smooth - smoother))
    properties = [
        *np.percentile(grey, PERCENTILES),
        np.median(np.abs(fine)),
        fine.std(),
        middle.std(),
        fine.std() / max(float(middle.std()), 1e-6),
        (scaled[edge] <= BLACK).mean(),
        (scaled[edge] >= WHITE).mean(),
    ]
    return [round(float(value), 6) for value in properties]


class PixelStore:
    """Decoded radiographs between the pass that checks them and the pass that uses them, so that none is decoded twice.

    The first 64 MiB stay in memory, more goes to a file without a name, which vanishes with the process however that
    ends; what `MOST_STORED` has no room for is decoded again. Safe for several threads.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=64 * 2**20)  # noqa: SIM115 (lives as long as the object)
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, radiograph: Radiograph) -> None:
        """Keep the pixels of `radiograph`."""
        with self._lock:
            if radiograph.digest not in self._offsets:
                offset = self._file.seek(0, os.SEEK_END)
                if offset + radiograph.pixels.nbytes > MOST_STORED:
                    return
                self._file.write(radiograph.pixels.tobytes())
                self._offsets[radiograph.digest] = offset

    def pixels(self, path: Path, digest: str) -> np.ndarray:
        """Return the pixels of the image at `path`: the ones kept, or else decoded now, if the file has not changed."""
        with self._lock:
            if digest in self._offsets:
                self._file.seek(self._offsets[digest])
                data = self._file.read(SIZE * SIZE * 3)
                return np.frombuffer(data, np.uint8).reshape(SIZE, SIZE, 3)
        radiograph = read(path)
        if radiograph.digest != digest:
            raise InputError(f"{path} changed while the run was reading it; start again")
        return radiograph.pixels
