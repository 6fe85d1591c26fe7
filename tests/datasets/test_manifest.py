"""Manifests are read as they were written, and a build that is killed loses nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from conftest import rejection, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.datasets import manifest
from detector.files import atomic

cells = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)


def manifest_row(file: str, **cells: str) -> dict[str, str]:
    return dict.fromkeys(manifest.COLUMNS, "") | {"file": file, **cells}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(manifest.COLUMNS[1:], cells)), max_size=5))
def test_a_manifest_reads_as_it_was_written(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("manifest")
    written = [row | {"file": f"{i}.png"} for i, row in enumerate(listed)]
    manifest.write(folder, written)
    assert list(manifest.read(folder).values()) == written


HEADING = ",".join(manifest.COLUMNS).encode()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "is a web page, not the file itself; download the raw file"),
        (b"name,label\n", "has no column file; it has name, label"),
        (HEADING + b",view\n", "has the column view twice"),
        (HEADING + b"\na.png,covid\n", "2 cells under 10 headings"),
        (HEADING + b"\na.png" + b"," * 9 + b",x\n", "11 cells under 10 headings"),
        (b"file\n../a.png\n", "line 2: '../a.png' is not a valid file name"),
        (b"file\na.png\na.png\n", "manifest.csv, line 3: 'a.png' is listed twice; remove one line"),
        (HEADING + b'\n"a', "line 2: not CSV"),
        (HEADING + b'\na.png,covid,"1,2E+05"' + b"," * 7, "line 2: patient is 1,2E.05, a number that a spreadsheet"),
    ],
)
def test_a_damaged_manifest_is_rejected(data, said):
    with rejection(said):
        manifest.parse(data, Path("manifest.csv"))


def test_a_build_without_space_says_what_the_folder_holds(tmp_path):
    def full(row, target):
        raise OSError(28, "No space left on device")

    with rejection("covid cannot be built: no space left on device; it holds images of the last build"):
        manifest.replace(tmp_path / "covid", [manifest_row("a.png")], "somewhere", full)


# Rows and files


def fill(folder: Path, source: str, files: dict[str, str], dies_at: str = "") -> list[str]:
    """Build a folder of files and their texts; the process dies at one of them."""

    def copy(row, target):
        if row["file"] == dies_at:
            raise SystemExit
        target.write_text(files[row["file"]])

    rows = [
        manifest_row(name, source=source, sha256=hashlib.sha256(text.encode()).hexdigest())
        for name, text in files.items()
    ]
    return manifest.replace(folder, rows, source, copy)


def test_a_killed_build_of_one_collection_does_not_affect_another(tmp_path):
    fill(tmp_path, "one", {"a": "1", "b": "1"})
    with pytest.raises(SystemExit):
        fill(tmp_path, "two", {"c": "2", "d": "2"}, dies_at="d")
    assert set(manifest.read(tmp_path)) == {"a", "b", "c", "d"}
    fill(tmp_path, "one", {"a": "1"})
    assert set(manifest.read(tmp_path)) == {"a", "c", "d"}
    assert fill(tmp_path, "two", {"d": "2"}) == []
    assert set(tree(tmp_path)) == {"a", "d", "manifest.csv"}


def test_files_of_a_killed_build_are_not_taken_for_the_users(tmp_path):
    fill(tmp_path, "one", dict.fromkeys("abc", "1"))
    for text, names in (("2", "ade"), ("3", "afg")):
        with pytest.raises(SystemExit):
            fill(tmp_path, "one", dict.fromkeys(names, text), dies_at=names[-1])
    assert set(manifest.read(tmp_path)) == set("abcdefg")
    (tmp_path / "person").write_text("x")
    assert fill(tmp_path, "one", {"a": "4", "b": "4"}) == ["person"]
    assert set(tree(tmp_path)) == {"a", "b", "person", "manifest.csv"}
    # What a person puts there under such a name later is a person's.
    (tmp_path / "d").write_text("2")
    assert fill(tmp_path, "one", {"a": "5"}) == ["d", "person"]
    assert not atomic._unfinished


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (b"file,patient\na.png,7\n", ("a.png", "7", "")),
        (b"file,patient,,\na.png,7,,\n", ("a.png", "7", "")),
        (b"file,patient,\na.png,7\n", ("a.png", "7", "")),
        ('FILE;patient;Site\r\nä.png;"x, y";z\r\n'.encode("cp1252"), ("ä.png", "x, y", "z")),
        ("FILE\tpatient\tsite\nä.png\tx, y\tz\n".encode("utf-16"), ("ä.png", "x, y", "z")),
    ],
)
def test_manifests_as_spreadsheet_programs_write_them(data, row):
    wanted = manifest_row(**dict(zip(("file", "patient", "site"), row, strict=True)))
    assert list(manifest.parse(data, Path("manifest.csv")).values()) == [wanted]


@pytest.mark.parametrize(
    ("listed", "names", "wanted", "said"),
    [
        (
            ["a.png", "b.png", "gone.png"],
            ["a.jpg", "B.png", "c.png"],
            {"a.jpg": "a.png", "B.png": "b.png"},
            [": 1 row of other images (gone.png)", " has no row of 1 image (c.png)"],
        ),
        (["a.png", "a.jpg"], ["a.jpg"], {"a.jpg": "a.jpg"}, [": 1 row of other images (a.png)"]),
    ],
)
def test_rows_and_files_without_each_other(tmp_path, listed, names, wanted, said):
    manifest.write(tmp_path, [{"file": name, "finding": name} for name in listed])
    found, notes = manifest.of_files(tmp_path, names, "covid")
    assert {name: row["finding"] for name, row in found.items()} == wanted
    assert notes == [f"covid/manifest.csv{one}" for one in said]


def test_rows_that_may_be_of_several_files_are_rejected(tmp_path):
    for listed, names in ((["a.png"], ["a.jpg", "a.tif"]), (["A.png", "a.PNG"], ["a.png"])):
        manifest.write(tmp_path, [{"file": name, "finding": name} for name in listed])
        with rejection("covid/manifest.csv"):
            manifest.of_files(tmp_path, names, "covid")
