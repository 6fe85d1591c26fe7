"""An audit: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detector import counted
from detector.audit.baselines import Risk
from detector.audit.checks import Check
from detector.audit.context import Audit
from detector.audit.evidence import GROUPS, LUNGS, SAME_SITES, Conclusion, Result
from detector.audit.examples import Example, Examples
from detector.audit.external import TITLES, External
from detector.audit.localisation import POINTING, Localisation
from detector.audit.localisation import TITLES as TITLES_OF_LOCALISATION
from detector.cli.output import DISCLAIMER, Log, replaced_line, wrapped
from detector.files.atomic import write_together
from detector.reports import html, run_record
from detector.reports.figures import forest, localisation_figure
from detector.statistics.metric import Metric
from detector.training.dataset import ImplausibleImage

NAMES = 32  # columns of an experiment's title


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes
    ----------
    results : list of Result
        External test sets among them.
    external : list of External
    controls_positive : Metric or None
        Share of same-site controls that are predicted positive.
    risks : list of Risk
    conclusion : Conclusion
    localisation : Localisation
    checks : list of Check
        What affects no conclusion.
    implausible : sequence of ImplausibleImage
        Those that may be no frontal chest radiographs, left out or not.
    content : str
        The same in a line; empty where there are none.
    examples : Examples
        Example images; empty where no HTML report is made.
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
    """Return what is printed of an audit but for its conclusion: a line an experiment, under the headings of groups."""
    printed = ["", f"{'experiment':<{NAMES}}ROC AUC  95 % CI      images"] if found.results else []
    external = {one.result.id: one for one in found.external}
    for group in GROUPS:
        rows = [one for one in found.results if one.group == group]
        if not rows:
            continue
        printed += ["", group]
        for row in rows:
            printed += _line(row.title, row.metric)
            printed += [note for text in row.notes for note in _wrapped(text, 4)]
            if row.id in external:
                printed += [
                    line for name, area in external[row.id].beside.items() for line in _line(TITLES[name], area, 4)
                ]
                printed += _wrapped(external[row.id].warning, 4) if external[row.id].warning else []
        if group == SAME_SITES and found.controls_positive:
            share = found.controls_positive
            printed += _wrapped(f"share of controls predicted {positive}: {share.short}, {share.n_negative} images")
    printed += _risk_lines(found.risks)
    printed += _localisation_lines(found.localisation)
    printed += ["", "Validity checks"]
    for check in found.checks:
        printed += wrapped(check, "  ", " " * 28)
        printed += wrapped(check.recommendation, f"{' ' * 28}-> ", " " * 31) if check.recommendation else []
    return printed


def _risk_lines(risks: Sequence[Risk]) -> list[str]:
    """Return the properties that are shortcut risks as a table: how well each predicts the class, and is predicted."""
    rows = [
        f"  {risk.name:<20}ROC AUC {risk.utility.value_text:<14}ROC AUC {risk.detectability.value_text}"
        for risk in risks
        if risk.suspected
    ]
    heading = f"{'Shortcut risks':<22}{'predicts the class':<22}predicted from the image"
    return ["", heading, *rows] if rows else []


def _localisation_lines(found: Localisation) -> list[str]:
    """Return a line for each metric of the localisation, beside what a random point gets."""
    if not found.metrics:
        return []
    printed = ["", f"{'Where Grad-CAM lies':<24}share  {'95 % CI':<11}  random  difference"]
    for name, one in found.metrics.items():
        if one.found.available:
            interval = one.found.interval_text
            beside = f"{one.random.value_text if one.random.available else 'n/a':<6}  {_difference(one.difference)}"
            printed.append(f"  {TITLES_OF_LOCALISATION[name]:<22}{one.found.value_text:<5}  {interval:<11}  {beside}")
        else:
            printed += _line(TITLES_OF_LOCALISATION[name], one.found)
    images = found.metrics[POINTING].found
    said = f"{counted(images.n_positive, 'correctly predicted image')} of {counted(images.n_patients, 'patient')}"
    notes = said, "random: a random point of the lungs; in the last row, of the image", *found.notes
    return [*printed, *(line for note in notes for line in _wrapped(note, 4))]


def _difference(metric: Metric) -> str:
    return f"{metric.value_text} ({metric.interval_text})" if metric.available else "n/a"


def conclusion_lines(conclusion: Conclusion) -> list[str]:
    """Return the conclusion, its reasons and what to do next as they are printed."""
    reasons = [line for reason in conclusion.reasons for line in _wrapped(f"- {reason}", 2)]
    following = wrapped(f"Next: {conclusion.recommendation}")
    return ["", *wrapped(f"Conclusion: {conclusion.message}"), *reasons, *following]


def _line(title: str, metric: Metric, indent: int = 2) -> list[str]:
    start = f"{' ' * indent}{title}".ljust(NAMES)
    if not metric.available:
        return wrapped(metric.reason, f"{start}n/a      ", " " * (NAMES + 9))
    people = f", {counted(metric.n_patients, 'patient')}" if metric.n_patients else ""
    images = f"{metric.n_positive} v {metric.n_negative}{people}"
    return [f"{start}{metric.value_text:<7}  {metric.interval_text:<11}  {images}"]


def _wrapped(text: str, indent: int = 2) -> list[str]:
    return wrapped(text, " " * indent, " " * (indent + 2))


def save(
    outputs: Mapping[str, Path], audit: Audit, found: AuditResult, settings: Mapping[str, object], log: Log
) -> None:
    """Write the record, the forest plot and the HTML report: all of them, or none."""
    extractor = audit.extractor
    record = {
        **run_record.header(),
        "notice": DISCLAIMER,
        "versions": run_record.versions(),
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
    """Return the HTML report.

    Parameters
    ----------
    audit : Audit
    found : AuditResult
    settings : mapping
    """
    counts = ", ".join(f"{count} {name}" for name, count in audit.extractor.dataset.counts().items())
    return html.render(
        "audit.html.j2",
        f"Audit of {audit.extractor.dataset.name} ({counts}): what a classifier learns from it",
        conclusion=found.conclusion,
        clean=found.conclusion.code == LUNGS,
        content=found.content,
        groups=[(name, rows) for name in GROUPS if (rows := [one for one in found.results if one.group == name])],
        controls_positive=found.controls_positive,
        positive=audit.settings.positive,
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
