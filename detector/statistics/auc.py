"""Areas under the ROC curve, over all images or within strata: intervals over patients, differences and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.statistics.intervals import kish_number, percentiles, resampled, student
from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few
from detector.statistics.strata import crossed, holding_two_classes, stratum_weight

NO_SCORES = "decisions without probabilities"
TOO_FEW = "too few patients to cross-validate"
MOST_EFFECTIVE = 1e4  # an image cannot be worth more patients than this


def by_score(scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what positives and negatives weigh at each distinct score, (draws, scores) each, the highest first."""
    order = np.argsort(-scores, kind="stable")
    steps = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))
    positive = np.add.reduceat(weights[:, order] * is_positive[order], steps, axis=1)
    return positive, np.add.reduceat(weights[:, order] * ~is_positive[order], steps, axis=1)


def weighted_auc(
    scores: np.ndarray, is_positive: np.ndarray, weights: np.ndarray, strata: np.ndarray | None = None
) -> np.ndarray:
    """Return the area under the ROC curve of weighted images, comparing those of one stratum with each other only.

    Strata count by `strata.stratum_weight`.

    Reference: K. H. Zou et al., Biometrical Journal 53 (2011).
    """
    strata = np.zeros(len(scores), int) if strata is None else strata
    won, compared = [], []
    for stratum in np.unique(strata):
        rows = strata == stratum
        positive, negative = by_score(scores[rows], is_positive[rows], weights[:, rows])
        n_positive, n_negative = positive.sum(axis=1), negative.sum(axis=1)
        beaten = n_negative[:, None] - np.cumsum(negative, axis=1) + negative / 2  # ties count half
        won.append((positive * beaten).sum(axis=1) / (n_positive + n_negative + 1))
        compared.append(stratum_weight(n_positive, n_negative))
    total = np.stack(compared, axis=1).sum(axis=1)
    return np.divide(np.stack(won, axis=1).sum(axis=1), total, out=np.full(len(weights), np.nan), where=total > 0)


