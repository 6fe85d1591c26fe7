"""Locks between runs: on a folder while its files are replaced, on a temporary file while it is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# The folders that this run has locked: asking for one again must not wait for itself.
_held: set[str] = set()


def lock(descriptor: int, *, wait: bool = True) -> bool:
    """Lock an open file or folder until it is closed.

    Parameters
    ----------
    descriptor : int
    wait : bool
        Wait while another run holds it.

    Returns
    -------
    bool
        False if another run holds it, or if the file system has no locks, as some network file systems.
    """
    if sys.platform == "win32":  # An open file cannot be deleted there, which is most of what the locks are for.
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextmanager
def locked_folders(folders: Iterable[Path]) -> Iterator[None]:
    """Wait until no other run replaces files in these folders, and keep others waiting meanwhile.

    The folder itself is locked, so no lock file can stay behind.
    """
    with ExitStack() as stack:
        # In one order for all, lest two runs wait for each other.
        for folder in sorted({os.path.realpath(folder) for folder in folders} - _held):
            with suppress(OSError):  # Windows opens no folders.
                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                lock(descriptor)
            _held.add(folder)
            stack.callback(_held.discard, folder)
        yield
