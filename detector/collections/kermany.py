"""D. S. Kermany's chest radiographs of children, as Kaggle distributes them ("Chest X-Ray Images (Pneumonia)").

Reference: D. Kermany, K. Zhang, M. Goldbaum, "Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
Classification", Mendeley Data (2018), CC BY 4.0. Its third version has other file names.
"""

from __future__ import annotations

import re
from pathlib import Path

from detector import InputError
from detector.collections.record import ImageRecord
from detector.images.listing import list_images

SOURCE = "chest-xray-pneumonia"
HANDLE = "paultimothymooney/chest-xray-pneumonia"
LICENCE = "CC BY 4.0"
URL = "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia"
LOOKED_FOR = "train/NORMAL"
SPLITS = ("train", "test", "val")
# Of patients of one to five years, Guangzhou Women and Children's Medical Center.
ARE_CHILDREN = True
CLASSES = {"NORMAL": "No Finding", "PNEUMONIA": "Pneumonia"}
# What a file name says of a pneumonia.
KINDS = {"virus": "Pneumonia/Viral", "bacteria": "Pneumonia/Bacterial"}

_NAMES = (
    re.compile(r"(?:NORMAL2-)?IM-(\d{4})-\d{4}(?:-\d{4})?\.jpeg", re.ASCII),
    re.compile(r"(person\d+)_(?:virus|bacteria)_\d+\.jpeg", re.ASCII),
    # The third version, at Mendeley Data.
    re.compile(r"(?:NORMAL|VIRUS|BACTERIA)-(\d+)-\d{4}\.jpeg", re.ASCII),
)


def patient(name: str) -> str | None:
    """Return the patient that a file name of the data set contains, or None.

    Only whole names count, with the suffix that the data set has: programs that export DICOM name files
    ``IM-0001-0001.dcm`` or ``.jpg``.

    Parameters
    ----------
    name : str
        Such as ``NORMAL2-IM-1179-0001.jpeg`` (1179), ``person101_virus_187.jpeg`` (person101) or, in the version
        at Mendeley Data, ``BACTERIA-1008087-0001.jpeg`` (1008087).

    Returns
    -------
    str or None
    """
    for pattern in _NAMES:
        if match := pattern.fullmatch(name):
            return match[1]
    return None


def is_here(folder: Path) -> bool:
    """Return whether a folder is the data set, unpacked."""
    return any((root / split).is_dir() for root in _roots(folder) for split in SPLITS)


def read(folder: Path, finding: str, split: str = "train") -> list[ImageRecord]:
    """Return the images of a finding and split.

    Parameters
    ----------
    folder : Path
    finding : str
        ``normal``, ``pneumonia``, ``virus``, ``bacteria``, or the name of a class folder.
    split : str, default="train"

    Returns
    -------
    list of ImageRecord

    Raises
    ------
    InputError
        If there is no such folder.
    """
    kind = next((name for name in KINDS if name == finding.lower()), None)
    label = "PNEUMONIA" if kind else next((name for name in CLASSES if name == finding.upper()), finding)
    root = locate(folder, split, label)
    images = [path for path in list_images(root).images if kind is None or _is_of_kind(path.name, kind)]
    return [
        ImageRecord(
            path.name,
            path.parent.relative_to(folder).as_posix(),
            path.name,
            patient(path.name) or path.stem,
            "",  # anterior-posterior or posterior-anterior: the data set does not say
            KINDS[kind] if kind else CLASSES.get(label, label),
            SOURCE,
            SOURCE,
            LICENCE,
            URL,
        )
        for path in images
    ]


def _is_of_kind(name: str, kind: str) -> bool:
    return f"_{kind}_" in name or name.startswith(f"{kind.upper()}-")


def locate(folder: Path, split: str, label: str) -> Path:
    """Return the folder of a split and class, in whichever of its nested copies of itself the zip left the data set.

    Raises
    ------
    InputError
        If there is none.
    """
    for root in _roots(folder):
        if (root / split / label).is_dir():
            return root / split / label
    raise InputError(
        f"{folder} has no folder {split}/{label}; is it Kaggle's chest_xray, unpacked? --finding takes normal, "
        "pneumonia, virus and bacteria there"
    )


def _roots(folder: Path) -> tuple[Path, ...]:
    return folder, folder / "chest_xray", folder / "chest_xray" / "chest_xray"


def fetch() -> Path:
    """Get the data set through `kagglehub`, which keeps it in its own cache.

    Raises
    ------
    InputError
        If kagglehub cannot get it.
    """
    try:
        import kagglehub

        return Path(kagglehub.dataset_download(HANDLE))
    # kagglehub lets whatever its transport raises through; the user's way out is the same for all.
    except Exception as error:
        raise InputError(
            f"kagglehub cannot get the data set ({in_a_clause(error)}); try again later, or download {URL} with a "
            "browser, unpack it and give its folder with -k"
        ) from None


def in_a_clause(error: BaseException) -> str:
    """Return why a transport failed, in a few words: its innermost reason, without addresses of objects in memory."""
    seen = set()
    while (inner := error.__cause__ or error.__context__ or _reason_within(error)) and id(inner) not in seen:
        seen.add(id(inner))
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = (str(error) or type(error).__name__).splitlines()[0]
    # What urllib3 says after the object that failed: "<…HTTPSConnection object at 0x7f…>: Failed to …".
    text = re.sub(r"^.*object at 0x[0-9a-f]+>:?\s*", "", text)
    return text.strip(" '\")(,")[:100] or type(error).__name__


def _reason_within(error: BaseException) -> BaseException | None:
    """Return the exception that another holds as its argument, as requests' and urllib3's do."""
    held = [getattr(error, "reason", None), *error.args]
    return next((one for one in held if isinstance(one, BaseException)), None)
