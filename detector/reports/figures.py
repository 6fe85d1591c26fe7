"""Figures: learning curves, the evaluation, the audit's forest plot, heat maps and located images."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.audit.examples import MOST_LOCATED, LocatedImage
from detector.images.colours import BLUE, GREY, ORANGE
from detector.images.masks import highest
from detector.reports.intervals import en_dash
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

CAPTION = "Educational software, not a diagnosis."

# Without version and date in its metadata, the same figure is the same bytes.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from detector.network.head import TrainedHead

if TYPE_CHECKING:
    from matplotlib.axes import Axes


if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from detector.audit.evidence import Conclusion, Result

DARK = "#333333"

HEADING = 0.9  # height of a group's heading, of an experiment's line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST = 34  # characters of a file name above a radiograph

PAPER, INK, DIM = "#15171a", "#ececec", "#b4bac2"  # of dark reports


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, with the notice in its corner."""
    import matplotlib

    # Not pyplot: it would pick a window system, and keep every figure alive.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # A class may be called "$x^2$"; that is its name, no formula.
    matplotlib.rcParams["text.parse_math"] = False
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(rect=(0, 0.03, 1, 0.97)))
    figure.text(0.995, 0.006, CAPTION, ha="right", va="bottom", fontsize=8, color=GREY)
    return figure


def as_file(figure: Figure, suffix: str = ".png") -> bytes:
    """Return a figure's bytes in the format of a suffix: PNG, PDF, SVG or JPEG."""
    data = io.BytesIO()
    kind = suffix.lower().removeprefix(".")
    figure.savefig(data, format=kind, dpi=150, metadata=METADATA.get(kind))
    return data.getvalue()


def heat_layer(heat: np.ndarray, side: int) -> np.ndarray:
    """Return a heat map as a layer to lay over an image: inferno, the more opaque the warmer.

    Inferno is perceptually uniform, and goes from dark to light in grey print too; without heat, the image shows.

    Parameters
    ----------
    heat : ndarray of shape (cells, cells), in [0, 1]
    side : int
        Of the image, in pixels.

    Returns
    -------
    ndarray of shape (side, side, 4), in [0, 1]
        Red, green, blue and opacity.
    """
    import cv2
    import matplotlib

    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    return np.dstack([matplotlib.colormaps["inferno"](smooth)[..., :3], 0.7 * smooth])


def drawable(text: str) -> str:
    """Return text in the characters that the figures' font has; matplotlib would warn of every other one on stderr."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain_axes(axes: Axes) -> None:
    """Draw axes without a box, over a faint grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def history(trained: TrainedHead, suffix: str = ".png") -> bytes:
    """Draw learning curves: by epoch of the tutorial's head, by regularisation strength of a probe."""
    if trained.strength is None:
        figure = _by_epoch(trained.history, "Learning curves")
    else:
        figure = _by_strength(trained.history, trained.strength)
    return as_file(figure, suffix)


