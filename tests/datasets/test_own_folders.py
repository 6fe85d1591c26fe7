"""Manifests for folders of images as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import build, rows_by_file
from conftest import classes, inside, picture, rejected, rejection, tree
from image_helpers import radiograph

from detector.collections import nih
from detector.datasets import dataset, manifest
from detector.datasets.own_folders import parse_patients, patients_by_file, write_manifests


def test_manifests_are_written_for_folders_as_they_are(tmp_path):
    classes(tmp_path / "data", P=3, N=2)
    before = tree(tmp_path / "data")
    (tmp_path / "who.csv").write_text("file,patient\nP-000.png,7\nP/P-001.png,7\n")
    arguments = ("--write-manifests", "data", "--source", "covidgr", "--view", "PA", "--patients", "who.csv")
    said = build(tmp_path, *arguments)
    assert "--patients has no row of 3 images (N/N-000.png, N/N-001.png, P/P-002.png)" in said
    assert "the images are unchanged" in said and "1 stratum (site and view) contains both classes, 5 images" in said
    listed = rows_by_file(tmp_path / "data" / "P")
    assert {name: row["patient"] for name, row in listed.items()} == {
        "P-000.png": "7",
        "P-001.png": "7",
        "P-002.png": "",
    }
    assert {(row["source"], row["site"], row["view"]) for row in listed.values()} == {("covidgr", "covidgr", "PA")}
    after = tree(tmp_path / "data")
    assert {name for name in after if name not in before} == {"P/manifest.csv", "N/manifest.csv"}
    assert {name: after[name] for name in before} == before
    build(tmp_path, *arguments)
    assert tree(tmp_path / "data") == after


def test_what_an_earlier_call_gave_stays(tmp_path):
    """Patients, view, site and further columns are kept where a call says nothing of them, unless the image is new."""
    classes(tmp_path / "data", P=2, N=1)
    (tmp_path / "who.csv").write_text("file,patient\nP-000.png,7\nP-001.png,8\n")
    call = ("--write-manifests", "data", "--source", "mine")
    build(tmp_path, *call, "--view", "PA", "--patients", "who.csv")
    table = tmp_path / "data" / "P" / "manifest.csv"
    lines = table.read_text().replace("mine,mine", "mine,Vienna").splitlines()
    table.write_text("\n".join([f"{lines[0]},smoker", *(f"{line},yes" for line in lines[1:])]) + "\n")
    picture(tmp_path / "data" / "P" / "P-001.png", 99)
    build(tmp_path, *call)
    rows = rows_by_file(tmp_path / "data" / "P")
    written = {name: [row[key] for key in ("patient", "view", "site", "smoker")] for name, row in rows.items()}
    assert written == {"P-000.png": ["7", "PA", "Vienna", "yes"], "P-001.png": ["", "", "mine", ""]}
    (tmp_path / "who.csv").write_text("file,patient\nP-000.png,9\n")
    build(tmp_path, *call, "--view", "AP", "--patients", "who.csv")
    row = rows_by_file(tmp_path / "data" / "P")["P-000.png"]
    assert (row["patient"], row["view"], row["site"]) == ("9", "AP", "Vienna")


def test_folders_for_which_no_manifest_can_be_written_are_rejected(tmp_path):
    classes(tmp_path / "data", P=1, N=1)
    picture(tmp_path / "flat" / "a.png", 1)

    def write(*arguments):
        return inside("build_covid_dataset.py", "--write-manifests", *arguments, cwd=tmp_path)

    rejected(write("data"), "needs --source")
    rejected(write("data", "--source", nih.SOURCE), "is a collection with a builder of its own")
    rejected(write("nowhere", "--source", "x"), "nowhere is not a folder")
    rejected(write("flat", "--source", "x"), "must lie in folders named after their classes")
    rejected(write("data", "--source", "x", "--view", "PA", "--view", "AP"), "takes one --view")
    rejected(write("data", "--source", "x", "--patients", "who.csv"), "--patients who.csv is not a file")
    for text, said in (
        ("file,patient\nelsewhere.png,1\n", "--patients names elsewhere.png, which data does not hold"),
        ("name,patient\na,1\n", "must have the columns file and patient"),
        ("file,patient\nP-000.png,1\nP-000.png,2\n", "line 3: P-000.png has two patients"),
        ('file,patient\n"P-000.png,1\n', "not CSV"),
        ("file,patient\np-000.jpg,1\nP/P-000.png,2\n", "--patients gives P/P-000.png two patients; remove one"),
    ):
        (tmp_path / "who.csv").write_text(text)
        rejected(write("data", "--source", "x", "--patients", "who.csv"), said)
    assert not list(tmp_path.rglob("manifest.csv"))


def test_dicom_files_of_another_modality_get_no_row(tmp_path):
    """As in training; rows of another source stay, and their files are there."""
    for name, modality in (("covid/a.dcm", "DX"), ("covid/b.dcm", "CT"), ("normal/c", "CR"), ("normal/d", "MR")):
        radiograph(tmp_path / name, PatientID=name, Modality=modality)
    manifest.write(tmp_path / "covid", [{"file": "b.dcm", "source": "other"}])
    written = write_manifests(tmp_path, "mine", "PA", {})
    assert written.notes == ["2 files left out: 1 of another modality (CT), 1 of another modality (MR)"]
    assert {name: row["source"] for name, row in manifest.read(tmp_path / "covid").items()} == {
        "a.dcm": "mine",
        "b.dcm": "other",
    }
    assert list(manifest.read(tmp_path / "normal")) == ["c"]
    assert [image.file for image in dataset.load(tmp_path).images] == ["covid/a.dcm", "normal/c"]


def test_a_patient_is_given_to_the_image_that_is_meant():
    """In any letter case and with any suffix; a name of two images is no one's."""
    files = ["covid/1.png", "covid/2.jpg", "normal/1.png"]
    given = patients_by_file({"covid/1.png": "a", "2.PNG": "b"}, files, Path("data"))
    assert given == {"covid/1.png": "a", "covid/2.jpg": "b"}
    with rejection(
        "--patients names 1.png, which is covid/1.png, normal/1.png; give its path below data, such as covid/1"
    ):
        patients_by_file({"1.png": "a"}, files, Path("data"))


