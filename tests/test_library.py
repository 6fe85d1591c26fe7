"""Rooms of the library, one after the other: files, cache, rotation, backbone, head, split, evaluation."""

from __future__ import annotations

import sqlite3
import threading

import numpy as np
import pytest
from conftest import classes, picture, tree
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detector import InputError, dataset, evaluation, files, head, manifest, printable, split
from detector.backbone import Backbone, View, compile_forward
from detector.cache import FILE, Cache, key
from detector.rotation import angles, rotate

# files


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.whole(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert tree(tmp_path).keys() == {"a.txt"}
    assert path.read_text() == "old"
    with files.whole(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"


def test_files_that_belong_together_are_written_all_or_none(tmp_path):
    def full(path):
        raise OSError(28, "No space left on device")

    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("old")
    with pytest.raises(InputError, match=r"b\.txt cannot be written: no space left"):
        files.write_together({first: lambda path: path.write_text("new"), second: full})
    assert first.read_text() == "old"
    assert tree(tmp_path).keys() == {"a.txt"}


def test_what_a_killed_run_left_is_swept_but_not_what_a_running_one_writes(tmp_path):
    orphan = tmp_path / ".a.x1.part.txt"
    orphan.write_text("left by a run that was killed")
    with files.whole(tmp_path / "a.txt") as running:
        assert not orphan.exists()
        files.sweep(tmp_path / "a.txt")
        assert running.exists()
        running.write_text("done")


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "a.png"):
        with pytest.raises(InputError, match=str(path)):
            files.require_writable(path)
    with pytest.raises(InputError, match="is a file"):
        files.require_folder(tmp_path / "file")
    with pytest.raises(InputError, match="--plot"):
        files.require_outputs({"--plot": tmp_path / "a", "--model": tmp_path / "a"})


def test_printable_is_one_safe_line():
    assert printable("a\nb\x1b[31mé\udcff") == "a\\nb\\x1b[31mé\\udcff"


# cache


def test_the_cache_returns_what_it_was_given(tmp_path):
    cache = Cache(tmp_path)
    cache.put({b"a": b"1", b"b": b"2"})
    assert Cache(tmp_path).get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    assert Cache(None).get([b"a"]) == {}


def test_the_cache_is_bounded_and_drops_the_least_recently_used(tmp_path):
    cache = Cache(tmp_path, max_bytes=300_000)
    cache.put({b"kept": b"k"})
    for i in range(400):
        cache.put({f"{i}".encode(): bytes(2048)})
        cache.get([b"kept"])
    assert (tmp_path / FILE).stat().st_size < 600_000
    assert cache.get([b"kept", b"0", b"399"]).keys() == {b"kept", b"399"}


def test_flipped_bits_are_never_returned(tmp_path):
    values = {f"{i}".encode(): bytes([i]) * 2048 for i in range(50)}
    generator = np.random.default_rng(0)
    for _ in range(40):
        cache = Cache(tmp_path)
        cache.put(values)
        data = bytearray((tmp_path / FILE).read_bytes())
        for at in generator.integers(0, len(data), 30):
            data[at] ^= 1 << int(generator.integers(0, 8))
        (tmp_path / FILE).write_bytes(data)
        damaged = Cache(tmp_path)
        assert damaged.get(values).items() <= values.items()
        damaged.put(values)
        assert damaged.trouble or damaged.get(values) == values


def test_a_cache_that_cannot_be_used_says_so_and_holds_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    cache = Cache(tmp_path / "file")
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {}
    assert cache.trouble


def test_several_threads_and_connections_share_a_cache(tmp_path):
    def work(start: int) -> None:
        cache = Cache(tmp_path)
        for i in range(start, start + 25):
            cache.put({f"{i}".encode(): f"{i}".encode()})
            assert cache.get([f"{i}".encode()])
        troubles.append(cache.trouble)

    troubles: list[str | None] = []
    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [None] * 4
    assert len(Cache(tmp_path).get(f"{i}".encode() for i in range(100))) == 100


def test_keys_differ_with_everything_that_has_a_say():
    keys = {key(image="a", angle=1.0), key(image="a", angle=2.0), key(image="b", angle=1.0), key(image="a")}
    assert len(keys) == 4


def test_a_cache_without_a_table_is_begun_anew(tmp_path):
    sqlite3.connect(tmp_path / FILE).execute("CREATE TABLE entries (key)").connection.close()
    cache = Cache(tmp_path)
    cache.put({b"a": b"1"})
    assert cache.trouble or cache.get([b"a"]) == {b"a": b"1"}


# rotation


def test_more_copies_keep_those_that_are_there():
    digest = "ab" * 32
    assert angles(digest, 7, 1)[:3] == angles(digest, 3, 1)
    assert angles(digest, 3, 1) != angles(digest, 3, 2) != angles("cd" * 32, 3, 2)
    assert all(-15 <= angle <= 15 for angle in angles(digest, 200, 0))


def test_rotation_turns_about_the_centre_and_repeats_the_border():
    pixels = np.full((224, 224, 3), 77, np.uint8)
    assert (rotate(pixels, 13.0) == 77).all()
    pixels[100:124, 20:40] = 255
    assert np.array_equal(rotate(pixels, 0.0), pixels)
    quarter = rotate(pixels, 90.0)
    assert quarter[190, 111, 0] == 255


# backbone


@pytest.fixture
def views(tmp_path) -> dict[View, np.ndarray]:
    pixels = {}
    for i in range(5):
        small = picture(tmp_path / f"{i}.png", i, (224, 224))
        pixels[View(tmp_path / f"{i}.png", f"{i:064x}", angle=float(i))] = np.repeat(small[..., None], 3, axis=2)
    return pixels


@pytest.mark.parametrize("pool", ["corner", "global"])
def test_features_are_keras_own(weights, views, pool):
    from detector.model import join

    backbone = Backbone(weights, pool, Cache(None))
    features = backbone.features(list(views), "float32", views.__getitem__)
    head_weights = [np.eye(512, 64, dtype=np.float32), np.zeros(64, np.float32), np.zeros((64, 2), np.float32)]
    model = join(weights, [*head_weights, np.zeros(2, np.float32)], pool)
    import keras

    base = keras.Model(model.input, model.get_layer("flatten").output)
    pixels = np.stack([rotate(views[view], view.angle) for view in views]).astype(np.float32) / 255
    assert np.abs(base.predict(pixels, verbose=0) - features).max() < 1e-5


def test_features_depend_on_neither_cache_nor_batch_nor_order_nor_threads(weights, views, tmp_path):
    import tensorflow as tf

    reference = Backbone(weights, "corner", Cache(None)).features(list(views), "float32", views.__getitem__)
    cache = Cache(tmp_path / "cache")
    cached = Backbone(weights, "corner", cache)
    backwards = cached.features(list(views)[::-1], "float32", views.__getitem__)[::-1]
    one_by_one = [cached.features([view], "float32", views.__getitem__)[0] for view in views]
    untouched = Backbone(weights, "corner", cache)
    from_cache = untouched.features(list(views), "float32", views.__getitem__)
    assert untouched.computed == 0
    with tf.device("/CPU:0"):
        single = compile_forward(weights, "corner", "float32")
    pixels = np.stack([rotate(views[view], view.angle) for view in views]).astype(np.float32) / 255
    alone = np.concatenate([single(pixels[i : i + 1]).numpy() for i in range(5)])
    for other in (backwards, one_by_one, from_cache, alone):
        assert np.abs(np.asarray(other) - reference).max() < 1e-5


def test_bfloat16_is_near_and_kept_apart(weights, views, tmp_path):
    backbone = Backbone(weights, "corner", Cache(tmp_path))
    exact = backbone.features(list(views), "float32", views.__getitem__)
    rough = backbone.features(list(views), "bfloat16", views.__getitem__)
    assert backbone.computed == 2 * len(views)
    assert 0 < np.abs(rough - exact).max() < 0.05 * exact.max()


# head


@pytest.fixture(scope="module")
def separable() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 80)
    return (generator.normal(0, 1, (80, 3, 512)) + 0.5 * labels[:, None, None]).astype(np.float32), labels


