"""Every input that once broke a reader, and what readers make of what hypothesis thinks up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.fuzzing.readers import READERS, message_of

CORPUS = Path(__file__).parent / "corpus"
KEPT = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_broke_a_reader(path, capfd):
    reader, _, _ = READERS[path.parent.name.replace("-", " ")]
    said = message_of(reader, path.read_bytes())
    assert said is None or "\n" not in said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read_or_rejected(name, capfd):
    reader, seeds, _ = READERS[name]
    messages = [message_of(reader, seed) for seed in seeds()]
    assert None in messages, "no seed is read: the fuzzer would never come past the door"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", READERS)
def test_mutated_seeds_are_read_or_rejected(name):
    reader, seeds, _ = READERS[name]
    given_first = seeds()

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def mutate(data):
        mutated = bytearray(data.draw(st.sampled_from(given_first)))
        for _ in range(data.draw(st.integers(1, 6))):
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
        message_of(reader, bytes(mutated[: data.draw(st.integers(1, len(mutated)))]))

    mutate()


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["COVID-19", "PA", "X-ray", "images", "..", "=1+1", "'-3", "-3", "\x1b[31m", "<b>&amp;", "a.png", "\r", "\n", '"']
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(cells, min_size=8, max_size=8), max_size=4))
def test_metadata_of_any_cells_are_read_or_rejected(table):
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["patientid", "finding", "view", "modality", "folder", "filename", "license", "clinical_notes"])
    writer.writerows(table)
    message_of(READERS["metadata rows"][0], text.getvalue().encode())