def loss_range(losses: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a loss axis: from 0, with room above the highest loss for its marker."""
    return 0.0, 1.08 * max([value for value in losses if np.isfinite(value)], default=1.0) or 1.0


def _by_strength(found: Mapping[str, Sequence[float]], chosen: float) -> Figure:
    """Draw the loss of a probe against its regularisation strength, and the one chosen."""
    figure = new_figure(7.5, 5.0)
    axes = figure.subplots()
    figure.suptitle("Choosing the regularisation strength", fontsize=12)
    for name, text, colour, style, marker in (
        ("loss", "training images", BLUE, "-", "o"),
        ("cv_loss", "images that a fold held out", ORANGE, "--", "s"),
    ):
        axes.plot(found["strength"], found[name], style, color=colour, label=text, marker=marker, markersize=5)
    axes.axvline(chosen, color=GREY, linestyle=":", linewidth=1.6, label=f"chosen: C = {chosen:g}")
    axes.set_xscale("log")
    # Plain numbers: powers would be mathematical text, which is switched off for the sake of class names.
    decades = found["strength"][::2]
    axes.set_xticks(decades, [f"{strength:g}" for strength in decades])
    axes.minorticks_off()
    axes.set_xlabel("C of scikit-learn's LogisticRegression (weak regularisation on the right)")
    axes.set_ylabel("Loss (cross-entropy, classes weighted)")
    axes.set_ylim(*loss_range([*found["loss"], *found["cv_loss"]]))
    axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none")
    if not found["strength"]:
        axes.text(0.5, 0.5, "too few patients to choose by cross-validation", ha="center", transform=axes.transAxes)
    plain_axes(axes)
    return figure


def _by_epoch(history: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Draw training and validation loss and accuracy by epoch.

    Parameters
    ----------
    history : mapping
        ``loss``, ``accuracy`` and, where there are held-out images, ``val_loss``, ``val_accuracy``; one value an epoch.
    title : str

    Returns
    -------
    Figure
        A PNG file.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.5, 6.5)
    above, below = figure.subplots(2, 1, sharex=True)
    figure.suptitle(title, fontsize=12)
    marker = "o" if len(history["loss"]) <= 40 else None
    for axes, name, label in ((above, "loss", "Loss (cross-entropy)"), (below, "accuracy", "Accuracy")):
        for key, text, colour, style in (
            (name, f"training {name}", BLUE, "-"),
            (f"val_{name}", f"validation {name} (held-out images)", ORANGE, "--"),
        ):
            if key in history:
                epochs = np.arange(1, len(history[key]) + 1)
                axes.plot(epochs, history[key], style, color=colour, label=text, marker=marker, markersize=3.5)
        axes.set_ylabel(label)
        axes.legend(loc="best", frameon=True, framealpha=0.9, edgecolor="none")
        plain_axes(axes)
    above.set_ylim(*loss_range([*history["loss"], *history.get("val_loss", [])]))
    below.set_ylim(-0.02, 1.05)
    below.set_xlabel("Epoch")
    # Epochs count from 1; 0 would be a tick at which nothing was measured.
    last = len(history["loss"])
    below.set_xticks(
        [tick for tick in MaxNLocator(integer=True, nbins=12).tick_values(1, last) if 1 < tick <= last] + [1]
    )
    below.set_xlim(1 - 0.02 * last - 0.1, last + 0.02 * last + 0.1)
    return figure


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

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    side = len(pixels)
    figure = new_figure(8.6, 4.6)
    left, right = figure.subplots(1, 2)
    figure.suptitle(drawable(title), fontsize=12)
    left.imshow(pixels)
    left.set_title("What the network saw (224 × 224)", fontsize=10)
    right.imshow(pixels)
    right.imshow(heat_layer(heat, side))
    right.set_title("Grad-CAM", fontsize=10)
    if seen < 1.0:
        edge = side * seen - 0.5
        right.plot([edge, edge, -0.5], [-0.5, edge, edge], "--", color="white", linewidth=1.2)
        right.set_title("Grad-CAM (pooling reads the dashed part only)", fontsize=10)
    for axes in (left, right):
        axes.set_axis_off()
    bar = figure.colorbar(ScalarMappable(Normalize(0.0, 1.0), "inferno"), ax=right, fraction=0.046, pad=0.03)
    bar.set_label("Weight for this class (share of the highest)")
    return as_file(figure)


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
    evaluated: EvaluatedHead, metrics: Mapping[str, Metric], title: str, balanced: bool, suffix: str = ".png"
) -> bytes:
    """Draw an evaluation.

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
    _reliability(lower_right, result.positive, metrics[SLOPE], scores, balanced)
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


def _reliability(axes: Axes, positive: str, slope: Metric, predicted: Scores, balanced: bool) -> None:
    scores, is_positive = predicted.values, predicted.is_positive
    few = min(len(set(predicted.patients[side])) for side in (is_positive, ~is_positive)) < FEWEST_FOR_SLOPE
    if few or is_separated(scores[0], is_positive):
        few_text = f"no curve below {FEWEST_FOR_SLOPE} patients of a class"
        # Below the diagonal, which would run through it elsewhere.
        axes.text(
            0.97,
            0.1,
            few_text if few else "no curve: the classes are separated",
            ha="right",
            color=GREY,
            transform=axes.transAxes,
        )
    else:
        grid, curve = reliability_curve(scores, is_positive, balanced)
        axes.plot(grid, curve, color=BLUE, linewidth=1.8, label="Calibration curve (isotonic)")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="Perfectly calibrated")
    # Where the predictions lie: the positives above, the others below.
    for chosen, height, colour, name in (
        (is_positive, 1.0, ORANGE, f"{drawable(positive)} images, above"),
        (~is_positive, 0.0, "black", "all other images, below"),
    ):
        axes.plot(scores[0, chosen], np.full(chosen.sum(), height), "|", color=colour, markersize=9, label=name)
    axes.set_xlabel(f"Mean predicted probability of {drawable(positive)}")
    axes.set_ylabel("Fraction of positives")
    axes.set_title(f"Calibration: slope {_brief(slope)}", fontsize=11)
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


