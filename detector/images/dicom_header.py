"""What a DICOM header says of a radiograph; who the patient is only as a hash."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from pydicom import Dataset

from detector.files.values import age_cell, person, view_group

DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "StudyDescription", "BodyPartExamined")
ATTRIBUTES = (
    *("PatientID", "StudyInstanceUID", "PatientAge", "PatientSex", "ViewPosition", "Modality", "Rows", "Columns"),
    *DESCRIPTIONS,
)
# What anonymisation leaves in place of an identifier: the same for everybody, so it says nothing.
NOBODY = frozenset({"", "0", "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "na", "n/a", "null"})
XRAY = frozenset({"", "CR", "DX", "RG", "DR", "XR", "RF", "SC", "OT", "XC", "PX"})
CHEST = frozenset({"chest", "thorax", "torax", "torace", "lung", "lungs"})
OTHER_PARTS = frozenset(
    {"abdomen", "abdominal", "pelvis", "hip", "knee", "ankle", "foot", "toe", "leg", "femur", "tibia", "extremity"}
    | {"shoulder", "humerus", "arm", "elbow", "forearm", "wrist", "hand", "finger", "thumb", "clavicle"}
    | {"head", "skull", "neck", "sinus", "sinuses", "jaw", "spine", "cspine", "tspine", "lspine", "sspine", "breast"}
)


@dataclass(frozen=True)
class DicomHeader:
    """What a header says; what it does not say is empty or 0."""

    patient: str = ""  # a hash of PatientID, or else of StudyInstanceUID, since a study is of one patient
    view: str = ""  # ViewPosition, such as "PA"
    age: str = ""  # in years
    sex: str = ""  # F, M, or what else stands there
    modality: str = ""  # such as "DX"
    width: int = 0  # in pixels
    height: int = 0
    note: str = ""  # which other view or part of the body its descriptions name

    @property
    def left_out(self) -> str:
        """Why the image is left out, such as ``"of another modality (CT)"``; empty where it may be a radiograph."""
        return "" if self.modality in XRAY else f"of another modality ({self.modality})"


def of(dataset: Dataset) -> DicomHeader:
    """Return what the header of a parsed DICOM file says."""
    found = {keyword: _as_text(dataset.get(keyword)) for keyword in ATTRIBUTES}
    width, height = (int(text) if text.isdecimal() else 0 for text in (found["Columns"], found["Rows"]))
    return DicomHeader(
        hashed(found["PatientID"]) or hashed(found["StudyInstanceUID"]),
        found["ViewPosition"],
        age_cell(found["PatientAge"]),
        found["PatientSex"].upper(),
        found["Modality"].upper().replace("RX", "DX"),  # as exports in Spanish and Italian have it
        width,
        height,
        next(filter(None, (_another(found[name]) for name in DESCRIPTIONS)), ""),
    )


NO_HEADER = DicomHeader()


def _another(description: str) -> str:
    """Return a note on a description that names another view or part of the body and not a frontal chest radiograph."""
    words = re.findall(r"[^\W\d_]+", description.casefold())
    part = next((word for word in words if word in OTHER_PARTS), "")
    if part and CHEST.isdisjoint(words):
        return f"its header says {part}"
    # Of a study with both views one image alone is lateral, and nothing says which.
    return "its header says lateral" if view_group(description) == "lateral" and "frontal" not in words else ""


def _as_text(value: object) -> str:
    text = "" if value is None else str(value)
    return text.strip() if text.isprintable() else ""


def hashed(patient: str) -> str:
    """Return a patient's identifier as a hash; empty where it identifies no person.

    The same identifier has the same hash everywhere, so that patients are kept whole across folders. It is a pseudonym,
    not anonymous: anyone with a list of identifiers can compute their hashes.
    """
    text = person(patient)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return "" if text.lower() in NOBODY else digest
