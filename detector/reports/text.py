"""Words, tables and colours, the same on the terminal, in figures and in HTML reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from detector import counted, printable
from detector.audit.checks import PASS, Check
from detector.audit.evidence import BEYOND_BORDER, BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.audit.metrics import NPV, PPV
from detector.cli.output import wrapped
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import BRIER, IN_THE_LARGE, PRECISION, SLOPE

# Okabe and Ito's colours (2008) differ for people with any common colour blindness; the line styles and the difference
# in brightness carry the same in grey print.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
# At which class frequencies probabilities hold, by whether training let the classes count equally.
HOLD = {
    True: "Probabilities hold where each class is equally frequent.",
    False: "Probabilities hold at the class frequencies of the training set.",
}
AS_GIVEN = "Brier score and calibration are of the probabilities as they are, at this folder's class frequencies."


class MetricName(NamedTuple):
    """A metric in words: what it says, what it is compared with (shares in braces), and what the terminal says beside.

    A report draws the interval of those that lie between 0 and 1.
    """

    name: str
    gloss: str
    reference: str = ""
    remark: str = ""
    drawn: bool = True

    def beside(self, shares: Mapping[str, object]) -> str:
        """Return what stands beside the metric on the terminal."""
        return self.remark or self.reference.format(**shares)


CHANCE = "chance: 0.50"
DISCRIMINATION = {
    "roc_auc": MetricName("ROC AUC", "probability that a positive image scores above a negative one", CHANCE),
    STRATIFIED: MetricName("stratified ROC AUC", "the same within one site and view", CHANCE, "within site and view"),
    BORDER_ADJUSTED: MetricName(
        "border-adjusted ROC AUC", "the same among images with similar borders", CHANCE, "among similar borders"
    ),
    BEYOND_BORDER: MetricName(
        "beyond the border",
        "the last minus that of the border's own score, among the same images",
        "none: 0",
        "",
        False,
    ),
    PRECISION: MetricName("average precision", "area under the precision-recall curve", "no skill: {prevalence:.2f}"),
    "accuracy": MetricName("accuracy", "share of images correctly classified", "majority class: {majority:.2f}"),
    "sensitivity": MetricName("sensitivity", "share of positive images predicted positive"),
    "specificity": MetricName("specificity", "share of negative images predicted negative"),
    PPV: MetricName("PPV", "share of positive predictions that are true", "at prevalence {at}"),
    NPV: MetricName("NPV", "share of negative predictions that are true", "at prevalence {at}"),
}
BASELINES = {
    METADATA: MetricName(
        "metadata-only baseline", "ROC AUC of site and view, without the image", CHANCE, "site and view"
    ),
    BORDER: MetricName("border-only baseline", "ROC AUC of the outer 10 % of the image", CHANCE, "outer 10 %"),
    FILES: MetricName(
        "file-property baseline", "ROC AUC of size, format, colour and brightness", CHANCE, "size, colour, brightness"
    ),
}
CALIBRATION = {
    BRIER: MetricName("Brier score", "mean squared error of the probabilities", "no skill: {no_skill:.2f}"),
    IN_THE_LARGE: MetricName(
        "calibration-in-the-large", "above 0: probabilities are too low on average", "ideal: 0", "", False
    ),
    SLOPE: MetricName("calibration slope", "below 1: overconfident; above 1: underconfident", "ideal: 1", "", False),
}
GROUPS = {"Discrimination": DISCRIMINATION, "Baselines": BASELINES, "Calibration": CALIBRATION}
NAMES = {**DISCRIMINATION, **BASELINES, **CALIBRATION}


class Table(NamedTuple):
    """A table that the terminal and a report show. Cells may be metrics; the first of a row is its heading."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()

    def lines(self) -> list[str]:
        """Return the table as it is printed, and why metrics are not estimable; nothing without rows."""
        if not self.rows:
            return []
        rows, reasons = [[self.title, *self.columns]], []
        for row in self.rows:
            unknown = [cell for cell in row if isinstance(cell, Metric) and not cell.available]
            reasons += [cell.reason.partition(" (")[0] for cell in unknown]
            shown = (cell.short if isinstance(cell, Metric) else str(cell) for cell in row)
            rows.append(["n/a" if cell in unknown else text for cell, text in zip(row, shown, strict=True)])
        notes = [*([f"n/a: {', '.join(dict.fromkeys(reasons))}"] if reasons else []), *self.notes]
        return ["", *table(rows), *(line for note in notes for line in wrapped(note, "  ", "  "))]


def rgb(colour: str) -> tuple[int, int, int]:
    """Return a colour such as `BLUE` as red, green and blue, 0…255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def compared(result: Evaluation) -> str:
    """Return which classes the metrics of one class compare, such as ``"covid v others"``."""
    others = [name for name in result.classes if name != result.positive]
    return f"{result.positive} v {others[0] if len(others) == 1 else 'others'}"


def table(rows: Sequence[Sequence[object]], indent: str = "", whole: bool = False) -> list[str]:
    """Return rows as lines of at most 80 columns.

    Columns are two spaces apart. The last cell of a row goes on below its beginning, unless it stays `whole`, as a path
    does; a row of one cell spans all columns.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip_longest(*(row[:-1] for row in cells), fillvalue="")]
    lines = []
    for *firsts, last in cells:
        start = indent + "".join(f"{cell:<{width}}  " for cell, width in zip(firsts, widths, strict=False))
        start += " " * (len(last) - len(last.lstrip()))
        lines += [start + last] if whole else wrapped(last.strip(), start, " " * len(start))
    return [line.rstrip() for line in lines]


def metric_cells(metric: Metric, *beside: object) -> list[object]:
    """Return value, interval and what stands beside them as cells of a table, or the reason why there is no value."""
    return [metric.value_text, metric.interval_text, *beside] if metric.available else ["n/a", metric.reason]


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Return the validity checks as lines: how many there are, then those that warn."""
    warned = [check for check in checks if check.warns]
    passed = sum(check.status == PASS for check in checks)
    unknown = len(checks) - passed - len(warned)
    counts = f"{counted(len(checks), 'check')}: {len(warned)} warn, {passed} pass, {unknown} not assessed"
    rows = [[c.title, c.message + (f" ({c.condition})" if c.condition else "")] for c in warned]
    return ["Validity checks", f"  {counts}", *table(rows, "  ")]


def closing_lines(recommendation: str, message: str) -> list[str]:
    """Return what to do next, and the result in a sentence, which is the last thing that a run says of it."""
    return ["", *wrapped(f"Next: {recommendation}"), *wrapped(f"Conclusion: {message}")]
