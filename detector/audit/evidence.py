"""What a conclusion is drawn from, and what it consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detector.audit.experiments import Result
from detector.statistics.metric import Metric

LEAKAGE, NO_SIGNAL, SHORTCUT, MIXED = "leakage_suspected", "no_signal", "shortcut", "mixed"
LUNGS, INCONCLUSIVE = "lungs", "inconclusive"


@dataclass(frozen=True)
class Evidence:
    """What a conclusion is drawn from.

    Attributes
    ----------
    results : sequence of Result
    controls_positive : Metric or None
        Share of same-site controls that are predicted positive.
    positive : str
        The positive class.
    shared_sites : bool
        Whether both classes come from the same sites, so that controls of the same site would add nothing.
    """

    results: Sequence[Result]
    controls_positive: Metric | None
    positive: str
    shared_sites: bool = False

    def __getitem__(self, name: str) -> Metric | None:
        """Return the metric of an experiment; None where it was not made or cannot be computed."""
        return self.metrics.get(name)

    def metric(self, name: str) -> Metric:
        """Return the metric of an experiment that is known to be there."""
        return self.metrics[name]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The available metrics by the id of their experiment."""
        return {one.id: one.metric for one in self.results if one.metric.available}

    def title(self, name: str) -> str:
        """Return the title of an experiment."""
        return next(one.title for one in self.results if one.id == name)


@dataclass(frozen=True)
class Conclusion:
    """What the model has learned, in one sentence, and the findings that show it.

    Attributes
    ----------
    code : {"leakage_suspected", "no_signal", "shortcut", "mixed", "lungs", "inconclusive"}
    message : str
    reasons : list of str
        Each with its metrics.
    carried_by : list of str
        Ids of the experiments that the reasons rest on.
    recommendation : str
        What to do next.
    """

    code: str
    message: str
    reasons: list[str]
    carried_by: list[str]
    recommendation: str = ""

    def __str__(self) -> str:
        """Return message and reasons in one paragraph."""
        reasons = "; ".join(self.reasons)
        return f"{self.message} {reasons[:1].upper()}{reasons[1:]}." if reasons else self.message

    def as_json(self) -> dict[str, object]:
        """Return the conclusion as it stands in a JSON file."""
        return {name: getattr(self, name) for name in ("code", "message", "reasons", "carried_by", "recommendation")}


@dataclass(frozen=True)
class Reason:
    """A finding, and the experiments that it rests on."""

    text: str
    ids: tuple[str, ...]
