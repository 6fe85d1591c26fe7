"""Samples depend on the seed, not on the order of the images."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.collections.record import ImageRecord
from detector.datasets import sampling


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 9), st.booleans())
def test_a_sample_is_the_same_in_any_order(number, seed, one_per_patient):
    entries = [
        ImageRecord("", "images", f"{i}.png", f"{i // 2}", "PA", "", "s", "s", clinical={"age": str(i)})
        for i in range(40)
    ]

    def draw(listed):
        try:
            return [one.filename for one in sampling.draw(listed, sampling.Draw(number, seed, one_per_patient)).drawn]
        except InputError:
            assert number > (20 if one_per_patient else 40)
            return None

    assert draw(entries) == draw(entries[::-1])
