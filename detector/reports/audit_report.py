"""The HTML report of an audit: the conclusion, the experiments, and what was shown to the network in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.audit.comparison import Audit
from detector.audit.evidence import LUNGS
from detector.audit.experiments import BORDER, FULL, GROUPS, LUNG_MASK, LUNGS_ALONE, MASKED_OUT
from detector.audit.localisation import TITLES, Localisation
from detector.images.border import MARGIN
from detector.images.lungs import describe
from detector.images.occlusion import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS, Occlusion
from detector.reports import html_report
from detector.reports.audit_figures import risk_plane
from detector.reports.localisation_figure import EACH as MOST_EXAMPLES
from detector.reports.localisation_figure import localisation_figure

if TYPE_CHECKING:
    from detector.reports.audit_outputs import AuditResult

EACH = 2  # example images of each side
PARTS = {
    FULL: ("the full image", None),
    MASKED_OUT: ("the image with its lungs masked out", WITHOUT_LUNGS),
    LUNGS_ALONE: ("the lungs only", LUNGS_ONLY),
    LUNG_MASK: ("the shape of the lung mask, and no pixel of the image", OUTLINE),
}


@dataclass(frozen=True)
class ExampleImage:
    """An example image, as a data URI, with its class and a text for those who do not see it."""

    uri: str
    label: str
    text: str


@dataclass(frozen=True)
class Example:
    """What the network was shown in an experiment."""

    text: str
    images: list[ExampleImage]


def audit_report(audit: Audit, found: AuditResult, settings: Mapping[str, object]) -> bytes:
    """Return the HTML report.

    Parameters
    ----------
    audit : Audit
    found : AuditResult
    settings : mapping
    """
    drawn = [one for one in found.risks if one.utility.available and one.detectability.available]
    return html_report.render(
        "audit.html.j2",
        f"Audit of {audit.extractor.dataset.name}: what the detector learns from this data set",
        counts=", ".join(f"{count} {name}" for name, count in audit.extractor.dataset.counts().items()),
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
        located=located_figures(audit, found.localisation) if found.localisation.images else (),
        checks=found.checks,
        examples=examples(audit, [one.id for one in found.results]),
        settings=[(name, value) for name, value in settings.items() if value is not None],
    )


def located_figures(audit: Audit, found: Localisation) -> tuple[str, str]:
    """Return the figure of the images whose saliency lies in boxes most, and least: for light and for dark reports."""
    ordered = [
        (one, audit.extractor.pixels(one.row), audit.extractor.dataset.images[one.row].file)
        for one in (*found.best_first()[:MOST_EXAMPLES], *found.best_first()[-MOST_EXAMPLES:])
    ]
    best, worst = ordered[:MOST_EXAMPLES], ordered[MOST_EXAMPLES:]
    light, dark = (html_report.jpeg_uri(localisation_figure(best, worst, dark)) for dark in (False, True))
    return light, dark


def examples(audit: Audit, ids: Sequence[str]) -> dict[str, Example]:
    """Return, by experiment, a few images as it showed them, and those whose border is most typical of their class."""
    sides = audit.own_positives(), audit.own_others()
    chosen = [row for side in sides for row in _with_lungs(audit, side)[:EACH]]
    found = {}
    for name in ids:
        if name in PARTS:
            what, part = PARTS[name]
            found[name] = Example(f"Shown: {what}.", [_shown(audit, row, part, what) for row in chosen])
    own = audit.sets.own
    truth, border = audit.is_positive(own), audit.border
    if border.possible and BORDER in ids:
        # The most confident of each side: if a shortcut is in the border, it is on these.
        scores = border.scores
        best = [own[truth][np.argsort(-scores[truth])[:EACH]], own[~truth][np.argsort(scores[~truth])[:EACH]]]
        text = "No network: properties of the outer 10 %. These images are predicted best; look for what they share."
        found[BORDER] = Example(text, [_edge(audit, row) for rows in best for row in rows])
    return found


def _with_lungs(audit: Audit, rows: np.ndarray) -> np.ndarray:
    """Return the first images in which lungs were found; all were looked at before, so that none is computed now."""
    few = rows[: 4 * EACH]
    return few[[describe(mask).found for mask in audit.extractor.lungs(few)]] if len(few) else few


def _shown(audit: Audit, row: int, part: str | None, what: str) -> ExampleImage:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row, Occlusion(part) if part else None)
    return ExampleImage(html_report.image_uri(pixels), image.label, f"{image.label}: {image.file}, {what}")


def _edge(audit: Audit, row: int) -> ExampleImage:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row).copy()
    margin = round(len(pixels) * MARGIN)
    pixels[margin:-margin, margin:-margin] = 0
    return ExampleImage(html_report.image_uri(pixels), image.label, f"{image.label}: {image.file}, its border")
