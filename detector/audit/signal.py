"""Where the signal is: training's own recipe and folds, on the whole image and on parts of it."""

from __future__ import annotations

import numpy as np

from detector.audit.comparison import Audit, Finding, compare
from detector.audit.linear_baseline import linear_auc
from detector.audit.metrics import border_adjusted, stratified
from detector.audit.occluded import occlusion, too_few_lungs
from detector.images.lungs import coarse, surroundings
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS


def full_image(audit: Audit) -> Finding:
    """Cross-validate the data set as training does."""
    return Finding(audit.scored.auc())


def within_site_and_view(audit: Audit) -> Finding:
    """Compare the same predictions within one site and view only."""
    return Finding(stratified(audit.scored))


def border_adjusted_predictions(audit: Audit) -> Finding:
    """Compare the same predictions among images of one site and view whose borders are similar."""
    return Finding(border_adjusted(audit.scored, audit.border.deciles() if audit.border.possible else None))


def lungs_masked_out(audit: Audit) -> Finding:
    """Repeat it with the lungs black."""
    return compare(audit, audit.sets.own, part=WITHOUT_LUNGS)


def masked_region(audit: Audit) -> Finding:
    """Predict the class from the shape of what is masked out: it follows the disease, too."""
    rows, hide, _ = occlusion(audit, audit.sets.own, WITHOUT_LUNGS)
    if not audit.can_be_validated(rows):
        return Finding(too_few_lungs(rows))
    columns = np.array([coarse(surroundings(mask)) for mask in audit.extractor.masks(rows, hide)])
    return Finding(linear_auc(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed))


def lungs_only(audit: Audit) -> Finding:
    """Repeat it with everything but the lungs black."""
    return compare(audit, audit.sets.own, part=LUNGS_ONLY)


def lung_mask(audit: Audit) -> Finding:
    """Repeat it with the lung mask as the image: the shape of what is masked out may predict by itself."""
    return compare(audit, audit.sets.own, part=OUTLINE)
