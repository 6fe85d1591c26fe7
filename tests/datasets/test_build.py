"""Choosing images of a finding, its controls, and sites that both have; samples; persons listed twice; flags."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builder_helpers import actualmed, collection, rows
from builder_helpers import build as built
from conftest import inside, rejected, rejection
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.collections.cohen import Cohen
from detector.collections.record import ImageRecord
from detector.datasets import build
from detector.datasets.build import BuildOptions, SampleOptions


def record(name: str, finding: str, site: str = "a", view: str = "PA", patient: str = "", **others: str) -> ImageRecord:
    return ImageRecord(f"line of {name}", "images", f"{name}.png", patient or name, view, finding, site, **others)


ENTRIES = [
    record("c1", "Pneumonia/Viral/COVID-19"),
    record("c2", "COVID-19", "b"),
    record("c3", "COVID-19", view="L"),
    record("s1", "Pneumonia/Viral/SARS"),
    record("n1", "No Finding", "c"),
    record("u1", "todo"),
]
BOTH = {"output": Path("covid"), "controls_output": Path("other")}


def chosen(**options: object) -> dict[str, list[str]]:
    found = build.choose(Cohen(), ENTRIES, BuildOptions(**options))
    return {folder.name: [entry.patient for entry in one.kept] for folder, one in found.items()}


def test_images_of_the_finding_and_its_controls_are_chosen():
    assert chosen(**BOTH) == {"covid": ["c1", "c2"], "other": ["s1", "n1"]}
    assert chosen() == {"covid": ["c1", "c2"]}
    assert chosen(**BOTH, shared_sites_only=True) == {"covid": ["c1"], "other": ["s1"]}
    assert chosen(finding="sars") == {"covid": ["s1"]}


def test_a_finding_that_no_image_has_is_rejected_with_those_that_are_there():
    with rejection("--finding Asthma: no image has it. Findings here: COVID-19, No Finding, Pneumonia, SARS, Viral"):
        chosen(finding="Asthma")


def test_every_image_is_kept_or_counted_with_a_reason():
    entries = [
        *(record("a", "COVID-19"), record("a", "COVID-19"), record("b", "SARS"), record("c", "COVID-19")),
        *(
            record("d", "COVID-19", view=""),
            record("e", "COVID-19", modality="CT"),
            record("f", "", unknown="no label"),
        ),
        record("a", "SARS"),
    ]
    one, other = build.choose(Cohen(), entries, BuildOptions(**BOTH)).values()
    assert ([entry.filename for entry in one.kept], [entry.filename for entry in other.kept]) == (["c.png"], ["b.png"])
    assert Counter(reason for reason, _ in one.dropped) == {
        "listed twice": 1,
        "another finding": 2,
        "view unknown": 1,
        "another modality": 1,
        "no label": 1,
        "listed with two findings": 1,
    }


def test_patients_who_share_an_image_are_one():
    entries = [
        *(record("a", "x", patient="00000007"), record("b", "x", patient="8"), record("c", "x", patient="9")),
        *(record("b", "x", patient="7"), record("d", "x", patient="8"), record("e", "x", patient="7")),
    ]
    found, notes = build.joined(entries)
    assert notes == ["patients with an image in common are one: 8 is 00000007"]
    assert [entry.patient for entry in found] == [*2 * ["00000007"], "9", *3 * ["00000007"]]
    # What is not known, a patient or a file, joins nobody.
    apart = [replace(entry, filename="", patient=str(i)) for i, entry in enumerate(entries)]
    apart += [replace(entries[0], patient=""), entries[0], replace(entries[4], patient="")]
    assert [entry.patient for entry in build.joined(apart)[0]] == [*"012345", "", "00000007", ""]


def test_an_image_of_two_patients_is_written_once(tmp_path):
    text = "patientid,finding,view,filename\n1,COVID-19,PA,a.png\n2,COVID-19,PA,a.png\n2,COVID-19,PA,b.png\n"
    collection(tmp_path / "c", "metadata.csv", text, "images/a.png", "images/b.png")
    said = built(tmp_path, "-c", "c", "-o", "covid")
    assert {name: row["patient"] for name, row in rows(tmp_path / "covid").items()} == {
        "a.png": "1",
        "b.png": "1",
    }
    assert "2 images of 1 patient kept, 1 dropped (listed twice 1)" in said
    assert "patients with an image in common are one: 2 is 1" in said


@settings(max_examples=60, deadline=None)
@given(st.randoms(), st.integers(0, 9))
def test_a_sample_is_the_same_in_any_order(random, seed):
    options = SampleOptions(seed=seed)
    entries = [record(f"{i}", "x") for i in range(40)]
    other = random.sample(entries, len(entries))
    assert sorted(entries, key=options.rank) == sorted(other, key=options.rank)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "d", "--controls-output", "./d"), "d is the same folder as --output"),
        (("--shared-sites-only",), "--shared-sites-only needs --controls-output"),
        (("--source", "ours"), "--write-manifests needs --source, and --source needs --write-manifests"),
        (("--write-manifests", "d", "--source", "a", "--view", "PA", "--view", "AP"), "takes one --view for all"),
        (("-c", "clone", "--split", "train"), "clone (Actualmed-COVID-chestxray-dataset) is not published in parts"),
        (("-n", "0"), "argument -n/--limit: '0' is not an integer ≥ 1"),
    ],
)
def test_flags_that_need_others_are_rejected_without_them(tmp_path, arguments, said):
    actualmed(tmp_path / "clone")
    rejected(inside("build_covid_dataset.py", *arguments, cwd=tmp_path), said)
