"""One type for every metric: a value with its interval and counts, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

FEWEST = 10  # comparable images of each class that an area under the ROC curve needs
WIDTH = 1e-9  # a narrower interval claims a certainty that no sample gives


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % confidence interval.

    Attributes
    ----------
    value : float or None
        None where the metric cannot be computed; `reason` then says why.
    ci_low, ci_high : float or None
        Bounds of the interval. None where a side has no bound, and both where the interval would be a point: no sample
        gives that certainty.
    n_positive, n_negative : int
        Images of each class that the metric is computed from.
    reason : str
        Why there is no value.
    n_patients : int
        Patients that the images are of; 0 where that was not counted.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n_positive: int
    n_negative: int
    reason: str = ""
    n_patients: int = 0

    def __post_init__(self) -> None:
        """Let no output show nan, inf or an interval of a point; ValueError without either value or reason."""
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
            object.__setattr__(self, "reason", self.reason or "it is not defined for these predictions")
        low, high = (None if one is None or not math.isfinite(one) else one for one in (self.ci_low, self.ci_high))
        if self.value is None or (low is not None and high is not None and high - low <= WIDTH):
            low = high = None
        object.__setattr__(self, "ci_low", low)
        object.__setattr__(self, "ci_high", high)
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"a metric has a value, or a reason why there is none: {self!r}")

    @classmethod
    def unavailable(cls, reason: str, n_positive: int = 0, n_negative: int = 0) -> Metric:
        """Return a metric that cannot be computed, with the reason."""
        return cls(None, None, None, n_positive, n_negative, reason)

    @property
    def available(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    @property
    def point(self) -> float:
        """The value of an available metric; ValueError if there is none."""
        if self.value is None:
            raise ValueError(f"not available: {self.reason}")
        return self.value

    @property
    def low(self) -> float:
        """The lower bound; minus infinity where there is none."""
        return -math.inf if self.ci_low is None else self.ci_low

    @property
    def high(self) -> float:
        """The upper bound; infinity where there is none."""
        return math.inf if self.ci_high is None else self.ci_high

    @property
    def value_text(self) -> str:
        """The value with two decimals, one from 9.95 on, or ``"not estimable"``."""
        return "not estimable" if self.value is None else _fixed(self.value)

    @property
    def interval_text(self) -> str:
        """The interval, such as ``"0.91–1.00"`` or ``"above 9.4"``; empty where there is none."""
        if self.ci_low is not None and self.ci_high is not None:
            # As many decimals as it takes for the bounds to differ.
            pairs = [(_fixed(self.ci_low, more), _fixed(self.ci_high, more)) for more in range(8)]
            low, high = next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])
            return f"{low}{'–' if self.ci_low >= 0 else ' to '}{high}"
        if self.ci_low is not None:
            return f"above {_fixed(self.ci_low)}"
        return "" if self.ci_high is None else f"below {_fixed(self.ci_high)}"

    @property
    def short(self) -> str:
        """Value and interval, such as ``"0.98 (0.91–1.00)"``, or why there is none."""
        if self.value is None:
            return f"not estimable ({self.reason})"
        return f"{self.value_text} ({self.interval_text})" if self.interval_text else self.value_text

    def as_json(self) -> dict[str, object]:
        """Return the metric as it stands in a JSON file."""
        if self.value is None:
            return {"value": None, "reason": self.reason}
        names = ("value", "ci_low", "ci_high", "n_positive", "n_negative", "n_patients")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        """Return value and interval, or why there is none."""
        return self.short.replace("(", "(95 % CI ", 1) if self.interval_text else self.short


def too_few(n_positive: int, n_negative: int, what: str = "comparable images") -> Metric:
    """Return a metric that too few images make impossible, with their numbers as the reason."""
    reason = f"too few {what} ({n_positive} and {n_negative}; {FEWEST} of each needed)"
    return Metric.unavailable(reason, n_positive, n_negative)


def _fixed(value: float, more: int = 0) -> str:
    """Return a number with two decimals, or one where it is large, and some more; what rounds to 0 has no sign."""
    decimals = (2 if abs(value) < 9.95 else 1) + more
    return f"{round(value, decimals) or 0.0:.{decimals}f}"
