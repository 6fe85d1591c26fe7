"""The figure of an audit's localisation: radiographs with boxes, Grad-CAM and its maximum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detector.audit.localisation import Located
from detector.images.regions import highest
from detector.reports.drawing import as_file, drawable, heat_layer, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EACH = 3  # best and worst examples
LONGEST = 34  # characters of a file name above a radiograph

Shown = tuple[Located, np.ndarray, str]


def localisation_figure(best: Sequence[Shown], worst: Sequence[Shown]) -> bytes:
    """Draw the images whose saliency lies in boxes most, and those where it does least.

    Parameters
    ----------
    best, worst : sequence of (Located, pixels, name)
        Up to `EACH` each; pixels of shape (224, 224, 3), uint8.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(9.6, 7.6)
    rows = figure.subplots(2, EACH, squeeze=False)
    figure.suptitle("Grad-CAM and boxes of correctly predicted images", fontsize=12)
    for line, chosen, words in ((rows[0], best, "most"), (rows[1], worst, "least")):
        for axes in line:
            axes.set_axis_off()
        for axes, one in zip(line, chosen, strict=False):
            _radiograph(axes, one, words)
    box = Line2D([], [], color="white", linewidth=2, path_effects=_edged(4))
    point = Line2D([], [], color="white", marker="P", markeredgecolor="black", markersize=12, linestyle="none")
    figure.legend(
        [box, point],
        ["box", "maximum of Grad-CAM (bright: speaks for the class)"],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=10,
    )
    return as_file(figure)


def _radiograph(axes: Axes, shown: Shown, words: str) -> None:
    from matplotlib.patches import Rectangle

    one, pixels, name = shown
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
    axes.set_title(f"{drawable(shown_name)}\n{said}; {one.in_boxes:.2f} in boxes ({words})", fontsize=9.5)


def _edged(width: float) -> list:
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground="black"), Normal()]
