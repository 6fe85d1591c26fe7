"""The faster arithmetic is measured once and remembered."""

from __future__ import annotations

import pytest

from detector.files.cache import Cache
from detector.network import features as precision


@pytest.mark.parametrize(("ratio", "chosen"), [(2.0, "bfloat16"), (1.2, "float32"), (0.1, "float32")])
def test_the_faster_arithmetic_is_chosen_and_remembered(tmp_path, monkeypatch, ratio, chosen):
    measured = []
    monkeypatch.setattr(precision, "_speed_ratio", lambda: measured.append(ratio) or ratio)
    assert precision.choose_precision("auto", Cache(tmp_path)) == chosen
    assert precision.choose_precision("auto", Cache(tmp_path)) == chosen
    assert measured == [ratio]


def test_a_precision_that_is_asked_for_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "_speed_ratio", lambda: pytest.fail("measured"))
    assert [precision.choose_precision(name, Cache(None)) for name in ("float32", "bfloat16")] == [
        "float32",
        "bfloat16",
    ]
