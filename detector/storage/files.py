"""Write files whole or not at all; check where outputs go; digests.

A file is written under a temporary name beside its target, flushed to the disk, and renamed with `os.replace`. A run
that fails removes its temporary files; what a killed run left is removed when the next one checks the folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from detector import InputError, first_names
from detector.storage.locks import locked_folders
from detector.storage.temporary import make_folder, remove_leftovers, temporary_file


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
