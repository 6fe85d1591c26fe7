"""Files on their way: without a name or under a temporary one, and gone if their run ends before they are whole."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be deleted there, which is most of what the locks are for.
    fcntl = None

# Of what is being written, wherever it has a name at all.
PART = ".covid19-{}.part"

# What has such a name now; removed when a signal ends the run.
_unfinished: set[Path] = set()
_made: list[Path] = []  # folders, parents first
_made: list[Path] = []  # folders, parents first
# The folders that this run has for itself: asking for one again must not wait for itself.
_alone_in: set[str] = set()


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents; those that are still empty when the run fails go again."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    _made.extend(reversed(missing))


def remove_unfinished() -> None:
    """Remove everything that is half-written, and folders made for nothing, when a run fails or is interrupted."""
    for path in list(_unfinished):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for folder in reversed(_made):
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a folder in `parent` that is gone afterwards, at the latest when `remove_leftovers` next comes by."""
    folder = parent / PART.format(secrets.token_hex(8))
    with ExitStack() as stack:
        _unfinished.add(folder)
        folder.mkdir()
        stack.callback(_unfinished.discard, folder)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if fcntl:
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            _lock(descriptor)
        yield folder


def remove_leftovers(folder: Path) -> None:
    """Remove what killed runs left half-written in `folder`."""
    for orphan in folder.glob(PART.format("*")):
        with suppress(OSError), ExitStack() as stack:
            if fcntl:
                descriptor = os.open(orphan, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                # A run that is still writing holds it.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(orphan) if orphan.is_dir() else orphan.unlink()


@contextmanager
def locked_folders(folders: Iterable[Path]) -> Iterator[None]:
    """Wait until no other run is renaming files in these folders, and keep others waiting meanwhile.

    The folder itself is locked: there is no lock file that could stay behind.
    """
    with ExitStack() as stack:
        # In one order for all, lest two runs wait for each other.
        for folder in sorted({os.path.realpath(folder) for folder in folders} - _alone_in) if fcntl else ():
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            _lock(descriptor)
            _alone_in.add(folder)
            stack.callback(_alone_in.discard, folder)
        yield


class PartialFile:
    """A file on its way: first without a name or under a temporary one, then under its own; gone if that fails.

    Parameters
    ----------
    path : Path
        The name that it shall get.
    stack : ExitStack
        When it closes, what has not got its name vanishes.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        # Short: the file's own name may be as long as the system allows.
        self._part = path.parent / PART.format(secrets.token_hex(8))
        self._named = not _has_nameless_files()
        stack.callback(self._vanish)
        self.file = stack.enter_context(self._open())

    def _open(self) -> BinaryIO:
        _unfinished.add(self._part)
        if not self._named:
            try:
                return _locked(os.fdopen(os.open(self.path.parent, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b"))
            except OSError:
                # A file system without such files; where the reason is another, it shows again right away.
                self._named = True
        while True:
            file = _locked(open(self._part, "x+b"))  # noqa: SIM115 (closed by the stack)
            # A run that sweeps may have come between making and locking it.
            if not fcntl or os.fstat(file.fileno()).st_nlink:
                return file
            file.close()

    def to_disk(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        if not fcntl:
            self.file.close()  # Windows renames no open file.

    def give_name(self) -> None:
        if not self._named:
            links = os.open("/proc/self/fd", os.O_RDONLY)
            try:
                # With a folder given, Python follows the link that /proc has for an open file; without, it does not.
                os.link(str(self.file.fileno()), self._part, src_dir_fd=links, follow_symlinks=True)
            except OSError:
                self._copy()  # a file system that has such files but gives them no name; or the same error again
            finally:
                os.close(links)
            self._named = True

    def _copy(self) -> None:
        self.file.seek(0)
        with open(self._part, "xb") as named:
            shutil.copyfileobj(self.file, named, 1 << 20)
            named.flush()
            os.fsync(named.fileno())

    def rename(self) -> None:
        os.replace(self._part, self.path)
        _unfinished.discard(self._part)

    def _vanish(self) -> None:
        if self._part in _unfinished:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)
            _unfinished.discard(self._part)


def _lock(descriptor: int) -> None:
    # Some network file systems have no locks: nothing is swept there then, and nobody waits.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _locked(file: BinaryIO) -> BinaryIO:
    if fcntl:
        _lock(file.fileno())
    return file


def _has_nameless_files() -> bool:
    return hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()


def folder_to_disk(folder: Path) -> None:
    """Make renames outlast a power failure, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
