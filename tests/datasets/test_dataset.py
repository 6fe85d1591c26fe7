"""Class folders as people have them, their manifests, and DICOM headers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from conftest import classes, inside, picture, rejection
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import radiograph

from detector.collections import kermany, nih
from detector.datasets import dataset, folders, identity, manifest
from detector.images import dicom_header


def test_labels_are_folders_and_manifests_name_patients_and_data_sets(tmp_path):
    classes(tmp_path, covid=2, normal=2)
    manifest.write(
        tmp_path / "covid", [{"file": "covid-000.png", "patient": "7", "source": "cohen", "label": "x", "sha256": ""}]
    )
    picture(tmp_path / "normal" / "IM-0033-0001-0002.jpeg", 9)
    found = dataset.load(tmp_path)
    assert found.classes == ["covid", "normal"]
    assert [image.patient for image in found.images] == ["cohen/7", None, f"{'chest-xray-pneumonia'}/0033", None, None]
    assert [image.source for image in found.images] == ["cohen", "", "chest-xray-pneumonia", "", ""]
    assert [image.label for image in found.images] == ["covid"] * 2 + ["normal"] * 3


def test_a_word_for_a_missing_value_is_no_patient(tmp_path):
    classes(tmp_path, covid=3, normal=1)
    rows = [
        {"file": f"covid-00{i}.png", "patient": text, "source": "s"} for i, text in enumerate(["NA", "unknown", "7"])
    ]
    manifest.write(tmp_path / "covid", rows)
    assert [image.patient for image in dataset.load(tmp_path).images] == [None, None, "s/7", None]


def test_a_class_folder_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere", covid=2)
    classes(tmp_path / "data", normal=2)
    (tmp_path / "data" / "covid").symlink_to(tmp_path / "elsewhere" / "covid")
    assert dataset.load(tmp_path / "data").counts() == {"covid": 2, "normal": 2}


def test_folders_that_hold_the_same_classes_are_pooled_with_a_note(tmp_path):
    for where in ("mine", "mine/seen"):
        classes(tmp_path / where, covid=1, normal=1)
    (note,) = dataset.load(tmp_path / "mine").notes
    assert "/mine, " in note and "/mine/seen, each with folders of several classes, are pooled" in note


def test_what_was_left_out_is_named_where_one_class_is_left(tmp_path):
    classes(tmp_path, covid=1)
    (tmp_path / "normal").mkdir()
    (tmp_path / "normal" / "notes.txt").write_text("x")
    with rejection(r"one class only, covid \(1 file left out: 1 not an image\); a classifier needs two"):
        dataset.load(tmp_path)


def test_a_class_folder_within_another_is_rejected(tmp_path):
    classes(tmp_path, covid=1, normal=1)
    picture(tmp_path / "covid" / "images" / "new" / "a.png", 1)
    with rejection("holds covid/images/new within the class folder covid, which holds images of its own"):
        dataset.load(tmp_path)


def test_folders_of_views_are_no_classes(tmp_path):
    for number, folder in enumerate(["covid/PA", "covid/AP", "normal/pa", "normal/X-Ray images"]):
        picture(tmp_path / "d" / folder / "a.png", number)
    found = dataset.load(tmp_path / "d")
    assert [(image.label, image.view) for image in found.images] == [
        *[("covid", "AP"), ("covid", "PA")],
        *[("normal", ""), ("normal", "PA")],
    ]
    classes(tmp_path / "views", PA=1, AP=1)
    assert dataset.load(tmp_path / "views").classes == ["AP", "PA"]


def test_folders_of_files_patients_and_studies_are_no_classes(tmp_path):
    for label, number in (("covid", 1), ("normal", 2)):
        picture(tmp_path / "x" / label / f"patient{number}" / "study1" / "view1_frontal.png", number)
        picture(tmp_path / "x" / label / f"patient{number}" / "study1" / "view2_lateral.png", 10 + number)
        picture(tmp_path / "mimic" / label / f"p1{number}" / f"p1{number}000032" / "s50414267" / "a.png", number)
        picture(tmp_path / "m" / label / "images" / "a.png", number)
        picture(tmp_path / "m" / label / "masks" / "a.png", number)
        picture(tmp_path / "loose" / f"patient{number}" / "study1" / "a.png", number)
    found = dataset.load(tmp_path / "x")
    assert found.counts() == {"covid": 2, "normal": 2}
    assert [(image.patient, image.view) for image in found.images] == [
        ("folder/patient1", "frontal"),
        ("folder/patient1", "lateral"),
        ("folder/patient2", "frontal"),
        ("folder/patient2", "lateral"),
    ]
    mimic = dataset.load(tmp_path / "mimic")
    assert [(image.label, image.patient) for image in mimic.images] == [
        ("covid", "folder/p11000032"),
        ("normal", "folder/p12000032"),
    ]
    masks = dataset.load(tmp_path / "m")
    assert (masks.counts(), list(masks.notes)) == ({"covid": 1, "normal": 1}, ["2 files left out: 2 masks"])
    with rejection("holds patient1, patient2, which are folders of files, patients or studies, not classes"):
        dataset.load(tmp_path / "loose")


@pytest.mark.parametrize(
    "name", ["P1", "pt-1", "pt_12", "caso1", "paciente 3", "Fall 2", "cas_7", "Case-1", "病例5", "p10"]
)
def test_patients_are_known_by_short_names(tmp_path, name):
    """A data set of such folders only is rejected."""
    picture(tmp_path / "d" / "covid" / name / "a.png", 1)
    picture(tmp_path / "d" / "normal" / "a.png", 2)
    found = dataset.load(tmp_path / "d")
    assert [(image.label, image.patient) for image in found.images] == [
        ("covid", f"folder/{name.lower()}"),
        ("normal", None),
    ]
    classes(tmp_path / "only", p1=1, p2=1)
    with rejection("holds p1, p2, which are folders of files, patients or studies, not classes"):
        dataset.load(tmp_path / "only")


def test_the_positive_class_is_found_without_case(tmp_path):
    assert folders.class_named(["COVID", "NORMAL"], "covid", tmp_path) == "COVID"
    assert folders.class_named(["Covid", "covid"], "covid", tmp_path) == "covid"
    with rejection("no class covid; its classes are c00, .*c09 and 5 more: choose the positive one"):
        folders.class_named([f"c{number:02d}" for number in range(15)], "covid", tmp_path)
    with rejection("no class covid"):
        folders.class_named(["COVID", "Covid"], "covid", tmp_path)


def test_folders_within_the_positive_class_are_named_as_what_hides_it(tmp_path):
    for label, inner in (("covid", "a"), ("normal", "b")):
        picture(tmp_path / label / inner / "1.png", 1)
    with rejection("its classes are a, b, the folders within covid and others; name such folders patient1, study1"):
        folders.class_named(dataset.load(tmp_path).classes, "covid", tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("COVID", "covid"),
        ("Covid-19", "COVID19"),
        ("COV\u00cdD", "COVI\u0301D"),
        ("COV", "COV (1)"),
        ("COV", "COV - Kopie (2)"),
        ("COV", "COV copy"),
    ],
)
def test_classes_that_seem_to_be_one_are_rejected(tmp_path, names):
    classes(tmp_path, normal=1, **dict.fromkeys(names, 1))
    with rejection("has the classes 'COV.*', which seem to be one"):
        dataset.load(tmp_path)


def test_folds_and_patients_of_several_classes_are_named(tmp_path):
    for number, folder in enumerate(["fold1/covid/patient1", "fold2/covid/P002", "fold1/normal/Patient1"]):
        picture(tmp_path / folder / "a.png", number)
    assert dataset.load(tmp_path).notes == [
        "the images of fold1, fold2 are pooled; --folds makes folds with patients apart",
        "1 patient folder in several classes (patient1): those of one name count as one patient",
    ]


def test_only_whole_names_of_a_collection_name_its_patients():
    assert kermany.patient("NORMAL2-IM-1179-0001.jpeg") == "1179"
    assert kermany.patient("IM-0033-0001-0002.jpeg") == "0033"
    assert kermany.patient("person101_virus_187.jpeg") == "person101"
    for name in (
        "IM-0001-0001.dcm",
        "IM-0001-0001.jpg",
        "IM-0001-0001.jpeg.png",
        "my-IM-0001-0001.jpeg",
        "person1.jpeg",
    ):
        assert kermany.patient(name) is None
    assert nih.patient("00001335_006.png") == "1335"
    assert nih.patient("00001335_006.jpg") is None and nih.patient("1335_006.png") is None


def test_dicom_headers_are_used_where_no_manifest_is(tmp_path):
    for number in range(4):
        name = tmp_path / "d" / ("covid" if number < 2 else "normal") / f"IM-0001-000{number}.dcm"
        view = "AP" if number < 2 else "PA"
        radiograph(
            name, PatientID=f"p{number // 2}", PatientAge="064Y", PatientSex="F", ViewPosition=view, Modality="DX"
        )
    radiograph(tmp_path / "d" / "normal" / "ct", PatientID="p9", Modality="CT")
    found = dataset.load(tmp_path / "d")
    assert [image.patient for image in found.images] == [f"dicom/{dicom_header.hashed(f'p{n // 2}')}" for n in range(4)]
    assert [image.view for image in found.images] == ["AP", "AP", "PA", "PA"]
    assert {image.row["age"] for image in found.images} == {"64"}
    assert {image.source for image in found.images} == {""}
    assert found.notes == ["1 file left out: 1 of another modality (CT)"]
    done = inside("build_covid_dataset.py", "--write-manifests", "d", "--source", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = manifest.read(tmp_path / "d" / "covid")["IM-0001-0000.dcm"]
    assert (row["patient"], row["view"], row["age"]) == (dicom_header.hashed("p0"), "AP", "64")
    again = dataset.load(tmp_path / "d").images[0]
    assert (again.patient, again.view) == (f"mine/{dicom_header.hashed('p0')}", "AP")


def test_headers_of_any_file_name_are_read_and_a_study_is_of_one_patient(tmp_path):
    for number in range(4):
        label = "covid" if number < 2 else "normal"
        radiograph(tmp_path / label / f"{number}.png", StudyInstanceUID=f"1.2.{number // 2}", Modality="DX")
    found = dataset.load(tmp_path)
    assert [image.patient for image in found.images] == [
        f"dicom/{dicom_header.hashed(f'1.2.{n // 2}')}" for n in range(4)
    ]


def test_an_identifier_that_all_have_identifies_nobody(tmp_path):
    for number in range(4):
        radiograph(tmp_path / ("covid" if number < 2 else "normal") / f"{number}.dcm", PatientID="XYZ", Modality="DX")
    found = dataset.load(tmp_path)
    assert {image.patient for image in found.images} == {None}
    assert found.notes == [
        "all 4 images have the same patient identifier, so it identifies nobody; patients are not known"
    ]


# Manifests


def rows(*names: str) -> dict[str, dict[str, str]]:
    return {name: dict.fromkeys(manifest.COLUMNS, "") | {"file": name, "patient": name[0]} for name in names}


def test_rows_and_files_without_each_other(tmp_path):
    for name in ("a.jpg", "B.png", "c.png"):
        picture(tmp_path / "d" / "covid" / name, ord(name[0]))
    classes(tmp_path / "d", normal=1)
    manifest.write(tmp_path / "d" / "covid", rows("a.png", "b.png", "gone.png").values())
    found = dataset.load(tmp_path / "d")
    assert {image.file: image.patient for image in found.images} == {
        "covid/B.png": "/b",
        "covid/a.jpg": "/a",
        "covid/c.png": None,
        "normal/normal-000.png": None,
    }
    assert found.notes == [
        "covid/manifest.csv: 2 rows matched with another suffix, letter case or encoding (B.png, a.jpg)",
        "covid/manifest.csv: 1 row names no file (gone.png)",
        "covid/manifest.csv: 1 image has no row (c.png); patient, site and view are not known",
    ]


def test_an_ambiguous_name_is_not_matched():
    found = manifest.match(rows("a.png"), ["a.jpg", "a.tif"])
    assert (found.rows, found.without_file, found.without_row) == ({}, ["a.png"], ["a.jpg", "a.tif"])
    found = manifest.match(rows("covid\\a.png", "b.png "), ["a.png", "b.png"])
    assert set(found.rows) == {"a.png", "b.png"} and found.renamed == ["a.png", "b.png"]
    found = manifest.match(rows("A.png", "a.PNG"), ["a.png"])
    assert found.without_row == ["a.png"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["a.png", "A.png", "a.jpg", "b.png", "B.JPG", "c"]), unique=True), st.data())
def test_every_row_and_file_is_matched_once_or_counted(listed, data):
    names = data.draw(st.lists(st.sampled_from(["a.png", "A.PNG", "a.tif", "b.png", "b.jpg", "C"]), unique=True))
    found = manifest.match(rows(*listed), names)
    assert sorted([*found.rows, *found.without_row]) == sorted(names)
    assert sorted([*(row["file"] for row in found.rows.values()), *found.without_file]) == sorted(listed)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "sep=;"])
def test_manifests_as_spreadsheet_programs_write_them(encoding, separator):
    columns = [name.upper() if name == "file" else name for name in manifest.COLUMNS if name != "site"] + ["Origin"]
    cells = ["ä.png" if name == "FILE" else f"{name}, x" for name in columns]
    lines, mark = "", separator
    if separator == "sep=;":
        lines, mark = "sep=;\n", ";"
    quoted = [f'"{cell}"' for cell in cells]
    data = f"{lines}{mark.join(columns)}\r\n{mark.join(quoted)}\r\n".encode(encoding)
    (row,) = manifest.parse(data, Path("manifest.csv")).values()
    assert (row["patient"], row["site"]) == ("patient, x", "Origin, x")
    assert list(manifest.match({row["file"]: row}, ["ä.png"]).rows) == ["ä.png"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "is a web page, not the file itself; download the raw file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer"),
        (b"PK\x03\x04", "is a workbook or a ZIP archive; save the table as CSV"),
        (b"a,b\n", "has no column file"),
    ],
)
def test_what_is_no_manifest(data, said):
    with rejection(said) as caught:
        manifest.parse(data, Path("manifest.csv"))
    assert "remove" not in str(caught.value)


# The same file twice


def test_overlap(tmp_path):
    def image(name: str, patient: str | None) -> dataset.Image:
        return dataset.Image(tmp_path / name, f"covid/{name}", "covid", patient, "", "", {})

    own = [image("a", "s/1"), image("b", None)]
    given_ = [image("c", "s/1"), image("d", None), image("e", "s/2"), image("f", None)]
    found = identity.find_overlap(given_, ["x", "B", "y", "z"], own, ["A", "B"], near={3: "mirrored"})
    assert found.reasons == {0: identity.PATIENT, 1: identity.EXACT, 3: identity.NEAR}
    assert found.describe(given_) == (
        "3 images also in the training set (1 the same file, 1 a near duplicate, 1 the same patient): "
        "covid/c, covid/d, covid/f (mirrored)"
    )
    assert identity.find_overlap(given_, ["x", "y", "z", "v"], [own[1]], ["B"]).describe(given_) == ""


@pytest.mark.parametrize(
    ("patient", "same"),
    [("/1", False), ("folder/patient1", False), ("folder/p10000032", True), ("cohen/1", True), ("dicom/0a1b", True)],
)
def test_a_number_of_a_folder_is_given_anew_elsewhere(tmp_path, patient, same):
    images = [dataset.Image(tmp_path / name, name, "covid", patient, "", "", {}) for name in "ab"]
    images[0] = dataclasses.replace(images[0], patient=patient.upper() if patient.startswith("cohen") else patient)
    found = identity.find_overlap(images[:1], ["x"], images[1:], ["y"])
    assert found.reasons == ({0: identity.PATIENT} if same else {})
