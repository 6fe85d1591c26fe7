"""Kermany's collection: patients and kinds of pneumonia by file name."""

from __future__ import annotations

import pytest
from builder_helpers import collection, sample, sampled
from conftest import rejected

from detector.collections import kermany


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("NORMAL2-IM-1179-0001.jpeg", "1179"),
        ("IM-0033-0001-0002.jpeg", "0033"),
        ("person101_virus_187.jpeg", "person101"),
        ("person1_bacteria_2.jpeg", "person1"),
        ("person447_virus_921_1.jpeg", "person447"),
        ("BACTERIA-1008087-0001.jpeg", "1008087"),
        ("VIRUS-28501-0003.jpeg", "28501"),
        ("NORMAL-1003233-0001.jpeg", "1003233"),
        ("NORMAL-1003233-0001.jpg", None),
        ("normal-1003233-0001.jpeg", None),
        ("my-NORMAL-1003233-0001.jpeg", None),
        ("NORMAL-1003233.jpeg", None),
        ("auntminnie-a-2020.jpeg", None),
    ],
)
def test_a_file_name_names_the_patient(name, patient):
    assert kermany.patient(name) == patient


@pytest.mark.parametrize("name", ["COVID19(1).png", "IM-0001-0001.png", "1.jpeg"])
def test_other_data_sets_with_a_folder_train_normal_are_not_kermanys(tmp_path, name):
    collection(tmp_path / "k", "x", "", f"train/NORMAL/{name}", f"train/PNEUMONIA/b-{name}")
    rejected(
        sample(tmp_path, "-s", 1),
        "--kaggle k: no known collection found",
        "train/NORMAL with files such as IM-0115-0001.jpeg",
    )


def test_kinds_of_pneumonia_can_be_selected(tmp_path):
    names = ("person1_virus_6.jpeg", "person1_virus_7.jpeg", "person2_bacteria_3.jpeg")
    files = [*(f"train/PNEUMONIA/{name}" for name in names), "train/NORMAL/IM-0001-0001.jpeg"]
    collection(tmp_path / "k", "x", "", *files)

    several = ("--no-one-per-patient", "--finding")
    assert {row["finding"] for row in sampled(tmp_path, "-s", 2, *several, "virus").values()} == {"Pneumonia/Viral"}
    assert set(sampled(tmp_path, "-s", 1, "--finding", "bacteria")) == {"person2_bacteria_3.jpeg"}
    assert set(sampled(tmp_path, "-s", 3, *several, "PNEUMONIA")) == set(names)
    few = ("--sample 2: k has too few images", "further image of a patient 1", "--no-one-per-patient")
    rejected(sample(tmp_path, "-s", 2, "--finding", "virus"), *few)
    rejected(sample(tmp_path, "-s", 1, "--adults"), "--adults", "are children")
    rejected(sample(tmp_path, "-s", 1, "--finding", "covid"), "--finding covid: no image has it")
