"""No cell is a formula, and none is changed for good."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files.tables import escaped, unescaped


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"'{0,2}[=+\-@\t\r\n].{0,5}", fullmatch=True))
def test_no_cell_is_a_formula_and_none_is_lost(text):
    safe = escaped(text)
    assert unescaped(safe) == text
    assert not safe.startswith(("=", "@", "\t", "\r", "\n"))
    assert not safe.startswith(("+", "-")) or re.fullmatch(r"[+-][0-9.eE+-]+", safe, re.ASCII)


def test_what_is_escaped():
    assert escaped("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert escaped("a.png") == "a.png"
    assert escaped("-0.5") == "-0.5"
