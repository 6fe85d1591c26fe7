"""build_covid_dataset.py as a user runs it."""

from __future__ import annotations

import hashlib

import pytest
from builder_helpers import HEADER, actualmed, build, cohen, rows
from conftest import accepted, digest, inside, picture, rejected, script, tree

from detector.collections.cohen import Actualmed
from detector.datasets import manifest


def test_views_one_per_patient_and_limit_choose_images_and_reasons_are_counted(tmp_path):
    local_copy = cohen(
        tmp_path / "clone",
        "1,COVID-19,PA,X-ray,images,a.png,CC BY,,",
        "1,COVID-19,PA,X-ray,images,b.png,,,",
        "2,COVID-19,AP,X-ray,images,c.png,,,",
        "3,COVID-19,PA,CT,images,d.png,,,",
        "4,SARS,PA,X-ray,images,e.png,,,",
        "5,COVID-19,PA,X-ray,images,broken.png,,,",
        "6,COVID-19,PA,X-ray,images,missing.png,,,",
        "7,COVID-19,PA,X-ray,images,f.png,,,",
        images="a.png b.png c.png d.png e.png f.png",
    )
    (local_copy / "images" / "broken.png").write_bytes(b"no image")

    def built(*arguments: object) -> set[str]:
        build(tmp_path, "-c", "clone", "-o", "out", *arguments)
        return set(rows(tmp_path / "out"))

    said = accepted(script("build_covid_dataset.py", "-c", local_copy, "-o", "out", cwd=tmp_path))
    assert set(rows(tmp_path / "out")) == {"a.png", "b.png", "f.png"}
    reasons = ("another finding 1", "another view 1", "another modality 1", "image missing 1", "unreadable 1")
    assert all(reason in said for reason in (*reasons, "broken.png"))
    assert built("--view", "PA", "--view", "AP") == {"a.png", "b.png", "c.png", "f.png"}
    assert built("--one-per-patient") == {"a.png", "f.png"}
    drawn = min("abf", key=lambda name: hashlib.sha256(f"42:images/{name}.png".encode()).digest())
    assert built("--limit", "1") == built("-n", "1") == {f"{drawn}.png"}
    assert built("--finding", "sars") == {"e.png"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, "clone does not exist; get Cohen's collection with --download, or with git clone"),
        ((), "no known collection found. Expected one of: train_study_level.csv"),
        (("patientid,filename", "1,a.png"), "no column finding, view"),
        ((HEADER,), "has a heading but no rows"),
        (
            (HEADER, "1,SARS,PA,X-ray,images,a.png,,,"),
            "no image is left for out: 1 row read, 0 images of 0 patients kept",
        ),
        ((HEADER, "1,COVID-19,PA,X-ray,images,a.png,,,"), "no image is left for out"),  # which is a link to itself
    ],
)
def test_bad_metadata_is_rejected(tmp_path, lines, said):
    if lines is not None:
        (tmp_path / "clone" / "images").mkdir(parents=True)
        (tmp_path / "clone" / "images" / "a.png").symlink_to("a.png")
    if lines:
        cohen(tmp_path / "clone", *lines[1:], header=lines[0])
    rejected(inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), said)


def test_only_sites_of_both_classes_are_kept_if_asked_for(tmp_path):
    cohen(
        tmp_path / "clone",
        *(f"{i},COVID-19,PA,X-ray,images,c{i}.png,,https://www.a.org/{i}" for i in range(2)),
        "5,COVID-19,PA,X-ray,images,c5.png,,https://b.org/5",
        "6,SARS,PA,X-ray,images,s6.png,,http://a.org/6",
        "7,SARS,PA,X-ray,images,s7.png,,https://c.org/7",
        images="c0.png c1.png c5.png s6.png s7.png",
    )
    said = build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other", "--shared-sites-only")
    assert (set(rows(tmp_path / "covid")), set(rows(tmp_path / "other"))) == ({"c0.png", "c1.png"}, {"s6.png"})
    assert said.count("site without the other class 1") == 2


def test_a_build_replaces_images_of_its_own_collection_only(tmp_path):
    actualmed(tmp_path / "a")
    lines = [f"{i},COVID-19,PA,X-ray,images,{name}.png,,https://x.org" for i, name in enumerate("az")]
    cohen(tmp_path / "c", *lines, images="a.png z.png")
    out, renamed = tmp_path / "covid", f"a-{Actualmed.source}.png"
    build(tmp_path, "-c", "c", "-o", "covid")
    picture(out / "own.png", 9)
    before = tree(out)
    said = build(tmp_path, "-c", "a", "-o", "covid", "--view", "frontal")
    assert set(rows(out)) == {"a.png", "z.png", renamed, "e.png"}
    assert "left unchanged, since no build put it there: own.png" in said
    after = tree(out)
    assert after[renamed] == digest(tmp_path / "a/images/a.png")
    assert all(after[name] == before[name] for name in ("a.png", "z.png", "own.png"))
    cohen(tmp_path / "c", lines[0])
    build(tmp_path, "-c", "c", "-o", "covid")
    assert set(tree(out)) == {"a.png", renamed, "e.png", "own.png", "manifest.csv"}
    build(tmp_path, "-c", "a", "-o", "covid", "--view", "AP")
    assert set(tree(out)) == {"a.png", "e.png", "own.png", "manifest.csv"}
    picture(out / "a.png", 77)  # a person has changed an image that the builder wrote
    before = tree(out)
    rejected(inside("build_covid_dataset.py", "-c", "c", "-o", "covid", cwd=tmp_path), "a.png", "in the place of")
    assert tree(out) == before


def test_formulas_escape_codes_and_markup_of_metadata_do_nothing(tmp_path):
    markup = '<?xml version=""1.0""?><!DOCTYPE x [<!ENTITY e SYSTEM ""file:///etc/passwd"">]><script>alert(1)</script>'
    cohen(
        tmp_path / "clone",
        f'=1+1,COVID-19,PA,X-ray,images,a.png,=HYPERLINK("http://evil"),@SUM(A1),"{markup}&e;"',
        '-2,"COVID-19, \x1b[2J",PA,X-ray,images,=cmd()!A1.png,CC0,,',
        '3,"COVID-19,\nfoo",PA,X-ray,images,c.png,CC0,"+cmd|x",',
        images="a.png =cmd()!A1.png c.png",
    )
    assert "\x1b" not in build(tmp_path, "-c", "clone", "-o", "covid", "--verbose")
    cells = [cell for row in rows(tmp_path / "covid").values() for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+")) or "<" in cell or "passwd" in cell]
    listed = manifest.read(tmp_path / "covid")
    assert {row["patient"] for row in listed.values()} == {"=1+1", "-2", "3"}
    assert "=cmd()!A1.png" in listed and len(listed) == 3
