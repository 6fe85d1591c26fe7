"""Figures: learning curves, the evaluation, the audit's forest plot, Grad-CAM overlays and located images."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector.audit.examples import MOST_LOCATED, LocatedImage
from detector.images.masks import highest
from detector.reports.colours import BLUE, GREY, ORANGE
from detector.reports.text import compared
from detector.statistics.auc import roc_curve
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import (
    FEWEST_FOR_SLOPE,
    PRECISION,
    SLOPE,
    precision_recall_curve,
    reliability_curve,
)
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
LONGEST = 34  # characters of a file name above a radiograph
HEADING = 0.9  # height of a group's heading, of an experiment's line
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2}  # the axes, where no curve can run


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
    figure = _by_epoch(trained) if trained.strength is None else _by_strength(trained, trained.strength)
    return as_file(figure, suffix)


def _by_strength(trained: TrainedHead, chosen: float) -> Figure:
    """Draw the loss of a probe against its regularisation strength, and the one chosen."""
    found = trained.history
    figure = new_figure(7.5, 5.0, "Choosing the regularisation strength")
    axes = figure.subplots()
    axes.plot(found["strength"], found["loss"], "o-", color=BLUE, label="training images")
    axes.plot(found["strength"], found["cv_loss"], "s--", color=ORANGE, label="images that a fold held out")
    axes.axvline(chosen, color=GREY, linestyle=":", label=f"chosen: C = {chosen:g}")
    axes.set_xscale("log")
    # Plain numbers: powers would be mathematical text, which is switched off for the sake of class names.
    decades = found["strength"][::2]
    axes.set_xticks(decades, [f"{strength:g}" for strength in decades])
    axes.minorticks_off()
    axes.set_xlabel("C of scikit-learn's LogisticRegression (weak regularisation on the right)")
    axes.set_ylabel("Loss (cross-entropy, classes weighted)")
    axes.set_ylim(bottom=0.0)
    axes.legend()
    if not found["strength"]:
        axes.text(0.5, 0.5, "too few patients to choose by cross-validation", ha="center", transform=axes.transAxes)
    return figure


def _by_epoch(trained: TrainedHead) -> Figure:
    """Draw loss and accuracy of the training images and, where some are held out, of the test images by epoch."""
    from matplotlib.ticker import MaxNLocator

    found = trained.history
    figure = new_figure(7.5, 6.5, "Learning curves")
    above, below = figure.subplots(2, 1, sharex=True)
    epochs = np.arange(1, len(found["loss"]) + 1)
    marker = "o" if len(epochs) <= 40 else ""
    for axes, name in ((above, "loss"), (below, "accuracy")):
        axes.plot(epochs, found[name], f"{marker}-", color=BLUE, label=f"training {name}", markersize=4)
        if f"val_{name}" in found:
            axes.plot(epochs, found[f"val_{name}"], f"{marker}--", color=ORANGE, label=f"test {name}", markersize=4)
        axes.legend()
    above.set_ylabel("Loss (cross-entropy)")
    above.set_ylim(bottom=0.0)
    below.set_ylabel("Accuracy")
    below.set_ylim(-0.02, 1.05)
    below.set_xlabel("Epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    below.set_xlim(0.5, len(epochs) + 0.5)
    return figure


def heat_layer(heat: np.ndarray, side: int) -> np.ndarray:
    """Return a heat map as a layer over an image of `side` pixels: red, green, blue and opacity, in [0, 1].

    Inferno is perceptually uniform, and goes from dark to light in grey print too; without heat, the image shows.
    """
    import cv2
    import matplotlib

    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    return np.dstack([matplotlib.colormaps["inferno"](smooth)[..., :3], 0.7 * smooth])


def overlay(pixels: np.ndarray, heat: np.ndarray, seen: float, title: str) -> bytes:
    """Draw a radiograph beside itself with a Grad-CAM heat map over it.

    Parameters
    ----------
    pixels : ndarray of shape (224, 224, 3), uint8
    heat : ndarray of shape (14, 14)
        In [0, 1].
    seen : float
        Share of width and height, from the upper left, that the head's pooling sees.
    title : str
        Class and probability.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    side = len(pixels)
    figure = new_figure(8.6, 4.6, drawable(title))
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.imshow(pixels)
        axes.set_axis_off()
    right.imshow(heat_layer(heat, side))
    left.set_title("What the network saw (224 × 224)")
    right.set_title("Grad-CAM" if seen == 1.0 else "Grad-CAM (pooling reads the dashed part only)")
    if seen < 1.0:
        edge = side * seen - 0.5
        right.plot([edge, edge, -0.5], [-0.5, edge, edge], "--", color="white")
    bar = figure.colorbar(ScalarMappable(Normalize(0.0, 1.0), "inferno"), ax=right, fraction=0.046, pad=0.03)
    bar.set_label("Weight for this class (share of the highest)")
    return as_file(figure)


