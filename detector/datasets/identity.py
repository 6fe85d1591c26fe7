"""One file in two classes, rows of other files, one patient under several numbers, and images of another data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from detector import InputError, counted, first_names
from detector.datasets.dataset import PATH, Image
from detector.datasets.manifest import NAME
from detector.files.values import person

EXACT, NEAR, PATIENT = "the same file", "a near duplicate", "the same patient"


def require_one_class(images: Sequence[Image], digests: Sequence[str]) -> None:
    """Reject a data set in which two classes hold the same file; `digests` are the SHA-256 of each."""
    first: dict[tuple[str, str], Image] = {}
    for image, digest in zip(images, digests, strict=True):
        root = image.path.as_posix().removesuffix(image.file)
        other = first.setdefault((root, digest), image)
        # The folder of a class may be given as controls, too.
        if other.label != image.label and other.path != image.path:
            raise InputError(
                f"{other.path} and {image.path} are the same file in two classes; remove it from the class where it "
                "is wrong"
            )


def require_own_rows(images: Sequence[Image], digests: Sequence[str]) -> None:
    """Reject a manifest whose rows stand beside other files of its folder than they were written for.

    One column that was sorted by itself gives every image another one's patient, view and site.
    """
    here = {(image.path.parent, digest): image for image, digest in zip(images, digests, strict=True)}
    for image, digest in zip(images, digests, strict=True):
        said = image.row.get("sha256", "").lower()
        if said != digest and (other := here.get((image.path.parent, said))):
            raise InputError(
                f"{image.path.parent / NAME} has the SHA-256 of {other.path.name} in the row of "
                f"{image.path.name}: a column was sorted by itself, or files were renamed; restore the manifest, or "
                "write it anew"
            )


def patients(images: Sequence[Image], digests: Sequence[str]) -> np.ndarray:
    """Return which patient each image is of, shape (n,), str: equal where the patient is the same.

    An image of unknown patient counts as a patient of its own. Patients that share an image, byte for byte,
    are one person under two numbers, and so are names that are written differently: ``1``, ``001`` and ``1.0``.
    """
    names = [image.patient or f"unknown/{image.file}" for image in images]
    written = [as_written(image.patient) if image.patient else name for image, name in zip(images, names, strict=True)]
    first: dict[tuple[str, str], int] = {}
    same = [[("digest", digest) for digest in digests], [("name", name) for name in written]]
    return merged(names, [(first.setdefault(key, row), row) for keys in same for row, key in enumerate(keys)])


def as_written(patient: str) -> str:
    """Return a patient, with the data set before it (``"cohen/007"``), as one of the ways in which tables write it."""
    source, _, name = patient.casefold().partition("/")
    return f"{source.strip()}/{person(name)}"


def merged(names: Sequence[str] | np.ndarray, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the patient of each image, shape (n,), str, once the patients of each pair of images are one.

    Of patients that became one, the first name in order of letters stays.
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


def find_overlap(
    images: Sequence[Image],
    digests: Sequence[str],
    others: Sequence[Image],
    other_digests: Collection[str],
    near: Mapping[int, str],
) -> dict[int, str]:
    """Find the images, such as those of an external test set, that are among others, such as those trained on.

    Digests are SHA-256 of the files; `near` has the positions of `images` that are near duplicates of one of `others`,
    with what was changed, such as ``"mirrored"``. Returns position → the first of `EXACT`, `NEAR`, `PATIENT` to hold.
    """
    # A name without its collection (``/1``), or that of a path, is given out by everyone anew.
    named = (image.patient for image in others if image.patient)
    patients = {as_written(patient) for patient in named if patient.partition("/")[0] not in ("", PATH)}
    found = {}
    for row, (image, digest) in enumerate(zip(images, digests, strict=True)):
        if digest in other_digests:
            found[row] = EXACT
        elif row in near:
            found[row] = NEAR
        elif image.patient and as_written(image.patient) in patients:
            found[row] = PATIENT
    return found


def describe_overlap(found: Mapping[int, str], images: Sequence[Image], near: Mapping[int, str], where: str) -> str:
    """Return how many images `find_overlap` has found in another data set and the first of them; empty for none."""
    counts = Counter(found.values())
    why = ", ".join(f"{counts[reason]} {reason}" for reason in (EXACT, NEAR, PATIENT) if counts[reason])
    changes = {row: f" ({near[row]})" for row, reason in found.items() if reason == NEAR and near[row]}
    names = first_names([f"{images[row].file}{changes.get(row, '')}" for row in found], 10)
    return f"{counted(len(found), 'image')} also in {where} ({why}): {names}" if found else ""
