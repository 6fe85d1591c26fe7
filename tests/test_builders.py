"""The three builders, run as a user runs them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED, classes, digest, needs, picture, refused, script, tree
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.collections import cohen, findings, image_record, kermany
from detector.datasets import manifest, sampling, selection

CLONE = SHARED / "covid-chestxray-dataset"


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_clone(folder: Path, header: str, *lines: str, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.csv").write_bytes("\n".join([header, *lines, ""]).encode(encoding))
    return folder


HEADER = "patientid,finding,view,modality,folder,filename,license,url,clinical_notes"


@needs(CLONE)
def test_cohens_collection(tmp_path):
    done = script("build_covid_dataset.py", "-c", CLONE, "-o", "covid", "--controls-output", "other", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "146 rows read, 72 images of 46 patients kept" in done.stdout
    assert "38 images of 20 patients kept" in done.stdout
    assert "another finding 53, another view 18, image missing 3" in done.stdout
    covid, other = rows(tmp_path / "covid"), rows(tmp_path / "other")
    assert (len(covid), len({row["patient"] for row in covid})) == (72, 46)
    assert (len(other), len({row["patient"] for row in other})) == (38, 20)
    for folder, listed in (("covid", covid), ("other", other)):
        for row in listed:
            assert digest(tmp_path / folder / row["file"]) == row["sha256"]
            assert ("COVID-19" in row["finding"]) == (folder == "covid")
            assert row["view"] == "PA"
    assert len(list((tmp_path / "covid").iterdir())) == 73
    source = CLONE / "images" / covid[0]["file"]
    assert (tmp_path / "covid" / covid[0]["file"]).read_bytes() == source.read_bytes()


@needs(SHARED / "metadata-eras")
@pytest.mark.parametrize(("era", "kept"), [("a", 76), ("b", 104), ("c", 140)])
def test_metadata_of_every_era(era, kept):
    """The counts are those of a filter by hand: finding has COVID-19, view is PA."""
    path = SHARED / "metadata-eras" / f"2020-04-{era}.csv"
    entries = cohen.parse_metadata(path.read_bytes(), path)
    chosen = selection.select(entries, lambda finding: findings.names_finding(finding, "COVID-19"), ["PA"])
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    by_hand = [row for row in table if "COVID-19" in row["finding"] and row["view"] == "PA"]
    assert len(entries) == len(table)
    assert len(chosen.kept) == len(by_hand) == kept
    assert all(entry.patient for entry in chosen.kept)
    assert sum(chosen.dropped.values()) == len(entries) - kept


@pytest.mark.parametrize(
    ("finding", "names", "control"),
    [
        ("COVID-19", True, False),
        ("COVID-19, ARDS", True, False),
        ("Pneumonia/Viral/COVID-19", True, False),
        ("covid 19", True, False),
        ("Pneumonia/Viral/SARS", False, True),
        ("Pneumonia/Fungal/Pneumocystis", False, True),
        ("No Finding", False, True),
        ("todo", False, False),
        ("", False, False),
        ("Unknown", False, False),
    ],
)
def test_findings(finding, names, control):
    assert findings.names_finding(finding, "COVID-19") == names
    assert findings.is_control(finding, "COVID-19") == control


def test_a_path_of_levels_can_be_asked_for():
    assert findings.names_finding("Pneumonia/Viral/COVID-19", "Pneumonia/Viral")
    assert not findings.names_finding("Pneumonia/Bacterial", "Pneumonia/Viral")


def test_columns_of_any_era_quotes_newlines_and_encodings(tmp_path):
    picture(tmp_path / "clone" / "images" / "a.png", 1)
    picture(tmp_path / "clone" / "images" / "b.png", 2)
    header = "Patientid, Finding ,VIEW,Modality,filename,doi, url,clinical notes,"
    quoted = '7,COVID-19,PA,X-ray,a.png,,http://x,"Müller said ""hm"",\nand COVID-19, twice",'
    mentioned = '8,Streptococcus,PA,X-ray,b.png,,http://y,"not COVID-19",'
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        write_clone(tmp_path / "clone", header, quoted, mentioned, encoding=encoding)
        done = script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert [row["patient"] for row in rows(tmp_path / "out")] == ["7"]
        assert rows(tmp_path / "out")[0]["url"] == "http://x"


def test_the_first_era_had_no_modality(tmp_path):
    picture(tmp_path / "clone" / "images" / "a.png", 1)
    write_clone(tmp_path / "clone", "Patientid,finding,view,filename", "1,COVID-19,PA,a.png", "2,COVID-19,CT,b.png")
    done = script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)
    assert "1 image of 1 patient kept" in done.stdout, done.stderr


def test_reasons_views_one_per_patient_and_limit(tmp_path):
    clone = tmp_path / "clone"
    for i, name in enumerate("abcdef"):
        picture(clone / "images" / f"{name}.png", i)
    (clone / "images" / "broken.png").write_bytes(b"no image")
    write_clone(
        clone,
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

    def build(*arguments):
        done = script("build_covid_dataset.py", "-c", clone, "-o", "out", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout, sorted(row["file"] for row in rows(tmp_path / "out"))

    said, kept = build()
    assert kept == ["a.png", "b.png", "f.png"]
    for reason in ("another finding 1", "another view 1", "another modality 1", "image missing 1", "unreadable 1"):
        assert reason in said
    assert "broken.png" in said
    assert build("--view", "PA", "--view", "AP")[1] == ["a.png", "b.png", "c.png", "f.png"]
    assert build("--one-per-patient")[1] == ["a.png", "f.png"]
    drawn = min("abf", key=lambda name: sampling.rank(42, f"images/{name}.png"))
    assert build("--limit", "1")[1] == build("-n", "1")[1] == [f"{drawn}.png"]
    assert build("--finding", "sars")[1] == ["e.png"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\secret.png", "a/../../b.png", "", ".hidden.png"]
)
def test_a_file_name_that_climbs_out_is_refused_by_name(tmp_path, name):
    write_clone(tmp_path / "clone", HEADER, f"1,COVID-19,PA,X-ray,images,{name},,,")
    done = script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)
    refused(done, "line 2", name.replace("\\", "\\\\"))
    assert tree(tmp_path / "out") == {}


def test_a_folder_or_link_that_leaves_the_clone_is_refused(tmp_path):
    picture(tmp_path / "outside.png", 1)
    clone = write_clone(tmp_path / "clone", HEADER, "1,COVID-19,PA,X-ray,../..,outside.png,,,")
    refused(script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), "outside.png")
    write_clone(clone, HEADER, "1,COVID-19,PA,X-ray,images,link.png,,,")
    (clone / "images").mkdir()
    (clone / "images" / "link.png").symlink_to(tmp_path / "outside.png")
    refused(script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), "link.png", "leaves the clone")


def test_bad_metadata(tmp_path):
    run = lambda: script("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)  # noqa: E731
    refused(run(), "clone does not exist", "--download", "git clone")
    (tmp_path / "clone").mkdir()
    refused(run(), "no known collection found", "metadata.csv with the columns patientid and filename")
    write_clone(tmp_path / "clone", "patientid,filename", "1,a.png")
    refused(run(), "no column finding, view")
    write_clone(tmp_path / "clone", HEADER)
    refused(run(), "no rows")
    write_clone(tmp_path / "clone", HEADER, "1,SARS,PA,X-ray,images,a.png,,,")
    refused(run(), "no image is left", "another finding 1")


def test_nothing_of_a_person_is_touched(tmp_path):
    clone, out = tmp_path / "clone", tmp_path / "out"
    for i, name in enumerate(("a", "b")):
        picture(clone / "images" / f"{name}.png", i)
    write_clone(clone, HEADER, "1,COVID-19,PA,X-ray,images,a.png,,,", "2,COVID-19,PA,X-ray,images,b.png,,,")
    assert script("build_covid_dataset.py", "-c", clone, "-o", out, cwd=tmp_path).returncode == 0
    picture(out / "mine.png", 9)
    (out / "notes.txt").write_text("mine")
    mine = {name: value for name, value in tree(out).items() if name in ("mine.png", "notes.txt")}

    write_clone(clone, HEADER, "2,COVID-19,PA,X-ray,images,b.png,,,")
    done = script("build_covid_dataset.py", "-c", clone, "-o", out, cwd=tmp_path)
    assert done.returncode == 0
    assert "mine.png, notes.txt" in done.stdout
    assert set(tree(out)) == {"b.png", "manifest.csv", *mine}
    assert mine.items() <= tree(out).items()

    picture(out / "b.png", 77)  # a person has changed an image that the builder wrote
    before = tree(out)
    refused(script("build_covid_dataset.py", "-c", clone, "-o", out, cwd=tmp_path), "b.png", "in the place of")
    assert tree(out) == before


@needs(SHARED / "chest_xray")
def test_kaggle_sample(tmp_path):
    def sample(*arguments):
        done = script("sample_kaggle_dataset.py", "-k", SHARED / "chest_xray", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return rows(tmp_path / "normal")

    first = sample("-o", "normal")
    assert len(first) == 25
    assert len({row["patient"] for row in first}) == 25
    assert not [row for row in first if row["file"].startswith("person")]
    assert {row["source"] for row in first} == {"chest-xray-pneumonia"}
    assert sample("-o", "normal") == first
    assert sample("-o", "normal", "--seed", "7") != first
    assert len(sample("-o", "normal", "-s", "90", "--no-one-per-patient")) == 90
    everything = script("sample_kaggle_dataset.py", "-k", SHARED / "chest_xray", "-o", "n", "-s", "90", cwd=tmp_path)
    refused(everything, "--sample 90", "89 patients", "--no-one-per-patient")
    pneumonia = sample("-o", "normal", "--class", "PNEUMONIA", "-s", "5")
    assert all(row["patient"].startswith("person") for row in pneumonia)


def test_the_same_seed_draws_the_same_images_from_any_layout(tmp_path):
    names = [f"IM-{i:04d}-0001.jpeg" for i in range(30)]
    for layout, order in (("chest_xray", names), ("b/chest_xray/chest_xray", names[::-1])):
        folder = tmp_path / layout / "train" / "NORMAL"
        for name in order:
            picture(folder / name, int(name[3:7]))
        (tmp_path / layout / "train" / "PNEUMONIA").mkdir()
    trap = tmp_path / "b" / "chest_xray" / "__MACOSX" / "chest_xray" / "train" / "NORMAL"
    trap.mkdir(parents=True)
    (tmp_path / "b/chest_xray/chest_xray/train/NORMAL/._IM-0001-0001.jpeg").write_bytes(b"Mac")
    drawn = []
    for root in ("chest_xray", "b/chest_xray"):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        done = script("sample_kaggle_dataset.py", "-k", root, "-o", "out", "-s", "9", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        drawn.append([row["file"] for row in rows(tmp_path / "out")])
    assert drawn[0] == drawn[1]
    # What seed 42 draws is part of the promise: it must not change with the machine or the version.
    assert drawn[0] == sorted(sorted(names, key=lambda name: sampling.rank(42, name))[:9])


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("NORMAL2-IM-1179-0001.jpeg", "1179"),
        ("IM-0033-0001-0002.jpeg", "0033"),
        ("person101_virus_187.jpeg", "person101"),
        ("person1_bacteria_2.jpeg", "person1"),
        ("auntminnie-a-2020.jpeg", None),
    ],
)
def test_patients_told_by_kaggles_names(name, patient):
    assert kermany.patient(name) == patient


def test_kaggle_without_the_data(tmp_path):
    refused(script("sample_kaggle_dataset.py", "-k", "nowhere", cwd=tmp_path), "--kaggle nowhere", "not a folder")
    classes(tmp_path / "data", normal=2)
    refused(script("sample_kaggle_dataset.py", "-k", "data", cwd=tmp_path), "Expected one of: train/NORMAL")
    (tmp_path / "data" / "train").mkdir()
    refused(script("sample_kaggle_dataset.py", "-k", "data", cwd=tmp_path), "no folder train/NORMAL")
    (tmp_path / "kagglehub.py").write_text("def dataset_download(handle):\n    raise OSError('no route to host')\n")
    done = script("sample_kaggle_dataset.py", "-o", "out", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    refused(done, "no route to host", "-k")
    (tmp_path / "kagglehub.py").write_text("raise ImportError('not installed')\n")
    done = script("sample_kaggle_dataset.py", "-o", "out", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    refused(done, "not installed", "-k")
    assert tree(tmp_path / "out") == {}


def test_kagglehub_is_used_where_it_works(tmp_path):
    for i in range(3):
        picture(tmp_path / "hub" / "chest_xray" / "train" / "NORMAL" / f"IM-000{i}-0001.jpeg", i)
    (tmp_path / "kagglehub.py").write_text(f"def dataset_download(handle):\n    return {str(tmp_path / 'hub')!r}\n")
    done = script("sample_kaggle_dataset.py", "-o", "out", "-s", "2", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "out")) == 2


def test_phantoms(tmp_path):
    first = script("make_phantom_dataset.py", "-o", "a", "-n", "3", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    script("make_phantom_dataset.py", "-o", "b", "-n", "3", cwd=tmp_path)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    for label in ("covid", "normal"):
        listed = rows(tmp_path / "a" / label)
        assert len(listed) == 3
        assert {row["source"] for row in listed} == {"phantom"}
    script("make_phantom_dataset.py", "-o", "b", "-n", "3", "--seed", "1", cwd=tmp_path)
    assert not set(tree(tmp_path / "a").values()) & set(tree(tmp_path / "b").values())


def test_brightness_alone_does_not_tell_phantoms_apart():
    from detector.images.phantom import draw
    from detector.statistics.roc import auc

    ill = np.array([draw(True, 10_000 + i).mean() for i in range(25)])
    well = np.array([draw(False, 20_000 + i).mean() for i in range(25)])
    assert 0.25 < auc(ill, well) < 0.75
    assert draw(True, 1).shape == (512, 512)


cells = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(manifest.COLUMNS[1:], cells)), max_size=5))
def test_a_manifest_reads_as_it_was_written(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("manifest")
    written = [row | {"file": f"{i}.png"} for i, row in enumerate(listed)]
    manifest.write(folder, written)
    assert list(manifest.read(folder).values()) == written


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_metadata_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("metadata") / "metadata.csv"
    path.write_bytes(b"patientid,finding,view,filename\n" + data)
    try:
        entries = cohen.read(path.parent)
        selection.select(entries, lambda finding: True, ["PA", ""])
    except InputError:
        pass


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_file_name_leads_out_of_the_clone(folder, filename):
    listed = image_record.ImageRecord("line 2", folder, filename, "", "PA", "COVID-19", "source", "site")
    try:
        path = image_record.require_inside(listed)
    except InputError:
        return
    resolved = Path("/clone", path).resolve()
    assert resolved.is_relative_to("/clone")
    assert resolved.name == filename
