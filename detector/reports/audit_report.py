"""The page of an audit: the verdict, its rows, and what was shown to the network in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.comparison import Audit
from detector.audit.conclusion import LUNGS, Verdict
from detector.audit.experiments import BORDER, ONLY, OUTLINE, TRAINED, WITHOUT, Result
from detector.audit.linear_baseline import border_matrix, linear_scores
from detector.images.border import MARGIN
from detector.images.lungs import describe
from detector.images.occlusion import LUNGS_ONLY, WITHOUT_LUNGS, Occlusion
from detector.images.occlusion import OUTLINE as OUTLINE_ONLY
from detector.reports import html_report
from detector.statistics.intervals import Proportion

EACH = 2  # example images of each side
PARTS = {
    TRAINED: ("everything", None),
    WITHOUT: ("the film with its lungs black", WITHOUT_LUNGS),
    ONLY: ("nothing but the lungs", LUNGS_ONLY),
    OUTLINE: ("the shape of the lungs, and not a pixel of the film", OUTLINE_ONLY),
}


@dataclass(frozen=True)
class Film:
    """An example image, as an address, with its class and a text for those who do not see it."""

    film: str
    label: str
    text: str


@dataclass(frozen=True)
class Example:
    """What the network was shown in an experiment."""

    name: str
    text: str
    films: list[Film]


def audit_page(
    audit: Audit,
    results: Sequence[Result],
    called: Proportion | None,
    verdict: Verdict,
    forest: bytes,
    settings: Mapping[str, object],
) -> bytes:
    """Return the page.

    Parameters
    ----------
    audit : Audit
    results : sequence of Result
    called : Proportion or None
        Share of controls called positive.
    verdict : Verdict
    forest : bytes
        The forest plot, PNG.
    settings : mapping
    """
    return html_report.render(
        "audit.html.j2",
        "What the detector learnt from this data set",
        verdict=verdict,
        clean=verdict.learnt == LUNGS,
        results=results,
        called=called,
        positive=audit.settings.positive,
        notes=audit.notes,
        examples=examples(audit, {result.name for result in results}),
        forest=html_report.png_uri(forest),
        command=html_report.command(),
        settings=[(name, value) for name, value in settings.items() if value is not None],
    )


def examples(audit: Audit, made: set[str]) -> list[Example]:
    """Return a few images as each experiment that was made showed them, and the films that the border tells best."""
    sides = audit.own_positives(), audit.own_others()
    chosen = [row for side in sides for row in _with_lungs(audit, side)[:EACH]]
    found = [
        Example(name, f"The network saw {what}.", [_film(audit, row, part, what) for row in chosen])
        for name, (what, part) in PARTS.items()
        if name in made
    ]
    own = audit.sets.own
    properties = border_matrix([audit.extractor.properties[row] for row in own])
    truth = audit.is_positive(own)
    scores = linear_scores(properties, truth, audit.extractor.patients[own], audit.settings.seed)
    if len(scores):
        # The surest of each side: if a shortcut is at the edge, it is on these.
        best = [own[truth][np.argsort(-scores[truth])[:EACH]], own[~truth][np.argsort(scores[~truth])[:EACH]]]
        films = [_edge(audit, row) for rows in best for row in rows]
        text = "No network: properties of the outer tenth. These films it tells best; look for what they share."
        found.append(Example(BORDER, text, films))
    return found


def _with_lungs(audit: Audit, rows: np.ndarray) -> np.ndarray:
    """Return the first images in which lungs were found; all were looked at before, so that none is computed now."""
    few = rows[: 4 * EACH]
    return few[[describe(mask).found for mask in audit.extractor.lungs(few)]] if len(few) else few


def _film(audit: Audit, row: int, part: str | None, what: str) -> Film:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row, Occlusion(part) if part else None)
    return Film(html_report.film_uri(pixels), image.label, f"{image.label}: {image.file}, {what}")


def _edge(audit: Audit, row: int) -> Film:
    image = audit.extractor.dataset.images[row]
    pixels = audit.extractor.pixels(row).copy()
    margin = round(len(pixels) * MARGIN)
    pixels[margin:-margin, margin:-margin] = 0
    return Film(html_report.film_uri(pixels), image.label, f"{image.label}: {image.file}, its outer tenth")
