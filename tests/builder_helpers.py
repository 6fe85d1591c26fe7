"""Local copies of collections, written for a test, and the manifests that a builder makes of them."""

from __future__ import annotations

import csv
from pathlib import Path
from subprocess import CompletedProcess

from conftest import accepted, inside, picture

HEADER = "patientid,finding,view,modality,folder,filename,license,url,clinical_notes"


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a manifest by file."""
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def collection(folder: Path, table: str, text: str, *images: str) -> Path:
    """Write a local copy of a collection: a table, and pictures that are all different."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / table).write_bytes(text.encode())
    for seed, name in enumerate(images):
        picture(folder / name, seed + 100 * len(folder.name))
    return folder


def cohen(folder: Path, *lines: str, images: str = "", header: str = HEADER) -> Path:
    """Write a copy of Cohen's collection; `images` are names of files in its folder ``images``."""
    text = "\n".join([header, *lines, ""])
    return collection(folder, "metadata.csv", text, *(f"images/{name}" for name in images.split()))


def actualmed(folder: Path) -> Path:
    lines = ["1,COVID-19,PA,X-ray,a.png,", "2,No finding,PA,X-ray,b.png,", "3,,PA,X-ray,c.png,"]
    lines += ["4,No finding,AP,X-ray,d.png,", "5,COVID-19,AP Supine,X-ray,e.png,"]
    header = "patientid,finding,view,modality,imagename,notes"
    return cohen(folder, *lines, images="a.png b.png c.png d.png e.png", header=header)


def sample(cwd: Path, *arguments: object) -> CompletedProcess:
    """Sample from a local copy ``k`` of a collection."""
    return inside("sample_kaggle_dataset.py", "-k", "k", "-o", "d/normal", *arguments, cwd=cwd)


def sampled(cwd: Path, *arguments: object) -> dict[str, dict[str, str]]:
    """Return the rows of what `sample` draws, by file."""
    accepted(sample(cwd, *arguments))
    return rows(cwd / "d" / "normal")


def build(cwd: Path, *arguments: object) -> str:
    return accepted(inside("build_covid_dataset.py", *arguments, cwd=cwd))
