"""SIIM-FISABIO-RSNA: tables, DICOM folders and copies, made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import build, rows
from conftest import inside, picture, rejected, rejection
from image_helpers import radiograph

from detector.collections import siim
from detector.datasets import build as build_module
from detector.images import dicom_header
from detector.images.read import read

STUDIES = "id,Negative for Pneumonia,Typical Appearance,Indeterminate Appearance,Atypical Appearance\n"
IMAGES = "id,boxes,label,StudyInstanceUID\n"
BOX = "\"[{'x': 2.52, 'y': 5, 'width': 7.2, 'height': 5}]\""

CALL = ("-c", "siim", "-o", "d/covid", "--controls-output", "d/negative")


def tables(folder: Path, studies: str, images: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / siim.STUDIES).write_text(STUDIES + studies)
    (folder / siim.IMAGES).write_text(IMAGES + images)
    return folder


@pytest.fixture
def challenge(tmp_path) -> Path:
    """Write four studies of three patients: s1 and s2 are of p1, s1 has two images; s4 has no label."""
    folder = tables(
        tmp_path / "siim",
        "s1_study,0,1,0,0\ns2_study,0,1,0,0\ns3_study,1,0,0,0\ns4_study,0,0,0,0\ns5_study,0,0,1,0\n",
        f"i1_image,{BOX},opacity 1 0 0 1 1,s1\ni2_image,,none 1 0 0 1 1,s1\ni3_image,,none 1 0 0 1 1,s2\n"
        "i4_image,,none 1 0 0 1 1,s3\ni5_image,,none 1 0 0 1 1,s4\ni6_image,,none 1 0 0 1 1,elsewhere\n",
    )
    for number, where in enumerate(("s1 p1", "s1 p1", "s2 p1", "s3 p2", "s4 p3"), 1):
        study, patient = where.split()
        path = folder / f"train/{study}/series{number}/i{number}.dcm"
        radiograph(path, PatientID=patient, PatientSex="F", Modality="DX", ViewPosition="AP", InstanceNumber=number)
    return folder


def test_dicom_folders(challenge):
    said = build(challenge.parent, *CALL)
    covid, negative = rows(challenge.parent / "d/covid"), rows(challenge.parent / "d/negative")
    assert set(covid) == {"i1.dcm"} and set(negative) == {"i4.dcm"}
    values = [covid["i1.dcm"][name] for name in ("patient", "view", "sex", "finding", "boxes")]
    boxes = "0.10500 0.25000 0.30000 0.25000"
    assert values == [dicom_header.hashed("p1"), "AP", "F", "Typical Appearance", boxes]
    assert "p1" not in (challenge.parent / "d/covid/manifest.csv").read_text()
    for words in ("further image of a patient 2", "of a study without a label 2", "not a PCR result"):
        assert words in said


def test_all_images_of_a_patient_other_findings_and_samples(challenge, monkeypatch):
    build(challenge.parent, *CALL, "--no-one-per-patient")
    assert set(rows(challenge.parent / "d/covid")) == {"i1.dcm", "i2.dcm", "i3.dcm"}
    done = inside("build_covid_dataset.py", "-c", challenge, "-o", "x", "--finding", "atypical", cwd=challenge.parent)
    rejected(done, "--finding atypical: no image has it", "Findings here: Negative for Pneumonia, Typical Appearance")
    opened = []
    monkeypatch.setattr(build_module, "read", lambda path: opened.append(path) or read(path))
    assert "over the limit 2" in build(challenge.parent, *CALL, "-n", 1)
    assert len(opened) == 2  # of each class folder: a sample reads no more than it draws


def test_copies_beside_the_tables(tmp_path):
    folder = tables(
        tmp_path / "copies",
        "s1_study,0,1,0,0\ns2_study,0,1,0,0\ns3_study,1,0,0,0\n",
        f"i1_image,{BOX},opacity,s1\ni2_image,,none,s1\ni3_image,,none,s2\ni4_image,,none,s3\n",
    )
    for number, suffix in enumerate(("png", "png", "jpg", "jpeg"), 1):
        picture(folder / f"train/i{number}.{suffix}", number, (256, 256))
    said = build(tmp_path, "-c", folder, *CALL[2:])
    assert "4 images are copies without a DICOM header: the study stands for the patient" in said
    assert "the boxes of 1 images are not written" in said
    covid = rows(tmp_path / "d/covid")
    assert {name: row["patient"] for name, row in covid.items()} == {"i1.png": "s1", "i3.jpg": "s2"}
    assert set(rows(tmp_path / "d/negative")) == {"i4.jpeg"}
    (folder / "meta.csv").write_text("image_id,dim0,dim1,split\ni1,20,24,train\n")
    (tmp_path / "who.csv").write_text("file,patient\ni1,a\ni2,a\ni3,a\ni4.jpeg,b\n")
    assert "no image" not in build(tmp_path, "-c", folder, *CALL[2:], "--patients", "who.csv")
    covid = rows(tmp_path / "d/covid")
    assert {name: row["patient"] for name, row in covid.items()} == {"i1.png": "a"}
    assert covid["i1.png"]["boxes"] == "0.10500 0.25000 0.30000 0.25000"


@pytest.mark.parametrize(
    ("studies", "images", "said"),
    [
        (
            "s1_study,0,1,0,0\n",
            "i1_image,\"[{'x': 'a', 'y': 1, 'width': 1, 'height': 1}]\",,s1\n",
            "line 2: image i1 has a box that is not x",
        ),
        ("s1_study,0,1,0,0\n", "i1_image,\"[{'x': 1, 'y': 1, 'width': 0, 'height': 1}]\",,s1\n", "not x y width"),
        ("s1_study,0,1,0,0\n", 'i1_image,"__import__(""os"")",,s1\n', "is not a list of boxes"),
    ],
)
def test_bad_tables(tmp_path, studies, images, said):
    tables(tmp_path / "siim", studies, images)
    with rejection(said):
        list(siim.Siim().read(tmp_path / "siim"))
