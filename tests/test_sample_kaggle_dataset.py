"""sample_kaggle_dataset.py as a user runs it."""

from __future__ import annotations

import hashlib
import sys
from types import SimpleNamespace

from builder_helpers import rows, sample, sampled
from conftest import SHARED, accepted, classes, inside, needs, picture, rejected, script, tree


@needs(SHARED / "chest_xray")
def test_a_sample_of_the_real_collection_has_one_image_a_patient(tmp_path):
    (tmp_path / "k").symlink_to(SHARED / "chest_xray")
    first = sampled(tmp_path)
    assert len(first) == len({row["patient"] for row in first.values()}) == 25
    assert not [name for name in first if name.startswith("person")]
    assert {row["source"] for row in first.values()} == {"chest-xray-pneumonia"}
    assert sampled(tmp_path) == first != sampled(tmp_path, "--seed", "7")
    assert len(sampled(tmp_path, "-s", "90", "--no-one-per-patient")) == 90
    rejected(sample(tmp_path, "-s", "90"), "--sample 90", "89 images of 89 patients kept", "--no-one-per-patient")
    pneumonia = sampled(tmp_path, "--finding", "PNEUMONIA", "-s", "5")
    assert all(row["patient"].startswith("person") for row in pneumonia.values())


def test_the_same_seed_draws_the_same_images_from_any_layout(tmp_path):
    names = [f"IM-{i:04d}-0001.jpeg" for i in range(30)]
    for layout, order in (("chest_xray", names), ("b/chest_xray/chest_xray", names[::-1])):
        folder = tmp_path / layout / "train" / "NORMAL"
        for name in order:
            picture(folder / name, int(name[3:7]))
        (tmp_path / layout / "train" / "PNEUMONIA").mkdir()
    (tmp_path / "b" / "chest_xray" / "__MACOSX" / "chest_xray" / "train" / "NORMAL").mkdir(parents=True)
    (tmp_path / "b/chest_xray/chest_xray/train/NORMAL/._IM-0001-0001.jpeg").write_bytes(b"Mac")
    for run, root in ((script, "chest_xray"), (inside, "b/chest_xray")):
        accepted(run("sample_kaggle_dataset.py", "-k", root, "-o", root[0], "-s", "9", cwd=tmp_path))
        # What seed 42 draws is part of the promise: it must not change with the machine or the version.
        assert set(rows(tmp_path / root[0])) == set(
            sorted(names, key=lambda name: hashlib.sha256(f"42:{name}".encode()).digest())[:9]
        )


def test_a_missing_collection_is_named_with_what_to_do(tmp_path):
    rejected(sample(tmp_path), "--kaggle k", "not a folder")
    classes(tmp_path / "k", normal=2)
    rejected(sample(tmp_path), "Expected one of: train/NORMAL", "Data_Entry_2017.csv", "stage_2_detailed_class_info")


def test_without_a_folder_kagglehub_gets_the_collection(tmp_path, monkeypatch):
    for i in range(3):
        picture(tmp_path / "hub" / "chest_xray" / "train" / "NORMAL" / f"IM-000{i}-0001.jpeg", i)

    def unreachable(handle: str) -> str:
        raise OSError("no route to host")

    for hub, said in (
        (SimpleNamespace(dataset_download=unreachable), "no route to host"),
        (None, "import of kagglehub"),
    ):
        monkeypatch.setitem(sys.modules, "kagglehub", hub)
        done = inside("sample_kaggle_dataset.py", "-o", "out", "-s", "2", cwd=tmp_path)
        rejected(done, f"kagglehub cannot get the data set ({said}", "give its folder with -k")
    assert tree(tmp_path / "out") == {}
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=lambda handle: tmp_path / "hub"))
    accepted(inside("sample_kaggle_dataset.py", "-o", "out", "-s", "2", cwd=tmp_path))
    assert len(rows(tmp_path / "out")) == 2
