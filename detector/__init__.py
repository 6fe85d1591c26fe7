"""The library that the scripts share: a folder for each subject, imports only downward."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__version__ = "0.4.0"  # the only place: pyproject.toml reads it from here

# HDF5 locks what it reads, which fails on network file systems without locks. It looks at this once, when h5py is first
# imported, by whichever module comes first.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Return `load_model`, which lies above all that this package's folders import, once it is asked for."""
    if name == "load_model":
        return importlib.import_module("detector.inference.predict").load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that says what was given, where, and what to do. A script prints it on stderr and exits
    with status 2; nothing else is raised for bad input anywhere in the library.

    Parameters
    ----------
    message : str
    details : sequence of str, optional
        Such as the files that the sentence is about, printed below it: one a line.
    """

    def __init__(self, message: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


def printable(text: object) -> str:
    """Return `text` as a single line that is safe on a terminal.

    File names and metadata are untrusted input: a newline would forge a line of output and an escape code would drive
    the terminal, so every character that is not printable is written as its Python escape.

    Parameters
    ----------
    text : object
        Anything with a `str`, usually a path or a message that names one.

    Returns
    -------
    str
    """
    if (text := str(text)).isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


# The scripts, and what each is called where it is installed (pyproject.toml).
COMMANDS = {
    "audit_covid19.py": "covid19-audit",
    "build_covid_dataset.py": "covid19-build",
    "evaluate_covid19.py": "covid19-evaluate",
    "find_lungs.py": "covid19-lungs",
    "make_phantom_dataset.py": "covid19-phantoms",
    "predict_covid19.py": "covid19-predict",
    "sample_kaggle_dataset.py": "covid19-sample",
    "train_covid19.py": "covid19-train",
}


def as_called(text: str) -> str:
    """Return `text` with the scripts named as the user calls them: as commands, where they are installed."""
    if Path(sys.argv[0]).stem not in COMMANDS.values():
        return text
    return re.sub(rf"(?:python )?({'|'.join(map(re.escape, COMMANDS))})", lambda match: COMMANDS[match[1]], text)


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, such as ``"1 image"`` or ``"20 patients"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_names(names: Sequence[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
