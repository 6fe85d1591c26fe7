"""List the image files of folders as people have them; what is left out is counted by reason."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from imutils.paths import list_files

from detector import counted
from detector.images.dicom import is_dicom

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom")
HEAD_BYTES = 1024
MASKS = re.compile(r"(?i:(?:^|[^a-z])masks?)(?![a-z])|[a-z]Masks?(?![a-z])")  # in a folder's name, as a word
# Names of files that were drawn from an image beside them, as find_lungs.py writes them.
DRAWN = re.compile(r"(.+)[ _-](mask|overlay)")
# Files and folders that Windows, macOS, Linux and storage servers (Synology, QNAP) put beside those of the user.
SYSTEM = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "system volume information"}
    | {"lost+found", "@eadir", "#recycle", "@recycle", "#snapshot"}
)
# Our own file beside images.
OURS = "manifest.csv"
# Media storage SOP classes (DICOM PS3.4, B.5) of files that hold no image.
WITHOUT_IMAGE = (
    b"1.2.840.10008.1.3.10",  # a directory of files
    b"1.2.840.10008.5.1.4.1.1.88.",  # structured reports, key objects
    b"1.2.840.10008.5.1.4.1.1.11.",  # presentation states
    b"1.2.840.10008.5.1.4.1.1.104.",  # documents
    b"1.2.840.10008.5.1.4.1.1.9.",  # waveforms
)
# The first bytes of formats that are read.
READ = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
NAMED = {
    (".nii", ".nii.gz", ".mhd", ".mha", ".nrrd"): "NIfTI or the like (a format that is not read)",
    (".gif", ".jp2", ".ppm", ".pgm", ".heic", ".heif", ".avif", ".psd", ".pdf"): "of a format that is not read",
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"): "archives: unpack them",
}
SINGULAR = {"masks": "mask", "overlays": "overlay", "archives: unpack them": "archive: unpack it"}


@dataclass
class Listing:
    """The image files below a folder, sorted, and how many other files are there for which reason."""

    images: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def note(self) -> str:
        """How many files were left out for which reason, in one line; empty where none was."""
        if not self.left_out:
            return ""
        each = [
            f"{n} {SINGULAR.get(reason, reason) if n == 1 else reason}" for reason, n in sorted(self.left_out.items())
        ]
        return f"{counted(sum(self.left_out.values()), 'file')} left out: {', '.join(each)}"


def list_images(folder: Path) -> Listing:
    """List the image files below a folder, whatever order the file system has them in.

    An image is recognised by its suffix or its first bytes. A folder whose name has the word mask (``masks``,
    ``Lung-Masks``, ``leftMask``) holds none, unless it is the folder asked for, and neither do masks and overlays that
    are named after an image beside them: ``1_mask.png`` beside ``1.png``. A linked folder is followed; one that was
    listed already is left out, so that a loop of links ends. A folder that is named like an image is listed, so that
    `read` can reject it by name.
    """
    listing, seen = Listing(), {os.path.realpath(folder)}
    closed = ["in a folder that cannot be opened"]
    for root, folders, files in os.walk(folder, onerror=lambda _: listing.left_out.update(closed), followlinks=True):
        where = Path(root)
        inside = sorted((where / name for name in folders), key=lambda path: (path.is_symlink(), path.name))
        folders[:] = [path.name for path in inside if _is_entered(path, listing, seen)]
        stems = {Path(name).stem.lower() for name in files}
        for name in (one for one in files if one.lower() != OURS):
            if reason := _drawn_from(name, stems) or _skipped(name) or why_no_image(where / name):
                listing.left_out[reason] += 1
            else:
                listing.images.append(where / name)
    listing.images.sort(key=lambda path: path.as_posix())
    return listing


def _is_entered(path: Path, listing: Listing, seen: set[str]) -> bool:
    """Return whether a folder's files are listed; else they are counted."""
    real = os.path.realpath(path)
    if reason := _skipped(path.name) or ("masks" if MASKS.search(path.name) else ""):
        listing.left_out[reason] += max(1, sum(1 for _ in list_files(path)))
    elif path.suffix.lower() in SUFFIXES:
        listing.images.append(path)
    elif real in seen:
        listing.left_out["in a linked folder that is listed already"] += 1
    else:
        seen.add(real)
        return True
    return False


def _drawn_from(name: str, stems: Collection[str]) -> str:
    """Return what a file is that is named after an image beside it, such as ``1_mask.png``; empty for any other."""
    match = DRAWN.fullmatch(Path(name).stem.lower())
    return f"{match[2]}s" if match and match[1] in stems else ""


def _skipped(name: str) -> str:
    if name.lower() in SYSTEM:
        return "of the system"
    return "hidden" if name.startswith(".") else ""


def why_no_image(path: Path) -> str:
    """Return why a file is not listed as an image; empty for one that is.

    A file with the suffix of an image is one, whatever it holds: `read` names it where that is wrong.
    """
    suffix = path.suffix.lower()
    by_name = suffix in SUFFIXES
    if path.name.upper() == "DICOMDIR":
        return "DICOM without an image"
    if by_name and suffix not in (".dcm", ".dicom"):
        return ""
    head = b""
    with suppress(OSError):
        if path.is_file():
            with open(path, "rb") as file:
                head = file.read(HEAD_BYTES)
    if is_dicom(head) and any(uid in head for uid in WITHOUT_IMAGE):
        return "DICOM without an image"
    if by_name or is_dicom(head) or head.startswith(READ) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return ""
    return next((kind for ends, kind in NAMED.items() if path.name.lower().endswith(ends)), "not an image")
