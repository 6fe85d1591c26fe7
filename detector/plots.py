"""Every figure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector.evaluation import Evaluation
from detector.intervals import roc_band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from detector.audit import Experiment
    from detector.verdict import Verdict


# Okabe and Ito's colours (2008) are told apart by people with any common colour blindness; the line styles and the
# difference in brightness carry the same in grey print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
CAPTION = "Educational software, not a diagnosis."


def _figure(width: float, height: float) -> Figure:
    import matplotlib

    # Not pyplot: it would pick a window system, and keep every figure alive.
    from matplotlib.figure import Figure

    # A class may be called "$x^2$"; that is its name, no formula.
    matplotlib.rcParams["text.parse_math"] = False
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.text(0.995, 0.006, CAPTION, ha="right", va="bottom", fontsize=8, color=GREY)
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
    return figure


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    # Without the version in its metadata, the same figure is the same bytes.
    figure.savefig(data, format="png", dpi=150, metadata={"Software": None})
    return data.getvalue()


def _shown(text: str) -> str:
    """Return text in the characters that the figures' font has; matplotlib would warn of every other one on stderr."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "\N{REPLACEMENT CHARACTER}" for c in text)


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)


def training(history: Mapping[str, Sequence[float]], title: str) -> bytes:
    """Draw training and validation loss and accuracy by epoch.

    Parameters
    ----------
    history : mapping
        ``loss``, ``accuracy`` and, where there are held-out images, ``val_loss``, ``val_accuracy``; one value an epoch.
    title : str

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = _figure(7.5, 6.5)
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
        _plain(axes)
    above.set_ylim(bottom=0)
    below.set_ylim(-0.02, 1.05)
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    below.set_xlabel("Epoch")
    # Epochs count from 1; 0 would be a tick at which nothing was measured.
    last = len(history["loss"])
    below.set_xticks(
        [tick for tick in MaxNLocator(integer=True, nbins=12).tick_values(1, last) if 1 < tick <= last] + [1]
    )
    below.set_xlim(1 - 0.02 * last - 0.1, last + 0.02 * last + 0.1)
    return _png(figure)


def evaluation(result: Evaluation, scores: np.ndarray, is_positive: np.ndarray, title: str, seed: int) -> bytes:
    """Draw the confusion matrix and the ROC curve with its interval.

    Parameters
    ----------
    result : Evaluation
    scores : ndarray of shape (n,)
        Probability of the positive class.
    is_positive : ndarray of shape (n,), bool
    title : str
    seed : int
        Of the bootstrap.

    Returns
    -------
    bytes
        A PNG file.
    """
    figure = _figure(10.5, 5.6)
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=12)
    _confusion(left, result.confusion, result.classes)
    _roc(right, result, scores, is_positive, seed)
    return _png(figure)


def _confusion(axes: Axes, confusion: np.ndarray, classes: Sequence[str]) -> None:
    classes = [_shown(name) for name in classes]
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if shares[row, column] > 0.55 else "black"
        text = f"{count}\n{shares[row, column]:.0%} of {classes[row]}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=11)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes, rotation=90, va="center")
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
    axes.set_title("Confusion matrix (images)", fontsize=11)


def _roc(axes: Axes, result: Evaluation, scores: np.ndarray, is_positive: np.ndarray, seed: int) -> None:
    from matplotlib.ticker import PercentFormatter
    from sklearn.metrics import roc_curve

    false_rate, true_rate, _ = roc_curve(is_positive, scores)
    grid, low, high = roc_band(scores, is_positive, seed)
    area = result.auc
    axes.fill_between(grid, low, high, color=BLUE, alpha=0.18, linewidth=0, label="95 % interval (bootstrap)")
    label = f"AUC {area.value:.3f} (95 % CI {area.low:.3f}–{area.high:.3f})"
    axes.plot(false_rate, true_rate, color=BLUE, linewidth=1.8, label=label, drawstyle="steps-post")
    axes.plot([0, 1], [0, 1], ":", color=GREY, label="chance (AUC 0.5)")
    point = 1.0 - result.specificity.value, result.sensitivity.value
    axes.plot(*point, "D", color=ORANGE, markeredgecolor="black", label="operating point", clip_on=False, zorder=3)
    axes.set(xlim=(-0.015, 1.0), ylim=(0.0, 1.015), aspect="equal")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("1 − specificity (false positives)")
    axes.set_ylabel("Sensitivity (true positives)")
    axes.set_title(f"ROC of {_shown(result.positive)}, {area.positives} v {area.negatives} images", fontsize=11)
    # Below the axes, where no curve can run behind it.
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=9, frameon=False)
    _plain(axes)


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
    import cv2
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    side = len(pixels)
    smooth = np.clip(cv2.resize(heat, (side, side), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    figure = _figure(8.6, 4.6)
    left, right = figure.subplots(1, 2)
    figure.suptitle(_shown(title), fontsize=12)
    left.imshow(pixels)
    left.set_title("What the network saw (224 × 224)", fontsize=10)
    right.imshow(pixels)
    # inferno is perceptually uniform, and goes from dark to light in grey print too; without heat, film shows.
    colours = ScalarMappable(Normalize(0.0, 1.0), "inferno")
    right.imshow(np.dstack([colours.to_rgba(smooth)[..., :3], 0.7 * smooth]))
    right.set_title("Where it looked (Grad-CAM)", fontsize=10)
    if seen < 1.0:
        edge = side * seen - 0.5
        right.plot([edge, edge, -0.5], [-0.5, edge, edge], "--", color="white", linewidth=1.2)
        right.set_title("Where it looked (Grad-CAM; pooling sees the dashed part)", fontsize=10)
    for axes in (left, right):
        axes.set_axis_off()
    bar = figure.colorbar(colours, ax=right, fraction=0.046, pad=0.03)
    bar.set_label("Weight for this class (share of the highest)")
    return _png(figure)


def forest(experiments: Sequence[Experiment], verdict: Verdict) -> bytes:
    """Draw an audit as a forest plot: one line an experiment, point and 95 % interval, chance marked.

    Parameters
    ----------
    experiments : sequence of Experiment
    verdict : Verdict

    Returns
    -------
    bytes
        A PNG file.
    """
    figure = _figure(11, 1.9 + 0.52 * len(experiments))
    axes = figure.subplots()
    # The first reasons carry the most; all of them are printed.
    conclusion = f"{verdict.conclusion[:1].upper()}{verdict.conclusion[1:]}"
    lines = [conclusion, *(f"– {reason}" for reason in verdict.reasons[:2])]
    figure.suptitle("\n".join(map(_shown, lines)), fontsize=11)
    for line, experiment in enumerate(experiments):
        area = experiment.auc
        axes.plot([area.low, area.high], [line, line], color=BLUE, linewidth=2.2, solid_capstyle="butt")
        axes.plot(area.value, line, "s", color=ORANGE, markeredgecolor="black", markersize=7, clip_on=False, zorder=3)
        text = f"{area.value:.2f} ({area.low:.2f}–{area.high:.2f})   {area.positives} v {area.negatives}"
        axes.text(1.03, line, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5)
    axes.text(
        1.03, -0.75, "AUC (95 % CI)        images", transform=axes.get_yaxis_transform(), va="center", fontsize=9.5
    )
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1.4)
    axes.text(0.5, -0.75, "chance", color=GREY, ha="center", va="bottom", fontsize=9.5)
    labels = [f"{_shown(experiment.name)}\n{_shown(experiment.question)}" for experiment in experiments]
    axes.set_yticks(range(len(experiments)), labels, fontsize=9.5)
    axes.set_ylim(len(experiments) - 0.4, -0.7)
    lowest = min([0.4, *(experiment.auc.low - 0.03 for experiment in experiments)])
    axes.set_xlim(max(0.0, lowest), 1.005)
    axes.set_xlabel("Area under the ROC curve: 0.5 is a coin, 1 tells every pair right")
    _plain(axes)
    axes.grid(False, axis="y")
    return _png(figure)
