"""Every collection but Cohen's and Kermany's pictures: read as it comes, built from and drawn from as a user does."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, classes, digest, needs, picture, refusal, refused, script, tree
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector import InputError
from detector.collections import (
    actualmed,
    catalogue,
    cohen,
    figure1,
    findings,
    hannover,
    image_record,
    kermany,
    nih,
    values,
)
from detector.collections import csv_table as tables
from detector.collections import views as view_words
from detector.collections.image_record import ImageRecord
from detector.datasets import manifest, overview, sampling, selection
from tools.fuzzing.readers import dicom

ERAS = SHARED / "metadata-eras"
HANNOVER = SHARED / "covid-19-image-repository"
NIH = SHARED / "nih-chest-xrays"


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def clone(folder: Path, table: str, text: str, *images: str) -> Path:
    """Write a clone: a table, and pictures that are all different."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / table).write_text(text, encoding="utf-8")
    for seed, name in enumerate(images):
        picture(folder / name, seed + 100 * len(folder.name))
    return folder


def actualmed_clone(folder: Path) -> Path:
    text = "patientid,finding,view,modality,imagename,notes\n1,COVID-19,PA,X-ray,a.png,\n2,No finding,PA,X-ray,b.png,\n"
    text += "3,,PA,X-ray,c.png,\n4,No finding,AP,X-ray,d.png,\n5,COVID-19,AP Supine,X-ray,e.png,\n"
    return clone(folder, "metadata.csv", text, *(f"images/{name}.png" for name in "abcde"))


def figure1_clone(folder: Path) -> Path:
    text = "patientid,offset,sex,age,finding,view,modality\nCOVID-00001,,F,50,COVID-19,PA,X-ray\n"
    text += "COVID-00003a,,M,60,COVID-19,PA,X-ray\nCOVID-00003b,,M,60,COVID-19,PA,X-ray\n"
    text += "NORMAL-00004,,M,60,No finding,PA,X-ray\n"
    names = ("COVID-00001.jpg", "COVID-00003a.png", "COVID-00003b.jpeg", "NORMAL-00004.jpg")
    return clone(folder, "metadata.csv", text, *(f"images/{name}" for name in names))


def hannover_clone(folder: Path) -> Path:
    text = (
        "patient_id,image_id,sex,age,admission_offset,death_offset,icu_admission_offset,projection,neutrophils_offset,"
        "neutrophils_val,pO2_offset,pO2_val\n"
        "p1,aaaaaaaa,m,61,-3.0,,,pa,0.0,4.5,0.0,80.0\np2,bbbbbbbb,w,40,,,2.0,AP,0.0,inf,,\n"
        "p3,cccccccc,m,70,20.0,,,pa,,,,\np4,dddddddd,f,55,9.0,12.0,,pa,1.0,2.5,,\n"
    )
    return clone(folder, "data.csv", text, *(f"png/{name * 8}.png" for name in "abcd"))


def cohen_clone(folder: Path, *lines: str, images: tuple[str, ...] = ()) -> Path:
    text = "\n".join(["patientid,finding,view,modality,folder,filename,license,url", *lines, ""])
    return clone(folder, "metadata.csv", text, *images)


