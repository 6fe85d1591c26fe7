"""The figure of an evaluation: confusion matrix, ROC and precision-recall curve, reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from detector.images.colours import BLUE, GREY, ORANGE
from detector.reports.drawing import as_file, drawable, new_figure, plain_axes
from detector.reports.intervals import en_dash
from detector.statistics.auc import roc_band, roc_curve
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import PRECISION, SLOPE, precision_recall_curve, reliability_curve
from detector.statistics.resampling import patient_draws
from detector.training.crossvalidation import EvaluatedHead

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEED = 0  # of the bootstrap of the curves
FEWEST = 20  # images of each class, below which a calibration curve says nothing
DRAWS = 200  # of the reliability diagram's interval


@dataclass(frozen=True)
class Scores:
    """Predictions of the positive class on test images.

    Attributes
    ----------
    values : ndarray of shape (repeats, n)
        Probability of the positive class.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    folds : ndarray of shape (repeats, n), int
        Which fold of each repeat held an image out; all 0 of a single model.
    """

    values: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    folds: np.ndarray

    @property
    def first(self) -> str:
        """What stands beside a figure of the first repeat, where there are several."""
        return " (first repeat)" if len(self.values) > 1 else ""


def evaluation_figure(
    evaluated: EvaluatedHead, metrics: Mapping[str, Metric], title: str, suffix: str = ".png"
) -> bytes:
    """Draw an evaluation.

    Parameters
    ----------
    evaluated : EvaluatedHead
    metrics : mapping of str to Metric
        As `detector.audit.metrics.compute_metrics` returns them.
    title : str
    suffix : str
        Of the format.

    Returns
    -------
    bytes
    """
    result, predictions = evaluated.evaluation, evaluated.predictions
    positive = result.classes.index(result.positive)
    values, truth = predictions.probabilities[..., positive], predictions.labels == positive
    scores = Scores(values, truth, predictions.patients, predictions.folds)
    figure = new_figure(11.0, 11.2)
    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    figure.suptitle(title, fontsize=12)
    _confusion(upper_left, result.confusion, result.classes, scores.first)
    _roc(upper_right, result, scores)
    _precision_recall(lower_left, result.positive, metrics[PRECISION], scores)
    _reliability(lower_right, result.positive, metrics[SLOPE], scores)
    return as_file(figure, suffix)


def _confusion(axes: Axes, confusion: np.ndarray, classes: Sequence[str], which: str) -> None:
    classes = [drawable(name) for name in classes]
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if shares[row, column] > 0.7 else "black"
        text = f"{count}\n{shares[row, column]:.0%} of {classes[row]}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=11)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes, rotation=90, va="center")
    axes.set_xlabel("Predicted label")
    axes.set_ylabel("True label")
    axes.set_title(f"Confusion matrix, images{which}", fontsize=11)


def _roc(axes: Axes, result: Evaluation, predicted: Scores) -> None:
    scores, is_positive, folds = predicted.values, predicted.is_positive, predicted.folds
    false_rate, true_rate = roc_curve(scores, is_positive, folds)
    area = result.roc_auc
    if band := roc_band(scores, is_positive, predicted.patients, folds, SEED):
        axes.fill_between(*band, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval (pointwise)")
    elif area.available:
        # An empty entry of the legend: a band of one line would claim a certainty that no sample gives.
        axes.plot([], [], " ", label="No interval drawn: the classes are separated")
    mean = "mean of folds, " if folds.max() > 0 else ""
    axes.plot(false_rate, true_rate, color=BLUE, linewidth=1.8, label=f"{mean}ROC AUC {_brief(area)}")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="Chance level (ROC AUC = 0.50)")
    point = 1.0 - result.specificity.point, result.sensitivity.point
    axes.plot(*point, "D", color=ORANGE, markeredgecolor="black", label="Operating point", clip_on=False, zorder=3)
    axes.set(xlim=(-0.015, 1.0), ylim=(0.0, 1.015), aspect="equal")
    axes.set_xlabel("1 − specificity (false positives)")
    axes.set_ylabel("Sensitivity (true positives)")
    axes.set_title(
        f"ROC of {drawable(result.positive)}, {is_positive.sum()} v {(~is_positive).sum()} images", fontsize=11
    )
    # Below the axes, where no curve can run behind it.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9, frameon=False)
    plain_axes(axes)


def _precision_recall(axes: Axes, positive: str, average: Metric, predicted: Scores) -> None:
    recall, precision = precision_recall_curve(predicted.values, predicted.is_positive)
    share = float(predicted.is_positive.mean())
    label = f"average precision {_brief(average)}"
    axes.plot(recall, precision, color=BLUE, linewidth=1.8, label=label, drawstyle="steps-pre")
    axes.plot([0, 1], [share, share], ":", color=GREY, label=f"No skill ({share:.2f})")
    axes.set_xlabel("Recall (sensitivity)")
    axes.set_ylabel("Precision (positive predictive value)")
    axes.set_title(f"Precision and recall of {drawable(positive)}", fontsize=11)
    _unit_square(axes)


def _reliability(axes: Axes, positive: str, slope: Metric, predicted: Scores) -> None:
    scores, is_positive = predicted.values[0], predicted.is_positive
    # Draws of fewer patients are hardly different.
    few = min(len(set(predicted.patients[side])) for side in (is_positive, ~is_positive)) < FEWEST
    # Every draw of separated classes has the same curve, and says nothing of the probabilities between them.
    if not few and not is_separated(scores, is_positive):
        draws = np.concatenate(list(islice(patient_draws(is_positive, predicted.patients, SEED), DRAWS)))[:DRAWS]
        grid, curve, low, high = reliability_curve(scores, is_positive, predicted.patients, draws)
        axes.fill_between(grid, low, high, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval (pointwise)")
        axes.plot(grid, curve, color=BLUE, linewidth=1.8, label="Calibration curve (isotonic)")
    else:
        text = f"no curve below {FEWEST} patients of a class" if few else "no curve: the classes are separated"
        # Below the diagonal, which would run through it elsewhere.
        axes.text(0.97, 0.1, text, ha="right", color=GREY, transform=axes.transAxes)
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="Perfectly calibrated")
    # Where the predictions lie: the positives above, the others below.
    for chosen, height, colour, name in (
        (is_positive, 1.0, ORANGE, f"{drawable(positive)} images, above"),
        (~is_positive, 0.0, "black", "all other images, below"),
    ):
        axes.plot(scores[chosen], np.full(chosen.sum(), height), "|", color=colour, markersize=9, label=name)
    axes.set_xlabel(f"Mean predicted probability of {drawable(positive)}")
    axes.set_ylabel("Fraction of positives")
    axes.set_title(f"Calibration{predicted.first}: slope {_brief(slope)}", fontsize=11)
    _unit_square(axes)


def is_separated(scores: np.ndarray, is_positive: np.ndarray) -> bool:
    """Return whether all positive images score above all others, or all below."""
    positive, negative = scores[is_positive], scores[~is_positive]
    return bool(positive.min() > negative.max() or positive.max() < negative.min())


def _brief(metric: Metric) -> str:
    """Return value and interval, or that it is not estimable; legends have no room for the reason."""
    return en_dash(metric.short) if metric.available else metric.value_text


def _unit_square(axes: Axes) -> None:
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9, frameon=False)
    plain_axes(axes)
