"""The figures of an audit show every interval and every label."""

from __future__ import annotations

from detector.audit.evidence import BASELINES, SIGNAL, Result
from detector.reports import figures
from detector.statistics.metric import Metric


def test_experiments_stand_below_the_heading_of_their_group():
    area = Metric(0.7, 0.6, 0.8, 20, 20)
    groups = [SIGNAL, SIGNAL, BASELINES]
    headings, lines, height = figures.placed([Result(str(n), "t", g, "q", area) for n, g in enumerate(groups)])
    assert list(headings) == [SIGNAL, BASELINES]
    assert headings[SIGNAL] < lines[0] < lines[1] < headings[BASELINES] < lines[2] < height
