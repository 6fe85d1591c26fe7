"""Every message with which the scripts reject something is met by a test, and says something."""

from __future__ import annotations

import re

import pytest
from message_table import ALL, Said, messages, write

MESSAGES = list(messages())
SAID = [line.partition(" | ")[0] for line in ALL.read_text(encoding="utf-8").splitlines()]


# Patterns of messages that no test meets yet. The list may only become shorter.
UNMET = set((ALL.parent / "messages_unmet.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_every_message_is_met_by_a_test(message):
    found = [said for said in SAID if re.search(message.pattern, said, re.IGNORECASE)]
    if message.pattern in UNMET:
        assert not found, f"{message.place}: a test meets it now; take it out of messages_unmet.txt"
    else:
        assert found, f"{message.place}: no test meets {message.pattern!r}; run make errors"


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_every_message_has_words_of_its_own(message):
    assert message.has_words or message.passed_on, f"{message.place} could say anything: {message.pattern!r}"


def test_a_message_of_a_script_is_documented_once(tmp_path, monkeypatch):
    monkeypatch.setattr("message_table.ALL", tmp_path / "all.md")
    rows = [
        Said(
            "one test",
            "train_covid19.py -d a",
            "train_covid19.py: error: a is a folder; give the name of a file to write",
        ),
        Said(
            "one test",
            "train_covid19.py -d b",
            "train_covid19.py: error: b is a folder; give the name of a file to write",
        ),
        Said("another", "train_covid19.py -x", "train_covid19.py: error: unrecognized arguments: -x|`"),
        Said("of a function", "", "c is a folder; give the name of a file to write"),
    ]
    write(rows, tmp_path / "errors.md")
    lines = (tmp_path / "errors.md").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == [
        "| `a is a folder; give the name of a file to write` | `-d a` |",
        "| `unrecognized arguments: -x¦'` | `-x` |",
    ]
    assert len((tmp_path / "all.md").read_text(encoding="utf-8").splitlines()) == 6 + len(rows)
