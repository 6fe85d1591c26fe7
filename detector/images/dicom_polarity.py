"""Whether low DICOM values mean bright: the photometric interpretation and the presentation LUT shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

# What a presentation LUT shape says (DICOM PS3.3, C.11.6.1): whether low values mean bright.
SHAPES = {"IDENTITY": False, "INVERSE": True}


def is_inverted(dataset: Dataset) -> tuple[bool, str]:
    """Return whether low values of a grey image mean bright, and a note.

    ``MONOCHROME1`` goes with ``INVERSE``, ``MONOCHROME2`` with ``IDENTITY``. Where a header contradicts itself the
    shape counts, as in DCMTK: of the two it is the later step to the display.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    inverted : bool
    note : str
    """
    kind = str(dataset.PhotometricInterpretation)
    by_kind = kind == "MONOCHROME1"
    try:
        shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    # What is no text makes pydicom raise nearly anything.
    except Exception:
        return by_kind, ""
    inverted = SHAPES.get(shape, by_kind)
    if inverted == by_kind:
        return inverted, ""
    return inverted, f"its header says both {kind} and PresentationLUTShape {shape}; the shape is followed"
