"""Images of controls and external sets that prove nothing are named and left out; so are those that show no lungs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audit_helpers import Case, FakeExtractor, audit_of
from conftest import rejection

from detector.audit import experiments
from detector.audit.external import evaluate_external
from detector.audit.image_sets import notes, without_implausible, without_overlap
from detector.datasets.dataset import Image
from detector.images.duplicates import Copy
from detector.images.phantom import SOURCE as PHANTOM
from detector.network.model_file import Description, SavedModel, shortened
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def digest(text: str) -> str:
    """Return a SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def audit():
    """Return an audit of 24 v 24 images with 24 controls and external images, none of them shared."""
    made = audit_of(Case(counts=(24, 24)))
    extractor = made.extractor
    images, properties = list(extractor.dataset.images), list(extractor.properties)
    extra = [
        (f"{folder}/{label}/{i}.png", label)
        for folder, label in (("c", "controls"), ("e", "covid"), ("e", "normal"))
        for i in range(12)
    ]
    images += [Image(Path(name), name, label, f"else/{name}", "else", "b", {}) for name, label in extra]
    properties += [replace(properties[0], digest=name) for name, _ in extra]
    properties = [replace(one, digest=digest(one.digest)) for one in properties]
    by_part = {part: np.concatenate([one, one[:36]]) for part, one in extractor.by_part.items()}
    dataset = replace(extractor.dataset, images=images)
    patients = np.array([image.patient for image in images])
    opened = replace(extractor, dataset=dataset, properties=properties, patients=patients, by_part=by_part)
    sets = replace(made.sets, dataset=dataset, controls=np.arange(48, 60), external={"e": np.arange(60, 84)})
    return replace(made, extractor=opened, sets=sets)


def test_what_is_not_shared_is_kept(audit):
    trained = [shortened(digest("?"))]
    sets = without_overlap(audit.sets, audit.extractor.properties, {}, trained)
    assert sets.controls.tolist() == audit.sets.controls.tolist()
    assert sets.external["e"].tolist() == audit.sets.external["e"].tolist()
    assert notes(sets) == []


def test_exact_near_and_by_patient(audit):
    properties, images = audit.extractor.properties, audit.extractor.dataset.images
    properties[48] = replace(properties[48], digest=properties[3].digest)
    images[62] = replace(images[62], patient=images[0].patient)
    images[0] = replace(images[0], patient="set/one")
    images[62] = replace(images[62], patient="set/one")
    images[1], images[63] = replace(images[1], patient="/1"), replace(images[63], patient="/1")
    trained = [shortened(properties[64].digest)]
    copies = {(5, 6): Copy(), (5, 60): Copy(), (49, 50): Copy(), (65, 66): Copy()}
    sets = without_overlap(audit.sets, properties, copies, trained)
    assert sorted(set(range(48, 84)) - {*sets.controls, *sets.external["e"]}) == [48, 60, 62, 64]
    control, external = notes(sets)
    assert control.startswith("--controls: left out, ") and "1 image also in the data set (1 the same file)" in control
    assert control.endswith(": c/controls/0.png")
    assert external.startswith("--external e: left out, ")
    assert "3 images also in the training set (1 the same file, 1 a near duplicate, 1 the same patient)" in external
    assert external.endswith("e/covid/0.png, e/covid/2.png, e/covid/4.png")


def test_phantoms_are_similar_without_being_the_same(audit):
    properties, images = audit.extractor.properties, audit.extractor.dataset.images
    images[60] = replace(images[60], source=PHANTOM)
    assert not notes(without_overlap(audit.sets, properties, {(5, 60): Copy()}))


@pytest.mark.parametrize(("shared", "available"), [(2, True), (3, False)])
def test_an_external_result_is_marked_and_too_few_images_give_none(audit, shared, available):
    properties = audit.extractor.properties
    for row in range(shared):
        properties[60 + row] = replace(properties[60 + row], digest=properties[row].digest)
    sets = without_overlap(audit.sets, properties, {})
    marked = replace(audit, sets=sets)
    kernel = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    model = SavedModel(
        {}, [kernel, np.zeros(2, np.float32)], Description(["covid", "normal"], "covid", "probe", "global")
    )
    found = evaluate_external(marked, "e", sets.external["e"], model)
    assert found.result.metric.available == available
    assert found.result.as_json()["notes"] == (sets.notes["e"],)
    if not available:
        assert found.result.metric.reason == "too few images that are left (9 and 12; 10 of each needed)"
        assert not any(one.available for one in found.beside.values())


def test_an_external_set_of_which_every_image_is_called_positive_says_so(audit):
    kernel = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    description = Description(["covid", "normal"], "covid", "probe", "global", 0.0)
    found = evaluate_external(
        audit, "e", audit.sets.external["e"], SavedModel({}, [kernel, np.zeros(2, np.float32)], description)
    )
    assert (found.beside["sensitivity"].value, found.beside["specificity"].value) == (1.0, 0.0)
    assert found.warning.startswith("others is never predicted, whatever the ROC AUC is")


def test_mirrored_and_rotated_copies_are_named_and_left_out(audit):
    found = {(3, 60): Copy(mirrored=True), (4, 61): Copy(True, 6.0)}
    copies = {60: "e/covid/0.png (mirrored)", 61: "e/covid/1.png (mirrored and rotated by about 6°)"}
    sets = without_overlap(audit.sets, audit.extractor.properties, found)
    assert sets.external["e"].tolist() == [row for row in audit.sets.external["e"] if row not in copies]
    assert notes(sets)[0].endswith(f"(2 a near duplicate): {', '.join(copies.values())}")


# What may be no frontal chest radiograph


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
    assert sets.notes == {"": "", "e": ""}


def test_lung_pooling_goes_on_without_them():
    audit = audit_without([1, 45, 55])
    sets, named = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    assert set(audit.sets.own) - set(sets.own) == {1}
    assert 45 not in sets.controls and len(sets.controls) == 9
    assert 55 not in sets.external["e"] and len(sets.external["e"]) == 9
    assert all(one.left_out for one in named) and len(named) == 3
    assert "left out: 1 without lungs (normal/15.png)" in sets.notes[""]
    results = {one.id: one for one in experiments.run_experiments(replace(audit, sets=sets))}
    assert any("normal/15.png" in note for note in results[experiments.CONTROLS_V_OTHERS].notes)


def test_a_set_without_any_lungs_has_no_auc_and_says_why():
    audit = audit_without(range(40, 60))
    sets, _ = without_implausible(audit.sets, audit.extractor, ProbeRecipe())
    left = replace(audit, sets=sets)
    results = {one.id: one for one in experiments.run_experiments(left)}
    assert results[experiments.SAME_SITE].metric.reason == "every control was left out"
    model = SavedModel({}, [], Description(["covid", "normal"], "covid", "probe", "lungs"))
    found = evaluate_external(left, "e", sets.external["e"], model)
    assert found.result.metric.reason == "too few images that are left (0 and 0; 10 of each needed)"
    assert "without lungs" in found.result.notes[0]


@pytest.mark.parametrize("recipe", [ProbeRecipe(), TutorialRecipe(pooling="lungs")])
def test_a_class_without_lungs_cannot_be_audited(recipe):
    audit = audit_without(range(30), (30, 40))
    with rejection("lungs were found in none of 30 images of class covid"):
        without_implausible(audit.sets, audit.extractor, recipe)
