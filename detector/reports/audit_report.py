"""An audit: its result, what is printed, its JSON record and its HTML report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detector import counted
from detector.audit.baselines import Risk
from detector.audit.checks import Check
from detector.audit.context import Audit
from detector.audit.evidence import (
    EXCLUDED,
    EXTERNAL,
    GROUPS,
    LUNGS,
    NOT_TESTED,
    PRESENT,
    SAME_SITES,
    UNDETERMINED,
    Conclusion,
    Result,
)
from detector.audit.experiments import BESIDE, find_examples
from detector.audit.localisation import POINTING, Localisation
from detector.audit.localisation import TITLES as TITLES_OF_LOCALISATION
from detector.cli.output import Log
from detector.images.masks import highest, in_a_box
from detector.reports import html, run_record
from detector.reports.figures import forest
from detector.reports.text import Table, check_lines, closing_lines, metric_cells, table
from detector.statistics.metric import Metric
from detector.training.dataset import ImplausibleImage, implausible_line

STATES = (PRESENT, UNDETERMINED, NOT_TESTED, EXCLUDED)  # of a source, the worst first
MOST_LOCATED = 3  # images with the most, and with the least saliency in boxes


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    `checks` affect no conclusion; `implausible` are images that may be no frontal chest radiographs, left out or not.
    """

    results: list[Result]
    controls_positive: Metric | None
    risks: list[Risk]
    conclusion: Conclusion
    localisation: Localisation
    checks: list[Check]
    implausible: Sequence[ImplausibleImage] = ()

    @property
    def groups(self) -> dict[str, list[Result]]:
        """The experiments by group."""
        groups = {name: [one for one in self.results if one.group == name] for name in GROUPS}
        return {name: members for name, members in groups.items() if members}

    @property
    def sources(self) -> list[list[str]]:
        """Every source that may predict the class, its state and what was found; those that do come first."""
        rows = sorted(self.conclusion.rows, key=lambda row: STATES.index(row.state))
        return [[row.title, row.state, row.text] for row in rows]

    def risk_table(self, suspected: bool) -> Table:
        """How well each property predicts the class, and is predicted: those that are shortcut risks, or the others."""
        rows = [[f"  {one.name}", one.utility, one.detectability] for one in self.risks if one.suspected == suspected]
        title = "Shortcut risks (ROC AUC)" if suspected else "Other properties (ROC AUC)"
        return Table(title, ["predicts the class", "predicted from the image"], rows)

    @property
    def located(self) -> Table:
        """Each metric of the localisation, beside what the other images' maps and a random point get."""
        metrics = self.localisation.metrics
        rows = []
        for name, one in metrics.items():
            beside = [metric.value_text if metric.available else "n/a" for metric in (one["others"], one["random"])]
            rows.append([f"  {TITLES_OF_LOCALISATION[name]}", one["found"], *beside, one["difference"]])
        notes = list(self.localisation.notes)
        if metrics:
            images = metrics[POINTING]["found"]
            said = (
                f"{counted(images.n_positive, 'correctly predicted image')} of {counted(images.n_patients, 'patient')}"
            )
            others = "others: the other images' maps on this one, which the difference is from"
            notes = [said, others, "random: a random point of the lungs; in the last row, of the image", *notes]
        return Table("Where Grad-CAM lies", ["share (95 % CI)", "others", "random", "difference"], rows, notes)


def lines(found: AuditResult, positive: str) -> list[str]:
    """Return what is printed of an audit but for its conclusion."""
    rows: list[list[object]] = [["experiment", "ROC AUC", "95 % CI", "images"]]
    for group, members in found.groups.items():
        rows += [[""], [group]]
        for one in members:
            rows += [[f"  {one.title}", *metric_cells(one.metric, _images(one.metric))]]
            rows += [[f"    {BESIDE[name]}", *metric_cells(area, _images(area))] for name, area in one.beside.items()]
            rows += [[f"    {note}"] for note in (*one.notes, one.warning) if note]
        if group == SAME_SITES and (share := found.controls_positive):
            rows.append([f"  share of controls predicted {positive}: {share.short}, {share.n_negative} images"])
    experiments = ["", *table(rows)] if found.results else []
    return [*experiments, *found.risk_table(True).lines(), *found.located.lines(), "", *check_lines(found.checks)]


def _images(metric: Metric) -> str:
    people = f", {counted(metric.n_patients, 'patient')}" if metric.n_patients else ""
    return f"{metric.n_positive} v {metric.n_negative}{people}"


def conclusion_lines(found: AuditResult) -> list[str]:
    """Return every source with its state, what to do next, and the conclusion last."""
    rows = [row[1:] for row in found.sources]  # the finding begins with the title
    printed = ["", "Sources of a shortcut", *table(rows, "  ")] if rows else []
    return [*printed, *closing_lines(found.conclusion.recommendation, found.conclusion.message)]


def save(
    outputs: Mapping[str, Path], audit: Audit, found: AuditResult, settings: Mapping[str, object], log: Log
) -> None:
    """Write the record, the forest plot and the HTML report: all of them, or none."""
    extractor = audit.extractor
    record = {
        **run_record.header(),
        "settings": settings,
        "base": run_record.BASE,
        "implausible_images": found.implausible,
        "experiments": found.results,
        "external": [
            {"id": one.id, "beside": one.beside, "warning": one.warning}
            for one in found.results
            if one.group == EXTERNAL
        ],
        "controls_predicted_positive": found.controls_positive,
        "shortcut_risks": found.risks,
        "localisation": found.localisation,
        "checks": found.checks,
        "conclusion": found.conclusion,
        "images": run_record.images(extractor, range(len(extractor.properties))),
    }
    contents = {
        outputs["json"]: run_record.as_json(record | {"times": log.seconds}),
        outputs["figure"]: forest(found.results, found.conclusion),
    }
    if "report" in outputs:
        contents[outputs["report"]] = audit_report(audit, found, {**settings, **run_record.versions()})
    run_record.save(contents, log)


def audit_report(audit: Audit, found: AuditResult, settings: Mapping[str, object]) -> bytes:
    """Return the HTML report."""
    own = replace(audit.extractor.dataset, images=audit.own_images)  # without controls and external sets
    counts = ", ".join(f"{count} {name}" for name, count in own.counts().items())
    images = audit.sets.count + sum(one.left_out for one in found.implausible)
    ordered = sorted(found.localisation.images, key=lambda one: (-one.in_boxes, one.row))
    return html.render(
        "audit.html.j2",
        f"Audit of {own.name} ({counts}): what a classifier learns from it",
        found=found,
        conclusion=found.conclusion,
        clean=found.conclusion.code == LUNGS,
        positive=audit.sets.positive,
        content=implausible_line(found.implausible, images) if found.implausible else "",
        titles=BESIDE,
        examples=find_examples(audit, [one.id for one in found.results]),
        located={"most": ordered[:MOST_LOCATED], "least": ordered[-MOST_LOCATED:]},
        images=audit.extractor.dataset.images,
        pixels=audit.extractor.pixels,
        image_uri=html.image_uri,
        heat_uri=html.heat_uri,
        highest=highest,
        in_a_box=in_a_box,
        settings=settings,
    )
