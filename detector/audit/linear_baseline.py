"""Baselines without the chest: properties of border, file, site and view as numbers, and a linear model of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from detector.datasets.dataset import Image
from detector.images.inspect import ImageProperties
from detector.statistics.auc import Scores
from detector.statistics.metric import FEWEST, Metric
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.statistics.strata import one_thread

SUSPICIOUS = 0.75  # ROC AUC of a baseline from which it is taken for a shortcut, if it is shown to be above chance
FOLDS = 5


def property_matrix(properties: Sequence[ImageProperties]) -> np.ndarray:
    """Return the properties as numbers.

    Returns
    -------
    ndarray of shape (n, properties)
        log width, log height, log aspect ratio, colour, mean and spread of intensity, and one column a file format.
    """
    numbers = [
        [np.log(one.width), np.log(one.height), np.log(one.width / one.height), one.colour, one.mean, one.deviation]
        for one in properties
    ]
    return np.hstack([np.array(numbers, float), indicators([one.format for one in properties])])


def border_matrix(properties: Sequence[ImageProperties]) -> np.ndarray:
    """Return the properties of the outer 10 % of each image, shape (n, 13)."""
    return np.array([one.border for one in properties], float)


def indicators(values: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a column for each different value, 1 where an image has it, shape (n, values)."""
    cells = np.asarray(values)
    return (cells[:, None] == np.unique(cells)).astype(float)


def cross_validate(
    columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int, plan: FoldPlan | None = None
) -> Scores:
    """Cross-validate a logistic regression, patients apart: its decision values.

    Parameters
    ----------
    columns : ndarray of shape (n, columns)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int
    plan : FoldPlan, optional
        By default one repeat of up to five folds.
    """
    from sklearn.linear_model import LogisticRegression

    codes = np.unique(patients, return_inverse=True)[1].astype(np.int64)
    plan = plan or _plan(np.asarray(is_positive, bool).tobytes(), codes.tobytes(), seed)
    if plan is None:
        return Scores(np.empty((0, 0)), is_positive, patients, np.empty((0, 0), int))
    scores = np.zeros((len(plan.repeats), len(is_positive)))
    with one_thread():
        for repeat, _, train, held_out in plan:
            mean, scale = columns[train].mean(axis=0), columns[train].std(axis=0)
            # What is constant but for rounding holds no information.
            scale[scale <= 1e-9 * np.maximum(np.abs(mean), 1.0)] = np.inf
            inside, outside = ((columns[rows] - mean) / scale for rows in (train, held_out))
            model = LogisticRegression(max_iter=1000).fit(inside, is_positive[train])
            # The intercept is the fold's own, and constant columns must tie exactly.
            scores[repeat, held_out] = outside @ model.coef_[0]
    return Scores(scores, is_positive, patients, plan.folds)


@functools.lru_cache(maxsize=4)
def _plan(is_positive: bytes, patients: bytes, seed: int) -> FoldPlan | None:
    """Return folds that keep patients whole; None where a class has too few.

    Drawn once for all properties of the same images: of 20,000 it takes scikit-learn seconds.
    """
    truth, who = np.frombuffer(is_positive, bool), np.frombuffer(patients, np.int64)
    count = min(FOLDS, *(len(set(who[side])) for side in (truth, ~truth)))
    try:
        return draw_folds((~truth).astype(int), who, ("positive", "others"), count, 1, seed) if count > 1 else None
    except TooFewPatientsError:
        return None


def metadata_auc(images: Sequence[Image], is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Metric:
    """Return how well site and view alone predict the class, without a pixel, among images whose site is known."""
    known = np.flatnonzero([bool(image.site) for image in images])
    n_positive, n_negative = int(is_positive[known].sum()), int((~is_positive[known]).sum())
    unknown = len(images) - len(known)
    if unknown and min(n_positive, n_negative) < FEWEST:
        reason = f"the site of {unknown} of {len(images)} images is not known"
        return Metric.unavailable(reason, n_positive, n_negative)
    chosen = [images[row] for row in known]
    values = ([one.site for one in chosen], [one.view for one in chosen], [one.stratum for one in chosen])
    return cross_validate(np.hstack([*map(indicators, values)]), is_positive[known], patients[known], seed).auc()
