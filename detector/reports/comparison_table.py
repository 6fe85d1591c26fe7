"""Two recipes and their difference, as a run prints them and as its HTML report shows them."""

from __future__ import annotations

from dataclasses import dataclass

from detector.statistics.metric import Metric
from detector.training.comparison import RecipeComparison

GLOSS = (
    "ROC AUC of both recipes on the same images, split, folds and repeats. The difference has an interval of its own: "
    "a bootstrap over patients, in which both recipes see the same draws."
)
UNCLEAR = "The interval contains 0: no difference is shown."
WORDS = {"tutorial": "tutorial", "probe": "linear probe"}


@dataclass(frozen=True)
class ComparisonTable:
    """What an HTML report shows of a comparison: a row for each recipe, and the difference in a sentence."""

    rows: tuple[tuple[str, Metric], ...]
    sentence: str
    remark: str
    gloss: str = GLOSS


def table(comparison: RecipeComparison) -> ComparisonTable:
    """Return a comparison as it is shown."""
    one, other = title(comparison.recipe), title(comparison.compared_with)
    rows = (one, comparison.roc_auc), (other, comparison.compared_roc_auc)
    difference = comparison.difference
    remark = UNCLEAR if difference.available and not comparison.is_clear else ""
    return ComparisonTable(rows, f"{one} minus {other}: {signed(difference)}", remark)


def lines(comparison: RecipeComparison) -> list[str]:
    """Return what is printed of a comparison, in 80 columns."""
    shown = table(comparison)
    found = [f"{'Comparison on the same images':<35}{'ROC AUC':>7}   95 % CI"]
    for name, metric in shown.rows:
        text = f"{metric.value_text:>7}   {metric.interval_text}" if metric.available else f"{'n/a':>7}"
        found.append(f"  {name:<33}{text}".rstrip())
    found.append(f"  {shown.sentence}")
    return found + ([f"  {shown.remark}"] if shown.remark else [])


def title(name: str) -> str:
    """Return a recipe such as ``"probe:lungs"`` in words; the tutorial's own pooling is not named."""
    recipe, _, pooling = name.partition(":")
    return WORDS[recipe] if recipe == pooling else f"{WORDS[recipe]} ({pooling})"


def signed(difference: Metric) -> str:
    """Return a difference with its sign, such as ``"+0.06 (0.01 to 0.11)"``, or the reason why there is none."""
    if difference.value is None:
        return difference.short
    if difference.ci_low is None or difference.ci_high is None:
        return f"{difference.value:+.2f}" if difference.value else "0"
    bounds = difference.ci_low, difference.ci_high
    # A bound that is not 0 is not printed as 0: it would hide on which side of 0 the interval ends.
    decimals = next((d for d in range(2, 6) if all(round(bound, d) or not bound for bound in bounds)), 6)
    value = round(difference.value, decimals) or 0.0
    sign = "+" if value else ""
    low, high = (f"{bound:.{decimals}f}" for bound in bounds)
    return f"{value:{sign}.{decimals}f} ({low} to {high})"
