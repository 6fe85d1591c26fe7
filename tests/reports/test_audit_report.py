"""Data sets at the edge: no nan, no inf and no interval of a point in anything that is printed or written."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from audit_helpers import CLASSES, Case, RidgeRecipe, audit_of, extractor_of, lungs

from detector.audit import checks, experiments, localisation
from detector.audit.baselines import shortcut_risks
from detector.audit.evidence import Evidence, conclude
from detector.audit.examples import find_examples
from detector.audit.judgement import Judgement, judge
from detector.reports import audit_report, figures, run_record, training_report
from detector.reports.audit_report import AuditResult
from detector.reports.text import check_lines
from detector.reports.training_report import TrainingResult
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.statistics.split import draw_folds
from detector.training.crossvalidation import EvaluatedHead, out_of_fold
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


def require_clean(text: str) -> None:
    assert not re.search(r"(?i)(?<![a-z])(nan|-?inf(inity)?)(?![a-z])", text), text
    for low, high in re.findall(r"(-?\d+\.\d+)\s?(?:-|–|to)\s?(-?\d+\.\d+)", text):
        assert low != high, f"an interval of a point: {low}-{high}"


def metrics_in(value):
    """Yield every metric of a JSON file."""
    if isinstance(value, dict):
        if "ci_low" in value:
            yield value
        for one in value.values():
            yield from metrics_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from metrics_in(one)


def require_clean_json(data: bytes) -> list[dict]:
    found = list(metrics_in(json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} in a JSON file"))))
    for one in found:
        assert None in (one["ci_low"], one["ci_high"]) or one["ci_low"] < one["ci_high"]
        assert isinstance(one["value"], float)
    return found


def run_of(case: Case, scores) -> tuple[EvaluatedHead, Judgement]:
    """A run that ended with some scores, judged on all images of a case."""
    extractor = extractor_of(case)
    labels, everything = extractor.dataset.labels, np.arange(len(extractor.properties))
    positive = scores(labels == 0, np.random.default_rng(0))
    said = np.stack([positive, 1 - positive], axis=1)
    predictions = Predictions.of_one_model(labels, extractor.patients, said, predict(said, 0))
    evaluated = EvaluatedHead(None, evaluate(predictions, CLASSES, 0), predictions, None, [], everything, everything)
    return evaluated, judge(extractor, evaluated, 0, True, 0.05)


@pytest.mark.parametrize("scores", SCORES.values(), ids=SCORES)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_training_run(case, scores):
    evaluated, worth = run_of(case, scores)
    found, table = worth.checks, worth.subgroups
    everything = {**evaluated.evaluation.metrics(), **worth.metrics}
    lines = run_record.lines(evaluated.evaluation, evaluated.predictions.labels, evaluated.predicted[0])
    lines += [str(one) for one in everything.values()] + [one.short for one in everything.values()]
    lines += [f"{one.message} {one.recommendation}" for one in found]
    require_clean("\n".join(lines))
    data = run_record.as_json({"metrics": everything, "subgroups": table, "checks": found})
    require_clean_json(data)
    assert len(found) == len(checks.CHECKS) and {one.status for one in found} <= {"pass", "warn", "not_assessed"}
    if case.counts[0] < 10:
        assert not evaluated.evaluation.roc_auc.available
    for one in json.loads(data)["checks"]:
        assert list(one) == ["id", "status", "message", "recommendation", "condition"]


@pytest.mark.parametrize(
    "name", [name for name in CASES if name not in ("1 v 30", "one patient a class", "two patients a class")]
)
def test_an_audit(name):
    case = CASES[name]
    audit = audit_of(case)
    results = experiments.run_experiments(audit)
    risks = shortcut_risks(audit)
    judged = conclude(Evidence(results, None, "covid", audit.shares_sites()))
    located = localisation.localise(audit)
    shown = find_examples(audit, [one.id for one in results], located)
    found = AuditResult(
        results, [], None, risks, judged, located, [localisation.check(located, "global")], examples=shown
    )
    require_clean("\n".join([*audit_report.lines(found, "covid"), *audit_report.conclusion_lines(judged), str(judged)]))
    require_clean_json(run_record.as_json({"experiments": results, "shortcut_risks": risks, "conclusion": judged}))
    assert figures.forest(results, judged).startswith(b"\x89PNG")
    page = audit_report.audit_report(audit, found, {}).decode()
    text = re.sub(r"<(style|script)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
    require_clean(text)
    assert re.sub(r"\s", "", judged.message) in re.sub(r"\s", "", html_unescaped(text))
    assert "full_image" in shown.by_experiment
    for example in shown.by_experiment.values():
        assert example.text in html_unescaped(text) and len(example.images) == 4
        for image in example.images:
            assert image.pixels.shape == (224, 224, 3) and f'alt="{image.text}"' in html_unescaped(page)


def own_patients(extractor):
    """Return the patients of a case as they are."""
    return extractor.patients


def of_both_classes(extractor):
    """Return patients each of whom has an image of either class."""
    return np.array([f"p{image.path.stem}" for image in extractor.dataset.images])


@pytest.mark.parametrize(
    ("case", "people", "folds", "repeats"),
    [
        (Case((25, 25), signal=9.0), own_patients, 5, 3),
        (Case((25, 25), constant=True), own_patients, 5, 2),
        (Case((30, 30), signal=0.3), of_both_classes, 5, 2),
        (Case((4, 40), signal=0.5), own_patients, 3, 2),
        (Case((12, 12), border=lambda positive, number, noise: noise + 9 * positive), own_patients, 5, 2),
        (Case((40, 40), signal=0.5, site=lambda positive, number: str(number // 3)), own_patients, 5, 3),
    ],
)
def test_a_cross_validated_run(case, people, folds, repeats):
    extractor = extractor_of(case)
    extractor = replace(extractor, patients=people(extractor))
    labels, everything = extractor.dataset.labels, np.arange(len(extractor.properties))
    features, strata = extractor.features(everything), np.array([image.stratum for image in extractor.dataset.images])
    known = [{} for _ in labels]
    samples = FeatureSet(features[:, None], features, labels, *[extractor.patients] * 2, strata, CLASSES, known)
    plan = draw_folds(labels, extractor.patients, CLASSES, folds, repeats, 0)
    predictions = out_of_fold(samples, 0, RidgeRecipe(), plan).predictions
    evaluated = EvaluatedHead(None, evaluate(predictions, CLASSES, 0), predictions, None, [], everything, everything)
    worth = judge(extractor, evaluated, 0, True, 0.01)
    found, checked = worth.metrics, worth.checks
    result = TrainingResult(
        *(extractor, evaluated, found, [], [], checked, everything[:0], []),
        EvaluationOptions(folds=folds, repeats=repeats, prevalence=0.01),
        {},
        {},
    )
    lines = [*training_report.lines(result), *check_lines(checked)]
    require_clean("\n".join(lines))
    assert all(len(line) <= 80 for text in lines for line in text.splitlines())
    assert not any("--folds" in check.recommendation for check in checked), "folds were used"
    areas = [evaluated.evaluation.roc_auc, *(found[name] for name in found if "roc_auc" in name or "baseline" in name)]
    for one in areas:
        if one.available:
            assert min(one.n_positive, one.n_negative) >= 10 and one.ci_high - one.ci_low > 0.01
            assert one.n_patients <= min(one.n_positive + one.n_negative, len(set(extractor.patients)))
    require_clean_json(run_record.as_json({"metrics": found}))


HEATS = {
    "noise": lambda number: np.random.default_rng(number).random((14, 14)),
    "one cell": lambda number: np.pad([[1.0]], ((7, 6), (4, 9))),
    "nothing": lambda number: np.zeros((14, 14)),
    "everything": lambda number: np.ones((14, 14)),
}


@pytest.mark.parametrize("patients", [30, 2, 1])
@pytest.mark.parametrize("heat", HEATS.values(), ids=HEATS)
def test_where_grad_cam_lies(heat, patients):
    boxes = [((0.1 + 0.01 * number, 0.4, 0.2, 0.3),) for number in range(30)]
    images = [localisation.locate(number, boxes[number], heat(number), lungs()) for number in range(30)]
    metrics_of = localisation.compare(images, np.arange(30) % patients, 0)
    located = localisation.Localisation(images, metrics_of)
    found = AuditResult([], [], None, [], None, located, [localisation.check(located, "global")])
    lines = audit_report.lines(found, "covid")
    require_clean("\n".join(lines))
    require_clean_json(run_record.as_json({"localisation": located, "checks": found.checks}))
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("Where Grad-CAM lies") for line in lines)


def html_unescaped(text: str) -> str:
    import html

    return html.unescape(text)


def test_the_search_finds_what_it_looks_for():
    for text in ("nan", "AUC -inf", "0.50 (0.50-0.50)", "infinity"):
        with pytest.raises(AssertionError):
            require_clean(text)
    require_clean("financial information of 0.50 (0.40-0.60) and nanometres")
