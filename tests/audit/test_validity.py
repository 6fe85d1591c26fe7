"""Validity checks: three states, and none passes because nothing is known."""

from __future__ import annotations

from detector.audit import validity
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check


def test_warnings_come_first():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in validity.worst_first(chosen)] == ["c", "b", "a", "d"]
    assert str(Check("site_and_view", NOT_ASSESSED, "unknown")) == "n/a   site and view       unknown"