def test_the_head_learns_and_repeats_itself(separable):
    features, labels = separable
    recipe = head.Recipe(epochs=8)
    first = head.train(features, labels, 2, recipe, 1, (features[:, 0], labels))
    head.train(features, labels, 2, recipe, 2)
    again = head.train(features, labels, 2, recipe, 1, (features[:, 0], labels))
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, again.weights, strict=True))
    assert first.history == again.history
    assert first.history["val_accuracy"][-1] > 0.95
    assert first.history["loss"][0] > first.history["loss"][-1]
    assert [len(values) for values in first.history.values()] == [8] * 4


def test_the_head_is_what_keras_fit_would_train(separable):
    """Without dropout and shuffling, the compiled epoch takes the very steps that Keras' own `fit` takes."""
    import keras

    features, labels = separable
    trainer = head._Trainer(512, 2, 3, 1e-3)
    streams = np.random.SeedSequence(5).spawn(2)
    trainer.reset(*streams)
    trainer._dropout.rate = 0.0
    x, y = features[:, 0].reshape(10, 8, 512), np.eye(2, dtype=np.float32)[labels].reshape(10, 8, 2)
    model = keras.Sequential([keras.Input((512,)), *[layer for layer in head.layers(2) if "dropout" not in layer.name]])
    model.set_weights(trainer.weights())
    schedule = keras.optimizers.schedules.InverseTimeDecay(1e-3, 1, 1e-3 / 3)
    model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(schedule))
    fresh = head._Trainer(512, 2, 3, 1e-3)
    for layer in fresh._head.layers:
        if layer.name == "dropout":
            layer.rate = 0.0
    fresh.reset(*streams)
    for _ in range(3):
        fresh.epoch(x, y)
        model.fit(x.reshape(80, 512), y.reshape(80, 2), batch_size=8, shuffle=False, verbose=0)
    for ours, theirs in zip(fresh.weights(), model.get_weights(), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


def test_three_classes_and_fewer_images_than_a_batch():
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (5, 1, 512)).astype(np.float32)
    trained = head.train(features, np.array([0, 1, 2, 0, 1]), 3, head.Recipe(epochs=2), 0)
    said = head.probabilities(features[:, 0], trained.weights)
    assert said.shape == (5, 3)
    assert np.allclose(said.sum(axis=1), 1)


