"""The rules: a shortcut where it is a shortcut, the lungs where it is the lungs; and what to do next."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.audit import evidence as rules
from detector.audit.evidence import INCONCLUSIVE, LUNGS, MIXED, NO_SIGNAL, SHORTCUT, Conclusion, Evidence, conclude
from detector.audit.experiments import EXPERIMENTS
from detector.statistics.metric import Metric, too_few

SHORT = {
    "trained": rules.FULL,
    "without": rules.MASKED_OUT,
    "only": rules.LUNGS_ALONE,
    "files": rules.FILES,
    "sites": rules.CONTROLS_V_OTHERS,
    "disease": rules.SAME_SITE,
    "disease_only": rules.SAME_SITE_LUNGS,
    "region": rules.MASKED_REGION,
    "mask": rules.LUNG_MASK,
    "adjusted": rules.BORDER_ADJUSTED,
    "border": rules.BORDER,
    "metadata": rules.METADATA,
    "age": rules.AGE,
    "view": rules.VIEW,
    "sex": rules.SEX,
    "within": rules.STRATIFIED,
}
SHORT["external"] = "external:x"
TITLES = {one.id: (one.title, one.group) for one in EXPERIMENTS} | {"external:x": ("external", rules.EXTERNAL)}


def area(value: float, half: float = 0.05) -> Metric:
    return Metric(value, max(0.0, value - half), min(1.0, value + half), 50, 50)


def evidence(controls_positive=None, shared_sites=False, **values):
    """Return evidence by the short names; differences from shapes are as exact as the areas are."""
    metrics = {name: one if isinstance(one, Metric) else area(one) for name, one in values.items()}
    results = [rules.Result(SHORT[name], *TITLES[SHORT[name]], "", one) for name, one in metrics.items()]
    beyond = {}
    for name in {"region", "mask"} & set(metrics) if "without" in metrics else ():
        value = metrics["without"].point - metrics[name].point
        half = max(metrics[name].high - metrics[name].low, 0.1) / 2
        beyond[{"region": rules.OUTSIDE_V_SHAPE, "mask": rules.OUTSIDE_V_MASK}[name]] = Metric(
            value, value - half, value + half, 50, 50
        )
    return Evidence(results, controls_positive, "covid", shared_sites, beyond)


def test_the_tutorials_data_is_its_site():
    """The metrics measured on the whole data set, in DESIGN.md."""
    found = evidence(
        controls_positive=Metric(1.0, 0.9, 1.0, 0, 38),
        **{"trained": 0.999, "without": 0.992, "only": 0.99, "sites": 0.997, "disease": 0.68, "disease_only": 0.48},
    )
    judged = conclude(found)
    assert judged.code == SHORTCUT
    assert judged.message == "This model recognises the site or other findings, not the disease."
    text = str(judged)
    assert "ungs masked out: ROC AUC 0.99 (full image: " in text
    assert "38 of 38 radiographs of other findings from the same site are predicted covid" in text
    assert "falls to 0.68" in text
    assert {rules.SAME_SITE, rules.MASKED_OUT} <= set(judged.carried_by)


@pytest.mark.parametrize(
    ("values", "controls_positive", "code"),
    [
        ({"trained": 0.93, "without": 0.49, "only": 0.91, "files": 0.55}, None, "lungs"),
        ({"trained": 0.99, "without": 0.95, "only": 0.95, "files": 0.55}, None, "shortcut"),
        ({"trained": 0.95, "without": 0.6, "only": 0.9}, Metric(0.8, 0.64, 0.9, 0, 38), "shortcut"),
        ({"trained": 0.95, "without": 0.6, "only": 0.9}, Metric(0.1, 0.05, 0.3, 0, 38), "lungs"),
        ({"trained": 0.95, "without": 0.6, "only": 0.6}, None, "inconclusive"),
        ({"trained": 0.52, "without": 0.5, "only": 0.5}, None, "no_signal"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "border": 0.58}, None, "lungs"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "border": 0.62}, None, "mixed"),
        ({"trained": 0.93, "without": 0.62, "only": 0.91, "border": 0.5}, None, "mixed"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "age": 0.7}, None, "mixed"),
        ({"trained": 0.93, "without": 0.62, "only": 0.52, "view": 0.9}, None, "shortcut"),
        ({"trained": 0.93, "files": 0.9, "without": 0.5, "only": 0.9}, None, "lungs"),
        ({"trained": 0.93}, None, "inconclusive"),
        ({"trained": 0.93, "without": 0.69, "region": 0.66, "only": 0.9}, None, "lungs"),
        ({"trained": 0.93, "without": 0.9, "region": 0.66, "only": 0.9}, None, "shortcut"),
        ({"trained": 1.0, "without": 0.78, "region": 0.53, "mask": 0.93, "only": 1.0}, None, "inconclusive"),
        # What is left without the lungs is no more than what the masked region's shape predicts, which follows disease.
        ({"trained": 0.89, "without": 0.80, "region": 0.83, "only": 0.82}, None, "lungs"),
        ({"trained": 0.80, "without": 0.67, "region": 0.66, "only": 0.77}, None, "inconclusive"),
        # Baselines come before "more images", whatever the model itself learned.
        ({"trained": 0.52, "border": 0.9}, None, "shortcut"),
        ({"trained": 0.52, "metadata": 0.99}, None, "shortcut"),
        ({"trained": 0.52, "files": 0.9}, None, "shortcut"),
        ({"trained": 0.52, "without": 0.9, "region": 0.5}, None, "shortcut"),
        ({"trained": 0.3}, None, "no_signal"),
        ({"trained": too_few(9, 9, "images")}, None, "inconclusive"),
        # File properties alone: as good as excellent, what the lungs show cannot be separated from them.
        ({"trained": 0.95, "without": 0.75, "region": 0.72, "only": 0.9, "files": 0.99}, None, "mixed"),
        ({"trained": 0.95, "without": 0.75, "region": 0.72, "only": 0.5, "files": 0.99}, None, "shortcut"),
        ({"trained": 0.95, "files": 0.99}, None, "shortcut"),
        ({"trained": 0.95, "without": 0.75, "region": 0.72, "only": 0.9, "files": 0.7}, None, "inconclusive"),
        # So few images that a baseline of 1.00 may be chance: no shortcut is shown, and neither is that there is none.
        ({"trained": 0.93, "without": 0.5, "only": 0.9, "border": Metric(1.0, 0.5, 1.0, 12, 12)}, None, "inconclusive"),
        ({"trained": too_few(9, 30, "images"), "view": 0.9}, None, "shortcut"),
    ],
)
def test_conclusions(values, controls_positive, code):
    judged = conclude(evidence(controls_positive=controls_positive, **values))
    assert judged.code == code
    assert judged.reasons and judged.message.endswith(".")
    assert set(judged.as_json()) == {"code", "message", "reasons", "carried_by", "recommendation"}
    assert judged.recommendation.endswith(".") and judged.carried_by


LUNG_SIGNAL = {"trained": 0.95, "without": 0.5, "only": 0.9}


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        # A region whose shape is not shown to predict the class explains nothing that is left.
        (
            {"trained": 0.89, "without": 0.88, "region": Metric(0.89, 0.51, 1.0, 50, 50), "only": 0.82},
            "inconclusive",
            "",
        ),
        (
            LUNG_SIGNAL | {"disease": 0.5, "disease_only": 0.5},
            "inconclusive",
            "positives v controls: ROC AUC 0.50 (0.45-0.55)",
        ),
        (
            LUNG_SIGNAL | {"disease": 0.9, "disease_only": 0.5},
            "inconclusive",
            "lungs of positives v controls: ROC AUC 0.50",
        ),
        (LUNG_SIGNAL | {"disease": 0.9, "disease_only": 0.9}, "lungs", ""),
        (LUNG_SIGNAL | {"within": 0.5}, "inconclusive", "within one site and view: ROC AUC 0.50"),
        (LUNG_SIGNAL | {"within": 0.9}, "lungs", ""),
        (LUNG_SIGNAL | {"external": 0.45}, "inconclusive", "external: ROC AUC 0.45"),
        (LUNG_SIGNAL | {"external": 0.8}, "lungs", ""),
        (LUNG_SIGNAL | {"external": too_few(3, 3), "within": too_few(3, 3)}, "lungs", ""),
        (LUNG_SIGNAL | {"files": Metric(0.99, 0.94, 1.0, 50, 50)}, "mixed", "file properties alone: ROC AUC 0.99"),
    ],
)
def test_the_lungs_are_not_concluded_against_the_audits_own_evidence(values, code, words):
    judged = conclude(evidence(**values))
    assert judged.code == code and words.lower() in str(judged).lower()
    assert "no shortcut was found" not in judged.message or code == "lungs"


def test_the_site_is_not_named_where_controls_may_differ_by_their_findings():
    values = {"trained": 0.95, "without": 0.5, "only": 0.9, "sites": 0.95}
    apart, shared = (conclude(evidence(shared_sites=one, **values)) for one in (False, True))
    assert "separated by their site or by their findings (ROC AUC 0.95" in str(apart)
    assert "separated by their findings (ROC AUC 0.95" in str(shared)
    assert shared.message == "This model recognises other findings, not the disease." and "site" not in str(shared)


def test_worse_than_chance_asks_for_the_labels():
    assert "labels are swapped" in conclude(evidence(trained=0.3)).message


def test_a_conclusion_names_what_carried_it():
    """Masked-out lungs are no site, whether controls were given or not; sex and age lie nowhere in the image."""
    values = {"trained": 0.99, "without": 0.95, "only": 0.95, "sites": 0.6, "disease": 0.97}
    around = conclude(evidence(controls_positive=Metric(0.1, 0.05, 0.3, 0, 38), **values))
    assert around.message == "This model recognises something outside the lungs, not the disease."
    assert around.carried_by == [rules.FULL, rules.MASKED_OUT]
    of_site = conclude(evidence(controls_positive=Metric(0.9, 0.8, 0.97, 0, 38), trained=0.95, without=0.5, only=0.9))
    assert of_site.message == "This model recognises the site or other findings, not the disease."
    assert of_site.carried_by == [rules.CONTROLS_POSITIVE]
    beside = conclude(evidence(trained=0.93, without=0.52, only=0.91, age=0.7, sex=0.8))
    assert beside.message.startswith("Both the lungs and something else (sex, age) predict the class")
    without = conclude(evidence(trained=0.93, without=0.52, only=0.52, view=0.9))
    assert "without the lungs (by view)" in without.message
    nothing = conclude(evidence(trained=0.52, metadata=0.99, files=0.9))
    assert "is predicted by site and view, file properties alone" in nothing.message


def test_a_baseline_that_may_be_chance_is_named():
    wide = Metric(1.0, 0.5, 1.0, 12, 12)
    for values in (
        {"trained": 0.52},
        {"trained": too_few(9, 9, "images")},
        {"trained": 0.93, "without": 0.5, "only": 0.9},
    ):
        judged = conclude(evidence(metadata=wide, **values))
        assert "site and view alone: ROC AUC 1.00 (0.50-1.00), not clearly above chance" in judged.reasons
    assert "more images" in judged.recommendation


def test_the_reasons_of_mixed_say_what_predicts_beside_the_lungs():
    found = evidence(trained=0.95, without=0.5, only=0.9, region=0.7, adjusted=0.8, border=0.9, age=0.7)
    text = str(conclude(found))
    assert "ungs only: ROC AUC 0.90 (full image: 0.95)" in text
    for words in (
        "image border alone: ROC AUC 0.90",
        "age alone: ROC AUC 0.70",
        "images with similar borders: ROC AUC 0.80",
    ):
        assert words in text


def test_inconclusive_says_what_is_known_and_what_is_missing():
    """120 v 120 images of one site: controls of the same site, which these are, would add nothing."""
    values = {"trained": 0.80, "without": 0.67, "only": 0.77, "border": 0.61, "region": 0.66, "mask": 0.7}
    values = {name: area(value, 0.07) for name, value in values.items()}
    judged = conclude(evidence(shared_sites=True, metadata=0.5, **values))
    assert judged.code == INCONCLUSIVE
    next_one = judged.recommendation
    assert "--controls" not in next_one and "Both classes come from the same sites" in next_one
    assert "a second hospital (--external)" in next_one and "sharper lung masks" in next_one
    assert "more images" not in next_one
    assert judged.reasons == [
        "ROC AUC: full image 0.80 (0.73-0.87), lungs only 0.77 (0.70-0.84), lungs masked out 0.67 (0.60-0.74), "
        "shape of the masked region 0.66 (0.59-0.73), image border alone 0.61 (0.54-0.68)"
    ]
    assert "--controls" in conclude(evidence(**values)).recommendation
    wide = {name: area(one.value, 0.15) for name, one in values.items()}
    assert "more images" in conclude(evidence(shared_sites=True, **wide)).recommendation


FOREIGN = ("border", "metadata", "age", "view")
SITELESS = ("within", "disease", "disease_only", "external")


@given(
    st.fixed_dictionaries(
        {name: st.floats(0.3, 1.0) for name in ("trained", "without", "only")},
        optional={name: st.floats(0.3, 1.0) for name in ("region", "files", *SITELESS)},
    )
)
@example({"trained": 0.625, "without": 0.5625, "only": 1.0, "region": 0.5625})
def test_lungs_are_concluded_only_where_nothing_speaks_against_them(values):
    if conclude(evidence(**values)).code == LUNGS:
        above = (values["trained"] - rules.CHANCE) * rules.KEPT
        assert values["only"] - rules.CHANCE >= above
        assert all(values[name] - 0.05 > rules.CHANCE for name in SITELESS if name in values)
        assert values.get("files", 0.0) - 0.05 <= rules.OUTSTANDING
        # All intervals are equally wide here, so that one that is no lower has both bounds no lower.
        explained = values.get("region", 0.0) >= values["without"]
        assert values["without"] - rules.CHANCE < above or explained


@given(st.fixed_dictionaries({name: st.floats(0.3, 1.0) for name in ("trained", "without", "only", *FOREIGN)}))
def test_if_something_without_lungs_predicts_the_class_the_conclusion_is_neither_lungs_nor_more_images(values):
    judged = conclude(evidence(**values))
    predicts = max(values[name] for name in FOREIGN) - 0.05 > rules.PREDICTS
    if values["without"] - 0.05 > rules.PREDICTS and values["trained"] - 0.05 > rules.CHANCE:
        assert judged.code != LUNGS
    if predicts:
        assert judged.code in (SHORTCUT, MIXED)
    # What bench-audit rests on: once such a baseline predicts, nothing that comes after it takes the accusation back.
    first = conclude(evidence(**{name: values[name] for name in ("trained", *FOREIGN)}))
    if predicts:
        assert first.code == SHORTCUT


def test_a_conclusion_is_a_sentence_and_its_reasons():
    found = Conclusion(MIXED, "Both were learned.", ["the border has 0.80", "the lungs have 0.70"], [])
    assert str(found) == "Both were learned. The border has 0.80; the lungs have 0.70."
    assert list(found.as_json()) == ["code", "message", "reasons", "carried_by", "recommendation"]


@pytest.mark.parametrize(
    ("code", "values", "words"),
    [
        (NO_SIGNAL, {"trained": 0.52}, "Add images of other patients"),
        (NO_SIGNAL, {"trained": 0.3}, "the labels may be swapped"),
        (SHORTCUT, {"trained": 0.99, "without": 0.95, "only": 0.95}, "Add controls of the same site (--controls)"),
        (SHORTCUT, {"trained": 0.95, "sites": 0.95}, "Train with the controls of the same site"),
        (MIXED, LUNG_SIGNAL | {"age": 0.7}, "--shared-sites-only"),
        (LUNGS, LUNG_SIGNAL, "another hospital: add --external"),
        (LUNGS, LUNG_SIGNAL | {"external": 0.9}, "another hospital than the external ones here"),
        (INCONCLUSIVE, {"trained": 0.9}, "give lung masks (--masks)"),
    ],
)
def test_each_conclusion_has_a_next_step(code, values, words):
    judged = conclude(evidence(**values))
    assert judged.code == code and words in judged.recommendation


def test_controls_of_the_same_site_are_not_asked_for_if_both_classes_are_of_it():
    found = conclude(evidence(shared_sites=True, age=0.7, view=0.7, **LUNG_SIGNAL)).recommendation
    assert "do not differ in view or age. Then" in found and "--controls" not in found
    found = conclude(evidence(shared_sites=True, age=0.7, border=0.7, **LUNG_SIGNAL)).recommendation
    assert "do not differ in age; look at" in found and "outside the lungs" in found
