"""Headers of DICOM files: what they say, and what cannot be read."""

from __future__ import annotations

import io

import pytest
from conftest import rejection
from dicom_helpers import dicom

from detector.images import dicom_header
from detector.images.dicom import DEFLATED


def header(**elements: str) -> dicom_header.DicomHeader:
    """Return what is read of a DICOM file with some elements."""
    dataset, data = dicom("1.2.840.10008.1.2.1", 4, 4, 8), io.BytesIO()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(data, enforce_file_format=True)
    return dicom_header.parse(data.getvalue(), "a.dcm")


def test_damaged_headers_are_rejected():
    with rejection("not a DICOM file"):
        dicom_header.parse_attributes(b"no mark", "a.dcm", ("PatientAge",))
    head = b"\0" * 128 + b"DICM"
    with rejection("deflated DICOM"):
        dicom_header.parse_attributes(head + DEFLATED, "a.dcm", ("PatientAge",))
    with rejection("a DICOM header that cannot be read|not a DICOM"):
        dicom_header.parse_attributes(head + b"\2\0\0\0UL\4\0" + b"\xff" * 3, "a.dcm", ("PatientAge",))


def test_a_header_of_a_missing_file_is_named(tmp_path):
    with rejection(r"none\.dcm: No such file or directory"):
        dicom_header.read(tmp_path / "none.dcm")


@pytest.mark.parametrize("nobody", ["", "ANONYMOUS", "0"])
def test_a_study_stands_for_a_patient_without_an_identifier(nobody):
    found = header(PatientID=nobody, StudyInstanceUID="1.2.3", PatientAge="064Y", PatientSex="f")
    assert found.patient == dicom_header.hashed("1.2.3") != ""
    assert (found.age, found.sex, found.is_radiograph) == ("64", "F", True)
    assert header(PatientID="7", StudyInstanceUID="1.2.3").patient == dicom_header.hashed("7")
    assert header(PatientID=nobody).patient == ""
