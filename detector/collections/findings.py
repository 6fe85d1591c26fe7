"""What a collection says that an image shows: names at any level of a path, controls, and unknown findings."""

from __future__ import annotations

import re

from detector.collections.csv_table import simple

COVID = "COVID-19"
# What collections write where the finding is unknown.
UNKNOWN_FINDINGS = frozenset({"", "todo", "unknown", "na", "nan", "none"})


def names_finding(text: str, finding: str) -> bool:
    """Return whether a finding is named at any level.

    ``COVID-19``, ``COVID-19, ARDS`` and ``Pneumonia/Viral/COVID-19`` all name ``COVID-19``; ``Pneumonia/Viral`` is
    named by the last. Case, spaces and hyphens do not count.

    Parameters
    ----------
    text : str
        A collection's word for what it sees; several are separated by commas, semicolons or bars.
    finding : str
        What to look for: a name, or several levels of a path.

    Returns
    -------
    bool
    """
    wanted = [simple(level) for level in finding.split("/")]
    for part in re.split(r"[,;|]", text):
        levels = [simple(level) for level in part.split("/")]
        if any(levels[i : i + len(wanted)] == wanted for i in range(len(levels))):
            return True
    return False


def is_control(text: str, finding: str) -> bool:
    """Return whether a finding is known and names neither `finding` nor COVID-19."""
    known = simple(text) not in UNKNOWN_FINDINGS
    return known and not names_finding(text, finding) and not names_finding(text, COVID)