# split


@st.composite
def labelled_patients(draw):
    n = draw(st.integers(6, 60))
    classes_ = draw(st.integers(2, 4))
    labels = draw(st.lists(st.integers(0, classes_ - 1), min_size=n, max_size=n))
    patients = draw(st.lists(st.integers(0, n), min_size=n, max_size=n))
    return np.array(labels), np.array([f"p{p}" for p in patients]), [f"c{i}" for i in range(classes_)]


@settings(max_examples=300, deadline=None)
@given(labelled_patients(), st.floats(0.05, 0.6), st.integers(0, 99))
def test_no_patient_is_on_both_sides_and_every_class_is(case, size, seed):
    labels, patients, names = case
    try:
        train, held_out = split.by_patient(labels, patients, names, size, seed)
    except InputError as error:
        assert "class" in str(error) or "leaves no" in str(error)
        return
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert not set(patients[train]) & set(patients[held_out])
    assert set(labels[train]) == set(labels[held_out]) == set(range(len(names)))
    again = split.by_patient(labels, patients, names, size, seed)
    assert np.array_equal(again[1], held_out)


@settings(max_examples=60, deadline=None)
@given(labelled_patients(), st.integers(2, 5), st.integers(0, 9))
def test_folds_hold_every_image_out_once(case, count, seed):
    labels, patients, names = case
    try:
        chosen = list(split.folds(labels, patients, names, count, seed))
    except InputError:
        assume(False)
    assert sorted(np.concatenate([held_out for _, held_out in chosen])) == list(range(len(labels)))
    for train, held_out in chosen:
        assert not set(patients[train]) & set(patients[held_out])


def test_the_share_held_out_is_near_the_one_asked_for():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [72, 90])
    patients = np.where(labels == 0, generator.integers(0, 46, 162), 100 + np.arange(162)).astype(str)
    for seed in range(20):
        _, held_out = split.by_patient(labels, patients, ["covid", "normal"], 0.2, seed)
        assert abs((labels[held_out] == 0).sum() - 14.4) <= 2
        assert abs((labels[held_out] == 1).sum() - 18) <= 1


