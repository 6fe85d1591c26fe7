"""The probe: what it learns within strata and what not, and the model that is saved of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import inside, refusal, refused, script

from detector.images import phantom
from detector.network import head, probe
from detector.network.model import Description, join

CLASSES = ["covid", "normal"]
PRINTED = ("acc: ", "ROC AUC", "stratified ROC AUC", "metadata baseline", "border baseline", "average precision", "PPV")
NAMES = ("accuracy", "roc_auc", "roc_auc_stratified", "metadata_baseline", "border_baseline", "brier_score", "ppv")


def training_set(features, labels, classes, groups=None, strata=None):
    """Return what a head is fitted to, features of shape (n, copies, width)."""
    groups = np.arange(len(labels)) if groups is None else groups
    strata = np.full(len(labels), "") if strata is None else strata
    return head.TrainingSet(features, labels, classes, groups, strata)


def fit_probe(features, labels, classes, groups, seed, strata=None):
    data = training_set(features[:, None], labels, classes, groups, strata)
    return probe.fit(data, seed, strata is not None)


def simulated(n=240, width=40, seed=0, **chosen):
    """Return features with a disease in column 0 and a source in column 1, labels, patients and strata.

    `mixed` is the share of images of a source that holds both classes; the others' source goes with their class.
    """
    disease, source, mixed = (
        chosen.get(name, usual) for name, usual in (("disease", 1.0), ("source", 0.0), ("mixed", 0.5))
    )
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    apart = generator.random(n) >= mixed
    strata = np.where(apart, np.where(labels == 0, "a, PA", "b, PA"), "c, PA")
    features = generator.normal(0, 1, (n, width)).astype(np.float32)
    features[:, 0] += disease * labels
    features[:, 1] += source * np.where(apart, labels, 0.5)
    return features, labels, np.arange(n).astype(str), strata


def weight(fitted, features, column):
    """Return how much a deviation of a column speaks for class 1 against class 0."""
    return float(np.diff(fitted.weights[0][column])[0] * features[:, column].std())


def test_what_tells_sources_apart_is_not_learnt_within_strata():
    features, labels, patients, strata = simulated(source=4.0)
    across = fit_probe(features, labels, CLASSES, patients, 0)
    within = fit_probe(features, labels, CLASSES, patients, 0, strata)
    assert weight(across, features, 1) > weight(across, features, 0)
    assert abs(weight(within, features, 1)) < 0.1 * weight(across, features, 1)
    assert weight(within, features, 0) > 4 * abs(weight(within, features, 1))


def test_single_class_strata_do_next_to_no_harm():
    features, labels, patients, strata = simulated(source=4.0, mixed=0.5)
    kept = strata == "c, PA"
    alone = fit_probe(features[kept], labels[kept], CLASSES, patients[kept], 0, strata[kept])
    both = fit_probe(features, labels, CLASSES, patients, 0, strata)
    fresh, truth, _, _ = simulated(400, seed=9, mixed=1.1)
    scores = [np.corrcoef(fresh @ (f.weights[0][:, 1] - f.weights[0][:, 0]), truth)[0, 1] for f in (alone, both)]
    assert scores[1] > scores[0] - 0.05


def test_the_intercept_means_something_elsewhere():
    """A rare class of the mixed stratum is called as often as the common one: the classes count equally."""
    features, labels, patients, strata = simulated(600, disease=3.0, mixed=0.7)
    rare = (strata == "c, PA") & (labels == 0) & (np.arange(600) % 5 > 0)
    keep = ~rare
    fitted = fit_probe(features[keep], labels[keep], CLASSES, patients[keep], 0, strata[keep])
    fresh, truth, _, _ = simulated(600, seed=3, disease=3.0, mixed=1.1)
    called = head.predict_proba(fresh, fitted.weights).argmax(axis=1)
    assert (called[truth == 0] == 0).mean() > 0.8
    assert (called[truth == 1] == 1).mean() > 0.7


def test_it_is_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    for n, width in ((60, 100), (200, 30)):
        features, labels, patients, _ = simulated(n, width)
        features = features * np.linspace(0.1, 50, width, dtype=np.float32) + 7
        fitted = fit_probe(features, labels, CLASSES, patients, 0)
        standardised = (features - features.mean(axis=0)) / features.std(axis=0)
        theirs = LogisticRegression(C=fitted.history["chosen"], class_weight="balanced", tol=1e-8, max_iter=5000)
        expected = theirs.fit(standardised, labels).predict_proba(standardised)
        assert np.abs(head.predict_proba(features, fitted.weights) - expected).max() < 2e-3


def test_enough_held_out_images_end_the_choice_of_strength(monkeypatch):
    features, labels, patients, _ = simulated(n=300)
    design = probe.Design(features.astype(float), labels, 2, None, True)
    held_out = [len(rows) for _, rows in probe._folds(design, CLASSES, patients, 0)]
    assert held_out == [60] * 20
    monkeypatch.setattr(probe, "ENOUGH", 100)
    assert [len(rows) for _, rows in probe._folds(design, CLASSES, patients, 0)] == [60] * 2


def test_only_the_folds_know_the_seed_and_history_shows_the_choice():
    features, labels, patients, strata = simulated()
    first, again = (fit_probe(features, labels, CLASSES, patients, 1, strata) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first.weights, again.weights, strict=True))
    history = first.history
    assert history["strength"] == list(probe.STRENGTHS) and len(history["loss"]) == len(history["cv_loss"]) == 9
    assert history["chosen"] == history["strength"][int(np.argmin(history["cv_loss"]))]
    assert history["loss"] == sorted(history["loss"], reverse=True)
    seeds = [fit_probe(features, labels, CLASSES, patients, seed, strata) for seed in range(4)]
    same = [one.weights[0] for one in seeds if one.history["chosen"] == seeds[0].history["chosen"]]
    assert all(np.array_equal(one, same[0]) for one in same)


def test_three_classes_constant_columns_and_few_patients():
    generator = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = generator.normal(0, 1, (90, 20)).astype(np.float32) + np.eye(3, 20, dtype=np.float32)[labels] * 3
    features[:, 7] = 5.0
    fitted = fit_probe(features, labels, ["a", "b", "c"], np.arange(90), 0)
    assert [array.shape for array in fitted.weights] == [(20, 3), (3,)]
    assert (head.predict_proba(features, fitted.weights).argmax(axis=1) == labels).mean() > 0.9
    assert not fitted.weights[0][7].any()
    few = fit_probe(features[:6], labels[:6], ["a", "b", "c"], np.array(list("aabbcc"))[[0, 2, 4, 1, 3, 5]], 0)
    assert few.history == {"strength": [], "loss": [], "cv_loss": [], "chosen": probe.DEFAULT_STRENGTH}


def test_classes_that_share_no_stratum_are_refused():
    features, labels, patients, strata = simulated(40, mixed=0.0)
    with refusal("a class shares no site and view with another"):
        fit_probe(features, labels, CLASSES, patients, 0, strata)


def test_class_weights():
    assert head.class_weights(np.array([0, 1, 0, 1]), 2, True).tolist() == [1.0, 1.0]
    assert head.class_weights(np.array([0, 0, 0, 1]), 2, True).tolist() == pytest.approx([2 / 3, 2.0])
    assert head.class_weights(np.array([0, 0, 0, 1]), 2, False).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("recipe", ["tutorial", "probe"])
def test_balanced_classes_of_many_and_few_images(recipe):
    """With equal classes the weights change nothing; with unequal ones the rare class is no longer overruled."""
    generator = np.random.default_rng(2)
    labels = (np.arange(120) % 6 == 0).astype(int)
    features = (generator.normal(0, 1, (120, 64)) + 0.25 * labels[:, None]).astype(np.float32)

    def fit(rows, balanced):
        if recipe == "probe":
            return probe.fit(training_set(features[rows, None], labels[rows], CLASSES, rows), 0, False, balanced)
        data = training_set(features[rows, None], labels[rows], CLASSES)
        return head.fit(data, head.Hyperparameters(epochs=12), 0, balanced=balanced)

    equal = np.concatenate([np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)[:20]])
    for one, other in zip(fit(equal, True).weights, fit(equal, False).weights, strict=True):
        assert np.array_equal(one, other)
    everything, fresh = np.arange(120), (generator.normal(0, 1, (200, 64)) + 0.25).astype(np.float32)
    found = [(head.predict_proba(fresh, fit(everything, how).weights).argmax(axis=1) == 1).mean() for how in (1, 0)]
    assert found[0] > found[1] + 0.2


@pytest.mark.parametrize("pooling", ["global", "lungs"])
def test_its_heat_adds_up_to_what_the_head_says(weights, pooling):
    """The cells of a Grad-CAM, before what speaks against the class is cut off, add up to the logit's lead."""
    import keras

    from detector.network.gradcam import heat_maps, seen_cells

    kernel = np.random.default_rng(0).uniform(0, 1e-3, (1408, 1)).astype(np.float32)
    arrays = [np.concatenate([kernel, -kernel], axis=1), np.zeros(2, np.float32)]
    model = join(weights, arrays, Description(["a", "b"], "a", "probe", pooling))
    drawn = np.stack(
        [cv2.resize(phantom.draw(True, seed), (224, 224), interpolation=cv2.INTER_AREA) for seed in (1, 2)]
    )
    pixels = np.repeat(drawn[..., None], 3, axis=3).astype(np.float32) / 255
    heat = heat_maps(model)(pixels, np.array([0, 0]))
    assert heat.shape == (2, 14, 14) and seen_cells(model) == 14 and heat.max() == 1.0
    assert not heat_maps(model)(pixels, np.array([1, 1])).any()
    means = keras.Model(model.input, model.get_layer("blocks").output)(pixels).numpy()
    raw = _cells(model, pixels, kernel[:, 0], pooling)
    assert raw.sum(axis=(1, 2)) == pytest.approx(means @ kernel[:, 0], rel=1e-4)
    assert heat == pytest.approx(raw / raw.max(axis=(1, 2), keepdims=True), abs=1e-4)


