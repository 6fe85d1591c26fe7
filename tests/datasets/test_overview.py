"""The overview states what a comparison of the classes can show."""

from __future__ import annotations

from pathlib import Path

from detector.datasets import overview
from detector.datasets.dataset import Image


def entry(label: str, site: str, view: str, patient: str) -> Image:
    return Image(Path(), "", label, patient, "", site, {"view": view})


def test_the_overview_says_what_a_comparison_can_show():
    apart = [entry("covid", "a", "PA", "1"), entry("normal", "b", "PA", "2")]
    together = [entry("covid", "a", "PA", "1"), entry("normal", "a", "PA", "2")]
    fair = [*apart, entry("normal", "a", "PA", "3"), entry("normal", "a", "AP", "3")]
    nowhere = "No site and view contains both classes"
    for images, said in (
        (apart, nowhere),
        (apart[:1], "One class so far (covid)"),
        (
            [entry("covid", "", "", "1"), entry("normal", "", "", "2")],
            "The site of covid, normal is not known: no metric",
        ),
        (together, "All 2 images share one site and view, so the site cannot explain a difference."),
        # A class of unknown site cannot be compared; a few unknown sites beside known ones change nothing.
        ([entry("covid", "", "PA", "1"), entry("normal", "b", "PA", "2")], "The site of covid is not known: no metric"),
        ([*apart, entry("covid", "", "PA", "3")], nowhere),
        (fair, "1 stratum (site and view) contains both classes, 2 images"),
        (fair, "the other 2 images can show the site only"),
    ):
        assert said in overview.meaning(images)
    lines = overview.table([*fair, entry("normal", "a", "PA", "3")])
    assert lines == [
        "class   site  view  images  patients",
        "covid   a     PA         1         1",
        "normal  a     AP         1         1",
        "normal  a     PA         2         1",
        "normal  b     PA         1         1",
    ]
    many = [entry(f"c{i:03d}", "o", "PA", str(i)) for i in range(100)]
    assert overview.table(many)[-1] == "and 60 rows more"
