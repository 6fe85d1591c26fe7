"""The package's own helpers."""

from detector import printable


def test_printable_is_one_safe_line():
    assert printable("a\nb\x1b[31mé\udcff") == "a\\nb\\x1b[31mé\\udcff"
