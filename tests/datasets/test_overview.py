"""The overview states what a comparison of the classes can show."""

from __future__ import annotations

from detector.datasets import overview


def test_the_overview_says_what_a_comparison_can_show():
    entry = overview.OverviewImage
    apart = [entry("covid", "a", "PA", "1"), entry("normal", "b", "PA", "2")]
    assert overview.meaning(apart).startswith("No site and view contains both classes")
    assert overview.meaning(apart[:1]).startswith("One class so far (covid)")
    unknown = [entry("covid", "", "", "1"), entry("normal", "", "", "2")]
    assert overview.meaning(unknown).startswith("The site of covid, normal is not known: no metric can separate")
    together = overview.meaning([entry("covid", "a", "PA", "1"), entry("normal", "a", "PA", "2")])
    assert together == "All 2 images share one site and view, so the site cannot explain a difference."
    # A class of unknown site cannot be compared; a few unknown sites beside known ones change nothing.
    partly = overview.meaning([entry("covid", "", "PA", "1"), entry("normal", "b", "PA", "2")])
    assert partly.startswith("The site of covid is not known: no metric")
    assert overview.meaning([*apart, entry("covid", "", "PA", "3")]) == overview.meaning(apart)
    fair = [*apart, entry("normal", "a", "PA", "3"), entry("normal", "a", "AP", "3")]
    assert overview.meaning(fair).startswith("1 stratum (site and view) contains both classes, 2 images")
    assert "the other 2 images can show the site only" in overview.meaning(fair)
    lines = overview.table([*fair, entry("normal", "a", "PA", "3")])
    assert [line.split() for line in lines] == [
        ["class", "site", "view", "images", "patients"],
        ["covid", "a", "PA", "1", "1"],
        ["normal", "a", "AP", "1", "1"],
        ["normal", "a", "PA", "2", "1"],
        ["normal", "b", "PA", "1", "1"],
    ]
    many = [entry(f"c{i:03d}", "o", "PA", str(i)) for i in range(100)]
    assert overview.table(many)[-1] == "and 60 rows more"
