"""The RSNA pneumonia challenge: DICOM files and their classes."""

from __future__ import annotations

from pathlib import Path

from builder_helpers import sample, sampled
from conftest import picture, rejected
from image_helpers import radiograph

from detector.collections import rsna


def rsna_folder(folder: Path) -> None:
    kinds = ("Normal", "Normal", "Lung Opacity", "No Lung Opacity / Not Normal")
    views, ages = {0: "", 5: "AP"}, {1: "010Y", 4: ""}
    for i in range(8):
        header = {"PatientAge": ages.get(i, "045Y"), "PatientSex": "F", "ViewPosition": views.get(i, "PA")}
        radiograph(folder / "stage_2_train_images" / f"radiograph{i}.dcm", **header, PatientID=f"radiograph{i}")
    # An image has a row for each box.
    lines = [f"radiograph{i},{kinds[i % 4]}" for i in range(8) for _ in range(2 if i % 4 == 2 else 1)]
    (folder / rsna.TABLE).write_text("\n".join(["patientId,class", *lines, ""]))


def test_images_of_rsna_are_selected_by_age_view_and_class(tmp_path):
    rsna_folder(tmp_path / "k")
    listed = sampled(tmp_path, "-s", 4)
    assert set(listed) == {f"radiograph{i}.dcm" for i in (0, 1, 4, 5)}
    row = listed["radiograph1.dcm"]
    assert [row[name] for name in ("patient", "age", "sex", "view")] == ["radiograph1", "10", "F", "PA"]
    opacity = ("-s", 2, "--finding", "Lung Opacity")
    assert set(sampled(tmp_path, *opacity)) == {"radiograph2.dcm", "radiograph6.dcm"}
    few = ("--sample 2: k has too few images", "view unknown 1", "age unknown 1", "a child 1")
    rejected(sample(tmp_path, "-s", 2, "--adults", "--view", "frontal"), *few)
    found = "Lung Opacity, No Lung Opacity, Normal, Not Normal"
    rejected(sample(tmp_path, "--finding", "Covid"), "no image has it", found)
    (tmp_path / "k/stage_2_train_images/radiograph2.dcm").unlink()
    rejected(sample(tmp_path, *opacity), "too few images", "image missing 1")


def test_copies_as_png_have_no_header(tmp_path):
    for number, name in enumerate("ab"):
        picture(tmp_path / f"k/stage_2_train_images_png/{name}.png", number)
    (tmp_path / "k" / rsna.TABLE).write_text("patientId,class\na,Lung Opacity\nb,Lung Opacity\n")
    (tmp_path / "k" / rsna.BOXES).write_text("patientId,x,y,width,height,Target\na,256,512,128,256,1\nb,,,,,0\n")
    listed = sampled(tmp_path, "-s", 2, "--finding", "lung opacity")
    assert {name: (row["patient"], row["view"], row["boxes"]) for name, row in listed.items()} == {
        "a.png": ("a", "", "0.25000 0.50000 0.12500 0.25000"),
        "b.png": ("b", "", ""),
    }
