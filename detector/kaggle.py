"""D. S. Kermany's chest radiographs of children, as Kaggle distributes them ("Chest X-Ray Images (Pneumonia)").

Reference: D. Kermany, K. Zhang, M. Goldbaum, "Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for
Classification", Mendeley Data (2018), CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from detector import InputError
from detector.radiographs import find

SOURCE = "chest-xray-pneumonia"
HANDLE = "paultimothymooney/chest-xray-pneumonia"
LICENCE = "CC BY 4.0"
URL = "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia"
FINDINGS = {"NORMAL": "No Finding", "PNEUMONIA": "Pneumonia"}

_NAMES = (
    re.compile(r"(?:NORMAL2-)?IM-(\d+)-\d+", re.ASCII),
    re.compile(r"(person\d+)_(?:virus|bacteria)_\d+", re.ASCII),
)


def patient(name: str) -> str | None:
    """Return the patient that a file name of the data set tells, or None where it tells none.

    Parameters
    ----------
    name : str
        Such as ``NORMAL2-IM-1179-0001.jpeg`` (patient 1179) or ``person101_virus_187.jpeg`` (person101).

    Returns
    -------
    str or None
    """
    for pattern in _NAMES:
        if match := pattern.match(name):
            return match[1]
    return None


def locate(folder: Path, split: str, label: str) -> Path:
    """Return the folder of a split and class, in whichever of its nested copies of itself the zip left the data set.

    Raises
    ------
    InputError
        If there is none.
    """
    for root in (folder, folder / "chest_xray", folder / "chest_xray" / "chest_xray"):
        if (root / split / label).is_dir():
            return root / split / label
    raise InputError(f"{folder} has no folder {split}/{label}; is it Kaggle's chest_xray, unpacked?")


def fetch() -> Path:
    """Get the data set through `kagglehub`, which keeps it in its own cache.

    Raises
    ------
    InputError
        If kagglehub is not installed or cannot get it.
    """
    by_hand = f"or download {URL} with a browser, unpack it and give its folder with -k"
    try:
        import kagglehub
    except ImportError:
        raise InputError(f"no -k given, and kagglehub is not installed: pip install kagglehub, {by_hand}") from None
    try:
        return Path(kagglehub.dataset_download(HANDLE))
    # kagglehub lets whatever its transport raises through; the user's way out is the same for all.
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"kagglehub cannot get the data set ({reason[:200]}); try again later, {by_hand}") from None


def draw(folder: Path, sample: int, seed: int, one_per_patient: bool) -> list[Path]:
    """Draw images at random, the same ones on every machine.

    Each image is ranked by a hash of the seed and its name, so that neither the order in which a file system lists
    them nor the version of a random generator has a say.

    Parameters
    ----------
    folder : Path
        Of one class.
    sample : int
        How many.
    seed : int
    one_per_patient : bool
        Draw a single image of each patient; an image whose name tells no patient counts as a patient of its own.

    Returns
    -------
    list of Path
        Sorted.

    Raises
    ------
    InputError
        If there are fewer.
    """
    images = sorted(find(folder), key=lambda path: _rank(seed, path.name))
    if one_per_patient:
        first: dict[str, Path] = {}
        for path in images:
            first.setdefault(patient(path.name) or path.name, path)
        images = list(first.values())
    if sample > len(images):
        more = "; --any draws several of a patient" if one_per_patient else ""
        kind = "patients" if one_per_patient else "images"
        raise InputError(f"--sample {sample} asks for more than the {len(images)} {kind} in {folder}{more}")
    return sorted(images[:sample])


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()


def manifest_rows(
    images: Sequence[Path], label: str, kaggle_class: str, digests: Sequence[str]
) -> list[dict[str, str]]:
    """Return the manifest's rows of the images drawn."""
    return [
        {
            "file": path.name,
            "label": label,
            "patient": patient(path.name) or path.stem,
            "view": "",  # anterior-posterior or posterior-anterior: the data set does not say
            "finding": FINDINGS.get(kaggle_class, kaggle_class),
            "source": SOURCE,
            "licence": LICENCE,
            "url": URL,
            "sha256": digest,
        }
        for path, digest in zip(images, digests, strict=True)
    ]
