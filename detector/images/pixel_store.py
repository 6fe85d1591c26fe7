"""Where decoded radiographs wait between two passes over them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np

from detector import InputError
from detector.images.radiographs import SIZE, Radiograph, read

MOST_BYTES = 4 * 2**30  # on disk: 28,000 radiographs


class PixelStore:
    """Decoded radiographs between the pass that checks them and the pass that uses them, so that none is decoded twice.

    The first 64 MiB stay in memory, more goes to a file without a name, which vanishes with the process however that
    ends; what `MOST_BYTES` has no room for is decoded again. Safe for several threads.

    Parameters
    ----------
    folder : Path or None
        Where the file is made; None is the system's folder for temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        where = None if folder is None else str(folder)
        self._file = SpooledTemporaryFile(max_size=64 * 2**20, dir=where)  # noqa: SIM115 (lives as long as the object)
        self._offsets: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, radiograph: Radiograph) -> None:
        """Keep the pixels of `radiograph`."""
        with self._lock:
            if radiograph.digest not in self._offsets:
                offset = self._file.seek(0, os.SEEK_END)
                if offset + radiograph.pixels.nbytes > MOST_BYTES:
                    return
                self._file.write(radiograph.pixels.tobytes())
                self._offsets[radiograph.digest] = offset

    def pixels(self, path: Path, digest: str) -> np.ndarray:
        """Return the pixels of the image at `path`: the ones kept, or else decoded now.

        Raises
        ------
        InputError
            If the file has changed since its `digest` was taken.
        """
        with self._lock:
            if digest in self._offsets:
                self._file.seek(self._offsets[digest])
                data = self._file.read(SIZE * SIZE * 3)
                return np.frombuffer(data, np.uint8).reshape(SIZE, SIZE, 3)
        radiograph = read(path)
        if radiograph.digest != digest:
            raise InputError(f"{path} changed while the run was reading it; start again")
        return radiograph.pixels
