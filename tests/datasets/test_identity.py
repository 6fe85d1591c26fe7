"""One patient under two numbers, one file in two classes, rows beside other files than their own, overlaps."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from conftest import classes, digest, inside, rejected, rejection

from detector.datasets import dataset, identity, manifest


def image(name: str, patient: str | None) -> dataset.Image:
    return dataset.Image(None, f"covid/{name}", "covid", patient, "", "", {})


def test_two_patients_who_share_an_image_are_one():
    images = [image(f"{i}.png", patient) for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])]
    same = identity.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2]
    assert len(set(same)) == 3


def test_a_patient_who_is_written_differently_is_one():
    names = ["c/1", "c/001", "c/1.0", "C/ 1", "c/p7", "c/P7", "c/1.5", "c/10", "d/1", "/1"]
    images = [image(f"{i}.png", name) for i, name in enumerate(names)]
    images += [image(name, None) for name in ("1", "01", "A.png", "a.png")]
    same = identity.patients(images, [str(i) for i in range(len(images))])
    assert len(set(same[:4])) == 1 and same[4] == same[5]
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


def test_overlap():
    own = [image("a", "s/1"), image("b", None)]
    given = [image("c", "s/1"), image("d", None), image("e", "s/2"), image("f", None)]
    found = identity.find_overlap(given, ["x", "B", "y", "z"], own, ["A", "B"], near={3: "mirrored"})
    assert found.reasons == {0: identity.PATIENT, 1: identity.EXACT, 3: identity.NEAR}
    assert found.describe(given) == (
        "3 images also in the training set (1 the same file, 1 a near duplicate, 1 the same patient): "
        "covid/c, covid/d, covid/f (mirrored)"
    )
    assert identity.find_overlap(given, ["x", "y", "z", "v"], [own[1]], ["B"]).describe(given) == ""


@pytest.mark.parametrize(
    ("patient", "same"),
    [("/1", False), ("path/1", False), ("cohen/1", True), ("dicom/0a1b", True)],
)
def test_a_number_of_a_path_is_given_anew_elsewhere(patient, same):
    images = [image(name, patient) for name in "ab"]
    images[0] = dataclasses.replace(images[0], patient=patient.upper() if patient.startswith("cohen") else patient)
    found = identity.find_overlap(images[:1], ["x"], images[1:], ["y"])
    assert found.reasons == ({0: identity.PATIENT} if same else {})
