"""Write a file whole or not at all; digests."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from detector import InputError

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be deleted there, which is all that the lock is for.
    fcntl = None


# What is being written and has no name of its own yet; removed when a signal ends the run.
_unfinished: set[Path] = set()


def abandon() -> None:
    """Remove everything that is half-written, when a run ends without unwinding."""
    for path in list(_unfinished):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards, even if a signal ends the run."""
    with tempfile.TemporaryDirectory() as name:
        _unfinished.add(Path(name))
        try:
            yield Path(name)
        finally:
            _unfinished.discard(Path(name))


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def require_writable(path: Path) -> None:
    """Refuse a place that could not be written later, before any work is done.

    Missing parent folders are made. Permission bits do not tell what a read-only mount or an ACL will do, so a file is
    really made and removed.

    Raises
    ------
    InputError
        If `path` is a folder, if a parent is a file, or if nothing can be made there.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {_blocked(path.parent, error)}; choose another place") from None


def require_outputs(paths: Mapping[str, Path]) -> None:
    """Refuse output files, named by their flags, that could not be written or would overwrite each other.

    Raises
    ------
    InputError
    """
    flags: dict[Path, str] = {}
    for flag, path in paths.items():
        other = flags.setdefault(path.resolve(), flag)
        if other != flag:
            raise InputError(f"{flag} and {other} both name {path}; give each a file of its own")
        try:
            require_writable(path)
        except InputError as error:
            raise InputError(f"{flag} {error}") from None


def require_folder(path: Path) -> None:
    """Refuse an output folder that could not be written later; it is made if it is missing.

    Raises
    ------
    InputError
        If `path` is a file, or nothing can be made in it.
    """
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the name of a folder to write to")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written to: {_blocked(path, error)}; choose another folder") from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary name in `path`'s folder; put it in `path`'s place when the block ends well.

    If the block raises, the temporary file is removed and `path` is as it was. A run that was killed leaves its
    temporary file behind; it is unlocked then, and the next writer of the same `path` removes it.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    Path
        The temporary file, of the same suffix, already made and empty.
    """
    with ExitStack() as stack:
        part = _new_part(path, stack)
        try:
            yield part
            _to_disk(part)
            os.replace(part, path)
            _unfinished.discard(part)
        except BaseException:
            _remove(part)
            raise


def write_together(writers: Mapping[Path, Callable[[Path], object]]) -> None:
    """Write several files that belong together: every one of them, or none.

    All are written under temporary names first; only when the last is on the disk are they renamed.

    Parameters
    ----------
    writers : mapping of Path to callable
        For each file, what writes it, given the name to write to.

    Raises
    ------
    InputError
        If the disk is full or a folder has become unwritable; no file has been changed then.
    """
    with ExitStack() as stack:
        parts: dict[Path, Path] = {}
        try:
            for path, write in writers.items():
                parts[path] = _new_part(path, stack)
                write(parts[path])
                _to_disk(parts[path])
            for path, part in parts.items():
                os.replace(part, path)
                _unfinished.discard(part)
        except BaseException as error:
            for part in parts.values():
                _remove(part)
            if isinstance(error, OSError):
                raise InputError(f"{path} cannot be written: {_reason(error)}; nothing was changed") from None
            raise


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's bytes to `target`, whole or not at all."""
    with whole(target) as part:
        shutil.copyfile(source, part)


def write_whole(data: bytes, target: Path) -> None:
    """Write bytes to `target`, whole or not at all."""
    with whole(target) as part:
        part.write_bytes(data)


def sweep(path: Path) -> None:
    """Remove what killed runs left behind while they wrote `path`."""
    for orphan in path.parent.glob(f".{_escape(path.stem)}.*.part{_escape(path.suffix)}"):
        with suppress(OSError), open(orphan, "rb") as file:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            orphan.unlink()


def _remove(part: Path) -> None:
    with suppress(OSError):
        part.unlink()
    _unfinished.discard(part)


def _new_part(path: Path, stack: ExitStack) -> Path:
    """Make the temporary file for `path`, locked until `stack` closes."""
    sweep(path)
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".part{path.suffix}", dir=path.parent)
        _unfinished.add(Path(name))
        stack.callback(os.close, descriptor)
        if not fcntl:
            break
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Another run may have swept it between these two lines, when it was not locked yet.
        if os.fstat(descriptor).st_nlink:
            break
    if fcntl:
        # mkstemp makes files private; an output has the permissions that the user's umask gives.
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
    return Path(name)


def _to_disk(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or "unknown reason").lower()


def _blocked(folder: Path, error: OSError) -> str:
    """Say why nothing can be made in `folder`; "file exists" would puzzle where a parent is a file."""
    file = next((parent for parent in (folder, *folder.parents) if parent.exists() and not parent.is_dir()), None)
    return f"{file} is a file" if file else _reason(error)


def _escape(text: str) -> str:
    return "".join(f"[{c}]" if c in "[]*?" else c for c in text)
