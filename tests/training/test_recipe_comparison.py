"""Two recipes on the same images: from cached features, in the same folds, in every output."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import inside, refused, script

from detector.network import probe
from detector.network.backbone import Backbone
from detector.reports import comparison_table
from detector.statistics.auc_difference import auc_difference
from detector.statistics.metric import Metric
from detector.statistics.split import draw_folds
from detector.training import crossvalidation
from detector.training.feature_set import FeatureSet
from detector.training.recipe_comparison import RecipeComparison
from detector.training.recipes import ProbeRecipe

TRAIN = ("train_covid19.py", "-d", "data", "--recipe", "probe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with phantoms in ``data``, whose features a run has put into the cache."""
    made = tmp_path_factory.mktemp("compared")
    assert inside("make_phantom_dataset.py", "-o", "data", "-n", 12, "--quiet", cwd=made).returncode == 0
    done = inside(*TRAIN, "--pooling", "global", "--folds", 3, "--no-report", "-o", "alone", cwd=made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def no_forward_pass(monkeypatch):
    """Fail if the network runs."""

    def forward(*arguments):
        raise AssertionError("features are computed")

    monkeypatch.setattr(Backbone, "forward", forward)


def written(folder):
    return json.loads((folder / "covid19.json").read_text(encoding="utf-8"))


def test_a_comparison_of_poolings_computes_no_features_and_is_in_every_output(folder, no_forward_pass):
    flags = ("--pooling", "global", "--compare", "probe", "--folds", 3, "--no-report")
    done = inside(*TRAIN, *flags, "-o", "both", cwd=folder)
    assert done.returncode == 0, done.stderr
    record, alone = written(folder / "both"), written(folder / "alone")
    assert record["held_out"] == alone["held_out"], "a second recipe changes nothing about the first"
    assert alone["comparison"] is None
    found = record["comparison"]
    assert (found["recipe"], found["compared_with"]) == ("probe:global", "probe:lungs")
    assert found["roc_auc"] == record["metrics"]["roc_auc"]
    areas = [found[name]["value"] for name in ("roc_auc", "compared_roc_auc")]
    assert found["difference"]["value"] == pytest.approx(areas[0] - areas[1])
    assert found["difference"]["n_positive"] == found["difference"]["n_negative"] == 12
    assert record["settings"]["compare"] == "probe:lungs"
    lines = done.stdout.splitlines()
    start = lines.index(next(line for line in lines if line.startswith("Comparison on the same images")))
    assert [line.split("  ")[1] for line in lines[start + 1 : start + 3]] == [
        "linear probe (global)",
        "linear probe (lungs)",
    ]
    assert lines[start + 3].startswith("  linear probe (global) minus linear probe (lungs): ")
    assert max(map(len, lines[start : start + 5])) <= 80


def test_a_comparison_on_a_test_set_says_what_is_missing(folder):
    """Five images of a class are too few; the tutorial's flags hold for the compared recipe."""
    flags = ("--compare", "tutorial", "--epochs", 2, "--rotations", 0)
    done = inside(*TRAIN, *flags, "-o", "single", cwd=folder)
    assert done.returncode == 0, done.stderr
    record = written(folder / "single")
    reason = "2 v 2 images; 10 v 10 are needed"
    assert record["comparison"]["difference"] == {"value": None, "reason": reason}
    assert record["settings"]["epochs"] == 2
    sentence = f"linear probe (lungs) minus tutorial: not estimable ({reason})"
    assert f"  {sentence}" in done.stdout.splitlines()
    page = (folder / "single" / "report.html").read_text(encoding="utf-8")
    assert "Comparison of recipes" in page and sentence in page


def test_a_recipe_compared_with_itself_differs_by_nothing(monkeypatch):
    monkeypatch.setattr(probe, "MOST_REPEATS", 1)
    generator, n = np.random.default_rng(0), 60
    labels, who = np.arange(n) % 2, np.arange(n).astype(str)
    features = (generator.normal(size=(n, 20)) + 0.5 * labels[:, None]).astype(np.float32)
    case = FeatureSet(features[:, None], features, labels, who, np.full(n, ""), ["covid", "normal"], [{}] * n)
    plan = draw_folds(labels, who, case.classes, 2, 1, 0)
    first, second = (crossvalidation.out_of_fold(case, 0, ProbeRecipe(), plan).predictions for _ in range(2))
    scores = first.probabilities[..., 0], second.probabilities[..., 0]
    found = auc_difference(scores, labels == 0, who, 0, first.folds)
    assert (found.value, found.ci_low, found.ci_high) == (0.0, None, None)
    assert comparison_table.signed(found) == "0"


@pytest.mark.parametrize(
    ("difference", "text", "clear"),
    [
        (Metric(0.06, 0.01, 0.11, 50, 50), "+0.06 (0.01 to 0.11)", True),
        (Metric(-0.1, -0.17, -0.04, 50, 50), "-0.10 (-0.17 to -0.04)", True),
        (Metric(-0.087, -0.183, 0.001, 50, 50), "-0.087 (-0.183 to 0.001)", False),
        (Metric(-0.001, -0.05, 0.05, 50, 50), "0.00 (-0.05 to 0.05)", False),
        (Metric(0.02, 0.0, 0.05, 50, 50), "+0.02 (0.00 to 0.05)", False),
        (
            Metric.unavailable("3 v 3 images; 10 v 10 are needed"),
            "not estimable (3 v 3 images; 10 v 10 are needed)",
            False,
        ),
    ],
)
def test_a_difference_in_words(difference, text, clear):
    area = Metric(0.8, 0.7, 0.9, 50, 50)
    found = comparison_table.lines(RecipeComparison("probe:lungs", "tutorial:tutorial", area, area, difference))
    assert f"  linear probe (lungs) minus tutorial: {text}" in found
    assert (f"  {comparison_table.UNCLEAR}" in found) == (difference.available and not clear)


def test_what_cannot_be_compared_is_rejected(folder):
    for flags, words in (
        (("--compare", "forest"), ("--compare", "'forest' is no recipe", "probe:global")),
        (("--compare", "probe:corner"), ("'probe:corner' is no recipe",)),
    ):
        refused(script(*TRAIN, *flags, cwd=folder), *words)
    for flags, words in (
        (("--compare", "probe"), ("--compare probe:lungs is the recipe that is trained",)),
        (("--input", "lungs", "--compare", "probe:lungs"), ("--compare with lung pooling needs the whole image",)),
        (("--compare", "probe:global", "--epochs", 3), ("--epochs has no meaning",)),
    ):
        refused(inside(*TRAIN, *flags, cwd=folder), *words)
    assert not (folder / "covid19.json").exists()
