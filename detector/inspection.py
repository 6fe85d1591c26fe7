"""Read every image of a run once: name all bad ones together, and note what their files give away."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from detector import InputError
from detector.cache import Cache, key
from detector.command_line import progress
from detector.radiographs import READER_VERSION, digest, name_all, read
from detector.scratch import Scratch


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
    """

    digest: str
    width: int
    height: int
    format: str
    colour: bool
    mean: float
    deviation: float


def inspect(paths: Sequence[Path], cache: Cache, scratch: Scratch, quiet: bool = False) -> list[Traits]:
    """Read image files with all cores.

    Parameters
    ----------
    paths : sequence of Path
    cache : Cache
        An image whose traits it holds has been read before and is not decoded again.
    scratch : Scratch
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
            name = _name(digest(path))
            if held := cache.get([name]).get(name):
                return Traits(**json.loads(held))
            radiograph = read(path)
        except InputError as error:
            return error
        scratch.put(radiograph)
        fields = {field: getattr(radiograph, field) for field in ("digest", "width", "height", "format", "colour")}
        pixels = radiograph.pixels
        return Traits(**fields, mean=round(float(pixels.mean()), 4), deviation=round(float(pixels.std()), 4))

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


def _name(digest: str) -> bytes:
    return key(kind="traits", image=digest, version=READER_VERSION)
