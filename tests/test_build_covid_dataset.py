"""build_covid_dataset.py as a user runs it."""

from __future__ import annotations

from builder_helpers import HEADER, actualmed_collection, build, cohen_collection, rows, rows_by_file, write_collection
from conftest import accepted, digest, inside, picture, rejected, script, tree

from detector.collections.cohen import Actualmed
from detector.datasets import manifest
from detector.datasets.build import rank


def test_views_one_per_patient_and_limit_choose_images_and_reasons_are_counted(tmp_path):
    local_copy = tmp_path / "clone"
    for i, name in enumerate("abcdef"):
        picture(local_copy / "images" / f"{name}.png", i)
    (local_copy / "images" / "broken.png").write_bytes(b"no image")
    write_collection(
        local_copy,
        HEADER,
        "1,COVID-19,PA,X-ray,images,a.png,CC BY,,",
        "1,COVID-19,PA,X-ray,images,b.png,,,",
        "2,COVID-19,AP,X-ray,images,c.png,,,",
        "3,COVID-19,PA,CT,images,d.png,,,",
        "4,SARS,PA,X-ray,images,e.png,,,",
        "5,COVID-19,PA,X-ray,images,broken.png,,,",
        "6,COVID-19,PA,X-ray,images,missing.png,,,",
        "7,COVID-19,PA,X-ray,images,f.png,,,",
    )

    def built(*arguments: object) -> set[str]:
        build(tmp_path, "-c", "clone", "-o", "out", *arguments)
        return set(rows_by_file(tmp_path / "out"))

    said = accepted(script("build_covid_dataset.py", "-c", local_copy, "-o", "out", cwd=tmp_path))
    assert set(rows_by_file(tmp_path / "out")) == {"a.png", "b.png", "f.png"}
    reasons = ("another finding 1", "another view 1", "another modality 1", "image missing 1", "unreadable 1")
    assert all(reason in said for reason in (*reasons, "broken.png"))
    assert built("--view", "PA", "--view", "AP") == {"a.png", "b.png", "c.png", "f.png"}
    assert built("--one-per-patient") == {"a.png", "f.png"}
    drawn = min("abf", key=lambda name: rank(42, f"images/{name}.png"))
    assert built("--limit", "1") == built("-n", "1") == {f"{drawn}.png"}
    assert built("--finding", "sars") == {"e.png"}


def test_bad_metadata_is_rejected(tmp_path):
    def run(*said: str) -> None:
        rejected(inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), *said)

    run("clone does not exist", "--download", "git clone")
    (tmp_path / "clone").mkdir()
    run("no known collection found", "metadata.csv with the columns patientid and filename")
    for lines, *said in (
        (("patientid,filename", "1,a.png"), "no column finding, view"),
        ((HEADER,), "no rows"),
        ((HEADER, "1,SARS,PA,X-ray,images,a.png,,,"), "no image is left", "another finding 1"),
    ):
        write_collection(tmp_path / "clone", *lines)
        run(*said)
    (tmp_path / "clone" / "images").mkdir()
    (tmp_path / "clone" / "images" / "a.png").symlink_to("a.png")
    write_collection(tmp_path / "clone", HEADER, "1,COVID-19,PA,X-ray,images,a.png,,,")
    run("no image is left")


def test_files_of_the_user_are_not_changed(tmp_path):
    clone, out, call = tmp_path / "clone", tmp_path / "out", ("-c", "clone", "-o", "out")
    lines = [f"{i},COVID-19,PA,X-ray,images,{i}.png,,," for i in range(2)]
    for i in range(2):
        picture(clone / "images" / f"{i}.png", i)
    write_collection(clone, HEADER, *lines)
    build(tmp_path, *call)
    picture(out / "mine.png", 9)
    (out / "notes.txt").write_text("mine")
    mine = {name: value for name, value in tree(out).items() if name in ("mine.png", "notes.txt")}
    write_collection(clone, HEADER, lines[1])
    assert "mine.png, notes.txt" in build(tmp_path, *call)
    assert set(tree(out)) == {"1.png", "manifest.csv", *mine} and mine.items() <= tree(out).items()

    picture(out / "1.png", 77)  # a person has changed an image that the builder wrote
    before = tree(out)
    rejected(inside("build_covid_dataset.py", *call, cwd=tmp_path), "1.png", "in the place of")
    assert tree(out) == before


