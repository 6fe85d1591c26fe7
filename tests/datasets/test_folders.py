"""The parts of a split data set are told from its classes."""

from __future__ import annotations

import shutil

import pytest
from conftest import classes, rejection

from detector.datasets import dataset


def test_parts_of_a_split_are_not_one_data_set(tmp_path):
    for part in ("train", "test", "val"):
        classes(tmp_path / "d" / part, covid=1, normal=1)
    with rejection(r"d holds train, test, val, the parts .*-d \S*d/train, .*--external \S*d/test"):
        dataset.load(tmp_path / "d")
    assert dataset.load(tmp_path / "d" / "train").counts() == {"covid": 1, "normal": 1}
    for label in ("covid", "normal"):
        classes(tmp_path / "inside" / label, Train=1, Test=1)
    with rejection("holds Train, Test inside of its class folders"):
        dataset.load(tmp_path / "inside")
    shutil.rmtree(tmp_path / "d" / "test")
    shutil.rmtree(tmp_path / "d" / "val")
    assert dataset.load(tmp_path / "d").counts() == {"covid": 1, "normal": 1}


@pytest.mark.parametrize(
    "names",
    [
        *[("Train_Set", "test-set"), ("training images", "validation"), ("TRAIN", "HoldOut"), ("X_train", "X_test")],
        *[("01_train", "02_test"), ("train80", "test20"), ("entrai\u0302nement", "essai"), ("treino", "teste")],
        *[("entrenamiento", "Prueba"), ("Trainingsdaten", "Testdaten"), ("训练集", "测试集"), ("eğitim", "doğrulama")],
    ],
)
def test_parts_are_known_by_any_of_their_names(tmp_path, names):
    for part in names:
        classes(tmp_path / part, covid=1, normal=1)
    with rejection(f"the parts of a data set that is split already; train with -d .*/{names[0]}, and"):
        dataset.load(tmp_path)


def test_a_part_beside_the_classes_is_no_class(tmp_path):
    """With class folders of its own, without, and within a class folder; classes that are named after a test stay."""
    classes(tmp_path / "a", covid=1, normal=1)
    classes(tmp_path / "a" / "test", covid=1, normal=1)
    with rejection(r"a holds \S*a/test beside other images: test is a part of a data set, not a class; move it out"):
        dataset.load(tmp_path / "a")
    classes(tmp_path / "b", covid=1, normal=1, Validation=1)
    with rejection("Validation is a part of a data set"):
        dataset.load(tmp_path / "b")
    classes(tmp_path / "c", **{"test-": 1, "test+": 1, "Test positive": 1})
    assert len(dataset.load(tmp_path / "c").classes) == 3


@pytest.mark.parametrize(
    "names",
    [
        *[("covid_train", "covid_test", "normal_train", "normal_test"), ("train_covid", "test_covid", "normal")],
        *[("CovidTrain", "NormalTrain", "CovidVal", "NormalVal"), ("covidtrain", "covidtest", "normaltrain")],
        *[
            ("COVID-19 Train Images", "COVID-19 Test Images"),
            ("train80-covid", "test20-covid"),
            ("新冠训练集", "新冠测试集"),
        ],
        *[("covid.entrai\u0302nement", "covid.essai", "sain.essai"), ("covid_training", "covid_validation")],
        *[("covid (train)", "covid (test)", "normal (train)"), ("covid+train", "covid+test", "normal")],
    ],
)
def test_parts_of_classes_are_no_classes(tmp_path, names):
    classes(tmp_path, **dict.fromkeys(names, 1))
    with rejection(
        r"holds .*, parts of classes, not classes; move them .* such as \S*/train and \S*/test, and give one"
    ):
        dataset.load(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        *[("covid", "covid_tested"), ("test_positive", "test_negative"), ("covid_train", "normal_train")],
        *[("covid", "covid_test"), ("tested", "trained"), ("pcr-test", "antigen test"), ("COVID-19", "COVID-19 dev")],
    ],
)
def test_classes_that_are_named_after_a_test_stay(tmp_path, names):
    classes(tmp_path, **dict.fromkeys(names, 1))
    assert set(dataset.load(tmp_path).classes) == set(names)
