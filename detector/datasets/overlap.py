"""Which images of one data set are, byte for byte, nearly, or by their patient, in another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from detector import counted, first_names
from detector.datasets.dataset import Image

EXACT, NEAR, PATIENT = "the same file", "a near duplicate", "the same patient"


@dataclass(frozen=True)
class Overlap:
    """The images of one data set that are in another.

    Attributes
    ----------
    reasons : dict of int to str
        Position among the images that were looked at → `EXACT`, `NEAR` or `PATIENT`, the first that holds.
    """

    reasons: dict[int, str]

    def describe(self, images: Sequence[Image], where: str = "the training set") -> str:
        """Return how many images are in the other data set and the first of them; empty where there are none."""
        if not self.reasons:
            return ""
        counts = {reason: sum(one == reason for one in self.reasons.values()) for reason in (EXACT, NEAR, PATIENT)}
        why = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
        names = first_names([images[row].file for row in sorted(self.reasons)], 10)
        return f"{counted(len(self.reasons), 'image')} also in {where} ({why}): {names}"


def find_overlap(
    images: Sequence[Image],
    digests: Sequence[str],
    others: Sequence[Image],
    other_digests: Collection[str],
    near: Collection[int] = (),
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
    near : collection of int
        Positions of `images` that are near duplicates of one of `others`.

    Returns
    -------
    Overlap
    """
    # A number without its collection ("/1") is given out by everyone anew.
    patients = {image.patient for image in others if image.patient and not image.patient.startswith("/")}
    known = set(other_digests)
    reasons = {}
    for row, (image, digest) in enumerate(zip(images, digests, strict=True)):
        if digest in known:
            reasons[row] = EXACT
        elif row in near:
            reasons[row] = NEAR
        elif image.patient in patients:
            reasons[row] = PATIENT
    return Overlap(reasons)
