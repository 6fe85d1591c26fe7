"""NIH ChestX-ray14: tables and folders as they unpack, and samples of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder_helpers import collection, rows, sample, sampled
from conftest import accepted, rejected

from detector.collections.nih import Nih


def nih_folder(folder: Path, table: str = "Data_Entry_2017.csv", where: str = "images_001/images") -> Path:
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"]
    for i in range(12):
        label = "No Finding" if i < 6 else "Mass|Pneumonia" if i < 9 else "Mass"
        age = ("058Y", "7", "414", "", "018Y", "30")[i % 6]
        lines.append(f"{i:08d}_000.png,{label},0,{i},{age},{'F' if i % 2 else 'M'},{'AP' if i % 3 else 'PA'}")
    return collection(folder, table, "\n".join([*lines, ""]), *(f"{where}/{i:08d}_000.png" for i in range(12)))


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("Data_Entry_2017.csv", "images_001/images"),
        ("sample_labels.csv", "sample/images"),
        ("sample_labels.csv", "images"),
        ("Data_Entry_2017.csv", "images-224/images-224"),
        ("Data_Entry_2017.csv", "."),
    ],
)
def test_images_of_nih_are_selected_by_age_view_and_finding(tmp_path, table, where):
    nih_folder(tmp_path / "k", table, where)
    listed = sampled(tmp_path, "-s", 6)
    assert [listed[f"{i:08d}_000.png"]["age"] for i in range(6)] == ["58", "7", "", "", "18", "30"]
    row = listed["00000001_000.png"]
    assert (row["sex"], row["view"], row["site"]) == ("F", "AP", Nih.source)
    said = accepted(sample(tmp_path, "-s", 3, "--adults"))
    assert set(rows(tmp_path / "d/normal")) == {f"{i:08d}_000.png" for i in (0, 4, 5)}
    assert "age unknown 2" in said and "a child 1" in said
    findings = {row["finding"] for row in sampled(tmp_path, "-s", 3, "--finding", "pneumonia").values()}
    assert findings == {"Mass|Pneumonia"}
    assert len(sampled(tmp_path, "-s", 4, "--view", "ap")) == 4
    few = ("--sample 3: k has too few images", "2 images of 2 patients kept", "another view 4")
    rejected(sample(tmp_path, "-s", 3, "--view", "PA"), *few)
    rejected(sample(tmp_path, "--finding", "Covid"), "no image has it", "here: Mass, No Finding, Pneumonia")


def test_images_in_another_format_are_found_and_those_that_are_not_there_counted(tmp_path):
    folder = nih_folder(tmp_path / "k", where="elsewhere/deep")
    for path in sorted((folder / "elsewhere/deep").iterdir())[:3]:
        path.rename(path.with_suffix(".bmp"))
    sorted((folder / "elsewhere/deep").iterdir())[3].unlink()
    said = accepted(sample(tmp_path, "-s", 5))
    assert "image missing 1" in said
    assert [Path(name).suffix for name in rows(tmp_path / "d/normal")] == [".bmp"] * 3 + [".png"] * 2
