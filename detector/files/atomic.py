"""Write files whole or not at all; check where outputs go; digests.

A file is written under a temporary name beside its target, flushed to the disk, and renamed with `os.replace`. A run
that fails removes its temporary files; what a killed run left is removed when the next one checks the folder.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from detector import InputError, first_names


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_writable(path: Path) -> None:
    """Reject a place that could not be written later, before any work is done.

    Missing parent folders are made. Permission bits do not show what a read-only mount or an ACL will do, so a file is
    really made and removed; what a killed run left half-written beside it goes, too.

    Raises
    ------
    InputError
        If `path` is a folder, if a parent is a file, or if nothing can be made there.
    """
    try:
        _try_out(path.parent)
        # A name that is too long, or that this system does not allow, shows only when it is asked for.
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(path.stat().st_mode):
                raise InputError(f"{path} is a folder; give the name of a file to write")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {_blocked(path.parent, error)}; choose another place") from None


def require_outputs(paths: Mapping[str, Path]) -> None:
    """Reject output files, named by their flags, that could not be written or would overwrite each other.

    Raises
    ------
    InputError
    """
    flags: dict[Path, str] = {}
    for flag, path in paths.items():
        # Unlike `resolve`, this does not mind a link that leads in a circle.
        other = flags.setdefault(Path(os.path.realpath(path)), flag)
        if other != flag:
            raise InputError(f"{flag} and {other} both name {path}; give each a file of its own")
        try:
            require_writable(path)
        except InputError as error:
            raise InputError(f"{flag} {error}") from None


def require_folder(path: Path) -> None:
    """Reject an output folder that could not be written later; it is made if it is missing.

    Raises
    ------
    InputError
        If `path` is a file, or nothing can be made in it.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the name of a folder to write to")
    try:
        _try_out(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written to: {_blocked(path, error)}; choose another folder") from None


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that replaces `path` when the block ends well; otherwise `path` stays as it is.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    file object
        Binary, for writing and reading.
    """
    with temporary_file(path.parent) as (part, file):
        yield file
        _flush(file)
        os.replace(part, path)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Replace several files that belong together, once all of them are on the disk under temporary names.

    Parameters
    ----------
    contents : mapping of Path to bytes

    Raises
    ------
    InputError
        If the disk is full or a folder has become unwritable. The message says which files are new: none, unless the
        failure came between two renames.
    """
    path = Path()
    new: list[Path] = []
    with ExitStack() as stack:
        try:
            parts = {}
            for path, data in contents.items():
                parts[path], file = stack.enter_context(temporary_file(path.parent))
                file.write(data)
                _flush(file)
            # Two runs that write the same files end with the files of one of them, not with some of each.
            stack.enter_context(locked_folders(path.parent for path in contents))
            for path, part in parts.items():
                os.replace(part, path)
                new.append(path)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {_reason(error)}; {_changed(new)}") from None
        for folder in {path.parent for path in contents}:
            _flush_folder(folder)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's bytes to `target`, whole or not at all."""
    with open(source, "rb") as file, whole(target) as part:
        shutil.copyfileobj(file, part, 1 << 20)


def _changed(new: Sequence[Path]) -> str:
    """Say which files are new after a failure."""
    if not new:
        return "nothing was changed"
    return f"new: {first_names([str(path) for path in new])}; the other outputs are unchanged"


def _flush(file: BinaryIO) -> None:
    """Bring a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())
    if os.name == "nt":
        file.close()  # Windows renames no open file.


def _flush_folder(folder: Path) -> None:
    """Make renames outlast a power failure, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _try_out(folder: Path) -> None:
    make_folder(folder)
    remove_leftovers(folder)
    with temporary_file(folder):
        pass


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or "unknown reason").lower()


def _blocked(folder: Path, error: OSError) -> str:
    """Say why nothing can be made in `folder`; "file exists" would puzzle where a parent is a file."""
    file = next((parent for parent in (folder, *folder.parents) if parent.exists() and not parent.is_dir()), None)
    return f"{file} is a file" if file else _reason(error)


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
