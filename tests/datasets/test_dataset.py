"""Class folders as people have them, their manifests, and DICOM headers."""

from __future__ import annotations

import pytest
from conftest import accepted, classes, inside, picture, rejected, rejection
from image_helpers import radiograph

from detector.datasets import dataset, manifest
from detector.images import dicom_header


def test_labels_are_folders_and_manifests_name_patients_and_data_sets(tmp_path):
    classes(tmp_path, covid=2)
    manifest.write(tmp_path / "covid", [{"file": "covid-000.png", "patient": "7", "source": "cohen", "label": "COVID"}])
    for number in range(9):
        picture(tmp_path / "normal" / f"IM-003{number}-0001-0002.jpeg", number)
    picture(tmp_path / "normal" / "other.png", 9)
    found = dataset.load(tmp_path)
    assert found.counts() == {"covid": 2, "normal": 10}
    kermany = "chest-xray-pneumonia"
    assert [image.patient for image in found.images][:4] == ["cohen/7", None, f"{kermany}/0030", f"{kermany}/0031"]
    assert [image.source for image in found.images] == ["cohen", "", *[kermany] * 9, ""]
    picture(tmp_path / "normal" / "another.png", 10)  # with 9 of 11, the class no longer bears the collection's names
    assert {image.source for image in dataset.load(tmp_path).images} == {"cohen", ""}


def test_a_manifest_with_another_label_than_the_folder_is_rejected(tmp_path):
    classes(tmp_path / "d", covid=3, normal=2)
    manifest.write(
        tmp_path / "d" / "covid", [{"file": f"covid-00{i}.png", "label": "normal" if i else "covid"} for i in range(3)]
    )
    rejected(
        inside("train_covid19.py", "-d", "d", cwd=tmp_path),
        "d/covid/manifest.csv, column label: 2 rows with another class than the folder, covid-001.png (normal), ",
    )
    assert len(dataset.load_folder(tmp_path / "d" / "covid")) == 3


def test_ages_that_are_none_are_counted_and_words_for_missing_values_are_no_patients(tmp_path):
    """Months, days and "> 89" are ages; one place reads them, so that no check or baseline sees another number."""
    ages, who = ["64", "6M", "> 89", "999", "-1", "000Y", "NA", ""], ["NA", "unknown", "7", *[""] * 5]
    classes(tmp_path, covid=len(ages), normal=1)
    rows = [{"file": f"covid-00{i}.png", "age": age, "patient": who[i], "source": "s"} for i, age in enumerate(ages)]
    manifest.write(tmp_path / "covid", rows)
    found = dataset.load(tmp_path)
    assert [image.row.get("age") for image in found.images] == ["64", "0.5", "89", *[""] * 5, None]
    assert [image.patient for image in found.images] == [None, None, "s/7", *[None] * 6]
    assert found.notes == ["covid/manifest.csv: 3 ages not from 0 to 120 years, taken as missing (-1, 000Y, 999)"]


def test_a_class_folder_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere", covid=2)
    classes(tmp_path / "data", normal=2)
    (tmp_path / "data" / "covid").symlink_to(tmp_path / "elsewhere" / "covid")
    assert dataset.load(tmp_path / "data").counts() == {"covid": 2, "normal": 2}


def test_what_was_left_out_is_named(tmp_path):
    (classes(tmp_path, covid=1) / "normal").mkdir()
    (tmp_path / "normal" / "notes.txt").write_text("x")
    with rejection(r"one class only, covid \(1 file left out: 1 not an image\); a classifier needs two"):
        dataset.load(tmp_path)
    for number, name in enumerate(("pneumonia/masks/a.png", "control/a.png")):
        picture(tmp_path / name, 90 + number)
    notes = dataset.load(tmp_path).notes
    assert notes[-1] == "folders without images, which are no classes: normal, pneumonia"


def test_classes_that_seem_to_be_one_are_rejected(tmp_path):
    classes(tmp_path, normal=1, COVID=1, covid=1)
    with rejection("has the classes 'COVID' and 'covid', which seem to be one"):
        dataset.load(tmp_path)


def test_dicom_headers_are_used_where_no_manifest_is(tmp_path):
    for number, (label, view) in enumerate((("covid", "AP"), ("covid", "AP"), ("normal", "PA"), ("normal", "PA"))):
        header = {"PatientID": f"p{number // 2}", "PatientAge": "064Y", "PatientSex": "F", "ViewPosition": view}
        radiograph(tmp_path / "d" / label / f"IM-0001-000{number}.dcm", **header, Modality="DX")
    radiograph(tmp_path / "d" / "normal" / "ct", PatientID="p9", Modality="CT")
    found = dataset.load(tmp_path / "d")
    one, other = (dicom_header.hashed(f"p{number}") for number in range(2))
    wanted = [*2 * [(f"dicom/{one}", "AP", "", "64")], *2 * [(f"dicom/{other}", "PA", "", "64")]]
    assert [(image.patient, image.view, image.source, image.row["age"]) for image in found.images] == wanted
    assert found.notes == ["1 file left out: 1 of another modality (CT)"]
    accepted(inside("build_covid_dataset.py", "--write-manifests", "d", "--source", "mine", cwd=tmp_path))
    row = manifest.read(tmp_path / "d" / "covid")["IM-0001-0000.dcm"]
    assert (row["patient"], row["view"], row["age"]) == (one, "AP", "64")
    assert dataset.load(tmp_path / "d").images[0].patient == f"mine/{one}"


def test_headers_of_any_file_name_are_read_and_a_study_is_of_one_patient(tmp_path):
    headers = [{"PatientID": who} for who in ("00000007", "7", "8")] + 2 * [{"StudyInstanceUID": "1.2"}]
    for number, header in enumerate(headers):
        view = "PA" if number else "SWIMMERS"
        radiograph(tmp_path / "covid" / f"{number}.png", **header, ViewPosition=view, Modality="DX")
    classes(tmp_path, normal=1)
    found = dataset.load(tmp_path)
    wanted = [f"dicom/{dicom_header.hashed(who)}" for who in ("7", "7", "8", "1.2", "1.2")]
    assert [image.patient for image in found.images] == [*wanted, None]
    assert found.notes == ["views of other words than PA, AP and lateral: SWIMMERS"]


@pytest.mark.parametrize(("same", "number"), [(4, 7), (4, 8), (3, 3)])
def test_an_identifier_that_most_files_of_a_class_have_identifies_nobody(tmp_path, same, number):
    """At least four of them: fewer may well be of one patient."""
    for i in range(number):
        radiograph(tmp_path / "covid" / f"{i}.dcm", PatientID="XYZ" if i < same else f"p{i}", Modality="DX")
    radiograph(tmp_path / "normal" / "0.dcm", PatientID="XYZ", Modality="DX")
    found = dataset.load(tmp_path)
    unknown = number == 7
    assert sum(image.patient is None for image in found.images) == (5 if unknown else 0)
    said = "4 of 7 images of covid have the same patient identifier, which identifies nobody: each counts as a patient "
    assert found.notes == ([f"{said}of its own"] if unknown else [])