def test_splits_that_cannot_be():
    with pytest.raises(InputError, match="class covid has images of one patient only"):
        split.by_patient(np.array([0, 0, 1, 1]), np.array(["a", "a", "b", "c"]), ["covid", "normal"], 0.2, 0)
    with pytest.raises(InputError, match="too few to hold out"):
        split.by_image(np.array([0, 1, 1, 1, 1]), ["covid", "normal"], 0.2, 0)
    with pytest.raises(InputError, match="too few for 5 folds"):
        list(split.folds(np.array([0, 1, 1]), np.array(["a", "b", "c"]), ["covid", "normal"], 5, 0))


# data set


def test_labels_are_folders_and_manifests_tell_patients_and_sources(tmp_path):
    classes(tmp_path, covid=2, normal=2)
    manifest.write(
        tmp_path / "covid", [{"file": "covid-000.png", "patient": "7", "source": "cohen", "label": "x", "sha256": ""}]
    )
    picture(tmp_path / "normal" / "IM-0033-0001-0002.jpeg", 9)
    found = dataset.load(tmp_path)
    assert found.classes == ["covid", "normal"]
    assert [image.patient for image in found.images] == ["cohen/7", None, f"{'chest-xray-pneumonia'}/0033", None, None]
    assert [image.label for image in found.images] == ["covid"] * 2 + ["normal"] * 3


def test_two_patients_who_share_an_image_are_one():
    images = [
        dataset.Image(None, f"{i}.png", "covid", patient, "", {})
        for i, patient in enumerate(["c/1", "c/2", "c/2", None, "c/3"])
    ]
    same = dataset.patients(images, ["a", "a", "b", "d", "e"])
    assert same[0] == same[1] == same[2]
    assert len(set(same)) == 3


def test_a_class_folder_may_be_a_link(tmp_path):
    classes(tmp_path / "elsewhere", covid=2)
    classes(tmp_path / "data", normal=2)
    (tmp_path / "data" / "covid").symlink_to(tmp_path / "elsewhere" / "covid")
    assert dataset.load(tmp_path / "data").counts() == {"covid": 2, "normal": 2}


# evaluation


def test_wilson_as_published():
    """9 of 10: the textbook's interval (Newcombe 1998 computes it alike)."""
    nine = evaluation.proportion(9, 10)
    assert (round(nine.low, 4), round(nine.high, 4)) == (0.5958, 0.9821)
    assert str(evaluation.proportion(5, 5)) == "1.0000 (95% CI 0.5655-1.0000, n=5)"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_auc_counts_pairs(positive, negative):
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert evaluation.auc(np.array(positive, float), np.array(negative, float)) == pytest.approx(np.mean(pairs))


def test_evaluation_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    said = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.1, 0.9]])
    result = evaluation.evaluate(labels, said, ["covid", "normal"], "covid", 0)
    assert result.confusion.tolist() == [[2, 1], [1, 3]]
    assert (result.sensitivity.hits, result.sensitivity.n) == (2, 3)
    assert (result.specificity.hits, result.specificity.n) == (3, 4)
    assert result.auc.value == pytest.approx(10 / 12)
    assert result.auc.low < result.auc.value < result.auc.high
    stricter = evaluation.evaluate(labels, said, ["covid", "normal"], "covid", 0, threshold=0.7)
    assert stricter.confusion.tolist() == [[2, 1], [0, 4]]


def test_the_bootstrap_covers_what_it_should():
    """Of 60 samples from two normals whose AUC is 0.76, about 95 in 100 intervals hold it."""
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(60):
        scores = np.concatenate([generator.normal(1, 1, 40), generator.normal(0, 1, 40)])
        found = evaluation.area(scores, np.arange(80) < 40, seed)
        covered += found.low <= 0.7602 <= found.high
    assert covered >= 51


def test_the_roc_band_surrounds_the_curve():
    from sklearn.metrics import roc_curve

    generator = np.random.default_rng(0)
    scores, truth = np.concatenate([generator.normal(1, 1, 60), generator.normal(0, 1, 60)]), np.arange(120) < 60
    grid, low, high = evaluation.roc_band(scores, truth, 0)
    false_rate, true_rate, _ = roc_curve(truth, scores)
    inside = np.interp(grid, false_rate, true_rate)
    assert (low <= high).all()
    assert ((low <= inside + 0.03) & (inside <= high + 0.03)).mean() > 0.95
