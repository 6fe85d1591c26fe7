"""Which images an experiment on a part of them is made on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from audit_helpers import Case, audit_of

from detector.audit.context import occlusion, too_few_lungs
from detector.images.masks import LUNGS_ONLY

EVERYTHING = np.arange(48)


def test_lungs_are_found_where_no_masks_are_given():
    rows, hide, notes = occlusion(audit_of(Case()), EVERYTHING, LUNGS_ONLY)
    assert rows.tolist() == EVERYTHING.tolist()
    assert (hide.part, hide.files, notes) == (LUNGS_ONLY, None, ())


def test_masks_from_files_are_used_if_both_sides_have_enough():
    audit = audit_of(Case(counts=(24, 24)))
    # Images of both classes are named by their number here: 20 masks are of 40 images.
    enough = replace(audit, masks={str(number): Path(f"{number}.png") for number in range(20)})
    rows, hide, notes = occlusion(enough, EVERYTHING, LUNGS_ONLY)
    assert len(rows) == 40 and hide.files == enough.masks
    assert notes == ("uses 40 of 48 images: those with a lung mask",)
    few = replace(audit, masks={"0": Path("0.png")})
    rows, hide, notes = occlusion(few, EVERYTHING, LUNGS_ONLY)
    assert len(rows) == 48 and hide.files is None and "too few" in notes[0]


def test_the_reason_counts_the_images():
    assert "found in 3 images, too few" in too_few_lungs(np.arange(3)).reason
