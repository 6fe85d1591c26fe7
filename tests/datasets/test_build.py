"""Choosing images of a finding, its controls, and sites that both have; samples; persons listed twice; flags."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builder_helpers import actualmed, rows
from builder_helpers import build as built
from conftest import classes, inside, picture, rejected, tree

from detector.collections.cohen import Cohen
from detector.collections.nih import Nih
from detector.collections.record import ImageRecord
from detector.datasets import build, dataset, manifest
from detector.datasets.build import BuildOptions


def record(name: str, finding: str, site: str = "a", view: str = "PA", patient: str = "", **others: str) -> ImageRecord:
    return ImageRecord(f"line of {name}", "images", f"{name}.png", patient or name, view, finding, site, **others)


ENTRIES = [
    record("c1", "Pneumonia/Viral/COVID-19"),
    record("c2", "COVID-19", "b"),
    record("c3", "COVID-19", view="L"),
    record("s1", "Pneumonia/Viral/SARS"),
    record("n1", "No Finding", "c"),
    record("u1", "todo"),
]
BOTH = {"output": Path("covid"), "controls_output": Path("other")}


def chosen(**options: object) -> dict[str, list[str]]:
    found = build.choose(Cohen(), ENTRIES, BuildOptions(**options))
    return {folder.name: [entry.patient for entry in one.kept] for folder, one in found.items()}


def test_images_of_the_finding_and_its_controls_are_chosen():
    assert chosen(**BOTH) == {"covid": ["c1", "c2"], "other": ["s1", "n1"]}
    assert chosen() == {"covid": ["c1", "c2"]}
    assert chosen(**BOTH, shared_sites_only=True) == {"covid": ["c1"], "other": ["s1"]}
    assert chosen(finding="sars") == {"covid": ["s1"]}


def test_every_image_is_kept_or_counted_with_a_reason():
    entries = [
        *(record("a", "COVID-19"), record("a", "COVID-19"), record("b", "SARS"), record("c", "COVID-19")),
        *(
            record("d", "COVID-19", view=""),
            record("e", "COVID-19", modality="CT"),
            record("f", "", unknown="no label"),
        ),
        record("a", "SARS"),
    ]
    one, other = build.choose(Cohen(), entries, BuildOptions(**BOTH)).values()
    assert ([entry.filename for entry in one.kept], [entry.filename for entry in other.kept]) == (["c.png"], ["b.png"])
    assert Counter(reason for reason, _ in one.dropped) == {
        "listed twice": 1,
        "another finding": 2,
        "view unknown": 1,
        "another modality": 1,
        "no label": 1,
        "listed with two findings": 1,
    }


def test_patients_who_share_an_image_are_one():
    entries = [
        *(record("a", "x", patient="00000007"), record("b", "x", patient="8"), record("c", "x", patient="9")),
        *(record("b", "x", patient="7"), record("d", "x", patient="8"), record("e", "x", patient="7")),
    ]
    found, notes = build.joined(entries)
    assert notes == ["patients with an image in common are one: 8 is 00000007"]
    assert [entry.patient for entry in found] == [*2 * ["00000007"], "9", *3 * ["00000007"]]
    # What is not known, a patient or a file, joins nobody.
    apart = [replace(entry, filename="", patient=str(i)) for i, entry in enumerate(entries)]
    apart += [replace(entries[0], patient=""), entries[0], replace(entries[4], patient="")]
    assert [entry.patient for entry in build.joined(apart)[0]] == [*"012345", "", "00000007", ""]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "d", "--controls-output", "./d"), "d is the same folder as --output"),
        (("--shared-sites-only",), "--shared-sites-only needs --controls-output"),
        (("--source", "ours"), "--write-manifests needs --source, and --source needs --write-manifests"),
        (("--write-manifests", "d", "--source", "a", "--view", "PA", "--view", "AP"), "takes one --view for all"),
        (("-c", "clone", "--split", "train"), "clone (Actualmed-COVID-chestxray-dataset) is not published in parts"),
        (("-c", "clone", "--finding", "!COVID-19"), "--finding !COVID-19: a finding begins with a letter or digit"),
        (("-c", "clone", "-o", "d", "--patients", "who.csv"), "--patients who.csv names no image of clone, but x.png"),
        (("-n", "0"), "argument -n/--limit: '0' is not an integer ≥ 1"),
    ],
)
def test_flags_that_need_others_are_rejected_without_them(tmp_path, arguments, said):
    actualmed(tmp_path / "clone")
    (tmp_path / "who.csv").write_text("file,patient\nx.png,1\n")
    rejected(inside("build_covid_dataset.py", *arguments, cwd=tmp_path), said)


# Manifests for folders of images as they are


def test_manifests_are_written_for_folders_as_they_are(tmp_path):
    before = tree(classes(tmp_path / "data", P=3, N=2))
    (tmp_path / "who.csv").write_text("file,patient\nP-000.png,7\nP/P-001.png,7\n")
    arguments = ("--write-manifests", "data", "--source", "covidgr", "--view", "PA", "--patients", "who.csv")
    said = built(tmp_path, *arguments)
    assert "--patients who.csv has no row of 3 images (N/N-000.png, N/N-001.png, P/P-002.png)" in said
    assert "the images are unchanged" in said and "All 5 images share one site and view" in said
    listed = rows(tmp_path / "data" / "P")
    assert [(name, row["patient"]) for name, row in listed.items()] == [
        *(("P-000.png", "7"), ("P-001.png", "7"), ("P-002.png", ""))
    ]
    assert {(row["source"], row["site"], row["view"]) for row in listed.values()} == {("covidgr", "covidgr", "PA")}
    after = tree(tmp_path / "data")
    assert set(after) - set(before) == {"P/manifest.csv", "N/manifest.csv"} and before.items() <= after.items()
    built(tmp_path, *arguments)
    assert tree(tmp_path / "data") == after


def test_what_an_earlier_call_gave_stays(tmp_path):
    """Patients, view, site and further columns are kept where a call says nothing of them, unless the image is new."""
    folder, who = classes(tmp_path / "data", P=2, N=1) / "P", tmp_path / "who.csv"
    who.write_text("file,patient\nP-000.png,7\nP-001.png,8\n")
    build.write_manifests(tmp_path / "data", "mine", "PA", who)
    manifest.write(folder, [row | {"site": "Vienna", "smoker": "yes"} for row in manifest.read(folder).values()])
    picture(folder / "P-001.png", 99)
    build.write_manifests(tmp_path / "data", "mine", "", None)
    listed = rows(folder)
    written = {name: [row[key] for key in ("patient", "view", "site", "smoker")] for name, row in listed.items()}
    assert written == {"P-000.png": ["7", "PA", "Vienna", "yes"], "P-001.png": ["", "", "mine", ""]}
    who.write_text("file,patient\nP-000.png,9\n")
    build.write_manifests(tmp_path / "data", "mine", "AP", who)
    assert [rows(folder)["P-000.png"][key] for key in ("patient", "view", "site")] == ["9", "AP", "Vienna"]


CALL = ("data", "--source", "x")
OTHER = (*CALL, "--patients", "who.csv")


@pytest.mark.parametrize(
    ("arguments", "table", "said"),
    [
        (("data", "--source", Nih.source), "", "is a collection with a builder of its own"),
        (("nowhere", "--source", "x"), "", "nowhere does not exist"),
        (
            ("data/P", "--source", "x"),
            "",
            "holds P-000.png outside of its class folders; move them into",
        ),
        ((*CALL, "--patients", "elsewhere.csv"), "", "--patients elsewhere.csv: No such file"),
        (
            OTHER,
            "file,patient\nelsewhere.png,1\n",
            "--patients who.csv names no image of data, but elsewhere.png; give",
        ),
        (OTHER, "name,patient\na,1\n", "has no column file; it has name, patient"),
        (OTHER, "file,patient\nP-000.png,1\nP-000.png,2\n", "line 3: P-000.png has two rows of different values"),
        (OTHER, 'file,patient\n"P-000.png,1\n', "not CSV"),
        (
            OTHER,
            "file,patient\np-000.jpg,1\nP/P-000.png,2\n",
            "has two rows of different values for P/P-000.png",
        ),
    ],
)
def test_folders_for_which_no_manifest_can_be_written_are_rejected(tmp_path, arguments, table, said):
    classes(tmp_path / "data", P=1, N=1)
    (tmp_path / "who.csv").write_text(table)
    rejected(inside("build_covid_dataset.py", "--write-manifests", *arguments, cwd=tmp_path), said)
    assert not list(tmp_path.rglob("manifest.csv"))


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("file,patient", "{}.png,{}"),
        ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age", "{}.png,No Finding,0,{},58"),
        (",ImageID,ImageDir,PatientID,Projection", "0,{}.png,5,{},PA"),
        ("dicom_id;subject_id;study_id;ViewPosition", "{};{};5;PA"),
        ("image_name\tStudyInstanceUID", "{}.dcm\t{}"),
        ("SOPInstanceUID;StudyInstanceUID", "{};{}"),
    ],
)
def test_published_tables_name_patients(tmp_path, heading, row):
    """Rows of other images are counted; a word for a missing value is nobody's number."""
    classes(tmp_path / "d", covid=5, normal=2)
    who = ["covid-000,007", "covid-001,7", "covid-002,8", "covid-003,NA", "normal-000,7", "other-1,1", "other-2,2"]
    lines = [heading, *(row.format(*one.split(",")) for one in who)]
    (tmp_path / "who.csv").write_text("\n".join(lines))
    _, notes = build.write_manifests(tmp_path / "d", "mine", "", tmp_path / "who.csv")
    assert notes[0].startswith(f"--patients {tmp_path}/who.csv: 2 rows of other images (other-1")
    assert notes[1].endswith("who.csv has no row of 2 images (covid/covid-004.png, normal/normal-001.png)")
    images = dataset.load(tmp_path / "d").images
    assert [image.patient for image in images] == ["mine/007", "mine/7", "mine/8", None, None, "mine/7", None]


