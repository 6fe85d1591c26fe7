"""One patient under two numbers, one file in two classes, rows beside other files than their own."""

from __future__ import annotations

import shutil

from conftest import classes, digest, inside, rejected, rejection

from detector.datasets import dataset, identity, manifest


def test_two_patients_who_share_an_image_are_one():
    images = [
        dataset.Image(None, f"{i}.png", "covid", patient, "", "", {})
        for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])
    ]
    same = identity.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2]
    assert len(set(same)) == 3


def test_a_patient_who_is_written_differently_is_one():
    names = ["c/1", "c/001", "c/1.0", 'c/="001"', "C/ 1", "c/p7", "c/P7", "c/1.5", "c/10", "d/1", "/1"]
    images = [dataset.Image(None, f"{i}.png", "covid", name, "", "", {}) for i, name in enumerate(names)]
    images += [dataset.Image(None, name, "covid", None, "", "", {}) for name in ("1", "01", "A.png", "a.png")]
    same = identity.patients(images, [str(i) for i in range(len(images))])
    assert len(set(same[:5])) == 1 and same[5] == same[6]
    assert len(set(same)) == 2 + 4 + 4


def test_the_same_file_in_two_classes(tmp_path):
    classes(tmp_path / "d", covid=3, normal=3)
    shutil.copy(tmp_path / "d/covid/covid-000.png", tmp_path / "d/normal/same.png")
    done = inside("train_covid19.py", "-d", "d", cwd=tmp_path)
    rejected(done, "d/covid/covid-000.png and d/normal/same.png are the same file in two classes")
    images = dataset.load(tmp_path / "d").images
    identity.require_one_class(images, [str(number) for number in range(len(images))])


def test_rows_that_stand_beside_other_files_are_rejected(tmp_path):
    """A column sorted by itself; an image that was edited, or whose digest is in capitals or missing, keeps its row."""
    classes(tmp_path / "d", covid=3, normal=1)
    digests = [digest(tmp_path / "d" / "covid" / f"covid-00{i}.png") for i in range(3)]

    def check(*said: str) -> None:
        listed = [{"file": f"covid-00{i}.png", "sha256": one} for i, one in enumerate(said)]
        manifest.write(tmp_path / "d" / "covid", listed)
        images = dataset.load(tmp_path / "d").images
        identity.require_own_rows(images, [digest(image.path) for image in images])

    check(digests[0].upper(), "", "0" * 64)
    with rejection(
        "covid/manifest.csv has the SHA-256 of covid-002.png in the row of covid-000.png: a column was sorted"
    ):
        check(*reversed(digests))
