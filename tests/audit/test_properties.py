"""Properties of images: numbers and categories, if at least two values are known."""

from __future__ import annotations

from audit_helpers import Case, extractor_of

from detector.audit.baselines import properties


def found(**values):
    extractor = extractor_of(
        Case((6, 6), row=lambda positive, number: {n: f(positive, number) for n, f in values.items()})
    )
    return {one.name: one for one in properties(extractor.dataset.images, extractor.properties)}


def test_a_column_of_numbers_is_a_number_and_any_other_a_category():
    known = found(
        kvp=lambda positive, number: str(100 + number),
        manufacturer=lambda positive, number: "AB"[number % 2],
        station=lambda positive, number: f"unique {positive} {number}",
        device=lambda positive, number: "the only one",
    )
    assert known["kvp"].is_number and known["kvp"].columns.shape == (12, 1)
    assert not known["manufacturer"].is_number and known["manufacturer"].columns.shape == (12, 2)
    assert not {"station", "device"} & set(known)


def test_cells_without_a_value_are_left_out():
    known = found(
        age=lambda positive, number: "nan" if number == 0 else str(40 + number), sex=lambda p, number: "FM"[p]
    )
    assert known["age"].rows.tolist() == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert known["sex"].columns.shape == (12, 2)
    assert {"border", "brightness"} <= set(known)
    # All files have the same size, format and colour.
    assert not {"image size", "file format", "colour", "site"} & set(known)


def test_a_property_that_is_the_same_everywhere_is_none():
    """It does not go with the class: nothing may call it "inseparable from the class"."""
    extractor = extractor_of(Case((6, 6), constant=True, row=lambda positive, number: {"age": "50", "sex": "F"}))
    assert not list(properties(extractor.dataset.images, extractor.properties))
