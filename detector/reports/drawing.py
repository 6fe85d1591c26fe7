"""What all figures share: colours, fonts, size, and how they become a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from detector.images.colours import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = "Educational software, not a diagnosis."


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


# Without version and date in its metadata, the same figure is the same bytes.
METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


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
