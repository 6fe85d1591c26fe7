"""The RSNA pneumonia challenge: DICOM files and their classes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builder_helpers import sample, sampled
from conftest import picture, rejected, rejection
from image_helpers import dicom, stored
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from detector.collections import rsna


def dicom_image(path: Path, view: str, age: str, jpeg: bool) -> None:
    """Write a DICOM image such as the challenge's."""
    grey = np.random.default_rng(len(path.name)).integers(0, 255, (64, 64), dtype=np.uint8)
    dataset = dicom(grey, 8, syntax=JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian, PatientAge=age)
    dataset.PatientSex, dataset.ViewPosition = "F", view
    if jpeg:
        dataset.PixelData = encapsulate([cv2.imencode(".jpg", grey)[1].tobytes()])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stored(dataset))


def rsna_folder(folder: Path) -> Path:
    lines = ["patientId,class"]
    for i in range(8):
        kind = ("Normal", "Normal", "Lung Opacity", "No Lung Opacity / Not Normal")[i % 4]
        lines += [f"radiograph{i},{kind}"] * (2 if kind == "Lung Opacity" else 1)
        age = "010Y" if i == 1 else "" if i == 4 else "045Y"
        dicom_image(
            folder / "stage_2_train_images" / f"radiograph{i}.dcm",
            "AP" if i == 5 else "" if i == 0 else "PA",
            age,
            i % 2 == 0,
        )
    (folder / "stage_2_detailed_class_info.csv").write_text("\n".join([*lines, ""]))
    return folder


def test_images_of_rsna_are_selected_by_age_view_and_class(tmp_path):
    rsna_folder(tmp_path / "k")
    listed = sampled(tmp_path, "-s", 4)
    assert set(listed) == {f"radiograph{i}.dcm" for i in (0, 1, 4, 5)}
    assert [listed["radiograph1.dcm"][name] for name in ("age", "sex", "view")] == ["10", "F", "PA"]
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
    (tmp_path / "k/stage_2_detailed_class_info.csv").write_text("patientId,class\na,Lung Opacity\nb,Lung Opacity\n")
    (tmp_path / "k" / rsna.BOXES).write_text("patientId,x,y,width,height,Target\na,256,512,128,256,1\nb,,,,,0\n")
    listed = sampled(tmp_path, "-s", 2, "--finding", "lung opacity")
    assert {name: (row["patient"], row["view"], row["boxes"]) for name, row in listed.items()} == {
        "a.png": ("a", "", "0.25000 0.50000 0.12500 0.25000"),
        "b.png": ("b", "", ""),
    }


@pytest.mark.parametrize(
    ("cells", "said"),
    [("1,a,3,4", "has a box that is not x y width height"), ("1,2,0,4", "has a box that is not x y")],
)
def test_a_box_that_is_none_is_named(tmp_path, cells, said):
    (tmp_path / rsna.TABLE).write_text("patientId,class\np1,Normal\n")
    (tmp_path / rsna.BOXES).write_text(f"patientId,x,y,width,height,Target\np0,,,,,0\np1,{cells},1\n")
    with rejection(f"{rsna.BOXES}, line 3: p1 {said}.*; correct it"):
        rsna.Rsna().read(tmp_path)
