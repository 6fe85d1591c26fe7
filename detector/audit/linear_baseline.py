"""What gives a class away without a look at the chest, as numbers, and how far a straight line through them gets."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from detector.datasets.dataset import Image
from detector.images.inspection import ImageProperties
from detector.statistics.roc import Area, patient_area
from detector.statistics.threads import one_thread


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
    """Return what the outer tenth of each film gives away, shape (n, 13)."""
    return np.array([image_properties.border for image_properties in properties], float)


def indicators(values: Sequence[str]) -> np.ndarray:
    """Return a column for each different value, 1 where an image has it, shape (n, values)."""
    values = np.asarray(values)
    return (values[:, None] == np.unique(values)).astype(float)


def site_matrix(images: Sequence[Image]) -> np.ndarray:
    """Return an indicator of each site, view and combination of both: all that is known without a pixel."""
    columns = ([image.site for image in images], [image.view for image in images], [i.stratum for i in images])
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
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes = np.unique(patients, return_inverse=True)[1].astype(np.int64)
    folds = _folds(np.asarray(is_positive, bool).tobytes(), codes.tobytes(), seed)
    scores = np.zeros(len(is_positive))
    with one_thread():
        for train, held_out in folds:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            scores[held_out] = model.fit(columns[train], is_positive[train]).decision_function(columns[held_out])
    return scores if folds else np.empty(0)


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


def linear_area(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Area | None:
    """Return the AUC of `linear_scores`, with an interval over patients; None where it cannot be estimated."""
    scores = linear_scores(columns, is_positive, patients, seed)
    return patient_area(scores[None], is_positive, patients, seed) if len(scores) else None


def area_or_why(columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Area | str:
    """Return `linear_area`, or the words that say why there is none."""
    return linear_area(columns, is_positive, patients, seed) or "undefined, too few patients to cross-validate"


def site_area(images: Sequence[Image], is_positive: np.ndarray, patients: np.ndarray, seed: int) -> Area | str:
    """Return how far site and view alone get, without a pixel, or why that cannot be said."""
    if not all(image.site for image in images):
        return "undefined, not every image's site is known"
    return area_or_why(site_matrix(images), is_positive, patients, seed)
