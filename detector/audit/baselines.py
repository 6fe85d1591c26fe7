"""Baselines: what predicts the class without the chest, or without the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detector import counted
from detector.audit.comparison import Audit, Finding
from detector.audit.linear_baseline import border_matrix, indicators, linear_auc, metadata_auc, property_matrix
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.files.values import years
from detector.statistics.metric import FEWEST, Metric

# Of which images something is known, and columns of numbers that say what.
Known = tuple[np.ndarray, np.ndarray]


def border(audit: Audit) -> Finding:
    """Predict the class from the outer 10 % of the images, where no lung is."""
    return Finding(_linear(audit, audit.sets.own, border_matrix(audit.own_properties)))


def file_properties(audit: Audit) -> Finding:
    """Predict the class from size, shape, format, colour and brightness of the files."""
    return Finding(_linear(audit, audit.sets.own, property_matrix(audit.own_properties)))


def metadata(audit: Audit) -> Finding:
    """Predict the class from site and view."""
    own = audit.sets.own
    positive, patients = audit.is_positive(own), audit.extractor.patients[own]
    found = metadata_auc(audit.own_images, positive, patients, audit.settings.seed)
    unknown = sum(not image.site for image in audit.own_images)
    notes = (f"without {counted(unknown, 'image')} of unknown site",) if unknown and found.available else ()
    return Finding(found, notes)


def view(audit: Audit) -> Finding:
    """Predict the class from the view."""
    return _where_known(audit, known_views)


def sex(audit: Audit) -> Finding:
    """Predict the class from the patients' sex."""
    return _where_known(audit, known_sexes)


def age(audit: Audit) -> Finding:
    """Predict the class from the patients' age and its square: patients may be the oldest and the youngest."""
    return _where_known(audit, known_ages)


def clinical_columns(audit: Audit) -> Finding | None:
    """Predict the class from clinical columns of the manifest; None where none were asked for."""
    if not audit.settings.clinical:
        return None
    table = [image.row for image in audit.own_images]
    # Encoded on all images: for a linear model, standardising with or without the held-out ones makes no difference.
    columns = clinical.encode(clinical.fit(audit.settings.clinical, table), table)
    return Finding(_linear(audit, audit.sets.own, columns))


def known_views(images: Sequence[Image]) -> Known:
    """Return of which images the view is known, and an indicator of each view."""
    return _indicators([image.view for image in images])


def known_sexes(images: Sequence[Image]) -> Known:
    """Return of which images the patient's sex is known, and an indicator of each."""
    cells = [image.row.get("sex", "") for image in images]
    return _indicators(["" if clinical.is_missing(cell) else cell.strip().upper()[:1] for cell in cells])


def known_ages(images: Sequence[Image]) -> Known:
    """Return of which images the patient's age is known, and age and its square, shape (known, 2)."""
    ages = [years(image.row.get("age", "")) for image in images]
    rows = np.array([row for row, age in enumerate(ages) if age is not None], int)
    known = np.array([age for age in ages if age is not None], float)
    return rows, np.stack([known, known**2], axis=1)


def _linear(audit: Audit, rows: np.ndarray, columns: np.ndarray) -> Metric:
    return linear_auc(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed)


def _where_known(audit: Audit, known: Callable[[Sequence[Image]], Known]) -> Finding:
    """Predict the class from something that manifests may know, among the images of which it is known."""
    rows, columns = known(audit.own_images)
    own = audit.sets.own[rows]
    truth = audit.is_positive(own)
    if min(truth.sum(), (~truth).sum()) < FEWEST:
        n_positive, n_negative = int(truth.sum()), int((~truth).sum())
        recorded = f"recorded for {n_positive} v {n_negative} images; at least {FEWEST} v {FEWEST} needed"
        reason = recorded if len(truth) else "not recorded for any image"
        return Finding(Metric.unavailable(reason, n_positive, n_negative))
    return Finding(_linear(audit, own, columns))


def _indicators(values: Sequence[str]) -> Known:
    rows = np.flatnonzero(np.array(values) != "")
    return rows, indicators([values[row] for row in rows]) if len(rows) else np.empty((0, 0))
