"""Local copies of collections, written for a test, and the manifests that a builder makes of them."""

from __future__ import annotations

import csv
from pathlib import Path


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


HEADER = "patientid,finding,view,modality,folder,filename,license,url,clinical_notes"


def write_clone(folder: Path, header: str, *lines: str, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_bytes("\n".join([header, *lines, ""]).encode(encoding))
    return folder
