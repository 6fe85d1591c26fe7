"""Properties of images, and what is printed of them."""

from __future__ import annotations

from detector.images.inspection import named_notes


def test_a_note_is_printed_once_for_all_images_that_have_it():
    notes = [(f"{i}.dcm", "odd" if i % 2 else "") for i in range(10)] + [("x.dcm", "other")]
    assert named_notes(notes) == ["1.dcm, 3.dcm, 5.dcm and 2 more: odd", "x.dcm: other"]
