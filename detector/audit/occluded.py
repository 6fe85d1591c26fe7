"""Which images an experiment on a part of them is made on: those whose lungs are known, from files or found here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector import counted, first_names
from detector.images.lungs import describe
from detector.images.masks import Occlusion
from detector.statistics.metric import Metric

if TYPE_CHECKING:
    from detector.audit.comparison import Audit


def too_few_lungs(rows: np.ndarray) -> Metric:
    """Return the metric of an experiment on lungs that are found in too few images."""
    return Metric.unavailable(f"lungs were found in {counted(len(rows), 'image')}, too few for the folds")


def occlusion(audit: Audit, rows: np.ndarray, part: str) -> tuple[np.ndarray, Occlusion, tuple[str, ...]]:
    """Return the images of an occlusion experiment, what is masked out, and what has to be said.

    Masks from files are used where both sides have enough of them, else lungs that are found.
    """
    notes: list[str] = []
    masked = np.array([row for row in rows if audit.extractor.dataset.images[row].path.stem in audit.masks], int)
    if audit.can_be_validated(masked):
        if len(masked) < len(rows):
            notes.append(f"uses {len(masked)} of {len(rows)} images: those with a lung mask")
        return masked, Occlusion(part, audit.masks), tuple(notes)
    if audit.masks:
        notes.append("uses lungs that this software finds: a class has too few images with a lung mask (--masks)")
    found = np.array([describe(mask).found for mask in audit.extractor.lungs(rows)], np.bool_)
    if not found.all():
        names = [audit.extractor.dataset.images[row].file for row in rows[~found]]
        notes.append(f"leaves out {first_names(names)}: no lungs were found")
    return rows[found], Occlusion(part), tuple(notes)
