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


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(manifest.COLUMNS[1:], cells)), max_size=5))
def test_a_manifest_reads_as_it_was_written(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("manifest")
    written = [row | {"file": f"{i}.png"} for i, row in enumerate(listed)]
    manifest.write(folder, written)
    assert list(manifest.read(folder).values()) == written


def test_a_killed_build_of_one_collection_does_not_affect_another(tmp_path):
    folder = tmp_path / "covid"

    def make(source, *names, dies_at=None):
        def copy(row, target):
            if row["file"] == dies_at:
                raise SystemExit
            target.write_text(f"{source} {row['file']}")

        import hashlib

        listed = [
            dict.fromkeys(manifest.COLUMNS, "")
            | {"file": name, "source": source, "sha256": hashlib.sha256(f"{source} {name}".encode()).hexdigest()}
            for name in names
        ]
        return manifest.replace(folder, listed, source, copy)

    make("one", "a", "b")
    with pytest.raises(SystemExit):
        make("two", "c", "d", dies_at="d")
    assert set(manifest.read(folder)) == {"a", "b", "c", "d"}
    make("one", "a")
    assert set(manifest.read(folder)) == {"a", "c", "d"}
    assert make("two", "d") == []
    assert set(tree(folder)) == {"a", "d", "manifest.csv"}


HEADING = ",".join(manifest.COLUMNS).encode()


def test_a_manifest_without_permission_is_named(tmp_path, unreadable):
    (tmp_path / "manifest.csv").write_text("x")
    with rejection("(?i)manifest.csv.*permission denied"):
        manifest.read(tmp_path)


def test_a_manifest_that_is_a_folder_is_rejected(tmp_path):
    (tmp_path / "manifest.csv").mkdir()
    with rejection("no regular file"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "is a web page, not the file itself; download the raw file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "is a Git LFS pointer"),
        (b"PK\x03\x04", "is a workbook or a ZIP archive; save the table as CSV"),
        (b"name,label\n", "has no column file; it has name, label"),
        (HEADING + b",view\n", "has the column view twice"),
        (HEADING + b"\na.png,covid\n", "2 cells under 10 headings"),
        (HEADING + b'\n"a', "line 2: not CSV"),
        (HEADING + b"\na.png,covid,#N/A" + b"," * 7, "line 2: patient is #N/A, an error of a spreadsheet program"),
        (HEADING + b"\na.png,covid,1,#REF!" + b"," * 6, "line 2: view is #REF!, an error of a spreadsheet program"),
        (HEADING + b'\na.png,covid,"1,2E+05"' + b"," * 7, "line 2: patient is 1,2E.05, a number that a spreadsheet"),
        (b"<<<<<<< HEAD\n" + HEADING + b"\n>>>>>>> main\n", "manifest.csv has the marks of a merge conflict"),
    ],
)
def test_a_damaged_manifest_is_rejected(data, said):
    with rejection(said):
        manifest.parse(data, Path("manifest.csv"))


def test_a_build_without_space_says_what_the_folder_holds(tmp_path):

    def full(row, target):
        raise OSError(28, "No space left on device")

    row = dict.fromkeys(manifest.COLUMNS, "") | {"file": "a.png"}
    with rejection("covid cannot be built: no space left on device; it holds images of the last build"):
        manifest.replace(tmp_path / "covid", [row], "somewhere", full)


def test_a_manifest_that_names_a_file_elsewhere_is_rejected(tmp_path):
    row = dict.fromkeys(manifest.COLUMNS, "") | {"file": "../secret.png"}
    (tmp_path / "secret.png").write_text("secret")
    (tmp_path / "covid").mkdir()
    (tmp_path / "covid" / "manifest.csv").write_bytes(manifest.as_file([row]))
    with rejection("not a valid file name"):
        manifest.replace(tmp_path / "covid", [], "elsewhere", lambda row, target: None)
    assert (tmp_path / "secret.png").exists()


