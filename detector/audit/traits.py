"""What gives a class away without a look at the chest, as numbers, and how far a straight line through them gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.datasets.dataset import Image
from detector.images.inspection import Traits
from detector.statistics.roc import Area, patient_area
from detector.statistics.threads import one_thread


def trait_matrix(traits: Sequence[Traits]) -> np.ndarray:
    """Return the traits as numbers.

    Returns
    -------
    ndarray of shape (n, traits)
        log width, log height, log aspect ratio, colour, mean and spread of intensity, and one column a file format.
    """
    formats = sorted({trait.format for trait in traits})
    return np.array(
        [
            [
                np.log(trait.width),
                np.log(trait.height),
                np.log(trait.width / trait.height),
                trait.colour,
                trait.mean,
                trait.deviation,
                *(trait.format == name for name in formats),
            ]
            for trait in traits
        ],
        float,
    )


def frame_matrix(traits: Sequence[Traits]) -> np.ndarray:
    """Return what the outer tenth of each film gives away, shape (n, 13)."""
    return np.array([trait.frame for trait in traits], float)


def indicators(values: Sequence[str]) -> np.ndarray:
    """Return a column for each different value, 1 where an image has it, shape (n, values)."""
    values = np.asarray(values)
    return (values[:, None] == np.unique(values)).astype(float)


def origin_matrix(images: Sequence[Image]) -> np.ndarray:
    """Return an indicator of each origin, view and combination of both: all that is known without a pixel."""
    columns = ([image.origin for image in images], [image.view for image in images], [i.stratum for i in images])
    return np.hstack([indicators(values) for values in columns])


def linear_scores(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """Return out-of-fold scores of a logistic regression, by patients.

    Parameters
    ----------
    columns : ndarray of shape (n, columns)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int

    Returns
    -------
    ndarray of shape (n,)
        Decision values; empty where a class has too few patients to cross-validate.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(set(patients[side])) for side in (is_positive, ~is_positive))
    folds = min(5, fewest)
    if folds < 2:
        return np.empty(0)
    scores = np.zeros(len(is_positive))
    chosen = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with one_thread():
        for train, held_out in chosen.split(columns, is_positive, patients):
            if len(set(is_positive[train])) < 2:
                return np.empty(0)
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            scores[held_out] = model.fit(columns[train], is_positive[train]).decision_function(columns[held_out])
    return scores


def linear_area(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Area | None:
    """Return the AUC of `linear_scores`, with an interval over patients; None where it cannot be estimated."""
    scores = linear_scores(columns, is_positive, patients, seed)
    return patient_area(scores[None], is_positive, patients, seed) if len(scores) else None
