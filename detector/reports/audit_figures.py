"""The figures of an audit: the forest plot of its experiments, and the plane of utility and detectability."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from detector.images.colours import BLUE, GREY, ORANGE
from detector.reports.drawing import as_file, drawable, new_figure, plain_axes
from detector.reports.intervals import en_dash

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from detector.audit.baselines import Risk
    from detector.audit.evidence import Conclusion
    from detector.audit.experiments import Result

DARK = "#333333"
HEADING = 0.9  # height of a group's heading, of an experiment's line


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


def risk_plane(risks: Sequence[Risk]) -> bytes:
    """Draw properties by how well they predict the class and how well features predict them, with 95 % intervals.

    Parameters
    ----------
    risks : sequence of Risk
        Whose metrics are available.

    Returns
    -------
    bytes
        A PNG file.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(8.4, 6.2)
    axes = figure.subplots()
    figure.suptitle("Which properties may be shortcuts?", fontsize=12)
    heights = [_detectability(risk, risk.detectability.point) for risk in risks]
    labels = spread(heights, 0.05, 1.0)
    for risk, height, label in zip(risks, heights, labels, strict=True):
        x, y = risk.utility, risk.detectability
        colour = ORANGE if risk.suspected else BLUE
        axes.plot([x.low, x.high], [height] * 2, color=colour, linewidth=1.4)
        axes.plot(
            [x.point] * 2,
            [_detectability(risk, y.low), _detectability(risk, y.high)],
            color=colour,
            linewidth=1.4,
        )
        axes.plot(x.point, height, "s" if risk.suspected else "o", color=colour, markeredgecolor="black", zorder=3)
        axes.annotate(
            drawable(risk.name),
            (x.point, height),
            (1.04, label),
            textcoords=axes.get_yaxis_transform(),
            va="center",
            fontsize=10,
            # Dotted, and not horizontal from the point on: it is no interval.
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "linestyle": ":", "shrinkB": 5},
        )
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1.4)
    axes.axhline(0.0, color=GREY, linestyle=":", linewidth=1.4)
    axes.set_xlim(*utilities(risks))
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("Utility: how well the property predicts the class (ROC AUC; dotted: chance)")
    axes.set_ylabel(
        "Detectability: how well the image predicts the property\n(R², or 2 × ROC AUC − 1; chance and below: 0)"
    )
    kinds = ((True, "s", ORANGE, "shortcut risk"), (False, "o", BLUE, "not shown to be a shortcut risk"))
    marks = [
        Line2D([], [], marker=marker, linestyle="none", color=colour, markeredgecolor="black", label=label)
        for suspected, marker, colour, label in kinds
        if any(risk.suspected == suspected for risk in risks)
    ]
    axes.legend(handles=marks, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, frameon=False)
    plain_axes(axes)
    return as_file(figure)


def utilities(risks: Sequence[Risk]) -> tuple[float, float]:
    """Return the limits of the axis of utility: from 0.3 or the lowest interval on."""
    return min([0.3, *(risk.utility.low - 0.03 for risk in risks)]), 1.02


def _detectability(risk: Risk, value: float) -> float:
    """Return a detectability on a scale from 0, chance, to 1; an R² below 0 is no better than the mean."""
    return max(value, 0.0) if risk.measure == "R²" else max(2 * value - 1, 0.0)


def spread(wanted: Sequence[float], least: float, highest: float) -> list[float]:
    """Return heights near those wanted, in the same order, `least` apart and none above `highest`."""
    order = sorted(range(len(wanted)), key=lambda position: wanted[position])
    found = list(wanted)
    for below, above in itertools.pairwise(order):
        found[above] = max(found[above], found[below] + least)
    ceiling = highest
    for position in reversed(order):
        found[position] = min(found[position], ceiling)
        ceiling = found[position] - least
    return found
