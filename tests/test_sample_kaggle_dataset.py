"""sample_kaggle_dataset.py as a user runs it."""

from __future__ import annotations

from builder_helpers import rows_by_file, sample, sampled
from conftest import SHARED, accepted, classes, needs, picture, rejected, script, tree

from detector.datasets.build import rank


@needs(SHARED / "chest_xray")
def test_a_sample_of_the_real_collection_has_one_image_a_patient(tmp_path):
    (tmp_path / "k").symlink_to(SHARED / "chest_xray")
    first = sampled(tmp_path)
    assert len(first) == len({row["patient"] for row in first.values()}) == 25
    assert not [name for name in first if name.startswith("person")]
    assert {row["source"] for row in first.values()} == {"chest-xray-pneumonia"}
    assert sampled(tmp_path) == first != sampled(tmp_path, "--seed", "7")
    assert len(sampled(tmp_path, "-s", "90", "--no-one-per-patient")) == 90
    few = ("--sample 90", "89 images of 89 patients kept", "--no-one-per-patient")
    rejected(sample(tmp_path, "-s", "90"), *few)
    pneumonia = sampled(tmp_path, "--finding", "PNEUMONIA", "-s", "5")
    assert all(row["patient"].startswith("person") for row in pneumonia.values())


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
    for root, out in (("chest_xray", "one"), ("b/chest_xray", "other")):
        accepted(script("sample_kaggle_dataset.py", "-k", root, "-o", out, "-s", "9", cwd=tmp_path))
        # What seed 42 draws is part of the promise: it must not change with the machine or the version.
        assert set(rows_by_file(tmp_path / out)) == set(sorted(names, key=lambda name: rank(42, name))[:9])


def test_a_missing_collection_is_named_with_what_to_do(tmp_path):
    rejected(sample(tmp_path), "--kaggle k", "not a folder")
    classes(tmp_path / "k", normal=2)
    rejected(sample(tmp_path), "Expected one of: train/NORMAL")


def test_without_a_folder_kagglehub_gets_the_collection(tmp_path):
    for i in range(3):
        picture(tmp_path / "hub" / "chest_xray" / "train" / "NORMAL" / f"IM-000{i}-0001.jpeg", i)

    def hub(code: str):
        (tmp_path / "kagglehub.py").write_text(code)
        return script("sample_kaggle_dataset.py", "-o", "out", "-s", "2", cwd=tmp_path, PYTHONPATH=str(tmp_path))

    rejected(hub("def dataset_download(handle):\n    raise OSError('no route to host')\n"), "no route to host", "-k")
    rejected(hub("raise ImportError('not installed')\n"), "not installed", "-k")
    assert tree(tmp_path / "out") == {}
    accepted(hub(f"def dataset_download(handle):\n    return {str(tmp_path / 'hub')!r}\n"))
    assert len(rows_by_file(tmp_path / "out")) == 2
