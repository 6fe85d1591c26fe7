"""Local copies of collections, written for a test, and the manifests that a builder makes of them."""

from __future__ import annotations

import csv
from pathlib import Path
from subprocess import CompletedProcess

from conftest import accepted, inside, picture


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


HEADER = "patientid,finding,view,modality,folder,filename,license,url,clinical_notes"


def write_collection(folder: Path, header: str, *lines: str, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_bytes("\n".join([header, *lines, ""]).encode(encoding))
    return folder


def rows_by_file(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def collection(folder: Path, table: str, text: str, *images: str) -> Path:
    """Write a local copy of a collection: a table, and pictures that are all different."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / table).write_text(text, encoding="utf-8")
    for seed, name in enumerate(images):
        picture(folder / name, seed + 100 * len(folder.name))
    return folder


def actualmed_collection(folder: Path) -> Path:
    text = "patientid,finding,view,modality,imagename,notes\n1,COVID-19,PA,X-ray,a.png,\n2,No finding,PA,X-ray,b.png,\n"
    text += "3,,PA,X-ray,c.png,\n4,No finding,AP,X-ray,d.png,\n5,COVID-19,AP Supine,X-ray,e.png,\n"
    return collection(folder, "metadata.csv", text, *(f"images/{name}.png" for name in "abcde"))


def figure1_collection(folder: Path) -> Path:
    text = "patientid,offset,sex,age,finding,view,modality\nCOVID-00001,,F,50,COVID-19,PA,X-ray\n"
    text += "COVID-00003a,,M,60,COVID-19,PA,X-ray\nCOVID-00003b,,M,60,COVID-19,PA,X-ray\n"
    text += "NORMAL-00004,,M,60,No finding,PA,X-ray\n"
    names = ("COVID-00001.jpg", "COVID-00003a.png", "COVID-00003b.jpeg", "NORMAL-00004.jpg")
    return collection(folder, "metadata.csv", text, *(f"images/{name}" for name in names))


def hannover_collection(folder: Path) -> Path:
    text = (
        "patient_id,image_id,sex,age,admission_offset,death_offset,icu_admission_offset,projection,neutrophils_offset,"
        "neutrophils_val,pO2_offset,pO2_val\n"
        "p1,aaaaaaaa,m,61,-3.0,,,pa,0.0,4.5,0.0,80.0\np2,bbbbbbbb,w,40,,,2.0,AP,0.0,inf,,\n"
        "p3,cccccccc,m,70,20.0,,,pa,,,,\np4,dddddddd,f,55,9.0,12.0,,pa,1.0,2.5,,\n"
    )
    return collection(folder, "data.csv", text, *(f"png/{name * 8}.png" for name in "abcd"))


def cohen_collection(folder: Path, *lines: str, images: tuple[str, ...] = ()) -> Path:
    text = "\n".join(["patientid,finding,view,modality,folder,filename,license,url", *lines, ""])
    return collection(folder, "metadata.csv", text, *images)


def sample(cwd: Path, *arguments: object) -> CompletedProcess:
    """Sample from a local copy ``k`` of a collection."""
    return inside("sample_kaggle_dataset.py", "-k", "k", "-o", "d/normal", *arguments, cwd=cwd)


def sampled(cwd: Path, *arguments: object) -> dict[str, dict[str, str]]:
    """Return the rows of what `sample` draws, by file."""
    accepted(sample(cwd, *arguments))
    return rows_by_file(cwd / "d" / "normal")


def build(cwd: Path, *arguments: object) -> str:
    return accepted(inside("build_covid_dataset.py", *arguments, cwd=cwd))