def build(cwd: Path, *arguments: object) -> str:
    done = script("build_covid_dataset.py", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# Whole tables, against counts made by hand


@needs(ERAS)
def test_actualmed_in_whole():
    found = list(actualmed.entries(tables.read_table(ERAS / "actualmed.csv", actualmed.NEEDED, actualmed.SOURCE)))
    assert Counter(one.finding for one in found) == {"No finding": 127, "COVID-19": 58, "": 53}
    assert Counter(view_words.view_group(one.view) for one in found) == {"PA": 199, "AP": 39}
    ill = selection.select(found, lambda text: findings.names_finding(text, "COVID-19"), ["frontal"])
    well = selection.select(found, lambda text: findings.is_control(text, "COVID-19"), ["frontal"])
    assert (len(ill.kept), len(well.kept)) == (58, 127)


@needs(ERAS)
def test_figure1_in_whole():
    found = list(
        figure1.entries(tables.read_table(ERAS / "figure1.csv", figure1.NEEDED, figure1.SOURCE), lambda name: True)
    )
    with open(ERAS / "figure1.csv", newline="", encoding="cp1252") as file:
        by_hand = list(csv.DictReader(file))
    assert len(found) == len(by_hand) == 55
    assert {one.filename for one in found} == {f"{row['patientid']}.jpg" for row in by_hand}
    assert Counter(one.finding for one in found) == Counter(row["finding"] for row in by_hand)
    assert len({one.patient for one in found}) == len({re.sub(r"[a-z]$", "", row["patientid"]) for row in by_hand})


@needs(HANNOVER)
def test_a_cut_of_hannover(tmp_path):
    said = build(tmp_path, "-c", HANNOVER, "-o", "covid", "--controls-output", "other", "--view", "frontal")
    with open(HANNOVER / "data.csv", newline="", encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    ill = {
        f"{row['image_id']}.png" for row in listed if not row["admission_offset"] or float(row["admission_offset"]) < 7
    }
    not_yet = {
        f"{row['image_id']}.png" for row in listed if row["admission_offset"] and float(row["admission_offset"]) > 14
    }
    there = {path.name for path in (HANNOVER / "png").iterdir()}
    assert set(rows(tmp_path / "covid")) == ill & there
    if not_yet & there:
        assert set(rows(tmp_path / "other")) == not_yet & there
    assert f"{len(listed)} rows" in said
    assert {row["site"] for row in rows(tmp_path / "covid").values()} == {"hannover"}


@needs(NIH)
def test_nihs_sample(tmp_path):
    for label, finding in (("normal", "normal"), ("ill", "pneumonia")):
        arguments = ("-k", NIH, "-o", f"data/{label}", "-s", 40, "--finding", finding)
        done = script("sample_kaggle_dataset.py", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    listed = rows(tmp_path / "data" / "ill")
    assert len({row["patient"] for row in listed.values()}) == 40
    assert all("Pneumonia" in row["finding"].split("|") for row in listed.values())
    assert all(digest(NIH / "images" / name) == row["sha256"] for name, row in listed.items())
    assert "1 stratum (site and view) contains both classes, 80 images" in done.stdout


# The collections, as a user builds from them


def test_actualmed_with_its_own_controls(tmp_path):
    actualmed_clone(tmp_path / "clone")
    said = build(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "frontal")
    assert (set(rows(tmp_path / "d/covid")), set(rows(tmp_path / "d/other"))) == (
        {"a.png", "e.png"},
        {"b.png", "d.png"},
    )
    assert {row["site"] for row in rows(tmp_path / "d/covid").values()} == {actualmed.SOURCE}
    assert re.search(r"covid +Actualmed-COVID-chestxray-dataset +AP +1 +1\n", said)
    assert "2 strata (site and view) contain both classes, 4 images" in said
    build(tmp_path, "-c", "clone", "-o", "d/covid", "--controls-output", "d/other", "--view", "ap")
    assert (set(rows(tmp_path / "d/covid")), set(rows(tmp_path / "d/other"))) == ({"e.png"}, {"d.png"})
    build(tmp_path, "-c", "clone", "-o", "d/covid", "--view", "ap supine")
    assert set(rows(tmp_path / "d/covid")) == {"e.png"}


def test_figure1_finds_its_files_and_its_persons(tmp_path):
    figure1_clone(tmp_path / "clone")
    build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other")
    listed = rows(tmp_path / "covid")
    assert {name: row["patient"] for name, row in listed.items()} == {
        "COVID-00001.jpg": "COVID-00001",
        "COVID-00003a.png": "COVID-00003",
        "COVID-00003b.jpeg": "COVID-00003",
    }
    assert (listed["COVID-00001.jpg"]["age"], listed["COVID-00001.jpg"]["sex"]) == ("50", "F")
    assert set(rows(tmp_path / "other")) == {"NORMAL-00004.jpg"}


def test_hannover_follows_its_authors_rule_and_their_units(tmp_path):
    hannover_clone(tmp_path / "clone")
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--view", "frontal")
    listed = rows(tmp_path / "covid")
    assert set(listed) == {"aaaaaaaa.png", "bbbbbbbb.png"}
    assert set(rows(tmp_path / "other")) == {"cccccccc.png"}
    assert "taken 7 to 14 days before admission 1" in said
    first, second = listed["aaaaaaaa.png"], listed["bbbbbbbb.png"]
    assert (first["view"], first["sex"], first["age"], first["offset"]) == ("PA", "M", "61", "3")
    assert (first["neutrophil_count"], first["pO2_saturation"]) == ("4.5", "")
    assert (second["sex"], second["neutrophil_count"], second["went_icu"], second["offset"]) == ("F", "", "Y", "")


@pytest.mark.parametrize("first", ["cohen", "hannover"])
def test_a_film_of_hannover_that_cohen_has_is_kept_once(tmp_path, first):
    hannover_clone(tmp_path / "hannover")
    cohen_clone(
        tmp_path / "cohen",
        "9,COVID-19,PA,X-ray,images,aaaaaaaa.jpg,,https://github.com/ml-workgroup/covid-19-image-repository/tree/m",
        "8,COVID-19,PA,X-ray,images,x.png,,https://www.radiopaedia.org/cases/1",
        images=("images/aaaaaaaa.jpg", "images/x.png"),
    )
    second = "cohen" if first == "hannover" else "hannover"
    build(tmp_path, "-c", first, "-o", "covid", "--view", "frontal")
    said = build(tmp_path, "-c", second, "-o", "covid", "--view", "frontal")
    assert "there already from" in said and "1" in re.search(r"there already from \S+ (\d+)", said)[1]
    listed = rows(tmp_path / "covid")
    assert sorted(Path(name).stem for name in listed) == ["aaaaaaaa", "bbbbbbbb", "x"]
    assert listed["x.png"]["site"] == "radiopaedia.org"
    assert {row["site"] for name, row in listed.items() if name != "x.png"} == {"hannover"}


def test_shared_origins(tmp_path):
    cohen_clone(
        tmp_path / "clone",
        *(f"{i},COVID-19,PA,X-ray,images,c{i}.png,,https://www.a.org/{i}" for i in range(2)),
        "5,COVID-19,PA,X-ray,images,c5.png,,https://b.org/5",
        "6,SARS,PA,X-ray,images,s6.png,,http://a.org/6",
        "7,SARS,PA,X-ray,images,s7.png,,https://c.org/7",
        images=tuple(f"images/{name}.png" for name in ("c0", "c1", "c5", "s6", "s7")),
    )
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--shared-sites-only")
    assert (set(rows(tmp_path / "covid")), set(rows(tmp_path / "other"))) == ({"c0.png", "c1.png"}, {"s6.png"})
    assert said.count("site without the other class 1") == 2
    refused(
        script("build_covid_dataset.py", "--shared-sites-only", cwd=tmp_path),
        "--shared-sites-only",
        "needs --controls-output",
    )


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.radiopaedia.org/cases/1", "radiopaedia.org"),
        ("http://SIRM.org/x", "sirm.org"),
        ("https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png", "hannover"),
        ("", cohen.SOURCE),
        ("no address", cohen.SOURCE),
    ],
)
def test_the_origin_is_the_host(url, site):
    assert cohen.site(url) == site


# Several sources in one class


def test_a_build_replaces_its_own_source_only(tmp_path):
    actualmed_clone(tmp_path / "a")
    cohen_clone(
        tmp_path / "c",
        "1,COVID-19,PA,X-ray,images,a.png,,https://x.org",
        "2,COVID-19,PA,X-ray,images,z.png,,https://x.org",
        images=("images/a.png", "images/z.png"),
    )
    build(tmp_path, "-c", "c", "-o", "covid")
    (tmp_path / "covid" / "own.png").write_bytes((tmp_path / "c/images/a.png").read_bytes())
    before = tree(tmp_path / "covid")
    said = build(tmp_path, "-c", "a", "-o", "covid", "--view", "frontal")
    listed = rows(tmp_path / "covid")
    renamed = f"a-{actualmed.SOURCE}.png"
    assert set(listed) == {"a.png", "z.png", renamed, "e.png"}
    assert "own.png" in said
    assert digest(tmp_path / "covid" / renamed) == digest(tmp_path / "a/images/a.png")
    after = tree(tmp_path / "covid")
    assert {name: after[name] for name in ("a.png", "z.png", "own.png")} == {
        name: before[name] for name in ("a.png", "z.png", "own.png")
    }
    build(tmp_path, "-c", "c", "-o", "covid", "--limit", 1)
    assert set(rows(tmp_path / "covid")) == {"a.png", renamed, "e.png"}
    assert set(tree(tmp_path / "covid")) == {"a.png", renamed, "e.png", "own.png", "manifest.csv"}
    build(tmp_path, "-c", "a", "-o", "covid", "--view", "AP")
    assert set(tree(tmp_path / "covid")) == {"a.png", "e.png", "own.png", "manifest.csv"}


def test_a_killed_build_of_one_source_is_no_matter_of_another(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID19_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "covid"

    def make(source, *names, dies_at=None):
        def copy(row, target):
            if row["file"] == dies_at:
                raise SystemExit
            target.write_text(f"{source} {row['file']}")

        import hashlib

        listed = [
            dict.fromkeys(manifest.COLUMNS, "")
            | {"file": name, "source": source, "sha256": hashlib.sha256(f"{source} {name}".encode()).hexdigest()}
            for name in names
        ]
        return manifest.replace(folder, listed, source, copy)

    make("one", "a", "b")
    with pytest.raises(SystemExit):
        make("two", "c", "d", dies_at="d")
    assert set(manifest.read(folder)) == {"a", "b"}
    make("one", "a")
    assert set(manifest.read(folder)) == {"a"}
    assert make("two", "d") == []
    assert set(tree(folder)) == {"a", "d", "manifest.csv"}


def test_adopted_folders(tmp_path):
    classes(tmp_path / "data", P=3, N=2)
    before = tree(tmp_path / "data")
    (tmp_path / "who.csv").write_text("file,patient\nP-000.png,7\nP/P-001.png,7\n")
    arguments = ("--write-manifests", "data", "--source", "covidgr", "--view", "PA", "--patients", "who.csv")
    said = build(tmp_path, *arguments)
    assert "the images are unchanged" in said and "1 stratum (site and view) contains both classes, 5 images" in said
    listed = rows(tmp_path / "data" / "P")
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


def test_what_cannot_be_adopted(tmp_path):
    classes(tmp_path / "data", P=1, N=1)
    picture(tmp_path / "flat" / "a.png", 1)

    def adopt(*arguments):
        return script("build_covid_dataset.py", "--write-manifests", *arguments, cwd=tmp_path)

    refused(adopt("data"), "needs --source")
    refused(adopt("data", "--source", nih.SOURCE), "is a collection with a builder of its own")
    refused(adopt("nowhere", "--source", "x"), "nowhere is not a folder")
    refused(adopt("flat", "--source", "x"), "must lie in folders named after their classes")
    refused(adopt("data", "--source", "x", "--view", "PA", "--view", "AP"), "takes one --view")
    refused(adopt("data", "--source", "x", "--patients", "who.csv"), "--patients who.csv is not a file")
    for text, said in (
        ("file,patient\nelsewhere.png,1\n", "--patients names elsewhere.png, which data does not hold"),
        ("name,patient\na,1\n", "must have the columns file and patient"),
        ("file,patient\nP-000.png,1\nP-000.png,2\n", "line 3: P-000.png has two patients"),
        ('file,patient\n"P-000.png,1\n', "not CSV"),
    ):
        (tmp_path / "who.csv").write_text(text)
        refused(adopt("data", "--source", "x", "--patients", "who.csv"), said)
    assert not list(tmp_path.rglob("manifest.csv"))


# NIH and RSNA


def nih_folder(folder: Path, table: str = "Data_Entry_2017.csv", where: str = "images_001/images") -> Path:
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"]
    for i in range(12):
        label = "No Finding" if i < 6 else "Mass|Pneumonia" if i < 9 else "Mass"
        age = ("058Y", "7", "414", "", "018Y", "30")[i % 6]
        lines.append(f"{i:08d}_000.png,{label},0,{i},{age},{'F' if i % 2 else 'M'},{'AP' if i % 3 else 'PA'}")
    return clone(folder, table, "\n".join([*lines, ""]), *(f"{where}/{i:08d}_000.png" for i in range(12)))


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("Data_Entry_2017.csv", "images_001/images"),
        ("sample_labels.csv", "sample/images"),
        ("sample_labels.csv", "images"),
    ],
)
def test_nih(tmp_path, table, where):
    nih_folder(tmp_path / "nih", table, where)

    def draw(*arguments):
        return script("sample_kaggle_dataset.py", "-k", "nih", "-o", "d/normal", *arguments, cwd=tmp_path)

    done = draw("-s", 6)
    assert done.returncode == 0, done.stderr
    listed = rows(tmp_path / "d/normal")
    assert len(listed) == 6
    assert [listed[f"{i:08d}_000.png"]["age"] for i in range(6)] == ["58", "7", "", "", "18", "30"]
    assert listed["00000001_000.png"]["sex"] == "F" and listed["00000001_000.png"]["view"] == "AP"
    assert {row["site"] for row in listed.values()} == {nih.SOURCE}
    done = draw("-s", 3, "--adults")
    assert set(rows(tmp_path / "d/normal")) == {f"{i:08d}_000.png" for i in (0, 4, 5)}
    assert "left out: 2 of unknown age" in done.stdout and "left out: 1 of children" in done.stdout
    assert draw("-s", 3, "--finding", "pneumonia").returncode == 0
    assert {row["finding"] for row in rows(tmp_path / "d/normal").values()} == {"Mass|Pneumonia"}
    assert draw("-s", 4, "--view", "ap").returncode == 0
    refused(draw("-s", 3, "--view", "PA"), "--sample 3 asks for more than the 2 patients", "4 of another view")
    refused(draw("--finding", "Covid"), "--finding Covid is no label", "it has Mass, No Finding, Pneumonia")


