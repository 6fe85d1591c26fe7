"""An audit: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector import counted
from detector.audit.baselines import Risk
from detector.audit.checks import Check
from detector.audit.context import Audit
from detector.audit.evidence import (
    EXCLUDED,
    GROUPS,
    LUNGS,
    NOT_TESTED,
    PRESENT,
    SAME_SITES,
    UNDETERMINED,
    Conclusion,
    Result,
    Row,
)
from detector.audit.examples import Example, Examples
from detector.audit.external import TITLES, External
from detector.audit.localisation import POINTING, Localisation
from detector.audit.localisation import TITLES as TITLES_OF_LOCALISATION
from detector.cli.output import Log, replaced_line
from detector.files.atomic import write_together
from detector.reports import html, run_record
from detector.reports.figures import forest, localisation_figure
from detector.reports.text import check_lines, closing_lines, metric_cells, table
from detector.statistics.metric import Metric
from detector.training.dataset import ImplausibleImage

STATES = (PRESENT, UNDETERMINED, NOT_TESTED, EXCLUDED)  # of a source, the worst first


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    `checks` affect no conclusion; `implausible` are images that may be no frontal chest radiographs, left out or not,
    and `content` the same in a line; `examples` are empty where no HTML report is made.
    """

    results: list[Result]
    external: list[External]
    controls_positive: Metric | None
    risks: list[Risk]
    conclusion: Conclusion
    localisation: Localisation
    checks: list[Check]
    implausible: Sequence[ImplausibleImage] = ()
    content: str = ""
    examples: Examples = field(default_factory=Examples)


def lines(found: AuditResult, positive: str) -> list[str]:
    """Return what is printed of an audit but for its conclusion."""
    return [
        *_experiment_lines(found, positive),
        *_risk_lines(found.risks),
        *_localisation_lines(found.localisation),
        "",
        *check_lines(found.checks),
    ]


def _experiment_lines(found: AuditResult, positive: str) -> list[str]:
    """Return a line an experiment, under the headings of groups."""
    external = {one.result.id: one for one in found.external}
    rows: list[list[object]] = [["experiment", "ROC AUC", "95 % CI", "images"]]
    for group in GROUPS:
        members = [one for one in found.results if one.group == group]
        rows += [[""], [group]] if members else []
        for one in members:
            rows.append([f"  {one.title}", *metric_cells(one.metric, _images(one.metric))])
            rows += [[f"    {note}"] for note in one.notes]
            if one.id in external:
                beside = external[one.id].beside.items()
                rows += [[f"    {TITLES[name]}", *metric_cells(area, _images(area))] for name, area in beside]
                rows += [[f"    {external[one.id].warning}"]] if external[one.id].warning else []
        if group == SAME_SITES and (share := found.controls_positive):
            rows.append([f"  share of controls predicted {positive}: {share.short}, {share.n_negative} images"])
    return ["", *table(rows)] if found.results else []


def _images(metric: Metric) -> str:
    people = f", {counted(metric.n_patients, 'patient')}" if metric.n_patients else ""
    return f"{metric.n_positive} v {metric.n_negative}{people}"


def _risk_lines(risks: Sequence[Risk]) -> list[str]:
    """Return the properties that are shortcut risks as a table: how well each predicts the class, and is predicted."""
    rows = [(f"  {one.name}", one.utility.short, one.detectability.short) for one in risks if one.suspected]
    heading = ("Shortcut risks (ROC AUC)", "predicts the class", "predicted from the image")
    return ["", *table([heading, *rows])] if rows else []