def evaluation_figure(
    evaluated: EvaluatedHead, metrics: Mapping[str, Metric], title: str, balanced: bool, suffix: str = ".png"
) -> bytes:
    """Draw an evaluation: confusion matrix, ROC curve, precision and recall, and calibration.

    Parameters
    ----------
    evaluated : EvaluatedHead
    metrics : mapping of str to Metric
        As `detector.audit.metrics.compute_metrics` returns them.
    title : str
    balanced : bool
        Whether training let the classes count equally.
    suffix : str
        Of the format.
    """
    result, predictions = evaluated.evaluation, evaluated.predictions
    positive = result.classes.index(result.positive)
    scores, truth = predictions.probabilities[..., positive], predictions.labels == positive
    if np.isnan(scores).any():  # decisions alone
        figure = new_figure(6.5, 6.5, title)
        _confusion(figure.subplots(), result, "")
        return as_file(figure, suffix)
    figure = new_figure(11.0, 11.2, title)
    (upper_left, upper_right), (lower_left, lower_right) = figure.subplots(2, 2)
    _confusion(upper_left, result, " of the first repeat" if len(scores) > 1 else "")
    _roc(upper_right, result, scores, truth, predictions.folds)
    _precision_recall(lower_left, result, metrics[PRECISION], scores, truth)
    people = [len(set(predictions.patients[side])) for side in (truth, ~truth)]
    _reliability(lower_right, result, metrics[SLOPE], scores, truth, min(people), balanced)
    return as_file(figure, suffix)


def _confusion(axes: Axes, result: Evaluation, which: str) -> None:
    """Draw the confusion matrix, each cell with its count and its share of the row."""
    names = [textwrap.fill(drawable(name), 16) for name in result.classes]
    shares = result.confusion / np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.grid(False)
    for (row, column), count in np.ndenumerate(result.confusion):
        colour = "white" if shares[row, column] > 0.7 else "black"
        axes.text(column, row, f"{count}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class (shares are of its images)")
    axes.set_title(f"Confusion matrix{which}")


def _roc(axes: Axes, result: Evaluation, scores: np.ndarray, is_positive: np.ndarray, folds: np.ndarray) -> None:
    mean = "mean of folds, " if folds.max() > 0 else ""
    axes.plot(*roc_curve(scores, is_positive, folds), color=BLUE, label=f"{mean}ROC AUC {brief(result.roc_auc)}")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="Chance (ROC AUC 0.50)")
    point = 1.0 - result.specificity.point, result.sensitivity.point
    axes.plot(*point, "D", color=ORANGE, markeredgecolor="black", label="Operating point", clip_on=False, zorder=3)
    counts = f"{is_positive.sum()} and {(~is_positive).sum()} images"
    _unit_square(axes, "1 − specificity", "Sensitivity", f"ROC of {drawable(compared(result))}, {counts}")


