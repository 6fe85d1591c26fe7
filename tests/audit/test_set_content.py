"""An audit names images that may be no frontal chest radiographs; under lung pooling it leaves them out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from audit_helpers import Case, FakeExtractor, audit_of
from conftest import rejection

from detector.audit import experiments
from detector.audit.external import SavedHead, evaluate_external
from detector.audit.image_sets import without_implausible
from detector.network.model_file import Description
from detector.training.recipes import ProbeRecipe, TutorialRecipe


class WithoutLungs(FakeExtractor):
    """Some images have no lungs."""

    without: frozenset[int]

    def lungs(self, rows):
        """Yield two lungs or none."""
        return [self.mask & (int(row) not in self.without) for row in rows]


def audit_without(rows, counts=(30, 30)):
    """Return an audit of which some images have no lungs; its last ten are external, the ten before controls."""
    made = audit_of(Case(counts))
    extractor = WithoutLungs(**vars(made.extractor))
    object.__setattr__(extractor, "without", frozenset(rows))
    everything = made.sets.own
    sets = replace(made.sets, own=everything[:-20], controls=everything[-20:-10], external={"e": everything[-10:]})
    return replace(made, extractor=extractor, sets=sets)


def test_the_tutorials_recipe_keeps_them():
    audit = audit_without([1, 45, 55])
    sets, named = without_implausible(audit.sets, audit.extractor, TutorialRecipe())
    assert sets.own.tolist() == audit.sets.own.tolist() and sets.controls.tolist() == audit.sets.controls.tolist()
    assert [(one.file, one.left_out) for one in named] == [
        ("covid/1.png", False),
        ("normal/15.png", False),
        ("normal/25.png", False),
    ]
    assert sets.controls_note == sets.external_notes["e"] == ""


def test_lung_pooling_goes_on_without_them():
    audit = audit_without([1, 45, 55])
    sets, named = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    assert set(audit.sets.own) - set(sets.own) == {1}
    assert 45 not in sets.controls and len(sets.controls) == 9
    assert 55 not in sets.external["e"] and len(sets.external["e"]) == 9
    assert all(one.left_out for one in named) and len(named) == 3
    assert "left out: 1 without lungs (normal/15.png)" in sets.controls_note
    results = {one.id: one for one in experiments.run_experiments(replace(audit, sets=sets))}
    assert any("normal/15.png" in note for note in results[experiments.CONTROLS_V_OTHERS].notes)


def test_a_set_without_any_lungs_has_no_auc_and_says_why():
    audit = audit_without(range(40, 60))
    sets, _ = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    left = replace(audit, sets=sets)
    results = {one.id: one for one in experiments.run_experiments(left)}
    assert results[experiments.SAME_SITE].metric.reason == "every control was left out"
    model = SavedHead([], Description(["covid", "normal"], "covid", "probe", "lungs"))
    found = evaluate_external(left, "e", sets.external["e"], model)
    assert found.result.metric.reason == "0 v 0 images that are left; at least 10 v 10 needed"
    assert "without lungs" in found.result.notes[0]


@pytest.mark.parametrize("recipe", [ProbeRecipe(), TutorialRecipe(pooling="lungs")])
def test_a_class_without_lungs_cannot_be_audited(recipe):
    audit = audit_without(range(30), (30, 40))
    with rejection("lungs were found in none of 30 images of class covid"):
        without_implausible(audit.sets, audit.extractor, recipe)
