"""One type for every metric: a value with its interval and counts, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass

FEWEST = 10  # comparable images of each class that an area under the ROC curve needs
WIDTH = 1e-9  # a narrower interval claims a certainty that no sample gives
LEAST_DECIMALS, MOST_DECIMALS = 2, 9


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % confidence interval.

    Attributes
    ----------
    value : float or None
        None where the metric cannot be computed; `reason` then says why.
    ci_low, ci_high : float or None
        Bounds of the interval. Where a metric is available, None means that this side has no bound: the slope of a
        calibration may be "above 9.4".
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
        """Reject what no output may show: nan, inf, a value without a reason for its absence, an interval of a point.

        Raises
        ------
        ValueError
        """
        numbers = [one for one in (self.value, self.ci_low, self.ci_high) if one is not None]
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"a metric is a finite number or unavailable: {self!r}")
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"a metric has a value, or a reason why there is none: {self!r}")
        if self.ci_low is not None and self.ci_high is not None and self.ci_high - self.ci_low <= WIDTH:
            raise ValueError(f"an interval of a point: {self!r}")

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
        """The value of an available metric.

        Raises
        ------
        ValueError
            If there is none.
        """
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
        """The value with two decimals, or with as many as its bounds need to differ, or ``"not estimable"``."""
        if self.value is None:
            return "not estimable"
        return _fixed(self.value, self._decimals)

    @property
    def _decimals(self) -> int:
        """Decimals of value and bounds: two, or one from 9.95 on, or as many as it takes for the bounds to differ."""
        least = 1 if self.value is not None and abs(self.value) >= 9.95 else LEAST_DECIMALS
        if self.ci_low is None or self.ci_high is None:
            return least
        tried = range(least, MOST_DECIMALS)
        return next((n for n in tried if _fixed(self.ci_low, n) != _fixed(self.ci_high, n)), MOST_DECIMALS)

    @property
    def interval_text(self) -> str:
        """The interval, such as ``"0.91-1.00"`` or ``"above 9.4"``; empty where there is none.

        With a hyphen, as the terminal and JSON have it; reports and figures show it with an en dash
        (`detector.reports.intervals`).
        """
        if self.ci_low is None or self.ci_high is None:
            bounds = [("above", self.ci_low), ("below", self.ci_high)]
            return next((f"{word} {_short(bound)}" for word, bound in bounds if bound is not None), "")
        low, high = (_fixed(bound, self._decimals) for bound in (self.ci_low, self.ci_high))
        return f"{low}-{high}" if self.ci_low >= 0 else f"{low} to {high}"

    @property
    def short(self) -> str:
        """Value and interval, such as ``"0.98 (0.91-1.00)"``."""
        if self.value is None:
            return f"not estimable ({self.reason})"
        return f"{self.value_text} ({self.interval_text})" if self.interval_text else self.value_text

    def as_json(self) -> dict[str, object]:
        """Return the metric as it stands in a JSON file."""
        if self.value is None:
            return {"value": None, "reason": self.reason}
        return {
            "value": self.value,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "n_positive": self.n_positive,
            "n_negative": self.n_negative,
            "n_patients": self.n_patients,
        }

    def __str__(self) -> str:
        """Return value and interval, or why there is none."""
        if self.value is None:
            return f"not estimable ({self.reason})"
        return f"{self.value_text} (95 % CI {self.interval_text})" if self.interval_text else self.value_text


def too_few(n_positive: int, n_negative: int, what: str = "comparable images") -> Metric:
    """Return a metric that too few images make impossible: ``"1 v 1 comparable images; at least 10 v 10 needed"``."""
    reason = f"{n_positive} v {n_negative} {what}; at least {FEWEST} v {FEWEST} needed"
    return Metric.unavailable(reason, n_positive, n_negative)


def _short(value: float) -> str:
    """Return a number with two decimals; from 9.95 on with one, since such a slope is known no better."""
    return _fixed(value, 2 if abs(value) < 9.95 else 1)


def _fixed(value: float, decimals: int) -> str:
    """Return a number with some decimals; what rounds to 0 has no sign."""
    return f"{round(value, decimals) or 0.0:.{decimals}f}"
