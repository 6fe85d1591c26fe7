"""Choosing images of a finding, its controls, and sites that both have."""

from __future__ import annotations

from pathlib import Path

from conftest import rejection

from detector.collections.record import Convention, ImageRecord
from detector.datasets import build


def record(name: str, finding: str, site: str = "a", view: str = "PA") -> ImageRecord:
    return ImageRecord(f"line of {name}", "images", f"{name}.png", name, view, finding, "collection", site)


ENTRIES = [
    record("c1", "Pneumonia/Viral/COVID-19"),
    record("c2", "COVID-19", "b"),
    record("c3", "COVID-19", view="L"),
    record("s1", "Pneumonia/Viral/SARS"),
    record("n1", "No Finding", "c"),
    record("u1", "todo"),
]


def chosen(finding: str = "", controls: bool = True, **others):
    wanted = build.SelectionCriteria(finding, ("PA",), **others)
    found = build.choose(ENTRIES, Path("covid"), Path("other") if controls else None, wanted, Convention())
    return {folder.name: [entry.patient for entry in one.kept] for folder, one in found.items()}


def test_images_of_the_finding_and_its_controls_are_chosen():
    assert chosen() == {"covid": ["c1", "c2"], "other": ["s1", "n1"]}
    assert chosen(controls=False) == {"covid": ["c1", "c2"]}
    assert chosen(shared_sites_only=True) == {"covid": ["c1"], "other": ["s1"]}


def test_a_finding_may_be_named_by_its_only_beginning():
    assert build.finding_named(ENTRIES, "SARS") == "SARS"
    assert build.finding_named(ENTRIES, "sar") == "SARS"
    assert chosen("sar", controls=False) == {"covid": ["s1"]}


def test_a_finding_that_no_image_has_is_rejected_with_those_that_are_there():
    with rejection(
        "--finding Asthma: no image has it. Findings here: COVID-19, No Finding, Pneumonia, SARS, Viral, todo"
    ):
        build.finding_named(ENTRIES, "Asthma")
    with rejection("--finding cov: no image has it; did you mean COVID-19[?] Findings here: "):
        build.finding_named(ENTRIES, "cov")