def influence(
    scores: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, strata: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the area of `weighted_auc`, and by how much each image moves it away from the others' mean.

    An image's placement is the share of its stratum's other class that it is ranked on the right side of. Its
    influence is the distance of that from its stratum's area, by its weight. A patient with a share h of its class and
    stratum's images pulls their mean towards itself: the variance of its residuals is too small by 1 - h. Where a
    stratum has a single patient of a class, the distance from its own area would be 0: that from the mean area is
    taken, as surveys do with a single unit of a stratum. Images of strata of a single class, or below 0, move nothing.

    References: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves: a nonparametric approach", Biometrics 44 (1988); R. M. Bell, D. F.
    McCaffrey, "Bias reduction in standard errors for linear regression with multi-stage samples", Survey Methodology 28
    (2002).
    """
    known = [strata == stratum for stratum in np.unique(strata[strata >= 0])]
    pairs = [(np.flatnonzero(rows & is_positive), np.flatnonzero(rows & ~is_positive)) for rows in known]
    pairs = [(positive, negative) for positive, negative in pairs if len(positive) and len(negative)]
    placed = [
        (_share_below(scores[positive], scores[negative]), 1 - _share_below(scores[negative], scores[positive]))
        for positive, negative in pairs
    ]
    areas = np.array([of_positives.mean() for of_positives, _ in placed])
    sizes = stratum_weight(*np.array([(len(positive), len(negative)) for positive, negative in pairs]).T)
    shares = sizes / sizes.sum()
    area, moved = float(shares @ areas), np.zeros(len(scores))
    for share, own, sides, placements in zip(shares, areas, pairs, placed, strict=True):
        for rows, placement in zip(sides, placements, strict=True):
            _, codes, images = np.unique(patients[rows], return_inverse=True, return_counts=True)
            alone, pulled = len(images) == 1, images[codes] / len(rows)
            distance = placement - (area if alone else own)
            moved[rows] = share / len(rows) * distance / np.sqrt(1.0 if alone else 1 - pulled)
    return area, moved


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the share of other scores that each score lies above; ties count half."""
    others = np.sort(others)
    return (np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")) / (2 * len(others))


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
    `refit_inflation`. Where repeats compare different images, as within strata, images and patients are
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
    refitted = folds is not None and len(np.unique(folds)) > 1
    columns = [column for column in (strata, folds if refitted else None) if column is not None]
    within = np.broadcast_to(crossed(*columns), scores.shape) if columns else np.zeros(scores.shape, int)
    if np.isnan(scores).any():
        return Metric.unavailable(NO_SCORES, int(is_positive.sum()), int((~is_positive).sum()))
    compared = []  # of each repeat: images and patients, and in each class the images of each patient
    values, moved = [], np.zeros(len(is_positive))
    for one, own in zip(scores, within, strict=True):
        kept = holding_two_classes(is_positive, own) if columns else np.ones(len(one), bool)
        counts = [np.unique(patients[kept & side], return_counts=True)[1] for side in (is_positive, ~is_positive)]
        images = int(counts[0].sum()), int(counts[1].sum())
        compared.append((images, len(set(patients[kept])), counts))
        if min(images) < FEWEST:
            return too_few(*images, "images" if kept.all() else "comparable images")
        if min(map(len, counts)) < 2:
            return Metric.unavailable("all images of a class are of one patient", *images)
        area, change = influence(one, is_positive, patients, own)
        values.append(area)
        moved += change / len(scores)
    sums = [
        np.bincount(patients[side], moved[side], minlength=patients.max() + 1) for side in (is_positive, ~is_positive)
    ]
    variances = [float((one**2).sum()) for one in sums]
    # Of patients with images of both classes.
    covariance = max(2 * float(sums[0] @ sums[1]), -0.9 * sum(variances))
    value = round(float(np.mean(values)), 12)  # a constant has exactly 0.5
    # Other repeats compare other images of the same sample: adding theirs would count more than one comparison has.
    images, n_patients, counts = min(compared, key=lambda one: min(one[0]))
    low, high = effective_interval(value, [*variances, covariance], counts, refitted)
    return Metric(value, low, high, *images, n_patients=n_patients)


@dataclass(frozen=True)
class Scores:
    """Scores of images by models that had not seen them, with what is true of these.

    Attributes
    ----------
    scores : ndarray of shape (repeats, n)
        Probabilities or decision values; empty where a class has too few patients to cross-validate.
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    folds : ndarray of shape (repeats, n), int
        Which fold of each repeat held an image out, only within which one model gave the scores; all 0 of a single one.
    """

    scores: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    folds: np.ndarray

    @property
    def possible(self) -> bool:
        """Whether there were enough patients."""
        return self.scores.size > 0

    def auc(self, *columns: np.ndarray) -> Metric:
        """Return the ROC AUC among images of one fold that agree in all of some properties."""
        if not self.possible:
            return Metric.unavailable(TOO_FEW)
        strata = crossed(*columns) if columns else None
        return roc_auc(self.scores, self.is_positive, self.patients, strata, self.folds)

    def deciles(self) -> np.ndarray:
        """Return in which decile of its own fold each image's first score lies, from 0, shape (n,), int."""
        scores, folds = self.scores[0], self.folds[0]
        found = np.empty(len(scores), int)
        for fold in np.unique(folds):
            rows = folds == fold
            found[rows] = np.digitize(scores[rows], np.quantile(scores[rows], np.arange(1, 10) / 10))
        return found


def newcombe_interval(
    value: float, positives: float, negatives: float, quantile: float | None = None, refitted: bool = False
) -> tuple[float, float]:
    """Return a score interval of an area under the ROC curve, which is none of a point where no pair is ranked wrongly.

    Reference: R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic,
    part 2", Statistics in Medicine 25 (2006), method 5: the variance of Hanley and McNeil's exponential model at the
    bound itself, with the mean of both sample sizes in place of each.
    """
    from scipy.optimize import brentq

    z = student() if quantile is None else quantile

    def too_far(bound: float) -> float:
        inflation = refit_inflation(bound) if refitted else 1.0
        return (value - bound) ** 2 - z**2 * inflation * exponential_variance(bound, positives, negatives)

    # At the value itself nothing is too far; where that is 0 or 1 it would be taken for the bound.
    low = 0.0 if value <= 0 else brentq(too_far, 0.0, value - 1e-9)
    high = 1.0 if value >= 1 else brentq(too_far, value + 1e-9, 1.0)
    return float(low), float(high)


def refit_inflation(area: float) -> float:
    """Return by how much the variance of a cross-validated area exceeds that of as many images scored by one model.

    Every pair of folds counts twice: the one is trained on what the other is tested on. Where a model learns
    nothing but chance properties of the sample, the errors of both folds are the same, and the variance is that of a
    sum in which each term stands twice: doubled, whatever the folds and their number. The better a model, the less it
    depends on single images. In between this is a compromise: by simulation with linear models of 3 features 1.5 at
    0.6, 1.1 at 0.75, 0.9 at 0.9; of 500 features 1.7 to 2.0 up to 0.85.

    References: Y. Bengio, Y. Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", Journal of
    Machine Learning Research 5 (2004); C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning
    52 (2003), whose correction is 2.25 for five folds.
    """
    return 1.0 + 4.0 * area * (1.0 - area)


def fold_inflation(area: Metric, folds: np.ndarray) -> float:
    """Return `refit_inflation` of a model's area if its predictions are out of fold, and 1 if one model made all.

    The same sharing of images between folds widens every mean over out-of-fold predictions. By simulation of ridge
    regression on noise, 3 and 100 features, 20 v 20 and 40 v 40 patients, 5 folds, 400 data sets, Wilson's interval of
    the accuracy covers 0.86 to 0.91 without it and 0.96 to 0.98 with it; that of sensitivity and specificity 0.95 to
    0.97, and 0.98 to 1.00.
    """
    if len(np.unique(folds)) < 2:
        return 1.0
    return refit_inflation(area.point if area.available else 0.5)


def exponential_variance(area: float, positives: float, negatives: float) -> float:
    """Return the variance of an area under the ROC curve, were the scores of both classes exponential.

    Reference: J. A. Hanley, B. J. McNeil, Radiology 143 (1982), with Newcombe's mean sample size.
    """
    spread = 1 + ((positives + negatives) / 2 - 1) * ((1 - area) / (2 - area) + area / (1 + area))
    return area * (1 - area) * spread / (positives * negatives)


def effective_interval(
    value: float, parts: list[float], counts: Sequence[np.ndarray], refitted: bool
) -> tuple[float, float]:
    """Return Newcombe's interval for as many independent patients as have a variance.

    Near 0 and 1 that variance is next to nothing, and by simulation the interval covers too little (0.90 for an area of
    0.995 and 72 v 72). It therefore reaches at least as far as that of a perfect separation of the same patients, so
    that the lower bound never falls as the area rises; then it covers 0.96.
    """
    from scipy.optimize import brentq

    variances, total, (m, n) = parts[:2], sum(parts), map(len, counts)
    if not WIDTH < value < 1 - WIDTH:
        return newcombe_interval(float(round(value)), m, n, refitted=refitted)
    if total < WIDTH**2:
        # Constant scores, which no fit can change.
        return newcombe_interval(value, m, n)
    # Welch's degrees of freedom.
    effective = [max(kish_number(one) - 1, WIDTH) for one in counts]
    squares = sum(part**2 / freedom for part, freedom in zip(variances, effective, strict=True))
    freedom = max(sum(variances) ** 2 / squares, 1.0)

    def excess(log_share: float) -> float:
        return exponential_variance(value, m * np.exp(log_share), n * np.exp(log_share)) - total

    low, high = np.log([2 / min(m, n) / 10, MOST_EFFECTIVE])
    root = low if excess(low) < 0 else high if excess(high) > 0 else brentq(excess, low, high)
    share = float(np.exp(root))
    low, high = newcombe_interval(value, m * share, n * share, student(freedom), refitted)
    furthest = newcombe_interval(1.0, m, n, refitted=refitted)[0]
    return min(low, furthest), max(high, 1.0 - furthest)


def auc_difference(one: Scores, other: Scores, seed: int) -> Metric:
    """Return by how much the first scores' area under the ROC curve exceeds the second's, with a paired interval.

    Both areas are those of `roc_auc`: images are compared within a fold of a repeat only, and repeats are averaged.
    Patients are resampled, classes apart, and both areas are computed from the same draws, so that what one patient
    adds to both cancels.

    The percentile interval is widened about the difference. Of few patients the bootstrap's variance is too small by
    (m - 1) / m, and Student's quantile takes the place of the normal one. Of out-of-fold scores the bootstrap leaves
    out that the models are fitted to the sample as well: the variance is multiplied by `fold_inflation`, its mean over
    both areas. By simulation of ridge regression on 300 features, 50 v 50 patients, 5 folds, 300 data sets, areas of
    0.50 to 0.83: without this the interval covers the true difference in 0.84 to 0.86 of the data sets, with it in 0.93
    to 0.96.

    Where an area is 0 or 1, or no draw changes the difference, there is nothing to resample: the intervals of both
    areas are then combined as those of independent samples, which is wider. Equal scores differ by exactly 0, and
    there is no interval.

    References: C. M. Rutter, Academic Radiology 7 (2000), for draws over patients; T. C. Hesterberg, "What teachers
    should know about the bootstrap", The American Statistician 69 (2015), for the expanded percentile interval; G. Y.
    Zou, A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27 (2008), for the combination of intervals.

    Parameters
    ----------
    one, other : Scores
        Of the same images, folds and repeats.
    seed : int
        Of the draws.

    Returns
    -------
    Metric
        In [-1, 1]; unavailable for the reasons of `roc_auc`.
    """
    first, second = areas = one.auc(), other.auc()
    if missing := [area for area in areas if not area.available]:
        return missing[0]
    is_positive, patients = one.is_positive, one.patients
    counts = first.n_positive, first.n_negative
    value = round(first.point - second.point, 12)
    if np.array_equal(one.scores, other.scores):
        return Metric(value, None, None, *counts, n_patients=first.n_patients)

    def difference(weights: np.ndarray) -> np.ndarray:
        found = np.zeros(len(weights))
        for *pair, folds in zip(one.scores, other.scores, one.folds, strict=True):
            found += np.subtract(*(weighted_auc(scores, is_positive, weights, folds) for scores in pair)) / len(
                one.scores
            )
        return found

    low, high = percentiles(resampled(difference, is_positive, patients, seed))
    certain = any(not WIDTH < area.point < 1 - WIDTH for area in areas)
    if certain or high - low <= WIDTH:
        below = np.hypot(first.point - first.low, second.high - second.point)
        above = np.hypot(first.high - first.point, second.point - second.low)
    else:
        fewest = min(len(set(patients[side])) for side in (is_positive, ~is_positive))
        few = student(fewest - 1) / student() * np.sqrt(fewest / (fewest - 1))
        factor = float(few * np.sqrt(np.mean([fold_inflation(area, one.folds) for area in areas])))
        below, above = factor * (value - low), factor * (high - value)
    bounds = max(value - float(below), -1.0), min(value + float(above), 1.0)
    return Metric(value, *bounds, *counts, n_patients=first.n_patients)


def roc_curve(scores: np.ndarray, is_positive: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ROC curve over folds and repeats, whose area is that of `roc_auc` within folds.

    At each rate of false positives the sensitivities of the folds' own curves are averaged, each with the weight that
    its area has in the mean area; repeats count equally. Images of different folds are not ranked together, since
    their scores come from different models. A fold without images of both classes has no curve.

    Reference: T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006), section 8.1
    (vertical averaging).

    Parameters
    ----------
    scores : ndarray of shape (repeats, n)
    is_positive : ndarray of shape (n,), bool
    folds : ndarray of shape (repeats, n), int
        Which fold held each image out; all equal of a single model.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray of shape (points,)
        Corners of the curve from (0, 0) to (1, 1), to be joined by straight lines; empty where no fold has both
        classes.
    """
    from sklearn import metrics

    curves, weights = [], []
    for one, own in zip(scores, folds, strict=True):
        sides = [own == fold for fold in np.unique(own)]
        sides = [rows for rows in sides if 0 < is_positive[rows].sum() < rows.sum()]
        sizes = [float(stratum_weight(is_positive[rows].sum(), (~is_positive[rows]).sum())) for rows in sides]
        curves += [metrics.roc_curve(is_positive[rows], one[rows], drop_intermediate=False)[:2] for rows in sides]
        weights += [size / sum(sizes) for size in sizes]
    if not curves:
        return np.empty(0), np.empty(0)
    # Where a curve rises it has two sensitivities at one rate: just before the step, and just after.
    rates = np.unique(np.concatenate([false for false, _ in curves]))
    beside = np.stack([rates - WIDTH, rates + WIDTH], axis=1).ravel()
    mean = np.average([np.interp(beside, false, true) for false, true in curves], axis=0, weights=weights)
    return np.r_[0.0, np.repeat(rates, 2), 1.0], np.r_[0.0, mean, 1.0]
