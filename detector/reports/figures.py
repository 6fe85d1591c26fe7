"""Figures: learning curves, the evaluation, the audit's forest plot and Grad-CAM overlays."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from detector.reports.text import BLUE, GREY, ORANGE, compared
from detector.statistics.auc import roc_curve
from detector.statistics.metric import Metric
from detector.statistics.probabilities import PRECISION, SLOPE, precision_recall_curve, reliability_curve
from detector.training.crossvalidation import EvaluatedHead

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from detector.audit.evidence import Conclusion, Result
    from detector.network.head import TrainedHead

CAPTION = "Educational software, not a diagnosis."
POINTS = 10  # of all text
NOTICE = 0.3  # inches below a figure, for the caption
SIZES = ("font.size", "axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize")
LOOK = {
    **dict.fromkeys((*SIZES, "figure.titlesize"), POINTS),
    "text.parse_math": False,  # a class may be called "$x^2$"; that is its name, no formula
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
}
# Without version and date in its metadata, the same figure is the same bytes.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}
# Learning curves, by the label of their axis: names, where they stand in the history, and how they are drawn.
BY_EPOCH = {
    "Loss (cross-entropy)": (("training loss", "loss"), ("test loss", "val_loss")),
    "Accuracy": (("training accuracy", "accuracy"), ("test accuracy", "val_accuracy")),
}
BY_STRENGTH = {
    "Loss (cross-entropy, classes weighted)": (("training images", "loss"), ("images that a fold held out", "cv_loss"))
}
DRAWN = (("o-", BLUE), ("s--", ORANGE))


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of a size in inches, with a title, and the notice in its corner."""
    import matplotlib

    # Not pyplot: it would pick a window system, and keep every figure alive.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    matplotlib.rcParams.update(LOOK)
    below = NOTICE / height
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(rect=(0, below, 1, 1 - below)))
    figure.text(0.995, 0.006, CAPTION, ha="right", va="bottom", color=GREY)
    if title:
        figure.suptitle(title)
    return figure


def as_file(figure: Figure, suffix: str = ".png") -> bytes:
    """Return a figure's bytes in the format of a suffix: PNG, PDF, SVG or JPEG."""
    data = io.BytesIO()
    kind = suffix.lower().removeprefix(".")
    figure.savefig(data, format=kind, dpi=150, metadata=METADATA.get(kind))
    return data.getvalue()


def drawable(text: str) -> str:
    """Return text in the characters that the figures' font has; matplotlib would warn of every other one on stderr."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def history(trained: TrainedHead, suffix: str = ".png") -> bytes:
    """Draw learning curves: by epoch of the tutorial's head, by regularisation strength of a probe."""
    found, chosen = trained.history, trained.strength
    panels, title, across = BY_EPOCH, "Learning curves", "Epoch"
    if chosen is not None:
        panels, title = BY_STRENGTH, "Choosing the regularisation strength"
        across = "C of scikit-learn's LogisticRegression (weak regularisation on the right)"
    figure = new_figure(7.5, 2.5 + 2.2 * len(panels), title)
    several = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, curves) in zip(several, panels.items(), strict=True):
        for (name, key), (drawn, colour) in zip(curves, DRAWN, strict=True):
            if key in found:
                x = np.arange(1, len(found[key]) + 1) if chosen is None else found["strength"]
                axes.plot(x, found[key], drawn, color=colour, label=name, markersize=4 if len(x) <= 40 else 0)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0.0)
        if chosen is None:
            axes.set_xlim(0, len(found["loss"]) + 1)
            axes.locator_params(axis="x", integer=True)
        else:
            axes.axvline(chosen, color=GREY, linestyle=":", label=f"chosen: C = {chosen:g}")
            axes.set_xscale("log")
            # Plain numbers: powers would be mathematical text, which is switched off for the sake of class names.
            axes.xaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        axes.legend(title=None if found["loss"] else "too few patients to choose by cross-validation")
    several[-1].set_xlabel(across)
    return as_file(figure, suffix)


