"""What tells the classes without a look at the chest: the films' edge, and what manifests know of film and patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detector.audit.comparison import Audit
from detector.audit.linear_baseline import area_or_why, border_matrix, indicators, site_area
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.statistics.roc import Area

FEWEST = 10  # images of each class of which something must be known
Known = tuple[np.ndarray, np.ndarray]


def border(audit: Audit, name: str) -> Area | str:
    """Tell the classes by the outer tenth of the films, where no lung is."""
    own = audit.sets.own
    return linear(audit, own, border_matrix([audit.extractor.properties[row] for row in own]))


def site(audit: Audit, name: str) -> Area | str:
    """Tell the classes by site and view."""
    own = audit.sets.own
    images = [audit.extractor.dataset.images[row] for row in own]
    return site_area(images, audit.is_positive(own), audit.extractor.patients[own], audit.settings.seed)


def view(audit: Audit, name: str) -> Area | str:
    """Tell the classes by the view."""
    return _where_known(audit, known_views)


def sex(audit: Audit, name: str) -> Area | str:
    """Tell the classes by the patients' sex."""
    return _where_known(audit, known_sexes)


def age(audit: Audit, name: str) -> Area | str:
    """Tell the classes by the patients' age, and its square: the ill may be the oldest and the youngest."""
    return _where_known(audit, known_ages)


def linear(audit: Audit, rows: np.ndarray, columns: np.ndarray) -> Area | str:
    """Return how well a straight line through columns of numbers tells the classes."""
    return area_or_why(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed)


def known_views(images: Sequence[Image]) -> Known:
    """Return of which images the view is known, and an indicator of each view."""
    return _indicators([image.view for image in images])


def known_sexes(images: Sequence[Image]) -> Known:
    """Return of which images the patient's sex is known, and an indicator of each."""
    cells = [image.row.get("sex", "") for image in images]
    return _indicators(["" if clinical.is_missing(cell) else cell.strip().upper()[:1] for cell in cells])


def known_ages(images: Sequence[Image]) -> Known:
    """Return of which images the patient's age is known, and age and its square, shape (known, 2)."""
    ages = [clinical.number(image.row.get("age", "")) for image in images]
    rows = np.array([row for row, age in enumerate(ages) if age is not None], int)
    years = np.array([age for age in ages if age is not None], float)
    return rows, np.stack([years, years**2], axis=1)


def _where_known(audit: Audit, known: Callable[[Sequence[Image]], Known]) -> Area | str:
    """Tell the classes by something that manifests may know, among the images of which it is known."""
    rows, columns = known([audit.extractor.dataset.images[row] for row in audit.sets.own])
    own = audit.sets.own[rows]
    truth = audit.is_positive(own)
    if min(truth.sum(), (~truth).sum()) < FEWEST:
        return f"undefined, known of {truth.sum()} positives and {(~truth).sum()} others"
    return linear(audit, own, columns)


def _indicators(values: Sequence[str]) -> Known:
    rows = np.flatnonzero(np.array(values) != "")
    return rows, indicators([values[row] for row in rows]) if len(rows) else np.empty((0, 0))
