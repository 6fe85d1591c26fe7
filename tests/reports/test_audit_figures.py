"""The figures of an audit show every interval and every label."""

from __future__ import annotations

import itertools

from detector.audit.baselines import Risk
from detector.audit.evidence import BASELINES, SIGNAL, Result
from detector.reports import figures
from detector.statistics.metric import Metric


def risk(low: float, measure: str = "R²") -> Risk:
    return Risk("age", Metric(low + 0.1, low, low + 0.2, 20, 20), Metric(0.2, -0.3, 0.5, 20, 20), measure)


def test_no_interval_of_the_plane_is_cut_off():
    assert figures.utilities([risk(0.5)]) == (0.3, 1.02)
    lowest, highest = figures.utilities([risk(0.5), risk(0.12)])
    assert lowest < 0.12 and highest == 1.02
    assert figures.risk_plane([risk(0.5), risk(0.12, "ROC AUC")]).startswith(b"\x89PNG")


def test_labels_of_the_plane_are_apart_and_in_order():
    found = figures.spread([0.99, 0.0, 0.98, 0.5, 0.99], 0.05, 1.0)
    assert max(found) <= 1.0 and found[3] == 0.5 and found[1] == 0.0
    ordered = sorted(found)
    assert min(above - below for below, above in itertools.pairwise(ordered)) > 0.05 - 1e-9
    assert found[2] < found[0] < found[4]
    assert figures.spread([], 0.05, 1.0) == []


def test_experiments_stand_below_the_heading_of_their_group():
    area = Metric(0.7, 0.6, 0.8, 20, 20)
    groups = [SIGNAL, SIGNAL, BASELINES]
    headings, lines, height = figures.placed([Result(str(n), "t", g, "q", area) for n, g in enumerate(groups)])
    assert list(headings) == [SIGNAL, BASELINES]
    assert headings[SIGNAL] < lines[0] < lines[1] < headings[BASELINES] < lines[2] < height
