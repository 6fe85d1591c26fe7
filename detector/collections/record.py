"""What every collection yields: an image with what is known of it, under the same names wherever it comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from types import ModuleType

from detector import InputError
from detector.collections.boxes import Box
from detector.files.tables import simple

# Columns of clinical values that a manifest may have, under the names of J. P. Cohen's late format: days since the
# first symptoms or admission, years, Y or N, degrees Celsius, per cent, thousands per microlitre.
CLINICAL = (
    "offset",
    "sex",
    "age",
    "survival",
    "intubated",
    "went_icu",
    "needed_supplemental_O2",
    "temperature",
    "pO2_saturation",
    "leukocyte_count",
    "neutrophil_count",
    "lymphocyte_count",
)


@dataclass(frozen=True)
class ImageRecord:
    """An image of a collection.

    Attributes
    ----------
    listed : str
        Where the collection lists it, for errors: such as ``"metadata.csv, line 3"``.
    folder, filename : str
        As listed, relative to the collection's folder.
    patient : str
        Empty where it is not known.
    view, finding : str
        In the collection's own words.
    source : str
        The collection.
    site : str
        Where the image was made or published.
    licence, url : str
    modality : str
        ``"X-ray"`` where the collection holds nothing else.
    unknown : str
        Why it is neither positive nor a control, where the collection gives no diagnosis.
    may_share_file : bool
        Whether the collection is known to list an image under two patients, who are one.
    clinical : dict of str to str
        By the names in `CLINICAL`.
    pixel_boxes : tuple of Box
        Opacities that a radiologist drew, in pixels of the original image.
    boxes : str
        The same in fractions, as a manifest has them, once the size of the original is known.
    part : str
        The part of a published split, where the collection has one.
    """

    listed: str
    folder: str
    filename: str
    patient: str
    view: str
    finding: str
    source: str
    site: str
    licence: str = ""
    url: str = ""
    modality: str = "X-ray"
    unknown: str = ""
    may_share_file: bool = False
    clinical: Mapping[str, str] = field(default_factory=dict)
    pixel_boxes: tuple[Box, ...] = ()
    boxes: str = ""
    part: str = ""

    @property
    def path(self) -> PurePosixPath:
        """Where the image lies in the collection's folder."""
        return PurePosixPath(self.folder, self.filename)


def require_inside(entry: ImageRecord) -> PurePosixPath:
    """Return an entry's path; reject one that could lead out of the collection or is not a plain name.

    Raises
    ------
    InputError
    """
    text = f"{entry.folder}/{entry.filename}"
    windows, name = PureWindowsPath(text), entry.filename
    if (
        not name
        or PurePosixPath(name).name != name
        or PureWindowsPath(name).name != name
        or name.startswith(".")
        or ".." in windows.parts
        or PurePosixPath(entry.folder).is_absolute()
        or windows.drive
        or not text.isprintable()
    ):
        raise InputError(f"{entry.listed}: {text!r} is no file inside the collection's folder; correct or remove it")
    return entry.path


def manifest_row(entry: ImageRecord, name: str, label: str, digest: str) -> dict[str, str]:
    """Return the manifest's row of an entry; an entry without a patient is a patient of its own."""
    row = {
        "file": name,
        "label": label,
        "patient": entry.patient or f"unnumbered-{name}",
        "view": entry.view,
        "finding": entry.finding,
        "source": entry.source,
        "site": entry.site,
        "licence": entry.licence,
        "url": entry.url,
        "sha256": digest,
    }
    row |= {column: entry.clinical.get(column, "") for column in CLINICAL}
    return row | {"boxes": entry.boxes} if entry.boxes else row


COVID = "COVID-19"
# What collections write where the finding is unknown.
UNKNOWN_FINDINGS = frozenset({"", "todo", "unknown", "na", "nan", "none"})


def names_finding(text: str, finding: str) -> bool:
    """Return whether a finding is named at any level.

    ``COVID-19``, ``COVID-19, ARDS`` and ``Pneumonia/Viral/COVID-19`` all name ``COVID-19``; ``Pneumonia/Viral`` is
    named by the last. Case, spaces and hyphens do not count.

    Parameters
    ----------
    text : str
        A collection's word for what it sees; several are separated by commas, semicolons or bars.
    finding : str
        What to look for: a name, or several levels of a path.

    Returns
    -------
    bool
    """
    wanted = [simple(level) for level in finding.split("/")]
    for part in re.split(r"[,;|]", text):
        levels = [simple(level) for level in part.split("/")]
        if any(levels[i : i + len(wanted)] == wanted for i in range(len(levels))):
            return True
    return False


def is_control(text: str, finding: str) -> bool:
    """Return whether a finding is known and names neither `finding` nor COVID-19."""
    known = simple(text) not in UNKNOWN_FINDINGS
    return known and not names_finding(text, finding) and not names_finding(text, COVID)


@dataclass(frozen=True)
class Convention:
    """What a builder takes from a collection by default.

    Attributes
    ----------
    positive : str
        The finding that is meant by COVID-19.
    controls : tuple of str
        The findings of controls; empty for every other one that is known.
    views : tuple of str
        Views to keep; empty for any.
    one_per_patient : bool
    remark : str
        What a user must know of the labels, printed at the end of a build.
    """

    positive: str = COVID
    controls: tuple[str, ...] = ()
    views: tuple[str, ...] = ("PA",)
    one_per_patient: bool = False
    remark: str = ""


def convention_of(collection: ModuleType) -> Convention:
    """Return the convention of a collection: its ``CONVENTION``, or the usual one."""
    return getattr(collection, "CONVENTION", Convention())
