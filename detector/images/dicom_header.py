"""What a DICOM header says of a radiograph; who the patient is only as a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector import InputError
from detector.files.values import age_cell
from detector.images.dicom import is_dicom, read_dataset
from detector.images.raster import quieten

ATTRIBUTES = (
    *("PatientID", "StudyInstanceUID", "PatientAge", "PatientSex", "ViewPosition", "Modality", "Rows", "Columns"),
)
HEADER_BYTES = 2**20  # more than any radiograph's header
# What anonymisation leaves in place of an identifier: the same for everybody, so it says nothing.
NOBODY = frozenset({"", "0", "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "na", "n/a", "null"})
XRAY = frozenset({"", "CR", "DX", "RG", "DR", "XR", "RF", "SC", "OT", "XC", "PX"})


@dataclass(frozen=True)
class DicomHeader:
    """What a header says.

    Attributes
    ----------
    patient : str
        A hash of PatientID, or else of StudyInstanceUID, since a study is of one patient; empty where there is neither.
    view : str
        ViewPosition, such as ``"PA"``.
    age : str
        PatientAge in years.
    sex : str
        ``"F"``, ``"M"``, or what else stands there.
    modality : str
        Such as ``"DX"``.
    width, height : int
        In pixels; 0 where it is not given.
    """

    patient: str = ""
    view: str = ""
    age: str = ""
    sex: str = ""
    modality: str = ""
    width: int = 0
    height: int = 0

    @property
    def is_radiograph(self) -> bool:
        """Whether the modality is, or may be, a radiograph's."""
        return self.modality in XRAY

    @property
    def left_out(self) -> str:
        """Why the image is left out where it is no radiograph, such as ``"of another modality (CT)"``."""
        return f"of another modality ({self.modality})"


def read(path: Path) -> DicomHeader:
    """Return what the header of a DICOM file says, without reading its image.

    Raises
    ------
    InputError
        If the file is missing or no DICOM file.
    """
    return _of(read_attributes(path, ATTRIBUTES))


def read_if_readable(path: Path) -> DicomHeader:
    """Return what the header of a file says, or an empty one: the reader of its image names a file without a header."""
    try:
        return read(path)
    except InputError:
        return DicomHeader()


def parse(head: bytes, name: object) -> DicomHeader:
    """Return what the beginning of a DICOM file says; `name` is what errors call it.

    Raises
    ------
    InputError
    """
    return _of(parse_attributes(head, name, ATTRIBUTES))


def read_attributes(path: Path, attributes: Sequence[str]) -> dict[str, str]:
    """Return some attributes of a DICOM file's header, as text, without reading its image.

    Parameters
    ----------
    path : Path
    attributes : sequence of str
        By their keywords, such as ``"PatientAge"``.

    Returns
    -------
    dict of str to str
        Empty text for an attribute that is missing.

    Raises
    ------
    InputError
        If the file is missing or no DICOM file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    return parse_attributes(head, path, attributes)


def parse_attributes(head: bytes, name: object, attributes: Sequence[str]) -> dict[str, str]:
    """Return attributes of the beginning of a DICOM file; `name` is what errors call it.

    Raises
    ------
    InputError
    """
    quieten()
    if not is_dicom(head):
        raise InputError(f"{name}: not a DICOM file")
    try:
        dataset = read_dataset(head, attributes)
        return {keyword: _as_text(dataset.get(keyword)) for keyword in attributes}
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    # A damaged file makes pydicom raise nearly anything.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: a DICOM header that cannot be read ({reason[:200]})") from None


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return text.strip() if text.isprintable() else ""


def _of(found: dict[str, str]) -> DicomHeader:
    return DicomHeader(
        hashed(found["PatientID"]) or hashed(found["StudyInstanceUID"]),
        found["ViewPosition"],
        age_cell(found["PatientAge"]),
        found["PatientSex"].upper(),
        found["Modality"].upper(),
        *(int(found[name]) if found[name].isascii() and found[name].isdigit() else 0 for name in ("Columns", "Rows")),
    )


def hashed(patient: str) -> str:
    """Return a patient's identifier as a hash; empty where it identifies no person.

    The same identifier has the same hash everywhere, so that patients are kept whole across folders. It is a pseudonym,
    not anonymous: anyone with a list of identifiers can compute their hashes.
    """
    text = patient.strip()
    if text.lower() in NOBODY:
        return ""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