def test_only_sites_of_both_classes_are_kept_if_asked_for(tmp_path):
    cohen_collection(
        tmp_path / "clone",
        *(f"{i},COVID-19,PA,X-ray,images,c{i}.png,,https://www.a.org/{i}" for i in range(2)),
        "5,COVID-19,PA,X-ray,images,c5.png,,https://b.org/5",
        "6,SARS,PA,X-ray,images,s6.png,,http://a.org/6",
        "7,SARS,PA,X-ray,images,s7.png,,https://c.org/7",
        images=tuple(f"images/{name}.png" for name in ("c0", "c1", "c5", "s6", "s7")),
    )
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--shared-sites-only")
    assert (set(rows_by_file(tmp_path / "covid")), set(rows_by_file(tmp_path / "other"))) == (
        {"c0.png", "c1.png"},
        {"s6.png"},
    )
    assert said.count("site without the other class 1") == 2


def test_a_build_replaces_images_of_its_own_collection_only(tmp_path):
    actualmed_collection(tmp_path / "a")
    cohen_collection(
        tmp_path / "c",
        "1,COVID-19,PA,X-ray,images,a.png,,https://x.org",
        "2,COVID-19,PA,X-ray,images,z.png,,https://x.org",
        images=("images/a.png", "images/z.png"),
    )
    build(tmp_path, "-c", "c", "-o", "covid")
    picture(tmp_path / "covid" / "own.png", 9)
    before = tree(tmp_path / "covid")
    said = build(tmp_path, "-c", "a", "-o", "covid", "--view", "frontal")
    renamed = f"a-{Actualmed.source}.png"
    assert set(rows_by_file(tmp_path / "covid")) == {"a.png", "z.png", renamed, "e.png"}
    assert "own.png" in said
    after = tree(tmp_path / "covid")
    assert after[renamed] == digest(tmp_path / "a/images/a.png")
    assert all(after[name] == before[name] for name in ("a.png", "z.png", "own.png"))
    build(tmp_path, "-c", "c", "-o", "covid", "--limit", 1)
    assert set(tree(tmp_path / "covid")) == {"a.png", renamed, "e.png", "own.png", "manifest.csv"}
    build(tmp_path, "-c", "a", "-o", "covid", "--view", "AP")
    assert set(tree(tmp_path / "covid")) == {"a.png", "e.png", "own.png", "manifest.csv"}


def test_formulas_escape_codes_and_markup_of_metadata_do_nothing(tmp_path):
    local_copy = tmp_path / "clone"
    for i, name in enumerate(("a.png", "=cmd()!A1.png", "c.png")):
        picture(local_copy / "images" / name, i)
    notes = (
        '<?xml version=""1.0""?><!DOCTYPE x [<!ENTITY e SYSTEM ""file:///etc/passwd"">]><script>alert(1)</script>&e;'
    )
    write_collection(
        local_copy,
        HEADER,
        f'=1+1,COVID-19,PA,X-ray,images,a.png,=HYPERLINK("http://evil"),@SUM(A1),"{notes}"',
        '-2,"COVID-19, \x1b[2J",PA,X-ray,images,=cmd()!A1.png,CC0,,',
        '3,"COVID-19,\nfoo",PA,X-ray,images,c.png,CC0,"+cmd|x",',
    )
    assert "\x1b" not in build(tmp_path, "-c", "clone", "-o", "covid", "--verbose")
    cells = [cell for row in rows(tmp_path / "covid") for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+")) or "<" in cell or "passwd" in cell]
    listed = manifest.read(tmp_path / "covid")
    assert {row["patient"] for row in listed.values()} == {"=1+1", "-2", "3"}
    assert "=cmd()!A1.png" in listed and len(listed) == 3
