"""find_lungs.py as a user runs it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import inside, picture, rejected, script
from image_helpers import dice, phantom_lungs
from PIL import Image

from detector.images import phantom


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lungs")
    for seed in range(3):
        Image.fromarray(phantom.draw(seed % 2 == 0, seed)[:, 20:]).save(folder / f"radiograph {seed}.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)).save(folder / "noise.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = script("find_lungs.py", ".", "-o", "masks", "--overlay", "--json", "lungs.json", cwd=folder)
    return folder, done


def test_every_radiograph_gets_a_mask_of_its_own_size(masked):
    folder, done = masked
    written = {one["file"]: one for one in json.loads((folder / "lungs.json").read_text())["images"]}
    for seed in range(3):
        one = written[f"radiograph {seed}.png"]
        with Image.open(folder / "masks" / one["mask"]) as mask, Image.open(folder / f"radiograph {seed}.png") as image:
            assert mask.size == image.size
            values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        assert (values > 0).mean() == pytest.approx(one["right_lung"] + one["left_lung"], abs=0.01)
        assert dice(values > 0, phantom_lungs(seed)[:, 20:]) > 0.85
        with Image.open(folder / "masks" / f"radiograph {seed}_overlay.png") as overlay:
            assert overlay.mode == "RGB"
    assert "right lung" in done.stdout


def test_an_image_without_lungs_gets_no_mask(masked):
    folder, done = masked
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    written = {one["file"]: one for one in json.loads((folder / "lungs.json").read_text())["images"]}
    assert written["noise.png"]["mask"] is None and "no lungs were found" in written["noise.png"]["warning"]
    assert not (folder / "masks" / "noise_mask.png").exists()
    row = next(line for line in done.stdout.splitlines() if line.endswith("noise.png"))
    assert row.split()[:4] == ["no", "mask", "no", "mask"]
    assert "broken.png" in done.stderr


def test_bad_arguments(tmp_path):
    picture(tmp_path / "a" / "x.png", 1)
    picture(tmp_path / "b" / "x.jpg", 2)
    rejected(inside("find_lungs.py", "a", "b", cwd=tmp_path), "would have the same mask, x_mask.png")
    rejected(inside("find_lungs.py", "a/x.png", "-o", "b/x.jpg", cwd=tmp_path), "is a file")
    (tmp_path / "empty").mkdir()
    rejected(inside("find_lungs.py", "empty", cwd=tmp_path), "holds no images")


def test_no_empty_folder_is_left_where_no_mask_was_written(tmp_path):
    done = inside("find_lungs.py", "nowhere.png", "-o", "new/masks", cwd=tmp_path)
    assert done.returncode == 1 and "no mask was written; 1 file skipped" in done.stdout
    assert not (tmp_path / "new").exists()
