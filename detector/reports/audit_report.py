"""The HTML report of an audit: the conclusion, the experiments, and what was shown to the network in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from detector.audit.context import Audit
from detector.audit.evidence import LUNGS
from detector.audit.examples import Example, Examples
from detector.audit.experiments import GROUPS
from detector.audit.localisation import TITLES
from detector.reports import html_report
from detector.reports.audit_figures import risk_plane
from detector.reports.localisation_figure import localisation_figure

if TYPE_CHECKING:
    from detector.reports.audit_outputs import AuditResult


def audit_report(audit: Audit, found: AuditResult, settings: Mapping[str, object]) -> bytes:
    """Return the HTML report.

    Parameters
    ----------
    audit : Audit
    found : AuditResult
    settings : mapping
    """
    counts = ", ".join(f"{count} {name}" for name, count in audit.extractor.dataset.counts().items())
    drawn = [one for one in found.risks if one.utility.available and one.detectability.available]
    return html_report.render(
        "audit.html.j2",
        f"Audit of {audit.extractor.dataset.name} ({counts}): what a classifier learns from it",
        conclusion=found.conclusion,
        clean=found.conclusion.code == LUNGS,
        content=found.content,
        groups=[(name, rows) for name in GROUPS if (rows := [one for one in found.results if one.group == name])],
        controls_positive=found.controls_positive,
        positive=audit.settings.positive,
        risks=found.risks,
        plane=html_report.png_uri(risk_plane(drawn)) if drawn else "",
        localisation=[(TITLES[name], one) for name, one in found.localisation.metrics.items()],
        localisation_notes=found.localisation.notes,
        located=located_figures(found.examples) if found.examples.best else (),
        checks=found.checks,
        examples=example_images(found.examples.by_experiment),
        settings=html_report.shown_settings(settings),
    )


def located_figures(found: Examples) -> tuple[str, str]:
    """Return the figure of the images whose saliency lies in boxes most, and least: for light and for dark reports."""
    light, dark = (html_report.jpeg_uri(localisation_figure(found.best, found.worst, dark)) for dark in (False, True))
    return light, dark


def example_images(found: Mapping[str, Example]) -> dict[str, dict[str, object]]:
    """Return, by experiment, a text and the images as addresses that hold them, each with its class and a text."""
    return {
        name: {
            "text": example.text,
            "images": [
                {"uri": html_report.image_uri(one.pixels), "label": one.label, "text": one.text}
                for one in example.images
            ],
        }
        for name, example in found.items()
    }
