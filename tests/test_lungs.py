"""Lungs: the decoder, what its masks say of themselves, and what is done with them."""

from __future__ import annotations

import csv
import json
import shutil
import zlib

import numpy as np
import pytest
from conftest import SAID, SHARED, inside, needs, picture, refusal, refused, script
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.images import lungs, phantom, shortcuts
from detector.images.network_input import NetworkInput
from detector.images.occlusion import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion
from detector.network import lung_decoder
from detector.network.backbone import Backbone, _lungs_key
from detector.storage.cache import Cache


def film(seed: int, covid: bool) -> np.ndarray:
    import cv2

    small = cv2.resize(phantom.draw(covid, seed), (224, 224), interpolation=cv2.INTER_AREA)
    return np.repeat(small[..., None], 3, axis=2)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def ellipses(*centres: float, height: float = 0.3, width: float = 0.13) -> np.ndarray:
    y, x = np.mgrid[:224, :224] / 224
    return np.any([((x - c) / width) ** 2 + ((y - 0.5) / height) ** 2 < 1 for c in centres], axis=0)


# What a mask says


def test_two_lungs_have_a_share_each():
    found = lungs.describe(ellipses(0.3, 0.7))
    assert (found.found, found.warning) == (True, "")
    assert found.right == pytest.approx(np.pi * 0.3 * 0.13, rel=0.02)
    assert found.left == pytest.approx(found.right, rel=0.02)


def test_lungs_that_touch_are_two():
    found = lungs.describe(ellipses(0.37, 0.63, width=0.133))
    assert found.warning == ""
    assert found.left == pytest.approx(found.right, rel=0.05)


@pytest.mark.parametrize(
    ("mask", "found", "warning"),
    [
        (np.zeros((224, 224), bool), False, "no lungs were found"),
        (np.ones((224, 224), bool), False, "more than lungs mostly are"),
        (ellipses(0.3), True, "one lung only"),
        (ellipses(0.7, height=0.1, width=0.05), False, "no lungs were found"),
        (ellipses(0.14, height=0.18, width=0.11), False, "no lungs were found"),
        (ellipses(0.5, height=0.4, width=0.3), False, "no lungs were found"),
        (ellipses(0.38, 0.62), False, "no lungs were found"),
        (ellipses(0.4, height=0.3, width=0.15), True, "one lung only"),
        (ellipses(0.25, 0.75, height=0.4, width=0.25), True, "more than lungs mostly are"),
    ],
)
def test_what_is_implausible_is_said(mask, found, warning):
    described = lungs.describe(mask)
    assert described.found is found
    assert warning in described.warning


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0.05, 0.95))
def test_shares_never_exceed_the_mask_and_swap_in_a_mirror(seed, cells, density):
    import cv2

    blocks = (np.random.default_rng(seed).random((cells, cells)) < density).astype(np.uint8)
    mask = cv2.resize(blocks, (224, 224), interpolation=cv2.INTER_NEAREST) > 0
    right, left = lungs.shares(mask)
    assert 0 <= right + left <= lungs.refined(mask).mean() + 1e-9
    assert sum(lungs.shares(mask[:, ::-1])) == pytest.approx(right + left)


def test_a_spot_beside_the_lungs_is_none():
    mask = ellipses(0.3, 0.7)
    spot = mask.copy()
    spot[200:215, 100:120] = True
    assert np.array_equal(lungs.refined(spot), mask)
    assert np.array_equal(lungs.surroundings(spot), lungs.surroundings(mask))


def test_a_mask_is_enlarged_without_steps():
    mask = ellipses(0.3, 0.7)
    large = lungs.enlarged(mask, 900, 700)
    assert large.shape == (900, 700)
    assert large.mean() == pytest.approx(mask.mean(), rel=0.02)
    assert lungs.enlarged(mask, 3, 300).shape == (3, 300)


# The decoder


def test_the_decoder_is_small_and_the_one_that_this_program_was_made_with(tmp_path):
    arrays = lung_decoder.read()
    assert sum(array.size for array in arrays) <= 150_000
    assert all(np.isfinite(array).all() for array in arrays)
    changed = bytearray(lung_decoder.FILE.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "decoder.npy").write_bytes(changed)
    with refusal("was changed"):
        lung_decoder.read(tmp_path / "decoder.npy")
    with refusal("cannot be read"):
        lung_decoder.read(tmp_path / "none.npy")


