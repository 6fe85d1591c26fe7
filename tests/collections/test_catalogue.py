"""Every collection has what a builder needs, and a folder without one is rejected."""

from __future__ import annotations

from conftest import inside, rejected

from detector.collections import catalogue, kermany, record


def test_every_collection_has_what_a_builder_asks_for():
    for collection in (*catalogue.BUILT, *catalogue.SAMPLED):
        assert collection.source in catalogue.SOURCES
        assert collection.looked_for
    assert kermany.patient("NORMAL2-IM-1179-0001.jpeg") == "1179"
    assert set(record.CLINICAL) >= {"age", "sex", "offset"}


def test_a_folder_that_is_no_known_collection_is_rejected(tmp_path):
    (tmp_path / "empty").mkdir()
    done = inside("build_covid_dataset.py", "-c", "empty", cwd=tmp_path)
    rejected(
        done,
        "--covid empty: no known collection found. Expected one of: train_study_level.csv",
        "metadata.csv with the columns",
        "data.csv with the columns",
    )
    done = inside("sample_kaggle_dataset.py", "-k", "empty", cwd=tmp_path)
    rejected(
        done,
        "--kaggle empty: no known collection",
        "train/NORMAL",
        "Data_Entry_2017.csv",
        "stage_2_detailed_class_info",
    )
