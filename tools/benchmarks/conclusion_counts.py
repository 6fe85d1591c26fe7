"""Count the conclusions of audits of phantoms with and without a planted shortcut: detected, missed, false alarm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from detector.audit.evidence import LUNGS, MIXED, SHORTCUT, Evidence, conclude
from detector.audit.experiments import FULL, Result
from detector.images import shortcuts
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion

CLEAN = "none"
# Properties of the patient that change the image, too: planted into image and manifest.
KNOWN = ("age", "view")
KINDS = (*shortcuts.KINDS, *KNOWN)
# The rules were chosen on these, and are judged on the others.
CHOSEN_ON = ("blur", "gamma", "noise", "mark", "cropping", "rotation", "age")
RAISED = 0.03  # what a shortcut has to add to the ROC AUC before it has to be detected

Which = tuple[int, int, int]  # pool, phantoms of each class, and the first of them


def trained_areas(sets: Sequence[dict]) -> dict[Which, float]:
    """Return the ROC AUC of each clean set, as trained."""
    return {
        (one["pool"], one["n"], one["start"]): value_of(as_results(one["rows"])[0])
        for one in sets
        if one["kind"] == CLEAN
    }


def value_of(result: Result) -> float:
    """Return the ROC AUC of an experiment that always has one."""
    if result.metric.value is None:
        raise SystemExit(f"{result.title}: {result.metric.reason}")
    return result.metric.value


def as_results(rows: Sequence[dict]) -> list[Result]:
    """Return results as they were kept."""
    return [Result(**row | {"metric": Metric(**row["metric"]), "notes": tuple(row["notes"])}) for row in rows]


def judged(sets: Sequence[dict]) -> Iterator[dict]:
    """Yield each set with its conclusion, and by how much its ROC AUC lies above that of its clean twin."""
    trained = trained_areas(sets)
    for one in sets:
        results = as_results(one["rows"])
        assert results[0].id == FULL
        raised = value_of(results[0]) - trained[one["pool"], one["n"], one["start"]]
        conclusion = conclude(Evidence(results, None, "covid", shared_sites=True)) if len(results) > 1 else None
        detected = conclusion is not None and conclusion.code in (SHORTCUT, MIXED)
        yield one | {"conclusion": conclusion, "raised": raised, "detected": detected}


def show(sets: Sequence[dict]) -> None:
    """Print the operating characteristics, whole and by kind and strength."""
    found = list(judged(sets))
    clean, raised = [one for one in found if one["kind"] == CLEAN], _raised(found)
    print("| sets | false alarms or detected | of | share (95 % interval) |\n| --- | --- | --- | --- |")
    for title, some in (
        ("clean", clean),
        *((f"clean, {n} a class", [one for one in clean if one["n"] == n]) for n in (25, 60)),
        ("planted, ROC AUC raised by 0.03 or more", raised),
        ("of these, kinds that rules were chosen on", [one for one in raised if one["kind"] in CHOSEN_ON]),
        ("of these, the other kinds", [one for one in raised if one["kind"] not in CHOSEN_ON]),
    ):
        if some:
            print(f"| {title} | {_detected(some)} | {len(some)} | {_share(some)} |")
    for title, some in (("clean", clean), ("planted, raised", raised)):
        lungs = sum(one["conclusion"].code == LUNGS for one in some)
        print(f"\n{title}: {lungs} of {len(some)} conclude that the lungs are used")
    print("\nBy kind and strength: detected / raised by 0.03 or more / all sets\n")
    print(f"| planted | 1 | 2 | 3 | detected of raised (95 % interval) |\n|{' --- |' * 5}")
    planted = [one for one in found if one["kind"] != CLEAN]
    kinds = {kind: [one for one in planted if one["kind"] == kind] for kind in KINDS}
    for title, some in (kinds | {"all": planted}).items():
        if some:
            cells = " | ".join(_cell(part) for part in _by_strength(some))
            print(f"| {title} | {cells} | {_share(_raised(some))} |")
    shares = " | ".join(_share(_raised(part)) for part in _by_strength(planted))
    print(f"| detected of raised (95 % interval) | {shares} | |")
    missed = [one for one in raised if not one["detected"]]
    for title, some in (("missed", missed), ("false alarm", [one for one in clean if one["detected"]])):
        for one in some:
            print(f"{title}: pool {one['pool']} {one['kind']} {one['strength']} n {one['n']}: {one['conclusion']}")


def _by_strength(sets: Sequence[dict]) -> list[list[dict]]:
    return [[one for one in sets if one["strength"] == strength] for strength in shortcuts.STRENGTHS]


def _detected(sets: Sequence[dict]) -> int:
    return sum(one["detected"] for one in sets)


def _raised(sets: Sequence[dict]) -> list[dict]:
    return [one for one in sets if one["raised"] >= RAISED]


def share_text(detected: Sequence[bool]) -> str:
    """Return the share of data sets that are detected, with its 95 % interval."""
    if not detected:
        return "none raised"
    found = proportion(np.array(detected), np.arange(len(detected)))
    return f"{found.value_text} ({found.interval_text})"


def _share(sets: Sequence[dict]) -> str:
    return share_text([one["detected"] for one in sets])


def _cell(sets: Sequence[dict]) -> str:
    return f"{_detected(sets)} / {len(_raised(sets))} / {len(sets)}"
