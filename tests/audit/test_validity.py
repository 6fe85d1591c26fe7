"""Validity checks: three states, and none passes because nothing is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.audit import validity
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check
from detector.datasets.dataset import Image


def test_warnings_come_first():
    chosen = [Check("a", PASS, ""), Check("b", NOT_ASSESSED, ""), Check("c", WARN, ""), Check("d", PASS, "")]
    assert [one.id for one in validity.worst_first(chosen)] == ["c", "b", "a", "d"]
    assert str(Check("site_and_view", NOT_ASSESSED, "unknown")) == "n/a   site and view       unknown"


@pytest.mark.parametrize(
    ("text", "folder", "whole"),
    [
        ("Run audit_covid19.py.", "ph", "Run python audit_covid19.py -d ph."),
        ("audit_covid19.py --controls C", "my data", "python audit_covid19.py -d 'my data' --controls C"),
        ("(build_covid_dataset.py --view PA).", "ph", "(python build_covid_dataset.py --view PA)."),
        ("Run python train_covid19.py -d a --folds 5.", "ph", "Run python train_covid19.py -d a --folds 5."),
    ],
)
def test_recommended_commands_can_be_pasted(text, folder, whole):
    assert validity.whole_commands(text, Path(folder)) == whole


def test_the_folder_of_a_data_set_is_that_of_its_class_folders():
    image = Image(Path("a/b/covid/x/1.png"), "covid/x/1.png", "covid", "p", "set", "site", {})
    assert validity.folder_of(image) == Path("a/b")
