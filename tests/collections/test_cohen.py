"""Cohen's collection: tables of every era, and none that leads out of its folder."""

from __future__ import annotations

import csv

import pytest
from builder_helpers import HEADER, build, rows, write_collection
from conftest import SHARED, accepted, digest, inside, needs, picture, rejected, tree

from detector.collections import cohen
from detector.datasets.build import choose
from detector.datasets.build_options import BuildOptions

COHEN = SHARED / "covid-chestxray-dataset"


@needs(COHEN)
def test_the_counts_of_cohens_collection_are_those_made_by_hand(tmp_path):
    said = accepted(
        inside("build_covid_dataset.py", "-c", COHEN, "-o", "covid", "--controls-output", "other", cwd=tmp_path)
    )
    for words in (
        "146 rows read, 72 images of 46 patients kept",
        "35 images of 19 patients kept",  # three images are listed for patient 339, too, who is patient 285
        "patients with an image in common are one: 339 is 285",
        "another finding 53, another view 18, image missing 3",
    ):
        assert words in said
    covid, other = rows(tmp_path / "covid"), rows(tmp_path / "other")
    assert (len(covid), len({row["patient"] for row in covid})) == (72, 46)
    assert (len(other), len({row["patient"] for row in other})) == (35, 19)
    for folder, listed in (("covid", covid), ("other", other)):
        for row in listed:
            assert digest(tmp_path / folder / row["file"]) == row["sha256"] == digest(COHEN / "images" / row["file"])
            assert ("COVID-19" in row["finding"]) == (folder == "covid")
            assert row["view"] == "PA"
    assert len(list((tmp_path / "covid").iterdir())) == 73


@needs(SHARED / "metadata-eras")
@pytest.mark.parametrize(("era", "kept"), [("a", 76), ("b", 104), ("c", 140)])
def test_metadata_of_every_era_are_read(era, kept):
    """The counts are those of a filter by hand: finding has COVID-19, view is PA."""
    path = SHARED / "metadata-eras" / f"2020-04-{era}.csv"
    entries = cohen.Cohen().parse(path.read_bytes(), path)
    (chosen,) = choose(cohen.Cohen(), entries, BuildOptions()).values()
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    by_hand = [row for row in table if "COVID-19" in row["finding"] and row["view"] == "PA"]
    assert len(entries) == len(table)
    assert len(chosen.kept) == len(by_hand) == kept
    assert all(entry.patient for entry in chosen.kept)
    assert sum(chosen.dropped.values()) == len(entries) - kept


def test_columns_of_any_era_with_quotes_newlines_and_encodings_are_read(tmp_path):
    picture(tmp_path / "clone" / "images" / "a.png", 1)
    picture(tmp_path / "clone" / "images" / "b.png", 2)
    header = "Patientid, Finding ,VIEW,Modality,filename,doi, url,clinical notes,"
    quoted = '7,COVID-19,PA,X-ray,a.png,,http://x,"Müller said ""hm"",\nand COVID-19, twice",'
    mentioned = '8,Streptococcus,PA,X-ray,b.png,,http://y,"not COVID-19",'
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        write_collection(tmp_path / "clone", header, quoted, mentioned, encoding=encoding)
        build(tmp_path, "-c", "clone", "-o", "out")
        assert [(row["patient"], row["url"]) for row in rows(tmp_path / "out")] == [("7", "http://x")]
    write_collection(
        tmp_path / "clone", "Patientid,finding,view,filename", "1,COVID-19,PA,a.png", "2,COVID-19,CT,b.png"
    )
    assert "1 image of 1 patient kept" in build(tmp_path, "-c", "clone", "-o", "out")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..\\secret.png", "a/../../b.png", "", ".hidden.png"]
)
def test_a_file_name_outside_of_the_folder_is_rejected_by_name(tmp_path, name):
    write_collection(tmp_path / "clone", HEADER, f"1,COVID-19,PA,X-ray,images,{name},,,")
    done = inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)
    rejected(done, "line 2", name.replace("\\", "\\\\"))
    assert tree(tmp_path / "out") == {}


def test_a_folder_or_link_outside_of_the_local_copy_is_rejected(tmp_path):
    picture(tmp_path / "outside.png", 1)
    local_copy = write_collection(tmp_path / "clone", HEADER, "1,COVID-19,PA,X-ray,../..,outside.png,,,")
    rejected(inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), "outside.png")
    write_collection(local_copy, HEADER, "1,COVID-19,PA,X-ray,images,link.png,,,")
    (local_copy / "images").mkdir()
    (local_copy / "images" / "link.png").symlink_to(tmp_path / "outside.png")
    rejected(
        inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path), "link.png", "leaves the collection"
    )


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.radiopaedia.org/cases/1", "radiopaedia.org"),
        ("http://SIRM.org/x", "sirm.org"),
        ("https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png", "hannover"),
        ("", cohen.Cohen.source),
        ("no address", cohen.Cohen.source),
    ],
)
def test_the_site_is_the_host_of_the_address(url, site):
    assert cohen.site(url) == site
