"""Class folders as people have them, their manifests, and DICOM headers."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from conftest import accepted, classes, inside, picture, rejected, rejection
from image_helpers import radiograph
from PIL import Image

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


# What folders mean

BIMCV = "sub-S03001/ses-E03001/mod-rx/sub-S03001_ses-E03001_run-1_bp-chest_vp-ll_dx"


@pytest.mark.parametrize(
    "files",
    [
        ("covid/a", "normal/a"),
        ("covid/2020/a", "covid/2021/a", "normal/a"),
        ("data/chest/covid/images/a", "data/chest/normal/images/a"),
        (f"covid/{BIMCV}", "normal/sub-S04001/ses-E04001/mod-rx/a"),
        ("covid/Covid1/1.2.826.0.1/1.2.826.0.2/1", "normal/Covid2/1.2.826.0.3/1.2.826.0.4/1"),
        ("covid/C 419639-00/08-02-2002-XR CHEST 1 VIEW AP-5344/1.0-AP-7626/1-1", "normal/C 41/08-NA/1.0-AP-7/1-1"),
        ("covid/CR/20200315/a", "covid/CR/20200316/b", "normal/DX/20180101/a", "normal/000/c"),
        ("covid/patient1/study1/a", "covid/a", "normal/train/a", "normal/1/a"),
    ],
)
def test_classes_are_the_first_level_at_which_folders_differ(tmp_path, files):
    for number, file in enumerate(files):
        picture(tmp_path / f"{file}.png", number)
    found = dataset.load(tmp_path)
    assert found.classes == ["covid", "normal"] and len(found.images) == len(files)
    assert {image.patient for image in found.images} == {None}  # no folder of a year, a size or a shard is a person


@pytest.mark.parametrize("names", [("images", "patient1", "year"), ("label_0", "label_1"), ("test+", "trained")])
def test_folders_of_any_name_are_classes_where_nothing_else_differs(tmp_path, names):
    assert dataset.load(classes(tmp_path, **dict.fromkeys(names, 1))).classes == list(names)


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("train_covid19.py", "0 1 more/2"),
        ("train_covid19.py", "images/0 images/1"),
        ("train_covid19.py", "2020/0 2021/1"),
        ("audit_covid19.py", "0 1"),
        ("evaluate_covid19.py", "0 1"),
    ],
)
def test_the_folder_of_one_class_asks_for_that_of_all(tmp_path, script, names):
    for label in ("covid", "normal"):
        for number, name in enumerate(names.split(" ")):
            picture(tmp_path / "d" / label / f"{name}.png", number + len(label))
    picture(tmp_path / "d" / "stray.png", 7)
    call = (script, *(("-m", "m.h5") if script.startswith("evaluate") else ()), "-d")
    rejected(inside(*call, "d/covid", cwd=tmp_path), "; did you mean -d d?")
    done = inside(*call, "d", cwd=tmp_path)
    rejected(done, "holds stray.png outside of its class folders; move them into one\n")


def test_parts_of_a_split_are_not_classes(tmp_path):
    for part in ("Train", "test", "VAL", "validation"):
        classes(tmp_path / "d" / "chest" / part, covid=1, normal=1)
    with rejection(r"d holds Train, VAL, test, validation, the parts .*-d \S*d/chest/Train, .*--external \S*/VAL"):
        dataset.load(tmp_path / "d")
    assert dataset.load(tmp_path / "d" / "chest" / "Train").counts() == {"covid": 1, "normal": 1}
    classes(tmp_path / "only" / "train", covid=1, normal=1)
    assert dataset.load(tmp_path / "only").counts() == {"covid": 1, "normal": 1}
    classes(tmp_path / "beside", covid=1, normal=1, test=1)
    with rejection(r"holds \S*beside/test beside other folders: test is a part of a data set, not a class; move it"):
        dataset.load(tmp_path / "beside")


@pytest.mark.parametrize("names", [("images", "zones"), ("cxr", "Manual/left"), ("images", "lung masks")])
def test_folders_of_masks_hold_no_images(tmp_path, names):
    """By their names, or because each file is black and white and has a namesake; images of equal names stay."""
    for label in ("covid", "normal"):
        for number in range(2):
            image, mask = (tmp_path / label / name / f"{number}.png" for name in names)
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.where(picture(image, number) > 128, 255, 0).astype(np.uint8)).save(mask)
        picture(tmp_path / label / "again" / "1.png", 9)
    found = dataset.load(tmp_path)
    assert {Path(image.file).parent.name for image in found.images} == {"again", names[0]}
    assert found.notes[0] == "4 files left out: 4 masks"


def test_the_positive_class_is_found_without_case_and_named_where_it_lies_deeper(tmp_path):
    assert dataset.class_named(["COVID", "NORMAL"], "covid", tmp_path) == "COVID"
    with rejection("no class covid; its classes are c00, .*c09 and 5 more: choose the positive one"):
        dataset.class_named([f"c{number:02d}" for number in range(15)], "covid", tmp_path)
    with rejection("its classes are COVID-19, normal; add --positive-class COVID-19$"):
        dataset.class_named(["COVID-19", "normal"], "covid", tmp_path)
    (tmp_path / "Infection Data" / "Train" / "COVID").mkdir(parents=True)
    with rejection(r"are a, b; give a folder that holds covid with -d, such as .*Infection.*/Train"):
        dataset.class_named(["a", "b"], "covid", tmp_path)


@pytest.mark.parametrize(
    ("path", "view"),
    [
        *[("a/view1_frontal.jpg", "frontal"), ("a/view2_lateral.jpg", "lateral"), (f"covid/{BIMCV}.png", "lateral")],
        *[
            ("covid/PA/1.png", "PA"),
            ("covid/ap/1.png", "AP"),
            ("x/sub-1_vp-pa_dx.png", "PA"),
            ("covid/papa/ap1.png", ""),
        ],
    ],
)
def test_views_that_paths_name(path, view):
    assert dataset.view_of(Path(path)) == view


def test_patients_are_taken_from_paths_where_the_user_says_how(tmp_path):
    for label, number in (("covid", 1), ("covid", 2), ("normal", 1), ("normal", 3)):
        for run in (1, 2):
            picture(tmp_path / label / f"sub-{number}" / f"run-{run}.png", 10 * number + run)
    picture(tmp_path / "normal" / "other.png", 1)
    found = dataset.load(tmp_path, dataset.patient_pattern(r"sub-(\w+)/run-(?:\d)"))
    named = [f"path/{number}" for number in (1, 1, 2, 2)]
    assert [image.patient for image in found.images] == [*named, None, "path/1", "path/1", "path/3", "path/3"]
    assert found.notes == [
        "--patient-from finds no patient of 1 image (normal/other.png): each counts as its own",
    ]
    assert dataset.load(tmp_path).notes == [
        "folders within the classes are not taken for patients (sub-1, sub-2, sub-3); where paths name them, say how "
        "with --patient-from"
    ]


@pytest.mark.parametrize("text", ["sub-(", "sub-"])
def test_patterns_that_name_no_patient(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no regular expression with a group in parentheses"):
        dataset.patient_pattern(text)
