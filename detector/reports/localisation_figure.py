"""The figure of an audit's localisation: radiographs with boxes, Grad-CAM and its maximum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from detector.audit.examples import MOST_LOCATED, LocatedImage
from detector.images.masks import highest
from detector.reports.drawing import as_file, drawable, heat_layer, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST = 34  # characters of a file name above a radiograph
PAPER, INK, DIM = "#15171a", "#ececec", "#b4bac2"  # of dark reports


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
