"""File names of a table: which file each fits."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.files.tables import FileNames, stem

FILES = ["covid/1.png", "covid/B.JPG", "normal/1.png", f"normal/{unicodedata.normalize('NFD', 'Jürgen')}.png"]


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("covid/1.png", ["covid/1.png"]),
        ("C:\\data\\covid\\1.png", ["covid/1.png"]),
        ("./covid/1.PNG", ["covid/1.png"]),
        ("covid/1.dcm", ["covid/1.png"]),
        ("1.png", ["covid/1.png", "normal/1.png"]),
        ("b.jpg", ["covid/B.JPG"]),
        ("b.png", ["covid/B.JPG"]),
        ("Jürgen.png", FILES[3:]),
        ("2.png", []),
        ("", []),
    ],
)
def test_a_name_fits_the_file_that_agrees_most(name, fitting):
    assert FileNames(FILES).named(name) == fitting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=8)), st.text(max_size=8))
def test_any_name_is_looked_up(files, name):
    assert set(FileNames(files).named(name)) <= set(files)
    assert stem(name) == stem(name.upper().lower()) or not name.isascii()
