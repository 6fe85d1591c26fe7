"""One file in two classes, rows of other files, and one patient under several numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detector import InputError, counted, first_names
from detector.datasets.dataset import Image
from detector.datasets.folders import FOLDER, class_of

NUMBER = re.compile(r"0*(\d+)(?:\.0+)?", re.ASCII)


def require_one_class(images: Sequence[Image], digests: Sequence[str]) -> None:
    """Reject a data set in which two classes hold the same file.

    Parameters
    ----------
    images : sequence of Image
    digests : sequence of str
        SHA-256 of each.

    Raises
    ------
    InputError
        The sentence names both files.
    """
    first: dict[tuple[str, str], Image] = {}
    for image, digest in zip(images, digests, strict=True):
        if class_of(Path(image.file).parts[:-1]) != image.label:
            continue  # of a folder that is no class of this data set, such as controls
        root = image.path.as_posix().removesuffix(image.file)
        other = first.setdefault((root, digest), image)
        if other.label != image.label:
            raise InputError(
                f"{other.path} and {image.path} are the same file in two classes; remove it from the class where it "
                "is wrong"
            )


def require_own_rows(images: Sequence[Image], digests: Sequence[str]) -> None:
    """Reject a manifest whose rows stand beside other files of its folder than they were written for.

    One column that was sorted by itself gives every image another one's patient, view and site.

    Parameters
    ----------
    images : sequence of Image
    digests : sequence of str
        SHA-256 of each.

    Raises
    ------
    InputError
    """
    here = {(image.path.parent, digest): image for image, digest in zip(images, digests, strict=True)}
    for image, digest in zip(images, digests, strict=True):
        said = image.row.get("sha256", "").lower()
        if said != digest and (other := here.get((image.path.parent, said))):
            raise InputError(
                f"{image.path.parent}/manifest.csv has the SHA-256 of {other.path.name} in the row of "
                f"{image.path.name}: a column was sorted by itself, or files were renamed; restore the manifest, or "
                "write it anew"
            )


def patients(images: Sequence[Image], digests: Sequence[str]) -> np.ndarray:
    """Return which patient each image is of, as far as it is known.

    An image of unknown patient counts as a patient of its own. Patients that share an image, byte for byte,
    are one person under two numbers, and so are names that are written differently: ``1``, ``001`` and ``1.0``.

    Parameters
    ----------
    images : sequence of Image
    digests : sequence of str
        SHA-256 of each.

    Returns
    -------
    ndarray of shape (n,), str
        Equal where the patient is the same.
    """
    names = [image.patient or f"unknown/{image.file}" for image in images]
    first: dict[tuple[str, str], int] = {}
    written = [as_written(image.patient) if image.patient else name for image, name in zip(images, names, strict=True)]
    same = [[("digest", digest) for digest in digests], [("name", name) for name in written]]
    return merged(names, [(first.setdefault(key, row), row) for keys in same for row, key in enumerate(keys)])


def as_written(patient: str) -> str:
    """Return a patient's name as tables may write it that went through a spreadsheet program: one of ways, for all.

    Letter case, leading zeros, a decimal ``.0`` and the formula ``="1"`` do not make another person.

    Parameters
    ----------
    patient : str
        With the data set before it, such as ``"cohen/7"``.
    """
    source, _, name = unicodedata.normalize("NFKC", patient).casefold().partition("/")
    plain = re.sub(r'^="(.*)"$', r"\1", name.strip()).strip()
    number = NUMBER.fullmatch(plain)
    return f"{source.strip()}/{number[1] if number else plain}"


def merged(names: Sequence[str] | np.ndarray, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the patient of each image once the patients of each pair of images are one.

    Parameters
    ----------
    names : sequence of str
        The patient of each image.
    pairs : iterable of (int, int)
        Images of one person: the same file, or near duplicates.

    Returns
    -------
    ndarray of shape (n,), str
        Of patients that became one, the first name in order of letters.
    """
    groups: dict[str, str] = {}

    def root(name: str) -> str:
        while groups.setdefault(name, name) != name:
            name = groups[name]
        return name

    for one, other in pairs:
        first, second = sorted((root(names[one]), root(names[other])))
        groups[second] = first
    return np.array([root(name) for name in names])


LONG_NUMBER = re.compile(r"\d{6}", re.ASCII)
EXACT, NEAR, PATIENT = "the same file", "a near duplicate", "the same patient"


@dataclass(frozen=True)
class Overlap:
    """The images of one data set that are in another.

    Attributes
    ----------
    reasons : dict of int to str
        Position among the images that were looked at → `EXACT`, `NEAR` or `PATIENT`, the first that holds.
    changes : dict of int to str
        Of near duplicates that are not as they were: what was changed, such as ``"mirrored"``.
    """

    reasons: dict[int, str]
    changes: dict[int, str] = field(default_factory=dict)

    def describe(self, images: Sequence[Image], where: str = "the training set") -> str:
        """Return how many images are in the other data set and the first of them; empty where there are none."""
        if not self.reasons:
            return ""
        counts = {reason: sum(one == reason for one in self.reasons.values()) for reason in (EXACT, NEAR, PATIENT)}
        why = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
        files = {row: images[row].file for row in sorted(self.reasons)}
        names = first_names(
            [f"{file} ({self.changes[row]})" if row in self.changes else file for row, file in files.items()], 10
        )
        return f"{counted(len(self.reasons), 'image')} also in {where} ({why}): {names}"


def find_overlap(
    images: Sequence[Image],
    digests: Sequence[str],
    others: Sequence[Image],
    other_digests: Collection[str],
    near: Mapping[int, str] | None = None,
) -> Overlap:
    """Find the images that are in another data set.

    Parameters
    ----------
    images : sequence of Image
        Those to look at, such as an external test set.
    digests : sequence of str
        SHA-256 of each.
    others : sequence of Image
        Those trained on.
    other_digests : collection of str
        Their SHA-256.
    near : dict of int to str, optional
        Positions of `images` that are near duplicates of one of `others`, with what was changed; empty for nothing.

    Returns
    -------
    Overlap
    """
    patients = {as_written(image.patient) for image in others if image.patient and _is_of_one_collection(image.patient)}
    known = set(other_digests)
    reasons, near = {}, near or {}
    for row, (image, digest) in enumerate(zip(images, digests, strict=True)):
        if digest in known:
            reasons[row] = EXACT
        elif row in near:
            reasons[row] = NEAR
        elif image.patient and as_written(image.patient) in patients:
            reasons[row] = PATIENT
    changes = {row: change for row, change in near.items() if change and reasons[row] == NEAR}
    return Overlap(reasons, changes)


def _is_of_one_collection(patient: str) -> bool:
    """Return whether a patient's name means the same person in another data set.

    A number without its collection (``/1``), or that of a folder (``folder/patient12``), is given out by everyone anew;
    one of six digits and more is a collection's.
    """
    source, _, name = patient.partition("/")
    return source != "" and (source != FOLDER or LONG_NUMBER.search(name) is not None)
