"""Simulated images of patients, and what a 95 % interval has to cover."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

SETS = 400


def at_least(sets: int) -> float:
    """The coverage that a 95 % interval stays above in all but one of a thousand runs of so many sets."""
    return float(binom.ppf(0.001, sets, 0.95)) / sets


def at_most(sets: int) -> float:
    """The coverage that a 95 % interval stays below in all but one of a thousand runs of so many sets."""
    return float(binom.ppf(0.999, sets, 0.95)) / sets


def of_patients(generator, patients, images, correlation=0.6):
    """Standard normal numbers of images, equally correlated within each patient, and whose they are."""
    who = np.repeat(np.arange(patients), images)
    shared, own = generator.normal(size=patients), generator.normal(size=len(who))
    return np.sqrt(correlation) * shared[who] + np.sqrt(1 - correlation) * own, who
