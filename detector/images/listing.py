"""List the image files of folders as people have them; what is left out is counted by reason."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from detector import counted
from detector.files.recognise import not_read
from detector.images.dicom import is_dicom
from detector.images.read import SUFFIXES

HEAD_BYTES = 1024
# How folders of masks and other drawings are called, and those of CT and MR. Masks in English, German, Spanish and
# Portuguese, French, Italian, Polish, Turkish, Russian and Chinese; without accents.
MASK = (
    "masks?|masken?|mascaras?|masques?|mascher[ae]|mask[ai]|maskeler|маск[аи]|掩[码膜碼]"
    "|segmentations?|segmenta(?:cao|coes|cion(?:es)?|zion[ei])"
)
MASKS = re.compile(
    rf"(?:.*(?:{MASK}|groundtruths?|annotations?|contours?|heatmaps?|gradcams?|overlays?)|gts?|segs?|labels?)\d*"
    rf"|(?:{MASK})(?:lungs?|images?|imgs?|pngs?|left|right|data)"
)
MASK_WORD = re.compile(rf"(?:{MASK})\d*")
# As a word of a name, such as ``CT_COVID`` and ``CT_NonCOVID``, the classes of a collection of CT slices.
MODALITIES = frozenset({"ct", "hrct", "mri"})
OTHER_MODALITY = re.compile(r"(?:chest|lung)?(ct|mri|ultrasound)(?:scans?|images?|slices?)?")
# Names of files that were drawn from an image beside them, such as ``find_lungs.py`` writes.
DRAWING = rf"{MASK}|seg|gt|overlays?|heatmaps?|gradcam"
DRAWN = (
    re.compile(rf"(?P<image>.+?)[ _.-]*(?P<kind>{DRAWING})"),
    re.compile(rf"(?P<kind>{DRAWING})[ _.-]+(?P<image>.+)"),
)
# Files and folders that Windows, macOS, Linux and storage servers (Synology, QNAP) put beside those of the user.
SYSTEM = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin", "system volume information"}
    | {"lost+found", "@eadir", "#recycle", "@recycle", "#snapshot"}
)
# Our own files beside images.
OURS = frozenset({"manifest.csv"})
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
NIFTI = (".nii", ".nii.gz", ".mhd", ".mha", ".nrrd")


@dataclass
class Listing:
    """The image files below a folder, and what else is there.

    Attributes
    ----------
    images : list of Path
        Sorted.
    left_out : Counter
        Reason → number of files.
    """

    images: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def note(self) -> str:
        """What was left out, in one line; empty where nothing was."""
        return left_out_line(self.left_out)


def left_out_line(left_out: Counter[str]) -> str:
    """Return how many files were left out for which reason, in one line; empty where there are none."""
    if not left_out:
        return ""
    # A reason of one word is a noun in the plural, such as "masks", or has no "s".
    reasons = ", ".join(
        f"{count} {reason.removesuffix('s') if count == 1 and reason.isalpha() else reason}"
        for reason, count in sorted(left_out.items())
    )
    return f"{counted(sum(left_out.values()), 'file')} left out: {reasons}"


def list_images(folder: Path, skip_masks: bool = True) -> Listing:
    """List the image files below a folder, whatever order the file system has them in.

    An image is recognised by its suffix or its first bytes. A linked folder is followed; one that was listed already is
    left out, so that a loop of links ends. A folder that is named like an image is listed, so that `read` can reject it
    by name.

    Parameters
    ----------
    folder : Path
    skip_masks : bool, default=True
        Leave out folders of masks and of other modalities: ``masks``, ``Lung-Masks``, ``leftMask``, ``CT``. The folder
        itself may be one. Leave out, too, masks and overlays that are named after an image beside them: ``1_mask.png``
        beside ``1.png``.

    Returns
    -------
    Listing
    """
    listing = Listing()
    _walk(folder, {os.path.realpath(folder)}, listing, skip_masks)
    listing.images.sort(key=lambda path: path.as_posix())
    return listing


def _walk(folder: Path, seen: set[str], listing: Listing, skip_masks: bool) -> None:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError:
        listing.left_out["in a folder that cannot be opened"] += 1
        return
    stems = {without_accents(Path(entry.name).stem.lower()) for entry in found}
    for entry in found:
        path = folder / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if not is_folder:
            if skip_masks and (kind := _drawn_from(without_accents(path.stem.lower()), stems)):
                listing.left_out[kind] += 1
            else:
                _add(path, listing)
        elif reason := _skipped(entry.name) or (_drawn_or_other(entry.name) if skip_masks else ""):
            listing.left_out[reason] += _count(path)
        elif entry.name.lower().endswith(SUFFIXES):
            listing.images.append(path)
        elif (real := os.path.realpath(path)) in seen:
            listing.left_out["in a linked folder that is listed already"] += 1
        else:
            seen.add(real)
            _walk(path, seen, listing, skip_masks)


def _drawn_from(stem: str, stems: Collection[str]) -> str:
    """Return what a file is that is named after an image beside it, such as ``1_mask.png``; empty for any other."""
    for pattern in DRAWN:
        if (match := pattern.fullmatch(stem)) and match["image"] in stems:
            return "overlays" if match["kind"].startswith(("overlay", "heatmap", "gradcam")) else "masks"
    return ""


def _drawn_or_other(folder: str) -> str:
    """Return why a folder's files are left out by its name: masks, or images of another modality; empty for others."""
    words = re.split(r"[ _.-]+", without_accents(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", folder)).lower())
    name = "".join(words)
    if MASKS.fullmatch(name) or any(MASK_WORD.fullmatch(word) for word in words):
        return "masks"
    match = OTHER_MODALITY.fullmatch(name)
    other = match[1] if match else next((word for word in words if word in MODALITIES), "")
    return f"of another modality ({other})" if other else ""


def without_accents(name: str) -> str:
    """Return a name without accents, whether its letters are stored with them or apart."""
    if name.isascii():
        return name
    return "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))


def _add(path: Path, listing: Listing) -> None:
    if path.name.lower() in OURS:
        return
    reason = _skipped(path.name) or why_no_image(path)
    if reason:
        listing.left_out[reason] += 1
    else:
        listing.images.append(path)


def _skipped(name: str) -> str:
    if name.lower() in SYSTEM:
        return "of the system"
    return "hidden" if name.startswith(".") else ""


def _count(folder: Path) -> int:
    from imutils.paths import list_files

    return max(1, sum(1 for _ in list_files(folder)))


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
    head = _head(path)
    if any(head.startswith(mark) for mark in READ) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return ""
    if is_dicom(head):
        return "DICOM without an image" if any(uid in head for uid in WITHOUT_IMAGE) else ""
    if by_name:
        return ""
    if kind := not_read(head):
        return f"{kind} (a format that is not read)"
    if path.name.lower().endswith(NIFTI):
        return "NIfTI or the like (a format that is not read)"
    return "not an image"


def is_dicom_file(path: Path) -> bool:
    """Return whether a file is DICOM, by its first bytes."""
    return is_dicom(_head(path))


def _head(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""