def test_a_file_that_is_a_patient(tmp_path):
    (tmp_path / "who.csv").write_text("patientId,x,y,Target\n0004cfab,1,2,1\n0004cfab,3,4,1\n")
    given = build.read_patients(tmp_path / "who.csv", ["a/0004cfab.png"], tmp_path)
    assert given == ({"a/0004cfab.png": "0004cfab"}, [])


def test_manifests_of_all_folders_are_written_or_none(tmp_path):
    classes(tmp_path / "data", a=1, b=1)
    (tmp_path / "data" / "b" / "manifest.csv").mkdir()
    rejected(
        inside("build_covid_dataset.py", "--write-manifests", "data", "--source", "x", cwd=tmp_path), "manifest.csv"
    )
    assert [one.is_dir() for one in tmp_path.rglob("manifest.csv")] == [True]


def test_a_manifest_of_a_persons_own_is_completed_and_rows_of_other_sources_stay(tmp_path):
    classes(tmp_path, covid=3, normal=1)
    table = "file,patient,age,source\ncovid-000.png,7,999,\ncovid-001.png,8,50,other\n"
    (tmp_path / "covid" / "manifest.csv").write_text(table)
    build.write_manifests(tmp_path, "mine", "PA", None)
    written = [
        [row[name] for name in ("patient", "age", "view", "source")] for row in rows(tmp_path / "covid").values()
    ]
    assert written == [["7", "999", "PA", "mine"], ["8", "50", "", "other"], ["", "", "PA", "mine"]]
