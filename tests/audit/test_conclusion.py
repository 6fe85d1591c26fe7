"""The rules: a shortcut where it is a shortcut, the lungs where it is the lungs."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.audit import evidence as conclusion
from detector.audit import evidence as findings
from detector.audit import experiments
from detector.audit.evidence import Evidence, conclude
from detector.statistics.metric import Metric, too_few

SHORT = {
    "trained": experiments.FULL,
    "without": experiments.MASKED_OUT,
    "only": experiments.LUNGS_ALONE,
    "files": experiments.FILES,
    "sites": experiments.CONTROLS_V_OTHERS,
    "disease": experiments.SAME_SITE,
    "disease_only": experiments.SAME_SITE_LUNGS,
    "permuted": experiments.PERMUTED,
    "region": experiments.MASKED_REGION,
    "mask": experiments.LUNG_MASK,
    "adjusted": experiments.BORDER_ADJUSTED,
    "border": experiments.BORDER,
    "metadata": experiments.METADATA,
    "age": experiments.AGE,
    "view": experiments.VIEW,
    "sex": experiments.SEX,
    "within": experiments.WITHIN,
}
SHORT["external"] = "external:x"
TITLES = {one.id: (one.title, one.group) for one in experiments.EXPERIMENTS} | {
    "external:x": ("external", experiments.EXTERNAL)
}


def area(value: float, half: float = 0.05) -> Metric:
    return Metric(value, max(0.0, value - half), min(1.0, value + half), 50, 50)


def evidence(controls_positive=None, shared_sites=False, **values):
    results = [
        experiments.Result(SHORT[name], *TITLES[SHORT[name]], "", one if isinstance(one, Metric) else area(one))
        for name, one in values.items()
    ]
    return Evidence(results, controls_positive, "covid", shared_sites)


def test_the_tutorials_data_is_its_site():
    """The metrics measured on the whole data set, in DESIGN.md."""
    found = evidence(
        controls_positive=Metric(1.0, 0.9, 1.0, 0, 38),
        **{"trained": 0.999, "without": 0.992, "only": 0.99, "sites": 0.997, "disease": 0.68, "disease_only": 0.48},
        permuted=0.5,
    )
    judged = conclude(found)
    assert judged.code == conclusion.SHORTCUT
    assert judged.message == "This model recognises the site or other findings, not the disease."
    text = str(judged)
    assert "ungs masked out: ROC AUC 0.99 (full image: " in text
    assert "38 of 38 radiographs of other findings from the same site are predicted covid" in text
    assert "falls to 0.68" in text
    assert {experiments.SAME_SITE, experiments.MASKED_OUT} <= set(judged.carried_by)


@pytest.mark.parametrize(
    ("values", "controls_positive", "code"),
    [
        ({"trained": 0.93, "without": 0.49, "only": 0.91, "files": 0.55, "permuted": 0.48}, None, "lungs"),
        ({"trained": 0.99, "without": 0.95, "only": 0.95, "files": 0.55, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.95, "without": 0.6, "only": 0.9, "permuted": 0.5}, Metric(0.8, 0.64, 0.9, 0, 38), "shortcut"),
        ({"trained": 0.95, "without": 0.6, "only": 0.9, "permuted": 0.5}, Metric(0.1, 0.05, 0.3, 0, 38), "lungs"),
        ({"trained": 0.95, "without": 0.6, "only": 0.6, "permuted": 0.5}, None, "inconclusive"),
        ({"trained": 0.52, "without": 0.5, "only": 0.5, "permuted": 0.5}, None, "no_signal"),
        ({"trained": 0.99, "without": 0.5, "only": 0.9, "permuted": 0.7}, None, "leakage_suspected"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "border": 0.58, "permuted": 0.5}, None, "lungs"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "border": 0.62, "permuted": 0.5}, None, "mixed"),
        ({"trained": 0.93, "without": 0.62, "only": 0.91, "border": 0.5, "permuted": 0.5}, None, "mixed"),
        ({"trained": 0.93, "without": 0.52, "only": 0.91, "age": 0.7, "permuted": 0.5}, None, "mixed"),
        ({"trained": 0.93, "without": 0.62, "only": 0.52, "view": 0.9, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.93, "files": 0.9, "without": 0.5, "only": 0.9, "permuted": 0.5}, None, "lungs"),
        ({"trained": 0.93, "permuted": 0.5}, None, "inconclusive"),
        ({"trained": 0.93, "without": 0.69, "region": 0.66, "only": 0.9, "permuted": 0.5}, None, "lungs"),
        ({"trained": 0.93, "without": 0.9, "region": 0.66, "only": 0.9, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 1.0, "without": 0.78, "region": 0.53, "mask": 0.93, "only": 1.0}, None, "inconclusive"),
        # What is left without the lungs is no more than what the masked region's shape predicts, which follows disease.
        ({"trained": 0.89, "without": 0.80, "region": 0.83, "only": 0.82, "permuted": 0.5}, None, "lungs"),
        ({"trained": 0.80, "without": 0.67, "region": 0.66, "only": 0.77, "permuted": 0.5}, None, "inconclusive"),
        # Baselines come before "more images", whatever the model itself learned.
        ({"trained": 0.52, "border": 0.9, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.52, "metadata": 0.99, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.52, "files": 0.9, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.52, "without": 0.9, "region": 0.5, "permuted": 0.5}, None, "shortcut"),
        ({"trained": 0.3, "permuted": 0.5}, None, "no_signal"),
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


LUNGS = {"trained": 0.95, "without": 0.5, "only": 0.9}


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        # A region whose shape is not shown to predict the class explains nothing that is left.
        (
            {"trained": 0.89, "without": 0.88, "region": Metric(0.89, 0.51, 1.0, 50, 50), "only": 0.82},
            "inconclusive",
            "",
        ),
        # Nor does one that does, where more may be left than it predicts.
        (
            {"trained": 0.89, "without": 0.80, "region": Metric(0.81, 0.79, 0.83, 50, 50), "only": 0.82},
            "inconclusive",
            "",
        ),
        (
            LUNGS | {"disease": 0.5, "disease_only": 0.5},
            "inconclusive",
            "positives v controls: ROC AUC 0.50 (0.45-0.55)",
        ),
        (LUNGS | {"disease": 0.9, "disease_only": 0.5}, "inconclusive", "lungs of positives v controls: ROC AUC 0.50"),
        (LUNGS | {"disease": 0.9, "disease_only": 0.9}, "lungs", ""),
        (LUNGS | {"within": 0.5}, "inconclusive", "within one site and view: ROC AUC 0.50"),
        (LUNGS | {"within": 0.9}, "lungs", ""),
        (LUNGS | {"external": 0.45}, "inconclusive", "external: ROC AUC 0.45"),
        (LUNGS | {"external": 0.8}, "lungs", ""),
        (LUNGS | {"external": too_few(3, 3), "within": too_few(3, 3)}, "lungs", ""),
        (LUNGS | {"files": Metric(0.99, 0.94, 1.0, 50, 50)}, "mixed", "file properties alone: ROC AUC 0.99"),
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
    assert "labels are swapped" in conclude(evidence(trained=0.3, permuted=0.5)).message


def test_a_conclusion_names_what_carried_it():
    """Masked-out lungs are no site, whether controls were given or not; sex and age lie nowhere in the image."""
    values = {"trained": 0.99, "without": 0.95, "only": 0.95, "sites": 0.6, "disease": 0.97, "permuted": 0.5}
    around = conclude(evidence(controls_positive=Metric(0.1, 0.05, 0.3, 0, 38), **values))
    assert around.message == "This model recognises something outside the lungs, not the disease."
    assert around.carried_by == [experiments.FULL, experiments.MASKED_OUT]
    of_site = conclude(evidence(controls_positive=Metric(0.9, 0.8, 0.97, 0, 38), trained=0.95, without=0.5, only=0.9))
    assert of_site.message == "This model recognises the site or other findings, not the disease."
    assert of_site.carried_by == [findings.CONTROLS_POSITIVE]
    beside = conclude(evidence(trained=0.93, without=0.52, only=0.91, age=0.7, sex=0.8))
    assert beside.message.startswith("Both the lungs and something else (sex, age) predict the class")
    without = conclude(evidence(trained=0.93, without=0.52, only=0.52, view=0.9))
    assert "without the lungs (by view)" in without.message
    nothing = conclude(evidence(trained=0.52, metadata=0.99, files=0.9))
    assert "is predicted by site and view, file properties alone" in nothing.message


def test_file_properties_are_named_before_anything_is_said_to_be_missing():
    values = {"trained": 0.95, "without": 0.75, "region": 0.72, "only": 0.9}
    strong, weak = (conclude(evidence(shared_sites=True, files=files, **values)) for files in (0.99, 0.7))
    assert strong.message.startswith("Properties of the files predict the class by themselves")
    assert weak.code == conclusion.INCONCLUSIVE
    for judged in (strong, weak):
        assert (
            judged.reasons[0].startswith("file properties alone: ROC AUC ") and experiments.FILES in judged.carried_by
        )
    lungs = conclude(evidence(trained=0.93, files=0.9, without=0.5, only=0.9))
    assert lungs.code == conclusion.LUNGS and "properties of the files predict the class, too" in lungs.message


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
    found = evidence(trained=0.95, without=0.5, only=0.9, region=0.7, adjusted=0.8, border=0.9, age=0.7, permuted=0.5)
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
    assert judged.code == conclusion.INCONCLUSIVE
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
    if conclude(evidence(**values)).code == conclusion.LUNGS:
        above = (values["trained"] - findings.CHANCE) * findings.KEPT
        assert values["only"] - findings.CHANCE >= above
        assert all(values[name] - 0.05 > findings.CHANCE for name in SITELESS if name in values)
        assert values.get("files", 0.0) - 0.05 <= findings.OUTSTANDING
        # All intervals are equally wide here, so that one that is no lower has both bounds no lower.
        explained = values.get("region", 0.0) >= values["without"]
        assert values["without"] - findings.CHANCE < above or explained


@given(st.fixed_dictionaries({name: st.floats(0.3, 1.0) for name in ("trained", "without", "only", *FOREIGN)}))
def test_if_something_without_lungs_predicts_the_class_the_conclusion_is_neither_lungs_nor_more_images(values):
    judged = conclude(evidence(**values, permuted=0.5))
    predicts = max(values[name] for name in FOREIGN) - 0.05 > findings.PREDICTS
    if values["without"] - 0.05 > findings.PREDICTS and values["trained"] - 0.05 > findings.CHANCE:
        assert judged.code != conclusion.LUNGS
    if predicts:
        assert judged.code in (conclusion.SHORTCUT, conclusion.MIXED)
    # What bench-audit rests on: once such a baseline predicts, nothing that comes after it takes the accusation back.
    first = conclude(evidence(**{name: values[name] for name in ("trained", *FOREIGN)}))
    if predicts:
        assert first.code == conclusion.SHORTCUT