def _precision_recall(
    axes: Axes, result: Evaluation, average: Metric, scores: np.ndarray, is_positive: np.ndarray
) -> None:
    recall, precision = precision_recall_curve(scores, is_positive)
    share = float(is_positive.mean())
    axes.plot(recall, precision, color=BLUE, label=f"average precision {brief(average)}", drawstyle="steps-pre")
    axes.plot([0, 1], [share, share], ":", color=GREY, label=f"No skill ({share:.2f})")
    title = f"Precision and recall of {drawable(compared(result))}"
    _unit_square(axes, "Recall (sensitivity)", "Precision (positive predictive value)", title)


def _reliability(
    axes: Axes,
    result: Evaluation,
    slope: Metric,
    scores: np.ndarray,
    is_positive: np.ndarray,
    patients: int,
    balanced: bool,
) -> None:
    """Draw the calibration curve, given how many patients the class has that has fewer."""
    reason = ""
    if patients < FEWEST_FOR_SLOPE:
        reason = f"no curve below {FEWEST_FOR_SLOPE} patients of a class"
    elif is_separated(scores[0], is_positive):
        reason = "no curve: the classes are separated"
    if reason:
        # Below the diagonal, which would run through it elsewhere.
        axes.text(0.97, 0.1, reason, ha="right", color=GREY, transform=axes.transAxes)
    else:
        axes.plot(*reliability_curve(scores, is_positive, balanced), color=BLUE, label="Calibration curve (isotonic)")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="Perfectly calibrated")
    # Where the predictions lie: the positives above, the others below.
    name = drawable(result.positive)
    for chosen, height, colour, label in (
        (is_positive, 1.0, ORANGE, f"{name} images, above"),
        (~is_positive, 0.0, "black", "all other images, below"),
    ):
        axes.plot(scores[0, chosen], np.full(chosen.sum(), height), "|", color=colour, markersize=9, label=label)
    title = f"Calibration: slope {brief(slope)}"
    _unit_square(axes, f"Predicted probability of {name}", f"Share of {name} images", title)


def is_separated(scores: np.ndarray, is_positive: np.ndarray) -> bool:
    """Return whether all positive images score above all others, or all below."""
    positive, negative = scores[is_positive], scores[~is_positive]
    return bool(positive.min() > negative.max() or positive.max() < negative.min())


def brief(metric: Metric) -> str:
    """Return value and interval, or that it is not estimable; legends have no room for the reason."""
    return metric.short if metric.available else metric.value_text


def _unit_square(axes: Axes, across: str, up: str, title: str) -> None:
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.015), aspect="equal", xlabel=across, ylabel=up, title=title)
    axes.legend(**BELOW)


def forest(experiments: Sequence[Result], conclusion: Conclusion) -> bytes:
    """Draw an audit as a forest plot, as PNG: a line for each experiment, point and 95 % interval, chance marked."""
    experiments = [one for one in experiments if one.metric.available]
    headings, lines, height = placed(experiments)
    # The first reasons carry the most; all of them are printed.
    texts = [conclusion.message, *(f"– {reason}" for reason in conclusion.reasons[:2])]
    figure = new_figure(9.6, 1.9 + 0.43 * height, "\n".join(textwrap.fill(drawable(text), 100) for text in texts))
    axes = figure.subplots()
    axes.grid(False, axis="y")
    beside = axes.get_yaxis_transform()
    for group, y in headings.items():
        axes.text(-0.02, y, group, transform=beside, ha="right", va="center", fontweight="bold")
    for one, y in zip(experiments, lines, strict=True):
        carries = one.id in conclusion.carried_by
        _line(axes, one, y, ORANGE if carries else "white")
    axes.text(1.03, -0.75, "ROC AUC (95 % CI)   images", transform=beside, va="center")
    axes.axvline(0.5, color=GREY, linestyle=":")
    axes.text(0.5, -0.75, "chance", color=GREY, ha="center", va="center")
    axes.set_yticks([])
    axes.set_ylim(height - 0.4, -0.4)
    lowest = min([0.4, *(one.metric.low - 0.03 for one in experiments)])
    axes.set_xlim(max(0.0, lowest), 1.005)
    carried = "; filled squares decided the conclusion" if conclusion.carried_by else ""
    axes.set_xlabel(f"ROC AUC (0.5: chance; 1: perfect separation{carried})")
    return as_file(figure)


