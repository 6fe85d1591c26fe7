"""The page of a training run: what the model gets wrong, and whether its number can be believed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.checks import Check
from detector.audit.subgroups import Subgroup
from detector.audit.validity import worst_first
from detector.command_line import progress
from detector.datasets import clinical, overview
from detector.network.backbone import BATCH
from detector.network.gradcam import CELLS, Maps
from detector.reports import html_report
from detector.statistics.evaluation import Evaluation
from detector.statistics.metric import Metric
from detector.statistics.probabilities import IN_THE_LARGE, SLOPE
from detector.storage.cache import key
from detector.training.evaluation_result import Outcome
from detector.training.extraction import FeatureExtractor


@dataclass(frozen=True)
class Card:
    """A held-out image on the page."""

    file: str
    label: str
    label_index: int
    predicted: str
    right: bool
    probability: float
    patient: str
    film: str
    heat: str
    row: Mapping[str, str]


def training_page(
    extractor: FeatureExtractor,
    outcome: Outcome,
    metrics: Mapping[str, Metric],
    table: Sequence[Subgroup],
    checks: Sequence[Check],
    maps: Maps,
    settings: Mapping[str, object],
    pictures: tuple[bytes, bytes],
    names: tuple[str, str],
) -> bytes:
    """Return the page.

    Parameters
    ----------
    extractor : FeatureExtractor
    outcome : Outcome
    metrics : mapping of str to Metric
    table : sequence of Subgroup
    checks : sequence of Check
    maps : callable
        As `gradcam.heat_maps` returns it.
    settings : mapping
    pictures : (bytes, bytes)
        How training went and what it reached, as PNG.
    names : (str, str)
        Of the plot's and of the record's file.
    """
    result = outcome.evaluation
    order = by_surety(extractor, outcome)
    right = int((outcome.predicted[0] == extractor.dataset.labels[outcome.held_out]).sum())
    films = overview.of_images(extractor.dataset.images)
    return html_report.render(
        "training.html.j2",
        "What the detector learnt, and what it gets wrong",
        verdict=verdict(result, checks),
        doubts=any(check.warns for check in checks),
        checks=worst_first(checks),
        figures=rows_of(result, metrics),
        counted=f"{len(order) - right} of {len(order)} held-out images were told wrongly.",
        left_out=max(0, len(order) - html_report.MOST),
        cards=cards(extractor, outcome, order[: html_report.MOST], maps),
        classes=result.classes,
        positive=result.positive,
        folds=settings["folds"],
        plot=html_report.png_uri(pictures[0]),
        evaluation=html_report.png_uri(pictures[1]),
        plot_name=names[0],
        json=names[1],
        subgroups=table,
        meaning=overview.meaning(films),
        overview=overview.rows(films),
        command=html_report.command(),
        settings=[(name, value) for name, value in settings.items() if value is not None],
    )


def verdict(result: Evaluation, checks: Sequence[Check]) -> str:
    """Return the conclusion in a sentence: the ROC AUC, and which checks warn."""
    warned = [check.title for check in checks if check.warns]
    number = f"ROC AUC {result.roc_auc}"
    if not warned:
        return f"{number}. None of {len(checks)} checks warns."
    warn = "warns" if len(warned) == 1 else "warn"
    return f"{number}. {len(warned)} of {len(checks)} checks {warn}: {', '.join(warned)}."


def rows_of(result: Evaluation, metrics: Mapping[str, Metric]) -> list[dict[str, object]]:
    """Return the metrics as rows: a value with its interval, drawn where it lies between 0 and 1, or the reason."""
    rows: list[dict[str, object]] = []
    for name, metric in {**result.metrics(), **metrics}.items():
        if not metric.available:
            rows.append({"name": name, "text": str(metric)})
        else:
            drawn = name not in (IN_THE_LARGE, SLOPE) and metric.ci_low is not None
            rows.append({"name": name, "metric": metric, "drawn": drawn})
    return rows


def by_surety(extractor: FeatureExtractor, outcome: Outcome) -> np.ndarray:
    """Return the order of held-out images: mistakes first, the surest on top, then the others, the least sure first."""
    labels, predicted = extractor.dataset.labels[outcome.held_out], outcome.predicted[0]
    sure = outcome.probabilities[0][np.arange(len(predicted)), predicted]
    wrong = predicted != labels
    return np.lexsort((np.where(wrong, -sure, sure), ~wrong))


def cards(extractor: FeatureExtractor, outcome: Outcome, order: np.ndarray, maps: Maps) -> list[Card]:
    """Return the images of a page, each with where the model looked for what it said."""
    positive = outcome.evaluation.classes.index(outcome.evaluation.positive)
    classes = outcome.evaluation.classes
    heats = heat_of(extractor, outcome, order, maps)
    found = []
    for position, heat in zip(order, heats, strict=True):
        row, said = outcome.held_out[position], classes[int(outcome.predicted[0][position])]
        image = extractor.dataset.images[row]
        film = extractor.pixels(row, extractor.hide)
        found.append(
            Card(
                file=image.file,
                label=image.label,
                label_index=classes.index(image.label),
                predicted=said,
                right=said == image.label,
                probability=float(outcome.probabilities[0][position, positive]),
                patient=str(extractor.patients[row]),
                film=html_report.film_uri(film),
                heat=html_report.heat_uri(heat),
                row={"file": image.file, "class": image.label, **image.row},
            )
        )
    return found


def heat_of(extractor: FeatureExtractor, outcome: Outcome, order: np.ndarray, maps: Maps) -> list[np.ndarray]:
    """Return where the model looked on each image for what it said, (14, 14); kept: a second run asks it again."""
    head = hashlib.sha256(b"".join(array.tobytes() for array in outcome.fitted.trained.weights)).hexdigest()
    rows, said = outcome.held_out[order], outcome.predicted[0][order]
    part = extractor.hide.part if extractor.hide else ""
    values = [extractor.dataset.images[row].row for row in rows]
    extra = clinical.encode(outcome.fitted.columns, values)
    names = [
        key(
            kind="heat",
            image=extractor.properties[row].digest,
            head=head,
            said=int(label),
            part=part,
            clinical=beside.tolist(),
        )
        for row, label, beside in zip(rows, said, extra, strict=True)
    ]
    cache = extractor.backbone.cache
    held = {
        name: np.frombuffer(data, "<f4").reshape(CELLS, CELLS)
        for name, data in cache.get(names).items()
        if len(data) == 4 * CELLS**2
    }
    missing = np.array([i for i, name in enumerate(names) if name not in held], int)
    starts = range(0, len(missing), BATCH)
    for start in progress(starts, len(starts), "where the model looked", extractor.log.quiet, "batch"):
        batch = missing[start : start + BATCH]
        pixels = np.stack([extractor.pixels(row, extractor.hide) for row in rows[batch]]).astype(np.float32) / 255
        heats = maps([pixels, extra[batch]] if extra.shape[1] else pixels, said[batch])
        done = {names[i]: heat.astype("<f4") for i, heat in zip(batch, heats, strict=True)}
        cache.put({name: heat.tobytes() for name, heat in done.items()})
        held |= done
    return [held[name] for name in names]