def _cells(model, pixels, kernel, pooling):
    """Return what each of 14 × 14 cells adds to the logit, computed without the module that draws them."""
    import keras

    found, start = np.zeros((len(pixels), 14, 14)), 0
    for block in ("block2", "block3", "block4", "block5"):
        values = np.asarray(keras.Model(model.input, model.get_layer(f"{block}_pool").output)(pixels))
        n, cells, _, channels = values.shape
        weights = np.full((n, cells, cells), 1 / cells**2)
        if pooling == "lungs":
            output = model.get_layer(f"{block}_lung_weights").output
            weights = np.asarray(keras.Model(model.input, output)(pixels)).reshape(n, cells, cells)
        added = weights * (values @ kernel[start : start + channels])
        if cells == 7:
            found += np.repeat(np.repeat(added / 4, 2, axis=1), 2, axis=2)
        else:
            found += added.reshape(n, 14, cells // 14, 14, cells // 14).sum(axis=(2, 4))
        start += channels
    return found


# The scripts


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return phantoms, and what a probe's training on them said and wrote, in both formats."""
    folder = tmp_path_factory.mktemp("probe")
    assert script("make_phantom_dataset.py", "-o", "data", "-n", 12, "--quiet", cwd=folder).returncode == 0
    common = ("train_covid19.py", "-d", "data", "--recipe", "probe", "--prevalence", 0.01, "--no-report")
    first = script(*common, "-m", "m.h5", cwd=folder)
    second = inside(*common, "-m", "k/m.keras", "-p", "k/plot.png", cwd=folder)
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    return folder, first, second


def test_what_a_probes_run_says(trained):
    folder, first, second = trained
    assert first.stderr == second.stderr == ""
    assert "fitted within site and view: 1 of them hold two classes, 20 images" not in first.stdout
    assert "fitted within site and view: 1 of them hold two classes, 24 images" in first.stdout
    lines = first.stdout.splitlines()
    starts = [next(i for i, line in enumerate(lines) if line.startswith(name)) for name in PRINTED]
    assert starts == sorted(starts)
    assert "at prevalence 0.01" in first.stdout and "Validity checks" in lines
    assert all(len(line) <= 80 for line in lines[starts[0] :] if "n/a" not in line and not line.startswith("  "))
    written = json.loads((folder / "m.json").read_text())
    assert set(NAMES) <= set(written["metrics"])
    assert written["settings"]["recipe"] == "probe"
    assert set(written["history"]) == {"strength", "loss", "cv_loss", "chosen"}
    assert "Epoch" not in first.stdout


def test_its_model_is_plain_keras(trained):
    folder, _, _ = trained
    code = f"""
import json, keras, numpy as np, cv2
held_out = json.load(open({str(folder / "m.json")!r}))["held_out"]
files = [{str(folder / "data")!r} + "/" + image["file"] for image in held_out]
pixels = [cv2.resize(cv2.imread(file)[..., ::-1], (224, 224), interpolation=cv2.INTER_AREA) for file in files]
reported = np.array([list(image["probabilities"].values()) for image in held_out])
for name in ("m.h5", "k/m.keras"):
    model = keras.models.load_model({str(folder)!r} + "/" + name)
    kinds = {{type(layer).__name__ for layer in model.layers}}
    assert {{"Softmax", "Reshape", "Dot", "Concatenate"}} < kinds and "Lambda" not in kinds, kinds
    assert all(layer.dtype == "float32" for layer in model.layers)
    assert np.abs(model.predict(np.stack(pixels) / 255.0, verbose=0) - reported).max() < 1e-5
"""
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_predictions_and_overlays_of_a_probe(trained, tmp_path):
    folder, _, _ = trained
    arguments = ("-m", folder / "m.h5", folder / "data", "--json", "p.json", "--no-report")
    done = inside("predict_covid19.py", *arguments, "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reported = json.loads((folder / "m.json").read_text())["held_out"]
    found = json.loads((tmp_path / "p.json").read_text())["predictions"]
    by_file = {one["file"].rpartition("/")[2]: one["probabilities"] for one in found}
    for image in reported:
        assert by_file[image["file"].rpartition("/")[2]] == pytest.approx(image["probabilities"], abs=1e-5)
    one = next((folder / "data" / "covid").glob("*.png"))
    done = inside("predict_covid19.py", "-m", folder / "k/m.keras", one, "--force", "--gradcam", "cam", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cam").glob("*.gradcam.png"))) == 1


def test_what_a_probe_is_not_asked_for(trained, tmp_path):
    folder, _, _ = trained
    for arguments, words in (
        (("--recipe", "forest"), ("--recipe", "invalid choice", "probe")),
        (("--recipe", "probe", "--epochs", 3), ("--epochs has no meaning with --recipe probe",)),
        (("--recipe", "probe", "--rotations", 1), ("--rotations has no meaning",)),
        (("--adjust", "strata"), ("--adjust strata needs --recipe probe",)),
        (("--prevalence", 0), ("--prevalence", "between 0 and 1")),
        (("--prevalence", 1.5), ("--prevalence", "between 0 and 1")),
    ):
        refused(script("train_covid19.py", "-d", folder / "data", *arguments, cwd=tmp_path), *words)
    audit = ("audit_covid19.py", "-d", folder / "data", "--external", folder / "data", "-m", folder / "m.h5")
    refused(script(*audit, cwd=tmp_path), "was trained with --recipe probe; audit with the same")
    refused(script(*audit, "--recipe", "probe", "--external", folder / "data", cwd=tmp_path), "is given twice")
    shutil.copytree(folder / "data" / "covid", tmp_path / "ill" / "sick")
    shutil.copytree(folder / "data" / "normal", tmp_path / "ill" / "normal")
    ill = ("audit_covid19.py", "-d", folder / "data", "--external", "ill", "-m", folder / "m.h5", "--recipe", "probe")
    refused(script(*ill, cwd=tmp_path), "--external ill has the classes normal, sick", "covid")
    assert {path.name for path in tmp_path.iterdir()} == {"ill"}
