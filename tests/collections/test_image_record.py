"""The path of an image stays inside of its collection."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detector import InputError
from detector.collections import image_record


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_file_name_leads_out_of_the_local_copy(folder, filename):
    listed = image_record.ImageRecord("line 2", folder, filename, "", "PA", "COVID-19", "source", "site")
    try:
        path = image_record.require_inside(listed)
    except InputError:
        return
    resolved = Path("/clone", path).resolve()
    assert resolved.is_relative_to("/clone")
    assert resolved.name == filename
