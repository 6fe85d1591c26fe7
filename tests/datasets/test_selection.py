"""Which of the listed images are kept, and why the others are not."""

from __future__ import annotations

from conftest import rejection

from detector.collections.record import ImageRecord
from detector.datasets import selection


def record(filename: str, patient: str, finding: str = "COVID-19", **values: str) -> ImageRecord:
    """Return a frontal radiograph; `listed` is where an error says that it stands."""
    return ImageRecord(f"row {patient}", "images", filename, patient, "PA", finding, "collection", "site", **values)


def test_every_image_is_kept_or_counted_with_a_reason():
    entries = [record("a.png", "1"), record("a.png", "1"), record("b.png", "2", "SARS"), record("c.png", "3")]
    found = selection.select(entries, lambda finding: finding == "COVID-19", ["PA"])
    assert [entry.filename for entry in found.kept] == ["a.png", "c.png"]
    assert found.dropped == {"listed twice": 1, "another finding": 1}
    assert selection.select(entries, lambda finding: True, ["AP"]).dropped == {"another view": 4}


def test_a_file_of_two_patients_is_rejected():
    with rejection("row 2: images/a.png is listed under two patients; correct or remove one"):
        selection.select([record("a.png", "1"), record("a.png", "2")], lambda finding: True, [])
