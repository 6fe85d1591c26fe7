"""One patient under two numbers, one file in two classes, rows beside other files than their own, overlaps."""

from __future__ import annotations

import dataclasses

from conftest import classes, rejection

from detector.datasets import dataset, identity


def image(name: str, patient: str | None) -> dataset.Image:
    return dataset.Image(None, f"covid/{name}", "covid", patient, "", "", {})


def test_patients_who_share_an_image_or_are_written_differently_are_one():
    images = [image(f"{i}.png", patient) for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])]
    same = identity.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2] and len(set(same)) == 3
    names = ["c/1", "c/001", "c/1.0", "C/ 1", "c/p7", "c/P7", "c/1.5", "c/10", "d/1", "/1"]
    images = [image(f"{i}.png", name) for i, name in enumerate(names)]
    images += [image(name, None) for name in ("1", "01", "A.png", "a.png")]
    same = identity.patients(images, [str(i) for i in range(len(images))])
    assert len(set(same[:4])) == 1 and same[4] == same[5]
    assert len(set(same)) == 2 + 4 + 4


def test_the_same_file_in_two_classes(tmp_path):
    images = dataset.load(classes(tmp_path / "d", covid=3, normal=3)).images
    identity.require_one_class(images, list("abcdef"))
    with rejection("d/covid/covid-000.png and .*/d/normal/normal-001.png are the same file in two classes"):
        identity.require_one_class(images, list("abcdae"))


def test_rows_that_stand_beside_other_files_are_rejected(tmp_path):
    """A column sorted by itself; an image that was edited, or whose digest is in capitals or missing, keeps its row."""
    images = dataset.load(classes(tmp_path / "d", covid=3, normal=1)).images

    def check(*said: str) -> None:
        rows = [dataclasses.replace(image, row={"sha256": cell}) for image, cell in zip(images, said, strict=True)]
        identity.require_own_rows(rows, list("abcd"))

    check("A", "", "0", "")
    with rejection("covid/manifest.csv has the SHA-256 of covid-002.png in the row of covid-000.png: a column was"):
        check(*"cbad")


def test_overlap():
    own, near = [image("a", "s/1"), image("b", None)], {3: "mirrored"}
    given = [image("c", "s/1"), image("d", None), image("e", "s/2"), image("f", None)]
    found = identity.find_overlap(given, ["x", "B", "y", "z"], own, ["A", "B"], near)
    assert found == {0: identity.PATIENT, 1: identity.EXACT, 3: identity.NEAR}
    assert identity.describe_overlap(found, given, near, "it") == (
        "3 images also in it (1 the same file, 1 a near duplicate, 1 the same patient): "
        "covid/c, covid/d, covid/f (mirrored)"
    )
    assert identity.describe_overlap({}, given, near, "it") == ""
    # A number of a path is given anew elsewhere.
    for one, other, same in (("/1", "/1", 0), ("path/1", "path/1", 0), ("c/1", "C/1", 1), ("dicom/0a", "dicom/0a", 1)):
        found = identity.find_overlap([image("a", one)], ["x"], [image("b", other)], ["y"], {})
        assert found == ({0: identity.PATIENT} if same else {})
