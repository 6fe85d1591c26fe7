"""Which images of one data set are, byte for byte, nearly, or by their patient, in another."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from detector import counted, first_names
from detector.datasets.dataset import Image
from detector.datasets.folders import FOLDER
from detector.datasets.identity import as_written

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