def forest(experiments: Sequence[Result], conclusion: Conclusion) -> bytes:
    """Draw an audit as a forest plot: a line for each experiment, point and 95 % interval, chance marked.

    Its text can be read at a width of 700 pixels.

    Parameters
    ----------
    experiments : sequence of Result
    conclusion : Conclusion

    Returns
    -------
    bytes
        A PNG file.
    """
    experiments = [one for one in experiments if one.metric.available]
    headings, lines, height = placed(experiments)
    figure = new_figure(8.8, 1.9 + 0.43 * height)
    axes = figure.subplots()
    # The first reasons carry the most; all of them are printed.
    texts = [conclusion.message, *(f"– {reason}" for reason in conclusion.reasons[:2])]
    # No line ends between a value and its interval.
    drawn = [drawable(en_dash(text)).replace(" (", "\N{NO-BREAK SPACE}(") for text in texts]
    figure.suptitle("\n".join(textwrap.fill(text, 92) for text in drawn), fontsize=10.5)
    beside = axes.get_yaxis_transform()
    for group, y in headings.items():
        axes.text(-0.02, y, group, transform=beside, ha="right", va="center", fontsize=10, fontweight="bold")
    for experiment, y in zip(experiments, lines, strict=True):
        _line(axes, experiment, y, experiment.id in conclusion.carried_by)
    axes.text(1.03, -0.75, "ROC AUC (95 % CI)   images", transform=beside, va="center", fontsize=9.5)
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1.4)
    axes.text(0.5, -0.75, "chance", color=GREY, ha="center", va="center", fontsize=9.5)
    axes.set_yticks([])
    axes.set_ylim(height - 0.4, -0.4)
    lowest = min([0.4, *(experiment.metric.low - 0.03 for experiment in experiments)])
    axes.set_xlim(max(0.0, lowest), 1.005)
    carried = "; filled squares decided the conclusion" if conclusion.carried_by else ""
    axes.set_xlabel(f"ROC AUC (0.5: chance; 1: perfect separation{carried})")
    plain_axes(axes)
    axes.grid(False, axis="y")
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


def _line(axes: Axes, experiment: Result, y: float, carries: bool) -> None:
    """Draw an experiment: its title and question, interval and value."""
    area, beside = experiment.metric, axes.get_yaxis_transform()
    axes.text(-0.02, y - 0.17, drawable(experiment.title), transform=beside, ha="right", va="center", fontsize=9.5)
    question = drawable(experiment.question)
    axes.text(-0.02, y + 0.2, question, transform=beside, ha="right", va="center", fontsize=8.5, color=DARK)
    axes.plot([area.low, area.high], [y, y], color=BLUE, linewidth=2.2, solid_capstyle="butt")
    face = ORANGE if carries else "white"
    axes.plot(area.point, y, "s", color=face, markeredgecolor="black", markersize=7, clip_on=False, zorder=3)
    text = f"{area.value_text} ({en_dash(area.interval_text)})    {area.n_positive} v {area.n_negative}"
    axes.text(1.03, y, text, transform=beside, va="center", fontsize=9.5)


def localisation_figure(best: Sequence[LocatedImage], worst: Sequence[LocatedImage], dark: bool = False) -> bytes:
    """Draw the images whose saliency lies in boxes most, and those where it does least.

    Parameters
    ----------
    best, worst : sequence of LocatedImage
        Up to `MOST_LOCATED` each.
    dark : bool, default=False
        Draw on black, for dark reports: colours of radiographs must not be inverted.

    Returns
    -------
    bytes
        A JPEG file: radiographs as PNG would make the report too large.
    """
    from matplotlib.lines import Line2D

    ink = INK if dark else "black"
    figure = new_figure(9.6, 7.6)
    if dark:
        figure.set_facecolor(PAPER)
        figure.texts[0].set_color(DIM)
    upper, lower = figure.subfigures(2, 1)
    for part, chosen, words in ((upper, best, "most"), (lower, worst, "least")):
        part.set_facecolor(figure.get_facecolor())
        part.suptitle(f"Correctly predicted images with the {words} saliency in boxes", fontsize=11, color=ink)
        line = part.subplots(1, MOST_LOCATED, squeeze=False)[0]
        for axes in line:
            axes.set_axis_off()
        for axes, one in zip(line, chosen, strict=False):
            _radiograph(axes, one, ink)
    box = Line2D([], [], color="white", linewidth=2, path_effects=_edged(4))
    point = Line2D([], [], color="white", marker="P", markeredgecolor="black", markersize=12, linestyle="none")
    figure.legend(
        [box, point],
        ["box", "maximum of Grad-CAM (bright: contributed most to the prediction)"],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=10,
        labelcolor=ink,
    )
    return as_file(figure, ".jpg")


def _radiograph(axes: Axes, shown: LocatedImage, ink: str) -> None:
    from matplotlib.patches import Rectangle

    one, pixels, name = shown.located, shown.pixels, shown.file
    side = len(pixels)
    axes.imshow(pixels)
    axes.imshow(heat_layer(one.heat, side))
    # Pixels are drawn around whole numbers: the image's corner is at -0.5.
    for x, y, width, height in one.boxes:
        corner = (side * x - 0.5, side * y - 0.5)
        # White with a black edge stands out from every colour below it.
        axes.add_patch(
            Rectangle(
                corner, side * width, side * height, fill=False, edgecolor="white", linewidth=2, path_effects=_edged(4)
            )
        )
    if point := highest(one.heat):
        x, y = (side * value - 0.5 for value in point)
        axes.plot(x, y, "P", color="white", markeredgecolor="black", markeredgewidth=1.4, markersize=13)
    shown_name = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
    said = "maximum in a box" if one.hit else "maximum outside" if one.heat.max() > 0 else "no positive saliency"
    axes.set_title(f"{drawable(shown_name)}\n{said}; {one.in_boxes:.2f} of saliency in boxes", fontsize=9, color=ink)


def _edged(width: float) -> list:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground="black"), Normal()]
