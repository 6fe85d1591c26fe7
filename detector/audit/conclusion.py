"""What an audit's figures say, in plain words: every rule, with its threshold and where it comes from, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.audit.experiments import (
    AGE,
    ALIKE,
    BORDER,
    DISEASE,
    DISEASE_ONLY,
    HOLE,
    ONLY,
    OUTLINE,
    SEX,
    SHUFFLED,
    SITE,
    SOURCES,
    TRAINED,
    TRAITS,
    VIEW,
    WITHOUT,
    Result,
)
from detector.statistics.intervals import Proportion
from detector.statistics.roc import Area

CHANCE = 0.5
# Half of what lies above chance: a classifier that keeps more of it than it loses did not need what was taken away.
# The experiment is Maguolo and Nanni's (Information Fusion 76, 2021); this line is drawn here.
KEPT = 0.5
# "Excellent" discrimination begins at 0.8 (Hosmer, Lemeshow, Sturdivant, "Applied Logistic Regression", 2013, 5.2.4).
# Sources that are told apart at 0.8 leave little for the disease to add.
EXCELLENT = 0.8
# More than half of the controls called positive: a coin would call fewer. DeGrave, Janizek and Lee (Nature Machine
# Intelligence 3, 2021) show the same failure on hospitals.
MOST = 0.5
# A fall by this much, on images that differ in source only, is more than folds make (their spread is about 0.02 here).
FALL = 0.1

# What holds no pixel of the lungs tells the classes when the lower end of its interval lies above this: several such
# rows are looked at, and of as many intervals one misses 0.5 by luck now and then. Judged in docs/truth.md.
TELLS = 0.55
FOREIGN = (BORDER, SITE, VIEW, SEX, AGE)
UNSETTLED = "these experiments do not settle what this model learnt;"

UNSOUND, NOTHING, SOURCE, LUNGS, OPEN = "harness unsound", "nothing learnt", "source", "lungs", "open"
BOTH = "both"


@dataclass(frozen=True)
class Verdict:
    """What was learnt, and the sentences that carry it.

    Attributes
    ----------
    learnt : {"harness unsound", "nothing learnt", "source", "both", "lungs", "open"}
    conclusion : str
    reasons : list of str
        Each with its figures.
    """

    learnt: str
    conclusion: str
    reasons: list[str]

    def __str__(self) -> str:
        reasons = "; ".join(self.reasons)
        return f"{reasons[:1].upper()}{reasons[1:]}: {self.conclusion}" if reasons else self.conclusion


def kept(part: Area, whole: Area) -> float:
    """Return the share of what lies above chance that is left."""
    return (part.value - CHANCE) / (whole.value - CHANCE)


def conclude(results: Sequence[Result], called: Proportion | None, positive: str) -> Verdict:
    """Return what the figures of an audit say.

    Parameters
    ----------
    results : sequence of Result
    called : Proportion or None
        Share of controls that the detector calls positive.
    positive : str

    Returns
    -------
    Verdict
    """
    by_name = {result.name: result.auc for result in results}
    trained, shuffled = by_name[TRAINED], by_name.get(SHUFFLED)
    if shuffled and not shuffled.low <= CHANCE <= shuffled.high:
        return Verdict(
            UNSOUND,
            "something leaks the answer, so no other figure of this audit means anything.",
            [f"shuffled labels are told apart (AUC {figures(shuffled)})"],
        )
    if trained.low <= CHANCE:
        return Verdict(
            NOTHING,
            "it cannot be shown that this model learnt anything; it needs more images.",
            [f"the AUC of the trained detector, {figures(trained)}, may be chance"],
        )
    against = _reasons_for_source(by_name, called, positive)
    if against:
        what = "the collection" if called or SOURCES in by_name else "something outside of the lungs"
        return Verdict(SOURCE, f"this model recognises {what}, not the disease.", against)
    without, only = by_name.get(WITHOUT), by_name.get(ONLY)
    beside = _tells_without_the_lungs(by_name)
    if beside and only and only.low > CHANCE:
        return Verdict(
            BOTH,
            "the lungs and the way the films were made both tell the classes, and they cannot be told apart here.",
            [f"of AUC {trained.value:.2f}, {only.value:.2f} is left with nothing but the lungs", *beside],
        )
    if beside:
        return Verdict(SOURCE, "this model recognises something outside of the lungs, not the disease.", beside)
    if not without or not only:
        return Verdict(OPEN, f"{UNSETTLED} lungs could not be found in enough of the images.", [])
    shares = f"of AUC {trained.value:.2f}, {without.value:.2f} is left without the lungs and {only.value:.2f}"
    if kept(without, trained) < KEPT and only.low > CHANCE and kept(only, trained) >= KEPT:
        quiet = [f"{name} reaches {by_name[name].value:.2f}" for name in (BORDER, TRAITS) if name in by_name]
        return Verdict(
            LUNGS,
            "what this model uses is in the lungs, and nothing found here speaks against it.",
            [f"{shares} with nothing else", *quiet],
        )
    return Verdict(OPEN, f"{UNSETTLED} controls of the same source would (--controls).", [f"{shares} in them"])


def tells_around_the_lungs(by_name: dict[str, Area]) -> bool:
    """Say whether what is left without the lungs tells the classes, and surely better than shapes do.

    Opacities at a lung's border move the border that is found, and with it the hole: what the hole's shape tells, and
    what a network reads from the lungs' outline, may be the disease. Surely: the intervals do not meet.
    """
    shapes = [by_name[name].high for name in (HOLE, OUTLINE) if name in by_name]
    return WITHOUT in by_name and by_name[WITHOUT].low > max([TELLS, *shapes])


def _tells_without_the_lungs(by_name: dict[str, Area]) -> list[str]:
    """Return what tells the classes by itself, though no pixel of the lungs goes into it."""
    telling = [(name, by_name[name]) for name in FOREIGN if name in by_name and by_name[name].low > TELLS]
    if tells_around_the_lungs(by_name):
        telling.insert(0, (WITHOUT, by_name[WITHOUT]))
    reasons = [f"{name} reaches AUC {figures(area)}" for name, area in telling]
    if reasons and (alike := by_name.get(ALIKE)):
        reasons.append(f"among alike films the AUC is {figures(alike)}")
    return reasons


def _reasons_for_source(by_name: dict[str, Area], called: Proportion | None, positive: str) -> list[str]:
    trained, without = by_name[TRAINED], by_name.get(WITHOUT)
    reasons = []
    if tells_around_the_lungs(by_name) and kept(without, trained) >= KEPT:
        reasons.append(f"{without.value:.2f} of {trained.value:.2f} is left without the lungs")
    if called and called.low > MOST:
        reasons.append(
            f"{called.hits} of {called.n} radiographs of other diseases from the same collection are called {positive}"
        )
    if (sources := by_name.get(SOURCES)) and sources.low > EXCELLENT:
        reasons.append(f"images without the disease are told by their source alone (AUC {figures(sources)})")
    if not reasons:
        return []
    if (properties := by_name.get(TRAITS)) and properties.low > EXCELLENT:
        reasons.append(f"size, format and brightness of the files alone reach AUC {properties.value:.2f}")
    if (disease := by_name.get(DISEASE)) and trained.value - disease.value >= FALL:
        text = f"against controls of the same source the AUC falls to {figures(disease)}"
        if only := by_name.get(DISEASE_ONLY):
            text += f", with the lungs alone to {figures(only)}"
        reasons.append(text)
    for name, external in by_name.items():
        if name.startswith("external") and trained.value - external.value >= FALL:
            reasons.append(f"on images from elsewhere it falls to {figures(external)}")
    return reasons


def figures(area: Area) -> str:
    """Return an AUC and its interval as a verdict writes them."""
    return f"{area.value:.2f} ({area.low:.2f}-{area.high:.2f})"