def test_lungs_come_with_the_features_and_are_kept(weights, tmp_path):
    films = {NetworkInput(tmp_path / f"{seed}.png", f"{seed:064x}"): film(seed, seed % 2 == 0) for seed in range(3)}
    backbone = Backbone(weights, Cache(tmp_path / "cache"))
    features = backbone.features(list(films), "float32", films.__getitem__)
    found = list(backbone.lungs(list(films), films.__getitem__))
    assert backbone.computed == len(films)
    later = Backbone(weights, Cache(tmp_path / "cache"))
    assert np.array_equal(list(later.lungs(list(films), films.__getitem__)), found)
    assert np.array_equal(later.features(list(films), "float32", films.__getitem__), features)
    assert later.computed == 0
    for seed, mask in enumerate(found):
        truth = phantom.draw_lungs(seed)[::2, ::2]
        assert dice(lungs.enlarged(mask, 256, 256), truth) > 0.85
        assert lungs.describe(mask).warning == ""


@pytest.mark.parametrize("damage", [b"", b"no mask", zlib.compress(bytes(10)), zlib.compress(bytes(10**7))])
def test_a_kept_mask_that_is_none_is_found_anew(weights, tmp_path, damage):
    one = NetworkInput(tmp_path / "0.png", f"{0:064x}")
    Cache(tmp_path / "cache").put({_lungs_key(one.digest): damage})
    backbone = Backbone(weights, Cache(tmp_path / "cache"))
    (mask,) = backbone.lungs([one], lambda _: film(0, True))
    assert backbone.computed == 1
    assert lungs.describe(mask).found


def test_parts_of_an_image_are_shown():
    pixels, mask = film(1, True), ellipses(0.3, 0.7)
    without, only, outline = (Occlusion(part).apply(pixels, mask) for part in (WITHOUT_LUNGS, LUNGS_ONLY, OUTLINE))
    hidden = lungs.surroundings(mask)
    assert hidden[mask].all() and 1.5 * mask.mean() < hidden.mean() < 0.8
    assert not without[hidden].any() and (without[~hidden] == pixels[~hidden]).all()
    assert not only[~mask].any() and (only[mask] == pixels[mask]).all()
    assert set(np.unique(outline)) == {0, 255}
    assert np.array_equal(outline[..., 0] > 0, mask)


# Shortcuts


@pytest.mark.parametrize("kind", shortcuts.KINDS)
def test_a_shortcut_changes_a_film_more_the_stronger_it_is(kind):
    plain = phantom.draw(False, 1)
    changes = []
    for strength in shortcuts.STRENGTHS:
        changed = shortcuts.plant(plain, kind, strength, 7)
        assert changed.shape == plain.shape and changed.dtype == np.uint8
        assert np.array_equal(changed, shortcuts.plant(plain, kind, strength, 7))
        changes.append(np.abs(changed.astype(float) - plain).mean())
    assert 0 < changes[0] < changes[1] < changes[2]