def placed(experiments: Sequence[Result]) -> tuple[dict[str, float], list[float], float]:
    """Return the heights of the groups' headings and of the experiments, from above, and of all (at least 1)."""
    headings: dict[str, float] = {}
    lines = []
    y = 0.0
    for one in experiments:
        if one.group not in headings:
            headings[one.group] = y
            y += HEADING
        lines.append(y)
        y += 1.0
    return headings, lines, max(y, 1.0)


def _line(axes: Axes, one: Result, y: float, face: str) -> None:
    """Draw an experiment: its title and question, interval and value."""
    area, beside = one.metric, axes.get_yaxis_transform()
    axes.text(-0.02, y - 0.19, drawable(one.title), transform=beside, ha="right", va="center")
    axes.text(-0.02, y + 0.21, drawable(one.question), transform=beside, ha="right", va="center", color="#333333")
    axes.plot([area.low, area.high], [y, y], color=BLUE, linewidth=2.2, solid_capstyle="butt")
    axes.plot(area.point, y, "s", color=face, markeredgecolor="black", markersize=7, clip_on=False, zorder=3)
    axes.text(1.03, y, f"{area.short}    {area.n_positive} v {area.n_negative}", transform=beside, va="center")


def localisation_figure(best: Sequence[LocatedImage], worst: Sequence[LocatedImage]) -> bytes:
    """Draw the images whose saliency lies in boxes most, and those where it does least: up to `MOST_LOCATED` each.

    As JPEG: radiographs as PNG would make the report too large.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(9.6, 7.6)
    for part, chosen, words in zip(figure.subfigures(2, 1), (best, worst), ("most", "least"), strict=True):
        part.suptitle(f"Correctly predicted images with the {words} saliency in boxes")
        for place, axes in enumerate(part.subplots(1, MOST_LOCATED, squeeze=False)[0]):
            axes.set_axis_off()
            if place < len(chosen):
                _radiograph(axes, chosen[place])
    box = Line2D([], [], color="white", linewidth=2, path_effects=_edged())
    point = Line2D([], [], color="white", marker="P", markeredgecolor="black", markersize=12, linestyle="none")
    names = ["box", "maximum of Grad-CAM (bright: contributed most to the prediction)"]
    figure.legend([box, point], names, loc="outside lower left", ncols=2)
    return as_file(figure, ".jpg")


def _radiograph(axes: Axes, shown: LocatedImage) -> None:
    from matplotlib.patches import Rectangle

    one, side, name = shown.located, len(shown.pixels), shown.file
    axes.imshow(shown.pixels)
    axes.imshow(heat_layer(one.heat, side))
    # Pixels are drawn around whole numbers: the image's corner is at -0.5.
    for x, y, width, height in one.boxes:
        corner = (side * x - 0.5, side * y - 0.5)
        # White with a black edge stands out from every colour below it.
        box = Rectangle(corner, side * width, side * height, fill=False, edgecolor="white", linewidth=2)
        box.set_path_effects(_edged())
        axes.add_patch(box)
    if point := highest(one.heat):
        x, y = (side * value - 0.5 for value in point)
        axes.plot(x, y, "P", color="white", markeredgecolor="black", markeredgewidth=1.4, markersize=13)
    shown_name = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
    said = "maximum in a box" if one.hit else "maximum outside" if one.heat.max() > 0 else "no positive saliency"
    axes.set_title(f"{drawable(shown_name)}\n{said}; {one.in_boxes:.2f} of saliency in boxes")


def _edged() -> list:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=4, foreground="black"), Normal()]
