"""Class folders and their manifests become images with labels, patients and sites."""

from __future__ import annotations

from conftest import classes, picture

from detector.datasets import dataset, manifest


def test_labels_are_folders_and_manifests_tell_patients_and_sources(tmp_path):
    classes(tmp_path, covid=2, normal=2)
    manifest.write(
        tmp_path / "covid", [{"file": "covid-000.png", "patient": "7", "source": "cohen", "label": "x", "sha256": ""}]
    )
    picture(tmp_path / "normal" / "IM-0033-0001-0002.jpeg", 9)
    found = dataset.load(tmp_path)
    assert found.classes == ["covid", "normal"]
    assert [image.patient for image in found.images] == ["cohen/7", None, f"{'chest-xray-pneumonia'}/0033", None, None]
    assert [image.source for image in found.images] == ["cohen", "", "chest-xray-pneumonia", "", ""]
    assert [image.label for image in found.images] == ["covid"] * 2 + ["normal"] * 3


def test_two_patients_who_share_an_image_are_one():
    images = [
        dataset.Image(None, f"{i}.png", "covid", patient, "", "", {})
        for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])
    ]
    same = dataset.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2]
    assert len(set(same)) == 3


def test_a_class_folder_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere", covid=2)
    classes(tmp_path / "data", normal=2)
    (tmp_path / "data" / "covid").symlink_to(tmp_path / "elsewhere" / "covid")
    assert dataset.load(tmp_path / "data").counts() == {"covid": 2, "normal": 2}