# The script


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lungs")
    for seed in range(3):
        Image.fromarray(phantom.draw(seed % 2 == 0, seed)[:, 20:]).save(folder / f"film {seed}.png")
    Image.fromarray(np.zeros((300, 200), np.uint8)).save(folder / "noise.png")
    Image.fromarray(np.full((300, 200), 255, np.uint8)).save(folder / "white.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)).save(folder / "noise.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3, 200), dtype=np.uint8)).save(folder / "flat.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    done = script("find_lungs.py", ".", "-o", "masks", "--overlay", "--json", "lungs.json", cwd=folder)
    return folder, done


def test_every_film_gets_a_mask_of_its_own_size(masked):
    folder, done = masked
    written = {one["file"]: one for one in json.loads((folder / "lungs.json").read_text())["images"]}
    for seed in range(3):
        one = written[f"film {seed}.png"]
        with Image.open(folder / "masks" / one["mask"]) as mask, Image.open(folder / f"film {seed}.png") as image:
            assert mask.size == image.size
            values = np.asarray(mask)
        assert set(np.unique(values)) == {0, 255}
        assert (values > 0).mean() == pytest.approx(one["right_lung"] + one["left_lung"], abs=0.01)
        assert dice(values > 0, phantom.draw_lungs(seed)[:, 20:]) > 0.85
        with Image.open(folder / "masks" / f"film {seed}_overlay.png") as overlay:
            assert overlay.mode == "RGB"
    assert "right lung" in done.stdout


def test_what_is_no_chest_gets_a_sentence_and_no_mask(masked):
    folder, done = masked
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    written = {one["file"]: one for one in json.loads((folder / "lungs.json").read_text())["images"]}
    for name in ("noise",):
        assert written[f"{name}.png"]["mask"] is None
        assert "no lungs were found" in written[f"{name}.png"]["warning"]
        assert not (folder / "masks" / f"{name}_mask.png").exists()
        assert f"{name}.png: no lungs were found; no mask is written" in done.stdout
    assert "broken.png" in done.stderr


def test_bad_arguments(tmp_path):
    picture(tmp_path / "a" / "x.png", 1)
    picture(tmp_path / "b" / "x.jpg", 2)
    refused(script("find_lungs.py", "a", "b", cwd=tmp_path), "would have the same mask, x_mask.png")
    refused(script("find_lungs.py", "a/x.png", "-o", "b/x.jpg", cwd=tmp_path), "is a file")
    (tmp_path / "empty").mkdir()
    refused(script("find_lungs.py", "empty", cwd=tmp_path), "holds no images")
    assert script("find_lungs.py", "nowhere.png", "-o", "m", cwd=tmp_path).returncode == 1


# A model that looks at nothing else


@pytest.mark.parametrize(("recipe", "suffix"), [("probe", "h5"), ("tutorial", "keras")])
def test_a_model_of_lungs_only_does_to_a_new_film_what_it_was_trained_with(tmp_path, recipe, suffix):
    import keras

    from detector.images.radiographs import read

    assert inside("make_phantom_dataset.py", "-o", "data", "-n", 5, "--quiet", cwd=tmp_path).returncode == 0
    few = ("--epochs", 2, "--rotations", 0) if recipe == "tutorial" else ()
    train = (
        "train_covid19.py",
        "-d",
        "data",
        "--recipe",
        recipe,
        "--input",
        "lungs",
        "-m",
        f"m.{suffix}",
        "--no-report",
        *few,
    )
    done = inside(*train, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "all else is masked out" in done.stdout
    told = json.loads((tmp_path / "m.json").read_text())
    assert told["settings"]["input"] == "lungs"
    model = keras.models.load_model(tmp_path / f"m.{suffix}")
    for one in told["held_out"]:
        path = next((tmp_path / "data").rglob(one["file"].rpartition("/")[2]))
        pixels = read(path).pixels[None].astype(np.float32) / 255
        said = model(pixels, training=False).numpy()[0]
        assert np.abs(said - [one["probabilities"][name] for name in told["classes"]]).max() < 1e-5
        around = pixels.copy()
        around[:, :12] = around[:, -12:] = 0.5  # no lung is there
        mask = keras.Model(model.inputs[0], model.get_layer(lung_decoder.MASK).output)
        if np.array_equal(mask(around).numpy(), mask(pixels).numpy()):
            assert np.abs(model(around, training=False).numpy()[0] - said).max() < 1e-5
    film = next((tmp_path / "data" / "covid").glob("*.png"))
    shutil.copy(film, tmp_path / "film.png")
    noise = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    outputs = ("--gradcam", "maps", "--json", "p.json", "--no-report")
    done = inside("predict_covid19.py", "film.png", "noise.png", "-m", f"m.{suffix}", *outputs, cwd=tmp_path)
    assert done.returncode == 1
    SAID.append(("predict_covid19.py noise.png -m m.h5", done.stderr))
    assert "noise.png: no lungs were found; this model uses only the lung region" in done.stderr
    answer = json.loads((tmp_path / "p.json").read_text())["predictions"]
    assert [one["file"] for one in answer] == ["film.png"]
    said = model(read(film).pixels[None].astype(np.float32) / 255, training=False).numpy()[0]
    assert list(answer[0]["probabilities"].values()) == pytest.approx(said.tolist(), abs=1e-5)
    assert (tmp_path / "maps" / "film.png.gradcam.png").is_file()


@needs(SHARED)
def test_lungs_of_real_films_are_found(weights):
    """The masks' own films: that the file in the repository is the decoder it says it is, not how good it is."""
    from detector.images.occlusion import read_mask
    from detector.images.radiographs import read

    listed = list(csv.DictReader((SHARED / "lung-masks-v7" / "list.csv").open(encoding="utf-8")))[::30]
    images = [SHARED / "lung-masks-v7" / "images" / row["file"] for row in listed]
    films = {NetworkInput(path, path.name): read(path).pixels for path in images}
    found = Backbone(weights, Cache(None)).lungs(list(films), films.__getitem__)
    agreement = [
        dice(mask, read_mask(SHARED / "lung-masks-v7" / "masks" / row["mask"]))
        for row, mask in zip(listed, found, strict=True)
    ]
    assert np.median(agreement) > 0.94
    assert min(agreement) > 0.85


@needs(SHARED)
def test_laterals_and_slices_have_no_lungs(weights):
    from detector.images.radiographs import read

    folder = SHARED / "covid-chestxray-dataset"
    rows = csv.DictReader((folder / "metadata.csv").open(encoding="utf-8"))
    paths = [folder / "images" / row["filename"] for row in rows if row["view"] == "L" or row["modality"] == "CT"]
    images = {NetworkInput(path, path.name): read(path).pixels for path in paths if path.is_file()}
    assert len(images) >= 10
    for image, mask in zip(images, Backbone(weights, Cache(None)).lungs(list(images), images.__getitem__), strict=True):
        assert not lungs.describe(mask).found, image