def test_only_what_is_drawn_is_read(tmp_path, monkeypatch):
    nih_folder(tmp_path / "nih")
    for path in (tmp_path / "nih/images_001/images").iterdir():
        path.write_bytes(b"")
    found = nih.read(tmp_path / "nih", "normal")
    assert len(sampling.draw(found, sampling.Draw(4, 0)).drawn) == 4


def film(path: Path, view: str = "PA", age: str = "058Y", jpeg: bool = True) -> None:
    """Write a DICOM film such as the challenge's."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

    grey = np.random.default_rng(len(path.name)).integers(0, 255, (64, 64), dtype=np.uint8)
    dataset = dicom(JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian, 64, 64, 8)
    dataset.BitsStored, dataset.HighBit, dataset.PhotometricInterpretation = 8, 7, "MONOCHROME2"
    data = io.BytesIO()
    Image.fromarray(grey).save(data, "JPEG")
    dataset.PixelData = encapsulate([data.getvalue()]) if jpeg else grey.tobytes()
    dataset.PatientAge, dataset.PatientSex = age, "F"
    if view:
        dataset.ViewPosition = view
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def rsna_folder(folder: Path) -> Path:
    lines = ["patientId,class"]
    for i in range(8):
        kind = ("Normal", "Normal", "Lung Opacity", "No Lung Opacity / Not Normal")[i % 4]
        lines += [f"film{i},{kind}"] * (2 if kind == "Lung Opacity" else 1)
        age = "010Y" if i == 1 else "" if i == 4 else "045Y"
        film(
            folder / "stage_2_train_images" / f"film{i}.dcm",
            "AP" if i == 5 else "" if i == 0 else "PA",
            age,
            i % 2 == 0,
        )
    (folder / "stage_2_detailed_class_info.csv").write_text("\n".join([*lines, ""]))
    return folder


def test_rsna(tmp_path):
    rsna_folder(tmp_path / "rsna")

    def draw(*arguments):
        return script("sample_kaggle_dataset.py", "-k", "rsna", "-o", "d/normal", *arguments, cwd=tmp_path)

    done = draw("-s", 4)
    assert done.returncode == 0, done.stderr
    listed = rows(tmp_path / "d/normal")
    assert set(listed) == {f"film{i}.dcm" for i in (0, 1, 4, 5)}
    assert (listed["film1.dcm"]["age"], listed["film1.dcm"]["sex"], listed["film1.dcm"]["view"]) == ("10", "F", "PA")
    assert draw("-s", 2, "--finding", "lung opacity").returncode == 0
    assert set(rows(tmp_path / "d/normal")) == {"film2.dcm", "film6.dcm"}
    done = draw("-s", 2, "--adults", "--view", "frontal")
    refused(
        done, "--sample 2 asks for more than the 1 patient", "1 without a view", "1 of unknown age", "1 of children"
    )
    refused(draw("--finding", "Covid"), "is no class of", "Lung Opacity, No Lung Opacity / Not Normal, Normal")
    (tmp_path / "rsna/stage_2_train_images/film2.dcm").unlink()
    refused(draw("-s", 2, "--finding", "Lung Opacity"), "film2.dcm", "No such file")
    with open(tmp_path / "rsna/stage_2_detailed_class_info.csv", "a") as file:
        file.write("film0,Lung Opacity\n")
    refused(draw(), "film0 has two classes")


def test_kermanys_kinds_of_pneumonia(tmp_path):
    names = ("person1_virus_6.jpeg", "person1_virus_7.jpeg", "person2_bacteria_3.jpeg")
    clone(tmp_path / "k", "x", "", *(f"train/PNEUMONIA/{name}" for name in names), "train/NORMAL/IM-0001-0001.jpeg")

    def draw(*arguments):
        return script("sample_kaggle_dataset.py", "-k", "k", "-o", "d/ill", *arguments, cwd=tmp_path)

    assert draw("-s", 2, "--no-one-per-patient", "--finding", "virus").returncode == 0
    assert {row["finding"] for row in rows(tmp_path / "d/ill").values()} == {"Pneumonia/Viral"}
    assert draw("-s", 1, "--finding", "bacteria").returncode == 0
    assert set(rows(tmp_path / "d/ill")) == {"person2_bacteria_3.jpeg"}
    assert draw("-s", 3, "--no-one-per-patient", "--finding", "PNEUMONIA").returncode == 0
    refused(draw("-s", 2, "--finding", "virus"), "--sample 2 asks for more than the 1 patient", "--no-one-per-patient")
    refused(draw("-s", 1, "--adults"), "--adults", "are children")
    refused(draw("-s", 1, "--finding", "covid"), "no folder train/covid")


# Bad input


def test_columns_that_are_missing_or_there_twice(tmp_path):
    for name, text, said in (
        ("actualmed", "patientid,view,imagename\n1,PA,a.png\n", "no column finding"),
        ("figure1", "patientid,view\n1,PA\n", "no column finding"),
        ("hannover", "image_id,admission_offset,projection\na,1,pa\n", "no column patient_id"),
        ("twice", "patientid,finding,view,imagename,View\n1,x,PA,a.png,AP\n", "the column view twice"),
    ):
        clone(tmp_path / name, "data.csv" if name == "hannover" else "metadata.csv", text)
        refused(script("build_covid_dataset.py", "-c", name, "-o", "out", cwd=tmp_path), said)
    clone(tmp_path / "nih", "Data_Entry_2017.csv", "Image Index,Patient ID\na.png,1\n")
    refused(script("sample_kaggle_dataset.py", "-k", "nih", cwd=tmp_path), "no column Finding Labels")
    clone(tmp_path / "rsna", "stage_2_detailed_class_info.csv", "patientId,label\na,1\n")
    refused(script("sample_kaggle_dataset.py", "-k", "rsna", cwd=tmp_path), "no column class")
    assert not (tmp_path / "out").exists()


def test_folders_that_are_no_known_collection(tmp_path):
    (tmp_path / "empty").mkdir()
    done = script("build_covid_dataset.py", "-c", "empty", cwd=tmp_path)
    refused(
        done,
        "--covid empty: no known collection found. Expected one of: train_study_level.csv",
        "metadata.csv with the columns",
        "data.csv with the columns",
    )
    done = script("sample_kaggle_dataset.py", "-k", "empty", cwd=tmp_path)
    refused(
        done,
        "--kaggle empty: no known collection",
        "train/NORMAL",
        "Data_Entry_2017.csv",
        "stage_2_detailed_class_info",
    )


def test_images_that_leave_the_clone_and_files_of_two_patients(tmp_path):
    head = "patientid,finding,view,imagename\n"
    clone(tmp_path / "a", "metadata.csv", f"{head}1,COVID-19,PA,../../a.png\n")
    refused(script("build_covid_dataset.py", "-c", "a", "-o", "out", cwd=tmp_path), "no file inside of the clone")
    clone(tmp_path / "b", "metadata.csv", f"{head}1,COVID-19,PA,a.png\n2,COVID-19,PA,a.png\n", "images/a.png")
    refused(script("build_covid_dataset.py", "-c", "b", "-o", "out", cwd=tmp_path), "listed under two patients")
    clone(tmp_path / "f", "metadata.csv", "patientid,finding,view\n../x,COVID-19,PA\n")
    refused(script("build_covid_dataset.py", "-c", "f", "-o", "out", cwd=tmp_path), "no file inside of the clone")
    text = "patient_id,image_id,projection,admission_offset\np,../../x,pa,\n"
    clone(tmp_path / "h", "data.csv", text)
    refused(script("build_covid_dataset.py", "-c", "h", "-o", "out", cwd=tmp_path), "no file inside of the clone")
    text = "Image Index,Finding Labels,Patient ID\na.png,No Finding,1\na.png,No Finding,2\n"
    clone(tmp_path / "n", "Data_Entry_2017.csv", text, "images/a.png")
    refused(script("sample_kaggle_dataset.py", "-k", "n", "-s", 1, cwd=tmp_path), "listed under two patients")
    assert not (tmp_path / "out").exists()


def test_tables_that_are_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    clone(tmp_path, "metadata.csv", "patientid,finding\n")
    with refusal("more than"):
        tables.read_table(tmp_path / "metadata.csv", actualmed.NEEDED, actualmed.SOURCE)


# Names, ages, labels


@pytest.mark.parametrize(
    ("text", "years"),
    [("58", "58"), ("058Y", "58"), ("6M", "0.5"), ("014D", "0.0383"), ("414", ""), ("", ""), ("old", ""), ("50+", "")],
)
def test_ages(text, years):
    assert values.age_cell(text) == years


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=8) | st.from_regex(r"\d{1,5}[YMWD]?", fullmatch=True))
def test_any_age_is_of_a_person_or_unknown(text):
    years = values.age_cell(text)
    assert years == "" or 0 <= float(years) <= values.OLDEST
    assert values.is_adult(years) in (True, False, None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["No Finding", "Mass", "Pneumonia", "Hernia"]), min_size=1, unique=True))
def test_a_film_has_each_of_its_labels_and_no_other(labels):
    for label in ("No Finding", "Mass", "Pneumonia", "Hernia"):
        assert findings.names_finding("|".join(labels), label) == (label in labels)
        assert findings.names_finding("|".join(labels), label.lower()) == (label in labels)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_the_group_of_a_view_does_not_depend_on_case(text):
    assert view_words.is_wanted(text, [text.upper()]) or text.strip().casefold() != text.upper().strip().casefold()
    assert view_words.view_group("AP " + text) == "AP"
    assert view_words.is_wanted("pa", ["PA"]) and not view_words.is_wanted("L", ["frontal"])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99999), st.sampled_from("abc"))
def test_films_of_one_person_are_of_one_person(number, letter):
    assert figure1.person(f"COVID-{number:05d}{letter}") == f"COVID-{number:05d}"
    assert figure1.person(f"COVID-{number:05d}") == f"COVID-{number:05d}"


@settings(max_examples=100, deadline=None)
@given(st.floats(-60, 60))
def test_the_rule_of_hannover(days):
    finding, unknown = hannover.finding_of(f"{days}")
    assert (finding == "COVID-19") == (days < 7)
    assert (finding == hannover.NOT_YET_ILL) == (days > 14)
    assert bool(unknown) == (7 <= days <= 14)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 9), st.booleans())
def test_a_sample_is_the_same_in_any_order(number, seed, one_per_patient):
    entries = [
        ImageRecord("", "images", f"{i}.png", f"{i // 2}", "PA", "", "s", "s", clinical={"age": str(i)})
        for i in range(40)
    ]

    def draw(listed):
        try:
            return [one.filename for one in sampling.draw(listed, sampling.Draw(number, seed, one_per_patient)).drawn]
        except InputError:
            assert number > (20 if one_per_patient else 40)
            return None

    assert draw(entries) == draw(entries[::-1])


def test_every_collection_has_what_a_builder_asks_for():
    for collection in (*catalogue.CLONES, *catalogue.SAMPLED):
        assert collection.SOURCE in catalogue.SOURCES
        assert callable(collection.read) and callable(collection.is_here) and collection.LOOKED_FOR
    assert kermany.patient("NORMAL2-IM-1179-0001.jpeg") == "1179"
    assert set(image_record.CLINICAL) >= {"age", "sex", "offset"}


# What a comparison can show


def test_the_overview_says_what_a_comparison_can_show():
    film = overview.Entry
    apart = [film("covid", "a", "PA", "1"), film("normal", "b", "PA", "2")]
    assert overview.meaning(apart).startswith("No site and view contains both classes")
    assert overview.meaning(apart[:1]).startswith("One class so far (covid)")
    assert overview.meaning([film("covid", "", "", "1"), film("normal", "", "", "2")]).startswith(
        "The site of the images is not known"
    )
    fair = [*apart, film("normal", "a", "PA", "3"), film("normal", "a", "AP", "3")]
    assert overview.meaning(fair).startswith("1 stratum (site and view) contains both classes, 2 images")
    assert "the other 2 images can show the source only" in overview.meaning(fair)
    lines = overview.table([*fair, film("normal", "a", "PA", "3")])
    assert [line.split() for line in lines] == [
        ["class", "site", "view", "images", "patients"],
        ["covid", "a", "PA", "1", "1"],
        ["normal", "a", "AP", "1", "1"],
        ["normal", "a", "PA", "2", "1"],
        ["normal", "b", "PA", "1", "1"],
    ]
    many = [film(f"c{i:03d}", "o", "PA", str(i)) for i in range(100)]
    assert overview.table(many)[-1] == "and 60 rows more"
