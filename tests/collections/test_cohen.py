"""Cohen's collection, Actualmed's and Figure 1's: tables of every era, and none that leads out of its folder."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from builder_helpers import build, collection, rows
from builder_helpers import cohen as local_copy
from conftest import SHARED, accepted, digest, inside, needs, picture, rejected, tree

from detector.collections import cohen
from detector.datasets.build import BuildOptions, choose
from detector.files import values

COHEN, ERAS = SHARED / "covid-chestxray-dataset", SHARED / "metadata-eras"


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
    for label, images, patients in (("covid", 72, 46), ("other", 35, 19)):
        listed = rows(tmp_path / label)
        assert (len(listed), len({row["patient"] for row in listed.values()})) == (images, patients)
        for name, row in listed.items():
            assert digest(tmp_path / label / name) == row["sha256"] == digest(COHEN / "images" / name)
            assert ("COVID-19" in row["finding"], row["view"]) == (label == "covid", "PA")
        assert len(list((tmp_path / label).iterdir())) == images + 1


@needs(ERAS)
@pytest.mark.parametrize(("era", "kept"), [("a", 76), ("b", 104), ("c", 140)])
def test_metadata_of_every_era_are_read(era, kept):
    """The counts are those of a filter by hand: finding has COVID-19, view is PA."""
    path = ERAS / f"2020-04-{era}.csv"
    entries = cohen.Cohen().parse(path.read_bytes(), path)
    (chosen,) = choose(cohen.Cohen(), entries, BuildOptions()).values()
    with open(path, newline="", encoding="utf-8") as file:
        by_hand = [row["view"] == "PA" and "COVID-19" in row["finding"] for row in csv.DictReader(file)]
    assert (len(entries), len(chosen.kept)) == (len(by_hand), kept) == (len(by_hand), sum(by_hand))
    assert all(entry.patient for entry in chosen.kept)
    assert len(chosen.dropped) == len(entries) - kept


@pytest.mark.parametrize(
    ("folder", "name", "said"),
    [
        *(("images", name, name) for name in ("../../etc/passwd", "/etc/passwd", "a/../../b.png", "", ".hidden.png")),
        ("images", "..\\secret.png", "..\\\\secret.png"),
        ("../..", "outside.png", "outside.png"),
        ("images", "link.png", "link.png (clone/metadata.csv, line 2) is a link that leaves the collection's folder"),
    ],
)
def test_a_file_outside_of_the_folder_is_rejected_by_name(tmp_path, folder, name, said):
    picture(tmp_path / "outside.png", 1)
    clone = local_copy(tmp_path / "clone", f"1,COVID-19,PA,X-ray,{folder},{name},,,")
    (clone / "images").mkdir()
    (clone / "images" / "link.png").symlink_to(tmp_path / "outside.png")
    done = inside("build_covid_dataset.py", "-c", "clone", "-o", "out", cwd=tmp_path)
    rejected(done, "line 2", said)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.radiopaedia.org/cases/1", "radiopaedia.org"),
        ("http://SIRM.org/x", "sirm.org"),
        ("https://github.com/ml-workgroup/covid-19-image-repository/tree/master/png", "hannover"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_the_site_is_the_host_of_the_address(url, site):
    table = f"patientid,finding,view,filename,url\n1,COVID-19,PA,a.png,{url}\n"
    assert [entry.site for entry in cohen.Cohen().parse(table.encode(), Path("metadata.csv"))] == [site]


@needs(ERAS)
def test_the_counts_of_actualmed_and_figure1_are_those_made_by_hand():
    actual, figure = (
        one.parse((ERAS / f"{name}.csv").read_bytes(), ERAS / f"{name}.csv")
        for one, name in ((cohen.Actualmed(), "actualmed"), (cohen.Figure1(), "figure1"))
    )
    assert Counter(one.finding for one in actual) == {"No finding": 127, "COVID-19": 58, "": 53}
    assert Counter(values.view_group(one.view) for one in actual) == {"PA": 199, "AP": 39}
    options = BuildOptions(output=Path("covid"), controls_output=Path("other"), view=["frontal"])
    assert [len(one.kept) for one in choose(cohen.Actualmed(), actual, options).values()] == [58, 127]
    assert (len(figure), len({one.filename for one in figure}), len({one.patient for one in figure})) == (55, 55, 48)
    assert figure[0].filename == "COVID-00001.jpg" and Counter(one.finding for one in figure)["COVID-19"] == 35


def test_figure1_has_files_of_any_suffix_and_patients_by_number(tmp_path):
    text = "patientid,offset,sex,age,finding,view,modality\nCOVID-00001,,F,50,COVID-19,PA,X-ray\n"
    text += "COVID-00003a,,M,60,COVID-19,PA,X-ray\nCOVID-00003b,,M,60,COVID-19,PA,X-ray\n"
    text += "NORMAL-00004,,M,60,No finding,PA,X-ray\n"
    names = ("COVID-00001.jpg", "COVID-00003a.png", "COVID-00003b.jpeg", "NORMAL-00004.jpg")
    collection(tmp_path / "clone", "metadata.csv", text, *(f"images/{name}" for name in names))
    build(tmp_path, "-c", "clone", "-o", "covid", "--controls-output", "other")
    listed = rows(tmp_path / "covid")
    wanted = dict(zip(names, ("COVID-00001", "COVID-00003", "COVID-00003"), strict=False))
    assert {name: row["patient"] for name, row in listed.items()} == wanted
    assert (listed["COVID-00001.jpg"]["age"], listed["COVID-00001.jpg"]["sex"]) == ("50", "F")
    assert set(rows(tmp_path / "other")) == {"NORMAL-00004.jpg"}
