"""Areas under the ROC curve, over all images or within strata only, with their confidence intervals over patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.statistics.effective_number import kish_number, patient_share
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.roc_interval import effective_interval
from detector.statistics.strata import crossed, holding_two_classes, stratum_weight


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC curve: the share of pairs in which the positive scores higher; a tie counts half.

    Reference: J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve", Radiology 143 (1982).

    Parameters
    ----------
    positive : ndarray of shape (p,)
    negative : ndarray of shape (q,)
        Scores.

    Returns
    -------
    float
        nan where there are none.
    """
    scores = np.concatenate([positive, negative])
    is_positive = np.arange(len(scores)) < len(positive)
    return float(weighted_auc(scores, is_positive, np.ones((1, len(scores))))[0])


@dataclass(frozen=True)
class _Steps:
    """The order of images by stratum and score, and where strata and ties begin in it."""

    order: np.ndarray
    steps: np.ndarray  # first position of each group of images of a stratum that tie
    starts: np.ndarray  # which of these groups is the first of its stratum

    @classmethod
    def of(cls, scores: np.ndarray, strata: np.ndarray | None) -> _Steps:
        codes = np.zeros(len(scores), int) if strata is None else np.unique(strata, return_inverse=True)[1]
        order = np.lexsort((scores, codes))
        codes, scores = codes[order], scores[order]
        new_stratum = np.append(True, codes[1:] != codes[:-1])
        steps = np.flatnonzero(new_stratum | np.append(True, scores[1:] != scores[:-1]))
        return cls(order, steps, np.flatnonzero(new_stratum[steps]))

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return values of strata, (…, strata), at each of their groups, (…, groups)."""
        return np.repeat(values, np.diff(np.append(self.starts, len(self.steps))), axis=-1)


def weighted_auc(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, strata: np.ndarray | None = None
) -> np.ndarray:
    """Return the area under the ROC curve of weighted images, comparing those of one stratum with each other only.

    Strata count by `strata.stratum_weight`.

    Reference: K. H. Zou et al., Biometrical Journal 53 (2011).

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    weights : ndarray of shape (draws, n)
    strata : ndarray of shape (n,), optional
        By default all images are in one.

    Returns
    -------
    ndarray of shape (draws,)
        nan where no stratum has both classes.
    """
    if not len(scores):
        return np.full(len(weights), np.nan)
    by = _Steps.of(scores, strata)
    weights, is_positive = weights[:, by.order], is_positive[by.order]
    positive = np.add.reduceat(weights * is_positive, by.steps, axis=1)
    negative = np.add.reduceat(weights * ~is_positive, by.steps, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    below -= by.spread(below[:, by.starts])
    pairs_won = np.add.reduceat(positive * (below + negative / 2), by.starts, axis=1)
    n_positive, n_negative = (np.add.reduceat(side, by.starts, axis=1) for side in (positive, negative))
    compared = stratum_weight(n_positive, n_negative).sum(axis=1)
    won = np.where(n_positive * n_negative > 0, pairs_won / (n_positive + n_negative + 1), 0.0).sum(axis=1)
    return np.divide(won, compared, out=np.full(len(weights), np.nan), where=compared > 0)


def influence(
    scores: np.ndarray,
    is_positive: np.ndarray,
    strata: np.ndarray | None = None,
    alone: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Return the area of `weighted_auc`, and by how much each image moves it away from the others' mean.

    An image's placement is the share of its stratum's other class that it is ranked on the right side of. Its
    influence is the distance of that from its stratum's area, by its weight; influences add up to 0. Where a stratum
    has a single patient of a class, the distance from its own area would be 0: that from the mean area is taken, as
    surveys do with a single unit of a stratum.

    Reference: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves: a nonparametric approach", Biometrics 44 (1988).

    Parameters
    ----------
    scores : ndarray of shape (n,)
    is_positive : ndarray of shape (n,), bool
    strata : ndarray of shape (n,), optional
        Each holds both classes.
    alone : ndarray of shape (n,), bool, optional
        Whether an image's patient is the only one of the class in the stratum; by default none is.

    Returns
    -------
    area : float
    influence : ndarray of shape (n,)
    """
    by = _Steps.of(scores, strata)
    side = is_positive[by.order]
    ties = np.diff(np.append(by.steps, len(scores)))
    positive = np.add.reduceat(side.astype(float), by.steps)
    negative = ties - positive
    n_positive, n_negative = (np.add.reduceat(one, by.starts) for one in (positive, negative))
    below = {}
    for name, one in (("positive", positive), ("negative", negative)):
        before = np.cumsum(one) - one
        below[name] = before - by.spread(before[by.starts]) + one / 2
    above_negatives = below["negative"] / by.spread(n_negative)
    below_positives = 1.0 - below["positive"] / by.spread(n_positive)
    areas = np.add.reduceat(positive * above_negatives, by.starts) / n_positive
    size = stratum_weight(n_positive, n_negative)
    shares = size / size.sum()
    area = float(shares @ areas)
    centre, of_positive, of_negative = (
        np.repeat(by.spread(one), ties) for one in (areas, shares / n_positive, shares / n_negative)
    )
    if alone is not None:
        centre = np.where(alone[by.order], area, centre)
    moved = np.where(
        side,
        of_positive * (np.repeat(above_negatives, ties) - centre),
        of_negative * (np.repeat(below_positives, ties) - centre),
    )
    found = np.empty(len(scores))
    found[by.order] = moved
    return area, found


