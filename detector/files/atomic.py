"""Write files whole or not at all; check where outputs go; digests.

A file is written under a temporary name beside its target, flushed to the disk, and renamed with `os.replace`. A run
that fails removes its temporary files. One that is killed leaves them: hidden files that nothing reads.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from detector import InputError, first_names

# Short: the name of the file that it becomes may be as long as the system allows.
NAME = ".covid19-{}.part"

_unfinished: set[Path] = set()
_made: list[Path] = []  # folders, parents first


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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


def require_outputs(paths: Mapping[str, Path]) -> None:
    """Reject output files, named by their flags, that could not be written or would overwrite each other."""
    flags: dict[str, str] = {}
    for flag, path in paths.items():
        # Unlike `resolve`, this does not mind a link that leads in a circle.
        other = flags.setdefault(os.path.realpath(path), flag)
        if other != flag:
            raise InputError(f"{flag} and {other} both name {path}; give each a file of its own")
        with _tried_out(path.parent, f"{flag} {path}"):
            # A name that is too long, or that this system does not allow, shows only when it is asked for.
            if path.is_dir():
                raise InputError(f"{flag} {path} is a folder; give the name of a file to write")


def require_folder(path: Path) -> None:
    """Reject an output folder that could not be written later; it is made if it is missing."""
    with _tried_out(path, path):
        pass


@contextmanager
def _tried_out(folder: Path, name: object) -> Iterator[None]:
    """Make a folder and a file in it, before any work is done: permission bits do not show what a mount or an ACL does.

    What goes wrong, then or in the block, is an error that begins with `name`.
    """
    try:
        make_folder(folder)
        with temporary(folder) as part:
            part.touch()
        yield
    except OSError as error:
        # "File exists" would puzzle where a parent is a file.
        file = next((one for one in (folder, *folder.parents) if one.exists() and not one.is_dir()), None)
        reason = f"{file} is a file" if file else _reason(error)
        raise InputError(f"{name} cannot be written: {reason}; choose another place") from None


@contextmanager
def temporary(parent: Path) -> Iterator[Path]:
    """Give a free path in a folder; what is there when the block ends is removed."""
    path = parent / NAME.format(secrets.token_hex(8))
    _unfinished.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _unfinished.discard(path)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Replace several files that belong together, once all of them are on the disk under temporary names.

    Where that fails, the `InputError` says which files are new: none, unless the failure came between two renames.
    """
    path, new = Path(), []
    with ExitStack() as stack:
        try:
            parts = {}
            for path, data in contents.items():
                parts[path] = stack.enter_context(temporary(path.parent))
                with open(parts[path], "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            for path, part in parts.items():
                os.replace(part, path)
                new.append(str(path))
        except OSError as error:
            changed = f"new: {first_names(new)}; the other outputs are unchanged" if new else "nothing was changed"
            raise InputError(f"{path} cannot be written: {_reason(error)}; {changed}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or "unknown reason").lower()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