def overlay(pixels: np.ndarray, heat: np.ndarray, seen: float, title: str) -> bytes:
    """Draw a radiograph beside itself with a Grad-CAM heat map over it.

    `pixels` are (224, 224, 3), the map is (14, 14) in [0, 1], and the pooling sees `seen` of width and height. Inferno
    is perceptually uniform, and goes from dark to light in grey print too; without heat, the image shows.
    """
    side = len(pixels)
    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    figure = new_figure(8.6, 4.8, drawable(title))
    left, right = figure.subplots(1, 2)
    for axes, words in ((left, "What the network saw (224 × 224)"), (right, "Grad-CAM (bright: contributed most)")):
        axes.imshow(pixels)
        axes.set_axis_off()
        axes.set_title(words)
    right.imshow(smooth, cmap="inferno", vmin=0.0, vmax=1.0, alpha=0.7 * smooth)
    if seen < 1.0:
        edge = side * seen - 0.5
        right.plot([edge, edge, -0.5], [-0.5, edge, edge], "--", color="white")
        right.set_title("Grad-CAM (pooling reads the dashed part only)")
    return as_file(figure)


def evaluation_figure(
    evaluated: EvaluatedHead, metrics: Mapping[str, Metric], title: str, balanced: bool, suffix: str = ".png"
) -> bytes:
    """Draw an evaluation: confusion matrix, ROC curve, precision and recall, and calibration.

    `metrics` are as `detector.audit.metrics.compute_metrics` returns them; `balanced` is whether training let the
    classes count equally.
    """
    result = evaluated.evaluation
    scored = evaluated.predictions.scores(result.classes.index(result.positive))
    scores, truth, several = scored.scores, scored.is_positive, " of the first repeat" if len(scored.scores) > 1 else ""
    if np.isnan(scores).any():  # decisions alone
        figure = new_figure(6.5, 6.5, title)
        draw_confusion(figure.subplots(), result.classes, result.confusion)
        return as_file(figure, suffix)
    figure = new_figure(11.0, 11.2, title)
    (confusion, roc), (precision, calibration) = figure.subplots(2, 2)
    draw_confusion(confusion, result.classes, result.confusion, several)

    name, pair, share = drawable(result.positive), drawable(compared(result)), float(truth.mean())
    mean = "mean of folds, " if scored.folds.max() > 0 else ""
    roc.plot(*roc_curve(scores, truth, scored.folds), color=BLUE, label=f"{mean}ROC AUC {brief(result.roc_auc)}")
    point = 1.0 - result.specificity.point, result.sensitivity.point
    roc.plot(*point, "D", color=ORANGE, markeredgecolor="black", label="Operating point", clip_on=False, zorder=3)
    title = f"ROC of {pair}, {truth.sum()} and {(~truth).sum()} images"
    _unit_square(roc, title, "1 − specificity", "Sensitivity", [0, 1], "Chance (ROC AUC 0.50)")

    label = f"average precision {brief(metrics[PRECISION])}"
    precision.plot(*precision_recall_curve(scores, truth), color=BLUE, label=label, drawstyle="steps-pre")
    labels = "Recall (sensitivity)", "Precision (positive predictive value)"
    _unit_square(precision, f"Precision and recall of {pair}", *labels, [share, share], f"No skill ({share:.2f})")

    slope = metrics[SLOPE]
    if slope.available:
        curve = reliability_curve(scores, truth, balanced)
        calibration.plot(*curve, color=BLUE, label="Calibration curve (isotonic)")
    else:
        # Below the diagonal, which would run through it elsewhere.
        reason = textwrap.fill(f"no curve: {slope.reason}", 36)
        calibration.text(0.97, 0.1, reason, ha="right", color=GREY, transform=calibration.transAxes)
    # Where the predictions lie: the positives above, the others below.
    for side, height, colour, label in (
        (truth, 1.0, ORANGE, f"{name} images, above"),
        (~truth, 0.0, "black", "all other images, below"),
    ):
        places = scores[0, side]
        calibration.plot(places, np.full(len(places), height), "|", color=colour, markersize=9, label=label)
    labels = f"Predicted probability of {name}", f"Share of {name} images"
    _unit_square(calibration, f"Calibration: slope {brief(slope)}", *labels, [0, 1], "Perfectly calibrated")
    return as_file(figure, suffix)


