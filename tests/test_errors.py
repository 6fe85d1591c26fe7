"""Every message with which the scripts reject something is met by a test, and says something."""

from __future__ import annotations

import pytest
from message_report import Said, write
from message_table import ALL, INNER, SENT, Message, messages, met, short

MESSAGES = list(messages())
MET = met(MESSAGES, map(short, ALL.read_text(encoding="utf-8").splitlines()))
# Messages that no test meets, each with the reason after a bar. The list may only become shorter.
UNMET = dict(line.split(" | ") for line in (ALL.parent / "messages_unmet.txt").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_every_message_is_met_by_a_test(message):
    if message.template in UNMET:
        assert message.place not in MET, f"{message.place}: a test meets it now; take it out of messages_unmet.txt"
    else:
        assert message.place in MET, f"{message.place}: no test meets {message.template!r}; run make errors"


def test_a_message_that_no_test_meets_is_one_of_the_source():
    assert set(UNMET) <= {message.template for message in MESSAGES}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.place)
def test_a_message_has_words_of_its_own_or_those_that_it_passes_on(message):
    assert message.letters >= 5 or message.passes_on, f"{message.place} could say anything: {message.template!r}"
    assert not message.covered("Any other line: of 12 words, as 'a/b.png' (c) may have; 3 x 4")


def test_a_line_meets_the_longest_message_and_what_it_passes_on():
    folder, flag = Message("a", ("… is not a folder",)), Message("b", ("--kaggle … is not a folder",))
    wrong, passed = Message("c", ("damaged (…)",)), Message("d", (f"model … is rejected: {INNER}",))
    sent = Message("e", (SENT,))
    known = [folder, flag, wrong, passed, sent]
    assert met(known, ["--kaggle x is not a folder"]) == {"b"}
    assert met(known, ["x is not a folder", "--kaggle x is not a folder"]) == {"a", "b"}
    assert met(known, ["model m.h5 is rejected: damaged (x)"]) == {"c", "d"}
    assert met(known, ["model m.h5 is rejected: something else"]) == set()
    assert met(known, ["x: damaged (y) (on node 1)"]) == {"c", "e"}


def test_a_message_of_a_script_is_documented_once(tmp_path, monkeypatch):
    monkeypatch.setattr("message_report.ALL", tmp_path / "all.md")
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
        Said("another", "train_covid19.py -x", "train_covid19.py: error: unlisted argument: -x|`"),
        Said("of a function", "", "c is a folder; give the name of a file to write"),
        Said("of two scripts", "audit_covid19.py -d 3", "audit_covid19.py: error: 3 words that no message has"),
        Said("of two scripts", "train_covid19.py -d 4", "train_covid19.py: error: 4 words that no message has"),
        Said("left out", "train_covid19.py -y", "train_covid19.py: error: no such flag (see train_covid19.py --help)"),
        Said("left out", "train_covid19.py -d c", "train_covid19.py: error: t.csv, line 2: no such patient"),
        Said("left out", "train_covid19.py -m m", "train_covid19.py: error: model m.h5 is rejected: damaged"),
        Said("left out", "train_covid19.py --ray a", "train_covid19.py: error: --ray a: no cluster"),
    ]
    write(rows, tmp_path / "errors.md")
    lines = (tmp_path / "errors.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("##", "| `"))] == [
        "## Several scripts",
        "| `3 words that no message has` | `audit_covid19.py -d 3` |",
        "## train_covid19.py",
        "| `a is a folder; give the name of a file to write` | `-d a` |",
        "| `unlisted argument: -x¦'` | `-x` |",
    ]
    assert len((tmp_path / "all.md").read_text(encoding="utf-8").splitlines()) == 6 + len(rows)
