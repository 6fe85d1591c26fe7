"""What a builder takes from a collection by default."""

from __future__ import annotations

from detector.collections import actualmed, catalogue, cohen
from detector.collections.record import Convention, convention_of


def test_a_collection_without_a_convention_has_the_usual_one():
    assert convention_of(cohen) == convention_of(actualmed) == Convention()
    assert (Convention().positive, Convention().views) == ("COVID-19", ("PA",))


def test_a_collections_own_convention_is_used():
    own = [one for one in (*catalogue.BUILT, *catalogue.SAMPLED) if hasattr(one, "CONVENTION")]
    assert own
    assert all(convention_of(one) is one.CONVENTION for one in own)