def test_files_of_a_killed_build_are_not_taken_for_the_users(tmp_path):
    folder = tmp_path / "covid"

    def listed(*names):
        return [
            dict.fromkeys(manifest.COLUMNS, "")
            | {"file": name, "source": "somewhere", "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for name, text in (name.split(":") for name in names)
        ]

    def build(*names, dies_at=None):
        texts = dict(name.split(":") for name in names)

        def copy(row, target):
            if row["file"] == dies_at:
                raise SystemExit
            target.write_text(texts[row["file"]])

        return manifest.replace(folder, listed(*names), "somewhere", copy)

    build("a:1", "b:1", "c:1")
    with pytest.raises(SystemExit):
        build("a:2", "d:2", "e:2", dies_at="e")
    assert set(manifest.read(folder)) == {"a", "b", "c", "d", "e"}
    with pytest.raises(SystemExit):
        build("a:3", "f:3", "g:3", dies_at="g")
    (folder / "person").write_text("x")
    assert build("a:4", "b:4") == ["person"]
    assert set(tree(folder)) == {"a", "b", "person", "manifest.csv"}
    # What a person puts there under such a name later is a person's.
    (folder / "d").write_text("2")
    assert build("a:5") == ["d", "person"]
    assert not atomic._unfinished


def test_what_spreadsheet_programs_add_to_a_manifest_is_left_out():
    row = b"a.png,covid,1,PA,COVID-19,me,there,CC0,,"
    plain = manifest.parse(HEADING + b"\n" + row + b"\n", Path("manifest.csv"))
    for data in (HEADING + b",,\n" + row + b",,\n", HEADING + b",\n" + row + b"\n", HEADING + b"\n" + row + b",,\n"):
        assert manifest.parse(data, Path("manifest.csv")) == plain
    with rejection("11 cells under 10 headings"):
        manifest.parse(HEADING + b"\n" + row + b",x\n", Path("manifest.csv"))


def test_a_column_of_files_is_all_that_is_needed():
    (row,) = manifest.parse(b"file,patient\na.png,7\n", Path("manifest.csv")).values()
    assert row == dict.fromkeys(manifest.COLUMNS, "") | {"file": "a.png", "patient": "7"}


def test_a_file_that_is_listed_twice_is_rejected():
    line = b"\na.png" + b"," * (len(manifest.COLUMNS) - 1)
    with rejection("manifest.csv, line 3: 'a.png' is listed twice; remove one line"):
        manifest.parse(HEADING + line + line, Path("manifest.csv"))


# Rows and files


def matched(folder: Path, listed: list[str], names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return which row each file has, by the file that the row names, and the notes."""
    manifest.write(folder, [{"file": name, "finding": name} for name in listed])
    found, notes = manifest.of_files(folder, names, "covid")
    return {name: row["finding"] for name, row in found.items()}, notes


def test_rows_and_files_without_each_other(tmp_path):
    found, notes = matched(tmp_path, ["a.png", "b.png", "gone.png"], ["a.jpg", "B.png", "c.png"])
    assert found == {"a.jpg": "a.png", "B.png": "b.png"}
    assert notes == [
        "covid/manifest.csv: 2 rows matched with another suffix or letter case (B.png, a.jpg)",
        "covid/manifest.csv: 1 row of no file that is here (gone.png)",
        "covid/manifest.csv: 1 image without a row, so without patient, site and view (c.png)",
    ]
    assert manifest.of_files(tmp_path / "elsewhere", ["a.png"], "x") == ({}, [])


@pytest.mark.parametrize(("listed", "names"), [(["a.png"], ["a.jpg", "a.tif"]), (["A.png", "a.PNG"], ["a.png"])])
def test_an_ambiguous_name_is_not_matched(tmp_path, listed, names):
    assert matched(tmp_path, listed, names)[0] == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["a.png", "A.png", "a.jpg", "b.png", "B.JPG", "c"]), unique=True), st.data())
def test_every_row_is_of_one_file(tmp_path_factory, listed, data):
    names = data.draw(st.lists(st.sampled_from(["a.png", "A.PNG", "a.tif", "b.png", "b.jpg", "C"]), unique=True))
    found, _ = matched(tmp_path_factory.mktemp("rows"), listed, names)
    assert len(set(found.values())) == len(found)
    assert all(found[name] == name for name in {*names} & {*listed})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "sep=;"])
def test_manifests_as_spreadsheet_programs_write_them(encoding, separator):
    columns = [name.upper() if name == "file" else name for name in manifest.COLUMNS if name != "site"] + ["Origin"]
    cells = ["ä.png" if name == "FILE" else f"{name}, x" for name in columns]
    lines, mark = "", separator
    if separator == "sep=;":
        lines, mark = "sep=;\n", ";"
    quoted = [f'"{cell}"' for cell in cells]
    data = f"{lines}{mark.join(columns)}\r\n{mark.join(quoted)}\r\n".encode(encoding)
    (row,) = manifest.parse(data, Path("manifest.csv")).values()
    assert (row["file"], row["patient"], row["site"]) == ("ä.png", "patient, x", "Origin, x")
