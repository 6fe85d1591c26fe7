"""sample_kaggle_dataset.py as a user runs it."""

from __future__ import annotations

import shutil

from builder_helpers import rows
from conftest import SHARED, accepted, classes, needs, picture, rejected, script, tree

from detector.datasets.build_options import rank


@needs(SHARED / "chest_xray")
def test_a_sample_of_the_real_collection_has_one_image_a_patient(tmp_path):
    def sample(*arguments):
        accepted(script("sample_kaggle_dataset.py", "-k", SHARED / "chest_xray", *arguments, cwd=tmp_path))
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
    rejected(everything, "--sample 90", "89 images of 89 patients kept", "--no-one-per-patient")
    pneumonia = sample("-o", "normal", "--finding", "PNEUMONIA", "-s", "5")
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
        accepted(script("sample_kaggle_dataset.py", "-k", root, "-o", "out", "-s", "9", cwd=tmp_path))
        drawn.append([row["file"] for row in rows(tmp_path / "out")])
    assert drawn[0] == drawn[1]
    # What seed 42 draws is part of the promise: it must not change with the machine or the version.
    assert drawn[0] == sorted(sorted(names, key=lambda name: rank(42, name))[:9])


def test_a_missing_collection_is_named_with_what_to_do(tmp_path):
    rejected(script("sample_kaggle_dataset.py", "-k", "nowhere", cwd=tmp_path), "--kaggle nowhere", "not a folder")
    classes(tmp_path / "data", normal=2)
    rejected(script("sample_kaggle_dataset.py", "-k", "data", cwd=tmp_path), "Expected one of: train/NORMAL")
    (tmp_path / "kagglehub.py").write_text("def dataset_download(handle):\n    raise OSError('no route to host')\n")
    done = script("sample_kaggle_dataset.py", "-o", "out", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    rejected(done, "no route to host", "-k")
    (tmp_path / "kagglehub.py").write_text("raise ImportError('not installed')\n")
    done = script("sample_kaggle_dataset.py", "-o", "out", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    rejected(done, "not installed", "-k")
    assert tree(tmp_path / "out") == {}


def test_kagglehub_is_used_if_it_works(tmp_path):
    for i in range(3):
        picture(tmp_path / "hub" / "chest_xray" / "train" / "NORMAL" / f"IM-000{i}-0001.jpeg", i)
    (tmp_path / "kagglehub.py").write_text(f"def dataset_download(handle):\n    return {str(tmp_path / 'hub')!r}\n")
    accepted(script("sample_kaggle_dataset.py", "-o", "out", "-s", "2", cwd=tmp_path, PYTHONPATH=str(tmp_path)))
    assert len(rows(tmp_path / "out")) == 2
