"""Manifests are read as they were written, and a build that is killed loses nothing."""

from __future__ import annotations

import pytest
from conftest import tree
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


def test_a_killed_build_of_one_collection_does_not_affect_another(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID19_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "covid"

    def make(source, *names, dies_at=None):
        def copy(row, target):
            if row["file"] == dies_at:
                raise SystemExit
            target.write_text(f"{source} {row['file']}")

        import hashlib

        listed = [
            dict.fromkeys(manifest.COLUMNS, "")
            | {"file": name, "source": source, "sha256": hashlib.sha256(f"{source} {name}".encode()).hexdigest()}
            for name in names
        ]
        return manifest.replace(folder, listed, source, copy)

    make("one", "a", "b")
    with pytest.raises(SystemExit):
        make("two", "c", "d", dies_at="d")
    assert set(manifest.read(folder)) == {"a", "b"}
    make("one", "a")
    assert set(manifest.read(folder)) == {"a"}
    assert make("two", "d") == []
    assert set(tree(folder)) == {"a", "d", "manifest.csv"}
