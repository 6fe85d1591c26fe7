"""The COVID-19 Radiography Database, as it unpacks."""

from __future__ import annotations

from pathlib import Path

from builder_helpers import rows
from conftest import accepted, inside, picture, rejected

from detector.collections import radiography
from detector.images.masks import find_masks


def unpacked(root: Path) -> None:
    for label in ("COVID", "Normal", "Lung_Opacity", "Viral Pneumonia"):
        for number in (1, 2):
            for inner in ("images", "masks"):
                picture(root / label / inner / f"{label}-{number}.png", number + len(label))


def test_classes_sites_and_masks(tmp_path):
    root = tmp_path / "kaggle" / "COVID-19_Radiography_Dataset"
    unpacked(root)
    (root / "COVID.metadata.csv").write_text(
        "FILE NAME,FORMAT,SIZE,URL\nCOVID-1,PNG,256*256,https://sirm.org/category/senza-categoria/covid-19/\n"
        "COVID-2,PNG,256*256,https://github.com/armiro/COVID-CXNet\n"
    )
    said = accepted(
        inside("build_covid_dataset.py", "-c", "kaggle", "-o", "d/covid", "--controls-output", "d/other", cwd=tmp_path)
    )
    covid, other = rows(tmp_path / "d/covid"), rows(tmp_path / "d/other")
    assert {name: row["site"] for name, row in covid.items()} == {
        "COVID-1.png": "sirm.org",
        "COVID-2.png": "github.com/armiro/COVID-CXNet",
    }
    assert {row["finding"] for row in other.values()} == {"Normal", "Viral Pneumonia", "Lung Opacity"}
    assert "the site of 6 images is not known" in said and "No site and view contains both classes" in said
    assert (
        len(find_masks(root, {tmp_path / "d/covid/COVID-1.png": "covid", tmp_path / "d/other/Normal-2.png": "other"}))
        == 2
    )


def test_four_classes_of_other_files_are_not_the_database(tmp_path):
    unpacked(tmp_path / "kaggle")
    for path in list((tmp_path / "kaggle").rglob("*.png")):
        path.rename(path.with_name(f"patient{path.stem.rpartition('-')[2]}.png"))
    done = inside("build_covid_dataset.py", "-c", "kaggle", "-o", "d/covid", cwd=tmp_path)
    rejected(done, "--covid kaggle: no known collection found", "COVID.metadata.csv")


def test_sites():
    assert radiography.site("https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data") == (
        "rsna-pneumonia-detection-challenge"
    )
    assert radiography.site("https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia") == "chest-xray-pneumonia"
    assert radiography.site("http://[") == radiography.site("") == ""