def draw_confusion(axes: Axes, classes: Sequence[str], confusion: np.ndarray, which: str = "") -> None:
    """Draw the confusion matrix, each cell with its count and its share of the row."""
    from sklearn.metrics import ConfusionMatrixDisplay

    names = [textwrap.fill(drawable(name), 16) for name in classes]
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shown = ConfusionMatrixDisplay(shares, display_labels=names)
    shown.plot(ax=axes, cmap="Blues", colorbar=False, im_kw={"vmin": 0.0, "vmax": 1.0})
    for cell, count, share in zip(shown.text_.flat, confusion.flat, shares.flat, strict=True):
        cell.set(text=f"{count}\n{share:.0%}", color="white" if share > 0.7 else "black")
    axes.grid(False)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    labels = {"xlabel": "Predicted class", "ylabel": "True class (shares are of its images)"}
    axes.set(title=f"Confusion matrix{which}", **labels)


def brief(metric: Metric) -> str:
    """Return value and interval, or that it is not estimable; legends have no room for the reason."""
    return metric.short if metric.available else metric.value_text


def _unit_square(axes: Axes, title: str, across: str, up: str, reference: Sequence[float], named: str) -> None:
    axes.plot([0, 1], reference, ":", color=GREY, label=named)
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal", xlabel=across, ylabel=up, title=title)
    # Below the axes no curve can run.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def forest(experiments: Sequence[Result], conclusion: Conclusion) -> bytes:
    """Draw an audit as a forest plot, as PNG: a line for each experiment, point and 95 % interval, chance marked."""
    experiments = [one for one in experiments if one.metric.available]
    groups = list(dict.fromkeys(one.group for one in experiments))
    # The first reasons carry the most; all of them are printed.
    texts = [conclusion.message, *(f"– {reason}" for reason in conclusion.reasons[:2])]
    title = "\n".join(textwrap.fill(drawable(text), 100) for text in texts)
    figure = new_figure(9.6, 1.6 + 0.43 * max(len(experiments) + len(groups), 1) + 0.17 * title.count("\n"), title)
    axes = figure.subplots()
    axes.grid(False, axis="y")
    labels = []
    for group in groups:
        labels.append(group)
        for one in experiments:
            if one.group != group:
                continue
            area, y = one.metric, len(labels)
            face = ORANGE if one.id in conclusion.carried_by else "white"
            axes.plot([area.low, area.high], [y, y], color=BLUE, linewidth=2.2, solid_capstyle="butt")
            axes.plot(area.point, y, "s", color=face, markeredgecolor="black", markersize=7, clip_on=False, zorder=3)
            said = f"{area.short}    {area.n_positive} v {area.n_negative}"
            axes.text(1.03, y, said, transform=axes.get_yaxis_transform(), va="center")
            labels.append(f"{drawable(one.title)}\n{drawable(one.question)}")
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    for tick in axes.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() in groups else "normal")
    axes.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    axes.text(1.03, 0, "ROC AUC (95 % CI)   images", transform=axes.get_yaxis_transform(), va="center")
    axes.axvline(0.5, color=GREY, linestyle=":")
    axes.text(0.5, -0.65, "chance", color=GREY, ha="center", va="bottom")
    axes.set_xlim(max(0.0, min([0.4, *(one.metric.low - 0.03 for one in experiments)])), 1.005)
    carried = "; filled squares decided the conclusion" if conclusion.carried_by else ""
    axes.set_xlabel(f"ROC AUC (0.5: chance; 1: perfect separation{carried})")
    return as_file(figure)
