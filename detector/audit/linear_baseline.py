"""Baselines without the chest: properties of border, file, site and view as numbers, and a linear model of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.datasets.dataset import Image
from detector.images.inspect import ImageProperties
from detector.statistics.auc import roc_auc
from detector.statistics.metric import FEWEST, Metric
from detector.statistics.strata import one_thread

SUSPICIOUS = 0.75  # ROC AUC of a baseline from which it is taken for a shortcut, if it is shown to be above chance


def property_matrix(properties: Sequence[ImageProperties]) -> np.ndarray:
    """Return the properties as numbers.

    Returns
    -------
    ndarray of shape (n, properties)
        log width, log height, log aspect ratio, colour, mean and spread of intensity, and one column a file format.
    """
    formats = sorted({image_properties.format for image_properties in properties})
    return np.array(
        [
            [
                np.log(image_properties.width),
                np.log(image_properties.height),
                np.log(image_properties.width / image_properties.height),
                image_properties.colour,
                image_properties.mean,
                image_properties.deviation,
                *(image_properties.format == name for name in formats),
            ]
            for image_properties in properties
        ],
        float,
    )


def border_matrix(properties: Sequence[ImageProperties]) -> np.ndarray:
    """Return the properties of the outer 10 % of each image, shape (n, 13)."""
    return np.array([image_properties.border for image_properties in properties], float)


def indicators(values: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a column for each different value, 1 where an image has it, shape (n, values)."""
    cells = np.asarray(values)
    return (cells[:, None] == np.unique(cells)).astype(float)


def site_matrix(images: Sequence[Image]) -> np.ndarray:
    """Return an indicator of each site, view and combination of both: all that is known without a pixel."""
    columns = ([image.site for image in images], [image.view for image in images], [i.stratum for i in images])
    return np.hstack([indicators(values) for values in columns])


@dataclass(frozen=True)
class Baseline:
    """Out-of-fold scores of a logistic regression; each fold's come from another model.

    Attributes
    ----------
    scores : ndarray of shape (n,)
        Decision values; empty where a class has too few patients to cross-validate.
    folds : ndarray of shape (n,), int
    """

    scores: np.ndarray
    folds: np.ndarray

    @property
    def possible(self) -> bool:
        """Whether there were enough patients."""
        return len(self.scores) > 0

    def auc(self, is_positive: np.ndarray, patients: np.ndarray) -> Metric:
        """Return the ROC AUC within folds, with an interval over patients."""
        if not self.possible:
            return Metric.unavailable("too few patients to cross-validate")
        return roc_auc(self.scores[None], is_positive, patients, folds=self.folds)

    def deciles(self) -> np.ndarray:
        """Return in which decile of its own fold each image's score lies, from 0, shape (n,), int."""
        found = np.empty(len(self.scores), int)
        for fold in np.unique(self.folds):
            rows = self.folds == fold
            bounds = np.quantile(self.scores[rows], np.arange(1, 10) / 10)
            found[rows] = np.digitize(self.scores[rows], bounds)
        return found


def cross_validate(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Baseline:
    """Cross-validate a logistic regression, patients apart.

    Parameters
    ----------
    columns : ndarray of shape (n, columns)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    Baseline
    """
    from sklearn.linear_model import LogisticRegression

    codes = np.unique(patients, return_inverse=True)[1].astype(np.int64)
    sides = _folds(np.asarray(is_positive, bool).tobytes(), codes.tobytes(), seed)
    if not sides:
        return Baseline(np.empty(0), np.empty(0, int))
    scores, folds = np.zeros(len(is_positive)), np.zeros(len(is_positive), int)
    with one_thread():
        for fold, (train, held_out) in enumerate(sides):
            mean, scale = columns[train].mean(axis=0), columns[train].std(axis=0)
            # What is constant but for rounding holds no information.
            scale[scale <= 1e-9 * np.maximum(np.abs(mean), 1.0)] = np.inf
            inside, outside = ((columns[rows] - mean) / scale for rows in (train, held_out))
            model = LogisticRegression(max_iter=1000).fit(inside, is_positive[train])
            # The intercept is the fold's own, and constant columns must tie exactly.
            scores[held_out], folds[held_out] = outside @ model.coef_[0], fold
    return Baseline(scores, folds)


@functools.lru_cache(maxsize=4)
def _folds(is_positive: bytes, patients: bytes, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds that keep patients whole; none where a class has too few.

    Drawn once for all properties of the same images: of 20,000 it takes scikit-learn seconds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    truth, who = np.frombuffer(is_positive, bool), np.frombuffer(patients, np.int64)
    count = min(5, *(len(set(who[side])) for side in (truth, ~truth)))
    if count < 2:
        return []
    chosen = list(StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(truth, truth, who))
    return chosen if all(len(set(truth[train])) == 2 for train, _ in chosen) else []


def linear_auc(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Metric:
    """Return how well a linear model of some columns predicts the class, out of fold."""
    return cross_validate(columns, is_positive, patients, seed).auc(is_positive, patients)


def metadata_auc(images: Sequence[Image], is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Metric:
    """Return how well site and view alone predict the class, without a pixel, among images whose site is known."""
    known = np.flatnonzero([bool(image.site) for image in images])
    n_positive, n_negative = int(is_positive[known].sum()), int((~is_positive[known]).sum())
    unknown = len(images) - len(known)
    if unknown and min(n_positive, n_negative) < FEWEST:
        reason = f"the site of {unknown} of {len(images)} images is not known"
        return Metric.unavailable(reason, n_positive, n_negative)
    return linear_auc(site_matrix([images[row] for row in known]), is_positive[known], patients[known], seed)
