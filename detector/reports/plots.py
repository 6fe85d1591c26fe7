"""The figures of a training run's course and of a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector.images.colours import BLUE, GREY, ORANGE
from detector.reports.drawing import as_file, drawable, heat_layer, new_figure, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from detector.network.head import TrainedHead


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
