"""Headers of DICOM files: what they say, and what cannot be read."""

from __future__ import annotations

import pytest
from image_helpers import small_dicom

from detector.images import dicom, dicom_header
from detector.images.read import from_bytes


def header(**elements: str) -> dicom_header.DicomHeader:
    """Return what is read of a DICOM file with some elements."""
    return dicom.header(small_dicom(**elements))


def test_a_header_that_cannot_be_read_says_nothing(tmp_path):
    assert dicom.read_header(tmp_path / "none.dcm") is None
    (tmp_path / "a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0" + b"\xff" * 3)
    assert dicom.read_header(tmp_path / "a.dcm") is None


@pytest.mark.parametrize("nobody", ["", "ANONYMOUS", "0"])
def test_a_study_stands_for_a_patient_without_an_identifier(nobody):
    found = header(PatientID=nobody, StudyInstanceUID="1.2.3", PatientAge="064Y", PatientSex="f")
    assert found.patient == dicom_header.hashed("1.2.3") != ""
    assert (found.age, found.sex, found.left_out) == ("64", "F", "")
    assert header(PatientID="7", StudyInstanceUID="1.2.3").patient == dicom_header.hashed("7")
    assert header(PatientID=nobody).patient == ""


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"SeriesDescription": "Thorax lat"}, "its header says lateral"),
        ({"ProtocolName": "W034 TÓRAX LAT."}, "its header says lateral"),
        ({"StudyDescription": "CHEST 2 VIEWS: PA/LAT"}, ""),
        ({"StudyDescription": "XR chest frontal + lateral"}, ""),
        ({"SeriesDescription": "left lateral decubitus"}, ""),
        ({"SeriesDescription": "Thorax pa", "StudyDescription": "CHEST"}, ""),
        ({"BodyPartExamined": "ABDOMEN", "StudyDescription": "CHEST"}, "its header says abdomen"),
        ({"StudyDescription": "FLAT_PLATE_OF_ABDOMEN PORTABLE", "ViewPosition": "AP"}, "its header says abdomen"),
        ({"BodyPartExamined": "CHEST", "StudyDescription": "Chest and abdomen"}, ""),
        ({"SeriesDescription": "Knee lat"}, "its header says knee"),
    ],
)
def test_another_view_or_part_of_the_body_is_a_note(elements, note):
    assert header(**elements).note == note
    assert from_bytes(small_dicom(**elements), "a.dcm").note == "; ".join(filter(None, (note, "only 24 x 20 pixels")))


def test_modality_rx_is_a_radiograph():
    assert (header(Modality="RX").modality, header(Modality="RX").left_out) == ("DX", "")
    assert header(Modality="CT").left_out == "of another modality (CT)"