@pytest.mark.parametrize("heading", ["file,patient", "File name;Patient ID", "image_name\tpatientid"])
def test_headings_of_patients_as_tables_have_them(heading):
    """A word for a value that is missing is nobody's number."""
    separator = next(mark for mark in ",;\t" if mark in heading)
    lines = [heading, *(separator.join(row) for row in (("a.png", "7"), ("b.png", "NA"), ("c.png", "unknown")))]
    found = parse_patients("\n".join(lines).encode(), Path("who.csv"))
    assert found == {"a.png": "7", "b.png": "", "c.png": ""}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,patient\na,#N/A\n", "--patients who.csv, line 2: patient is #N/A, an error of a spreadsheet program"),
        ("file;patient\na;1,2E+05\n", "line 2: patient is 1,2E.05, a number that a spreadsheet program has shortened"),
        ("file,patient,Patient\na,1,1\nb,1,2\n", "line 3: the column patient stands twice, with different values"),
    ],
)
def test_what_a_spreadsheet_made_of_patients_is_named(text, said):
    with rejection(said):
        parse_patients(text.encode(), Path("who.csv"))
    assert parse_patients(b"file,patient,Patient\na,1,1\nb,1,\n", Path("who.csv")) == {"a": "1", "b": "1"}


def test_a_table_of_patients_without_permission_is_named(tmp_path, unreadable):
    from detector.datasets import own_folders

    (tmp_path / "who.csv").write_text("file,patient\n")
    with rejection("--patients .* cannot be read"):
        own_folders.read_patients(tmp_path / "who.csv")