def _localisation_lines(found: Localisation) -> list[str]:
    """Return a line for each metric of the localisation, beside what the other images' maps and a random point get."""
    if not found.metrics:
        return []
    rows: list[list[object]] = [["Where Grad-CAM lies", "share", "95 % CI", "others", "random", "difference"]]
    for name, one in found.metrics.items():
        values = [metric.value_text if metric.available else "n/a" for metric in (one.others, one.random)]
        beside = [*values, one.difference.short if one.difference.available else "n/a"]
        rows.append([f"  {TITLES_OF_LOCALISATION[name]}", *metric_cells(one.found, *beside)])
    images = found.metrics[POINTING].found
    said = f"{counted(images.n_positive, 'correctly predicted image')} of {counted(images.n_patients, 'patient')}"
    others = "others: the other images' maps on this one, which the difference is from"
    notes = said, others, "random: a random point of the lungs; in the last row, of the image", *found.notes
    return ["", *table([*rows, *([f"    {note}"] for note in notes)])]


def worst_rows(conclusion: Conclusion) -> list[Row]:
    """Return every source that may predict the class, those that do first."""
    return sorted(conclusion.rows, key=lambda row: STATES.index(row.state))


def conclusion_lines(conclusion: Conclusion) -> list[str]:
    """Return every source with its state, what to do next, and the conclusion last."""
    rows = [[row.state, row.text] for row in worst_rows(conclusion)]
    printed = ["", "Sources of a shortcut", *table(rows, "  ")] if rows else []
    return [*printed, *closing_lines(conclusion.recommendation, conclusion.message)]


def save(
    outputs: Mapping[str, Path], audit: Audit, found: AuditResult, settings: Mapping[str, object], log: Log
) -> None:
    """Write the record, the forest plot and the HTML report: all of them, or none."""
    extractor = audit.extractor
    record = {
        **run_record.header(),
        "settings": settings,
        "base": run_record.base(extractor),
        "implausible_images": found.implausible,
        "experiments": found.results,
        "external": found.external,
        "controls_predicted_positive": found.controls_positive,
        "shortcut_risks": found.risks,
        "localisation": found.localisation,
        "checks": found.checks,
        "conclusion": found.conclusion,
        "images": run_record.images(extractor, range(len(extractor.properties))),
    }
    plot = forest(found.results, found.conclusion)
    contents = {
        outputs["json"]: run_record.as_json(record | {"times": log.seconds}),
        outputs["figure"]: plot,
    }
    if "report" in outputs:
        shown = {**settings, **run_record.versions()}
        contents[outputs["report"]] = audit_report(audit, found, shown)
    replaced = replaced_line(contents)
    write_together(contents)
    log.info(f"wrote {', '.join(map(str, contents))}")
    if replaced:
        log.info(replaced)


def audit_report(audit: Audit, found: AuditResult, settings: Mapping[str, object]) -> bytes:
    """Return the HTML report."""
    counts = ", ".join(f"{count} {name}" for name, count in audit.extractor.dataset.counts().items())
    return html.render(
        "audit.html.j2",
        f"Audit of {audit.extractor.dataset.name} ({counts}): what a classifier learns from it",
        conclusion=found.conclusion,
        sources=worst_rows(found.conclusion),
        clean=found.conclusion.code == LUNGS,
        content=found.content,
        groups=[(name, rows) for name in GROUPS if (rows := [one for one in found.results if one.group == name])],
        controls_positive=found.controls_positive,
        positive=audit.sets.positive,
        risks=found.risks,
        localisation=[(TITLES_OF_LOCALISATION[name], one) for name, one in found.localisation.metrics.items()],
        localisation_notes=found.localisation.notes,
        located=html.uri(localisation_figure(found.examples.best, found.examples.worst), "jpeg")
        if found.examples.best
        else "",
        checks=found.checks,
        examples=example_images(found.examples.by_experiment),
        settings=html.shown_settings(settings),
    )


def example_images(found: Mapping[str, Example]) -> dict[str, dict[str, object]]:
    """Return, by experiment, a text and the images as addresses that hold them, each with its class and a text."""
    return {
        name: {
            "text": example.text,
            "images": [
                {"uri": html.image_uri(one.pixels), "label": one.label, "text": one.text} for one in example.images
            ],
        }
        for name, example in found.items()
    }
