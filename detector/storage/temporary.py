"""Temporary files and folders beside what they become; removed when a run fails, or by the next run."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from detector.storage.locks import lock

# Short: the name of the file that it becomes may be as long as the system allows.
NAME = ".covid19-{}.part"

_unfinished: set[Path] = set()
_made: list[Path] = []  # folders, parents first


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents; those that are still empty when the run ends are removed again."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    _made.extend(reversed(missing))


def remove_unfinished() -> None:
    """Remove the temporary files of this run, and the folders that it made and left empty."""
    for path in list(_unfinished):
        _remove(path)
    for folder in reversed(_made):
        with suppress(OSError):
            folder.rmdir()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed runs left in `folder`; those of running ones are locked, and stay."""
    for path in folder.glob(NAME.format("*")):
        with suppress(OSError), ExitStack() as stack:
            if os.name != "nt":
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                if not lock(descriptor, wait=False):
                    continue
            _remove(path)


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file in `folder`, open for writing and reading, that is removed unless it was renamed.

    Yields
    ------
    tuple of Path and file object
    """
    while True:
        path = folder / NAME.format(secrets.token_hex(8))
        with ExitStack() as stack:
            _unfinished.add(path)
            stack.callback(_forget, path)
            file = stack.enter_context(open(path, "x+b"))
            lock(file.fileno())
            # Another run may have taken it for a leftover before it was locked: make another.
            if path.exists():
                yield path, file
                return


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder in `parent` that is removed afterwards."""
    folder = parent / NAME.format(secrets.token_hex(8))
    with ExitStack() as stack:
        _unfinished.add(folder)
        folder.mkdir()
        stack.callback(_forget, folder)
        if os.name != "nt":
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            lock(descriptor)
        yield folder


def _forget(path: Path) -> None:
    _remove(path)
    _unfinished.discard(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
