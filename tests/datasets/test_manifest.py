"""Manifests are read as they were written, and a build that is killed loses nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.datasets import manifest

cells = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(manifest.COLUMNS[1:], cells)), max_size=5))
def test_a_manifest_reads_as_it_was_written(tmp_path_factory, listed):
    folder = tmp_path_factory.mktemp("manifest")
    written = [row | {"file": f"{i}.png"} for i, row in enumerate(listed)]
    manifest.write(folder, written)
    assert list(manifest.read(folder).values()) == written
