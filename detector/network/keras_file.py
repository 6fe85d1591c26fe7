"""A model's file as Keras' public `save` writes it, which takes the name of a file and no file object."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from detector import InputError
from detector.storage.temporary import remove_leftovers, temporary_folder

if TYPE_CHECKING:
    import keras


def written(model: keras.Model, suffix: str) -> bytes:
    """Return the bytes of the file that Keras writes of a model.

    Parameters
    ----------
    model : keras.Model
    suffix : {".keras", ".h5"}
        Keras chooses the format by it.

    Returns
    -------
    bytes

    Raises
    ------
    InputError
        If the disk of the system's temporary files is full.
    """
    folder = Path(tempfile.gettempdir())
    remove_leftovers(folder)
    with temporary_folder(folder) as temporary:
        file = temporary / f"model{suffix}"
        try:
            with _without_advice():
                model.save(file)
            return file.read_bytes()
        except (OSError, RuntimeError) as error:
            if not (reason := _reason(error)):
                raise
            raise InputError(
                f"{folder} cannot hold the model while Keras writes it: {reason.lower()}; set TMPDIR to another folder"
            ) from None


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep Keras from advising its own format to users who name an HDF5 file, as the tutorial does."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _reason(error: OSError | RuntimeError) -> str:
    """Return the system's message; HDF5 quotes it within one of its own, of either type."""
    quoted = re.search(r"error message = '(.+?)'", str(error))
    return quoted[1] if quoted else getattr(error, "strerror", None) or ""
