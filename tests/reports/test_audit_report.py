"""Data sets at the edge: no nan, no inf and no interval of a point in anything that is printed or written."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import CLASSES, Case, RidgeRecipe, audit_of, extractor_of, lungs, outcome_of
from report_helpers import harmless

from detector.audit import checks, experiments, localisation
from detector.audit.baselines import shortcut_risks
from detector.audit.evidence import BORDER, EXTERNAL, Result, conclude
from detector.audit.experiments import SENSITIVITY, find_examples
from detector.reports import audit_report, figures, run_record, training_report
from detector.reports.audit_report import AuditResult
from detector.reports.training_report import TrainingResult
from detector.statistics.evaluation import evaluate
from detector.statistics.metric import Metric
from detector.statistics.split import draw_folds
from detector.training.crossvalidation import NO_HEAD, EvaluatedHead, out_of_fold
from detector.training.dataset import FeatureSet
from detector.training.options import EvaluationOptions

CASES = {
    "noise": Case(),
    "1 v 30": Case((1, 30)),
    "9 v 30": Case((9, 30)),
    "10 v 10": Case((10, 10)),
    "constant": Case(constant=True),
    "separated": Case(signal=9.0, masked=9.0),
    "one patient a class": Case((20, 20), images=20),
    "two patients a class": Case((20, 20), images=10),
    "five patients a class": Case((50, 50), images=10, signal=1.0),
    "sites are classes": Case(site=lambda positive, number: "ab"[positive]),
    "a site an image": Case(site=lambda positive, number: f"{positive}{number}"),
    "unknown sites": Case(site=lambda positive, number: ""),
    "equal ages": Case(row=lambda positive, number: {"age": "50", "sex": "F", "view": "AP"}),
    "ages are classes": Case(row=lambda positive, number: {"age": str(20 + 60 * positive), "view": "PA"}),
    "ages that are none": Case(row=lambda positive, number: {"age": ["nan", "inf", "1e400", ""][number % 4]}),
}
SCORES = {
    "of the case": lambda truth, generator: 1 / (1 + np.exp(-generator.normal(size=len(truth)) - truth)),
    "equal": lambda truth, generator: np.full(len(truth), 0.5),
    "certain and right": lambda truth, generator: truth.astype(float),
    "certain and wrong": lambda truth, generator: 1.0 - truth,
    "all positive": lambda truth, generator: np.full(len(truth), 1.0),
}
RUNS = [(case, "of the case") for case in CASES] + [("noise", scores) for scores in [*SCORES][1:]]


def require_clean(text: str) -> None:
    assert not re.search(r"(?i)(?<![a-z])(nan|-?inf(inity)?)(?![a-z])", text), text
    for low, high in re.findall(r"(-?\d+\.\d+)\s?(?:-|–|to)\s?(-?\d+\.\d+)", text):
        assert low != high, f"an interval of a point: {low}-{high}"


def require_clean_json(**values) -> None:
    def checked(one: dict) -> dict:
        low, high = one.get("ci_low"), one.get("ci_high")
        assert None in (low, high) or (low < high and isinstance(one["value"], float))
        return one

    data = run_record.as_json(values)
    json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} in a JSON file"), object_hook=checked)


def shown_of(page: str) -> str:
    """Return the text of a page."""
    return html.unescape(re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize(("name", "scores"), RUNS)
def test_a_training_run(name, scores):
    case = CASES[name]
    extractor = extractor_of(case)
    evaluated = outcome_of(extractor, SCORES[scores](extractor.dataset.labels == 0, np.random.default_rng(0)))
    worth = checks.judge(extractor, evaluated, 0, True, 0.05)
    found, everything = worth.checks, {**evaluated.evaluation.metrics(), **worth.metrics}
    lines = run_record.lines(evaluated.evaluation, evaluated.predictions.labels, evaluated.predictions.predicted[0])
    lines += [f"{one.message} {one.recommendation}" for one in found]
    require_clean("\n".join([*lines, *map(str, everything.values())]))
    require_clean_json(metrics=everything, subgroups=worth.subgroups, checks=found)
    assert len(found) == len(checks.CHECKS) and {one.status for one in found} <= {"pass", "warn", "not_assessed"}
    assert case.counts[0] >= 10 or not evaluated.evaluation.roc_auc.available
    for one in json.loads(run_record.as_json({"checks": found}))["checks"]:
        assert list(one) == ["id", "status", "message", "recommendation", "condition"]


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("1 v 30", *list(CASES)[6:8])])
def test_an_audit(name):
    audit = audit_of(CASES[name])
    results, risks, located = experiments.run_experiments(audit), shortcut_risks(audit), localisation.localise(audit)
    judged = conclude(results, None, "covid", audit.shares_sites())
    found = AuditResult(results, None, risks, judged, located, [localisation.check(located, "global")])
    require_clean(
        "\n".join([*audit_report.lines(found, "covid"), *audit_report.conclusion_lines(found), *judged.reasons])
    )
    require_clean_json(experiments=results, shortcut_risks=risks, conclusion=judged)
    assert figures.forest(results, judged).startswith(b"\x89PNG")
    page = audit_report.audit_report(audit, found, {}).decode()
    text = shown_of(page)
    require_clean(text)
    assert re.sub(r"\s", "", judged.message) in re.sub(r"\s", "", text)
    shown = find_examples(audit, [one.id for one in results])
    assert "full_image" in shown
    for example in shown.values():
        assert example.text in text and len(example.images) == 4
        for pixels, _, words in example.images:
            assert pixels.shape == (224, 224, 3) and f'alt="{words}"' in html.unescape(page)


def test_an_external_test_set_has_its_metrics_and_its_warning_on_terminal_and_page():
    audit = audit_of(Case((30, 30)))
    own = np.flatnonzero(np.arange(60) % 30 < 24)
    audit = replace(audit, sets=replace(audit.sets, own=own, external={"e": np.setdiff1d(np.arange(60), own)}))
    beside = {SENSITIVITY: Metric(0.25, 0.11, 0.47, 20, 0), BORDER: Metric.unavailable("too few images")}
    area = Metric(0.7, 0.6, 0.8, 20, 20)
    result = Result("external", "set of <Vienna>", EXTERNAL, "?", area, ("a note",), beside, "covid is missed")
    judged = conclude([result], None, "covid")
    located = localisation.localise(audit)
    found = AuditResult([result], None, [], judged, located, [localisation.check(located, "global")])
    lines = audit_report.lines(found, "covid")
    assert [line.split("  ")[-1] for line in lines[3:8]] == [EXTERNAL, "20 v 20", "20 v 0", "too few images", "a note"]
    text = shown_of(audit_report.audit_report(audit, found, {}).decode())
    assert "(24 covid, 24 normal): what a classifier learns from it" in text
    for part in ("set of <Vienna>", "covid is missed", "0.25 (0.11–0.47)", "not estimable: too few images"):
        assert part in " ".join(text.split())


@pytest.mark.parametrize(
    ("case", "of_both_classes", "folds", "repeats"),
    [
        (Case((25, 25), signal=9.0), False, 5, 3),
        (Case((25, 25), constant=True), False, 5, 2),
        (Case((30, 30), signal=0.3), True, 5, 2),
        (Case((4, 40), signal=0.5), False, 3, 2),
        (Case((12, 12), border=lambda positive, number, noise: noise + 9 * positive), False, 5, 2),
        (Case((40, 40), signal=0.5, site=lambda positive, number: str(number // 3)), False, 5, 3),
    ],
)
def test_a_cross_validated_run(case, of_both_classes, folds, repeats):
    extractor = extractor_of(case)
    images, labels, everything = extractor.dataset.images, extractor.dataset.labels, np.arange(sum(case.counts))
    if of_both_classes:  # each patient has an image of either class
        extractor = replace(extractor, patients=np.array([f"p{image.path.stem}" for image in images]))
    features, strata = extractor.features(everything), np.array([image.stratum for image in images])
    known = [{} for _ in labels]
    samples = FeatureSet(features[:, None], features, labels, *[extractor.patients] * 2, strata, CLASSES, known)
    plan = draw_folds(labels, extractor.patients, CLASSES, folds, repeats, 0)
    predictions = out_of_fold(samples, 0, RidgeRecipe(), plan).predictions
    evaluated = EvaluatedHead(NO_HEAD, evaluate(predictions, CLASSES, 0), predictions, None, [], everything, everything)
    worth = checks.judge(extractor, evaluated, 0, True, 0.01)
    found, checked = worth.metrics, worth.checks
    options = EvaluationOptions(folds=folds, repeats=repeats, prevalence=0.01)
    lines = training_report.lines(TrainingResult(extractor, evaluated, worth, everything[:0], [], options, {}, {}))
    require_clean("\n".join(lines))
    assert all(len(line) <= 80 for text in lines for line in text.splitlines())
    assert not any("--folds" in check.recommendation for check in checked), "folds were used"
    areas = [evaluated.evaluation.roc_auc, *(found[name] for name in found if "roc_auc" in name or "baseline" in name)]
    for one in areas:
        if one.available:
            assert min(one.n_positive, one.n_negative) >= 10 and one.ci_high - one.ci_low > 0.01
            assert one.n_patients <= min(one.n_positive + one.n_negative, len(set(extractor.patients)))
    require_clean_json(metrics=found)


HEATS = {
    "noise": lambda number: np.random.default_rng(number).random((14, 14)),
    "one cell": lambda number: np.pad([[1.0]], ((7, 6), (4, 9))),
    "nothing": lambda number: np.zeros((14, 14)),
    "everything": lambda number: np.ones((14, 14)),
}


@pytest.mark.parametrize("patients", [30, 2, 1])
@pytest.mark.parametrize("heat", HEATS.values(), ids=HEATS)
def test_where_grad_cam_lies(heat, patients):
    boxes = [((0.1 + 0.01 * number, 0.4, 0.2, 0.3), (0.6, 0.4, 0.2, 0.2)) for number in range(30)]
    images = [localisation.locate(number, boxes[number], heat(number), lungs()) for number in range(30)]
    located = localisation.Localisation(images, localisation.compare(images, np.arange(30) % patients, 0))
    checked = [localisation.check(located, "global")]
    judged = conclude([], None, "covid")
    found = AuditResult([], None, [], judged, located, checked)
    lines = audit_report.lines(found, "covid")
    require_clean("\n".join(lines))
    require_clean_json(localisation=located, checks=found.checks)
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Where Grad-CAM lies") for line in lines)
    audit = audit_of(Case())
    listed = audit.extractor.dataset.images
    listed[:] = [replace(image, file="<x>" * 30) for image in listed]
    page = audit_report.audit_report(audit, found, {}).decode()
    # Six images, each with two boxes drawn twice, and the maximum if there is one.
    assert (page.count("<rect class="), page.count("<path class=")) == (24, 12 if images[0].heat.any() else 0)
    assert page.count("no positive saliency") == (0 if images[0].heat.any() else 6)
    shares = re.findall(r"([\d.]+) of saliency in boxes", page)
    assert len(shares) == 6 and shares == sorted(shares, reverse=True)
    harmless(page)