@dataclass(frozen=True)
class _Compared:
    """The images that a repeat compares, and their patients: of each class, and in all.

    `effective` are as many patients of equally many images each, by Kish.
    """

    images: tuple[int, int]
    people: tuple[int, int]
    effective: tuple[float, float]
    n_patients: int

    @classmethod
    def of(cls, patients: np.ndarray, is_positive: np.ndarray, kept: np.ndarray) -> _Compared:
        sides = kept & is_positive, kept & ~is_positive
        counts = [np.unique(patients[side], return_counts=True)[1] for side in sides]
        images, people = (int(sides[0].sum()), int(sides[1].sum())), (len(counts[0]), len(counts[1]))
        return cls(images, people, (kish_number(counts[0]), kish_number(counts[1])), len(set(patients[kept])))


def roc_auc(
    scores: np.ndarray,
    is_positive: np.ndarray,
    patients: np.ndarray,
    strata: np.ndarray | None = None,
    folds: np.ndarray | None = None,
) -> Metric:
    """Return the mean area under the ROC curve over repeats, with an interval over patients.

    The variance is that of influences added up by patient, in which images of one person, repeats and patients with
    images of both classes are accounted for. The interval is Newcombe's for as many independent patients as would have
    that variance, with Student's quantile for Kish's effective number of patients; without any variance, as where no
    pair is ranked wrongly, for the patients that there are. By simulation it covers 0.90 to 0.98 for areas of 0.5 to
    0.97, from 10 v 10 patients on, also where one of 20 patients of a class has half of its images; within strata of
    few images, which repeats draw anew, 0.95 to 1.00. Of out-of-fold scores it is wider: see
    `roc_interval.refit_inflation`. Where repeats compare different images, as within strata, images and patients are
    counted in the repeat that compares the fewest.

    References: N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997); for folds
    as strata, A. Airola et al., Computational Statistics & Data Analysis 55 (2011), and G. Forman, M. Scholz, SIGKDD
    Explorations 12 (2010): scores of two folds come from two models, and ranking them together is biased.

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    strata : ndarray of shape (n,) or (repeats, n), optional
        Compare within these only; an image whose stratum is empty text, or below 0, is compared with none.
    folds : ndarray of shape (n,) or (repeats, n), int, optional
        Which fold held each image out: only images of one fold are compared, since only they were scored by one model.

    Returns
    -------
    Metric
        Unavailable with fewer than `FEWEST` comparable images of a class, or with one patient in a class, in any
        repeat.
    """
    patients = np.unique(np.asarray(patients), return_inverse=True)[1]
    refitted = False
    if folds is not None and len(np.unique(folds)) > 1:
        refitted = True
        strata = crossed(folds) if strata is None else crossed(strata, folds)
    compared: list[_Compared] = []
    values, moved = [], np.zeros(len(is_positive))
    for repeat, one in enumerate(scores):
        own = None if strata is None else np.broadcast_to(strata, np.shape(scores))[repeat]
        kept = np.ones(len(one), bool) if own is None else holding_two_classes(is_positive, own)
        compared.append(_Compared.of(patients, is_positive, kept))
        images, people = compared[-1].images, compared[-1].people
        if min(images) < FEWEST:
            return too_few(*images, "images" if kept.all() else "comparable images")
        if min(people) < 2:
            return Metric.unavailable("all images of a class are of one patient", *images)
        within = np.zeros(kept.sum(), int) if own is None else own[kept]
        share = patient_share(patients[kept], is_positive[kept], within)
        area, change = influence(one[kept], is_positive[kept], within, share == 1)
        values.append(area)
        # Residuals as if each patient had not pulled its stratum's mean towards itself.
        moved[kept] += change / np.sqrt(np.where(share < 1, 1 - share, 1.0)) / len(scores)
    sums = [
        np.bincount(patients[side], moved[side], minlength=patients.max() + 1) for side in (is_positive, ~is_positive)
    ]
    variances = [float((one**2).sum()) for one in sums]
    # Of patients with images of both classes.
    covariance = max(2 * float(sums[0] @ sums[1]), -0.9 * sum(variances))
    value = round(float(np.mean(values)), 12)  # a constant has exactly 0.5
    # Other repeats compare other images of the same sample: adding theirs would count more than one comparison has.
    fewest = min(compared, key=lambda one: min(one.images))
    low, high = effective_interval(value, [*variances, covariance], fewest.people, fewest.effective, refitted)
    return Metric(value, low, high, *fewest.images, n_patients=fewest.n_patients)
