"""Evidence is looked up by experiment; a conclusion is one paragraph."""

from __future__ import annotations

from detector.audit.evidence import Conclusion, Evidence
from detector.audit.experiments import Result
from detector.statistics.metric import Metric


def test_only_metrics_that_could_be_computed_are_evidence():
    known, unknown = Metric(0.8, 0.7, 0.9, 20, 20), Metric.unavailable("too few images", 3, 3)
    results = [Result("lungs", "Lungs only", "", "", known), Result("age", "Age", "", "", unknown)]
    evidence = Evidence(results, None, "covid")
    assert evidence["lungs"] is known and evidence.metric("lungs") is known
    assert evidence["age"] is None and evidence["border"] is None
    assert evidence.title("lungs") == "Lungs only"


def test_a_conclusion_is_a_sentence_and_its_reasons():
    found = Conclusion(
        "mixed", "Both were learned.", ["the border has 0.80", "the lungs have 0.70"], ["border", "lungs"]
    )
    assert str(found) == "Both were learned. The border has 0.80; the lungs have 0.70."
    assert str(Conclusion("no_signal", "Nothing was learned.", [], [])) == "Nothing was learned."
    assert list(found.as_json()) == ["code", "message", "reasons", "carried_by", "recommendation"]
