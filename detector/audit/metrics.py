"""What a ROC AUC is worth: baselines without the chest, and the same compared among similar images only.

Baselines are linear models of the border, the file, or site and view; a run has all that they need.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from detector.audit.evidence import BEYOND_BORDER, BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.files.values import years
from detector.images.inspect import ImageProperties
from detector.statistics.auc import TOO_FEW, Scores, auc_difference
from detector.statistics.evaluation import evaluate
from detector.statistics.intervals import predictive_values
from detector.statistics.metric import FEWEST, Metric, too_few
from detector.statistics.probabilities import of_probabilities
from detector.statistics.split import FoldPlan, TooFewPatientsError, draw_folds
from detector.statistics.strata import crossed, one_thread
from detector.training.crossvalidation import EvaluatedHead
from detector.training.dataset import FeatureExtractor

FOLDS = 5
PPV, NPV = "ppv", "npv"


def lacking(is_positive: np.ndarray, what: str) -> Metric | None:
    """Return a metric of which a class has too few images, by what these are; None where both have enough."""
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    return too_few(n_positive, n_negative, what) if min(n_positive, n_negative) < FEWEST else None


def property_matrix(properties: Sequence[ImageProperties]) -> np.ndarray:
    """Return size, shape, colour, intensity and format of files as numbers, shape (n, columns)."""
    numbers = [
        [np.log(one.width), np.log(one.height), np.log(one.width / one.height), one.colour, one.mean, one.deviation]
        for one in properties
    ]
    return np.hstack([np.array(numbers, float), indicators([one.format for one in properties])])


def indicators(values: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a column for each different value, 1 where an image has it, shape (n, values)."""
    cells = np.asarray(values)
    return (cells[:, None] == np.unique(cells)).astype(float)


def cross_validate(
    columns: np.ndarray, is_positive: np.ndarray, patients: np.ndarray, seed: int, plan: FoldPlan | None = None
) -> Scores:
    """Cross-validate a logistic regression, patients apart: its decision values. Folds are by default up to five."""
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
    unknown, few = len(images) - len(known), lacking(is_positive[known], "")
    if unknown and few:
        return replace(few, reason=f"the site of {unknown} of {len(images)} images is not known")
    chosen = [images[row] for row in known]
    values = ([one.site for one in chosen], [one.view for one in chosen], [one.stratum for one in chosen])
    return cross_validate(np.hstack([*map(indicators, values)]), is_positive[known], patients[known], seed).auc()


def stratified(scored: Scores, strata: np.ndarray, *others: np.ndarray) -> Metric:
    """Compare images of one site and view only, which agree in some other properties, too."""
    if (strata == "").all():
        return Metric.unavailable("the site of the images is not known")
    return scored.auc(strata, *others)


def border_adjusted(
    scored: Scores, strata: np.ndarray, border: Scores, rows: np.ndarray, seed: int
) -> tuple[Metric, Metric]:
    """Compare images of one site and view whose borders are similar: of one decile of the border's out-of-fold score.

    Reference: H. Janes, M. S. Pepe, "Adjusting for covariate effects on classification accuracy using the
    covariate-adjusted receiver operating characteristic curve", Biometrika 96 (2009).

    `border` has the scores of all images, `rows` says which of these are scored, and `strata` their site and view.

    Returns
    -------
    adjusted : Metric
        The ROC AUC.
    beyond : Metric
        By how much it exceeds that of the border's score among the same images. A decile is no point: within one, the
        border's score still separates the classes (0.56 by simulation), and so does a model that reads it. A model that
        reads the border more closely than the baseline may exceed it: in 5 to 25 % of 20 simulated sets of 200 to 600.
    """
    if not border.possible:
        return Metric.unavailable(TOO_FEW), Metric.unavailable(TOO_FEW)
    deciles = border.deciles()[rows]
    adjusted = stratified(scored, strata, deciles)
    if not adjusted.available:
        return adjusted, adjusted
    codes = crossed(strata, deciles, scored.folds)
    known = strata != ""
    own, of_border = (
        Scores(scores[:, known], scored.is_positive[known], scored.patients[known], codes[:, known])
        for scores in (scored.scores, np.broadcast_to(border.scores[0][rows], scored.scores.shape))
    )
    return adjusted, auc_difference(own, of_border, seed)


def compute_metrics(
    extractor: FeatureExtractor,
    evaluated: EvaluatedHead,
    seed: int,
    balanced: bool = True,
    prevalence: float | None = None,
) -> dict[str, Metric]:
    """Return the metrics beside those of the evaluation, by name.

    Parameters
    ----------
    balanced : bool
        Whether the classes counted equally in training, so that the probabilities are those of equal frequencies.
    prevalence : float, optional
        Share of patients with the disease for which predictive values are given.
    """
    result, images, patients = evaluated.evaluation, extractor.dataset.images, extractor.patients
    positive = result.classes.index(result.positive)
    truth, strata = extractor.dataset.labels == positive, np.array([image.stratum for image in images])
    border = cross_validate(np.array([one.border for one in extractor.properties], float), truth, patients, seed)
    rows, scored = evaluated.held_out, evaluated.predictions.scores(positive)
    adjusted, beyond = border_adjusted(scored, strata[rows], border, rows, seed)
    found = {
        STRATIFIED: stratified(scored, strata[rows]),
        METADATA: metadata_auc(images, truth, patients, seed),
        BORDER: border.auc(),
        FILES: cross_validate(property_matrix(extractor.properties), truth, patients, seed).auc(),
        BORDER_ADJUSTED: adjusted,
        BEYOND_BORDER: beyond,
        **of_probabilities(scored, seed, balanced),
    }
    if prevalence is not None:
        both = predictive_values(result.sensitivity, result.specificity, prevalence)
        # A patient with images of both classes is one.
        found[PPV], found[NPV] = (
            replace(one, n_patients=result.accuracy.n_patients) if one.available else one for one in both
        )
    return found


# A mean can hide a group that differs.

AGES = (0, 18, 40, 60, 80, 130)  # years, from and below


@dataclass(frozen=True)
class Subgroup:
    """A result among the images of which a property has a value; unavailable where a class has too few of them."""

    property: str
    value: str
    n_images: int
    n_patients: int
    sensitivity: Metric
    specificity: Metric
    roc_auc: Metric


def _sex(image: Image) -> str:
    cell = image.row.get("sex", "")
    return "" if clinical.is_missing(cell) else cell.strip().upper()[:1]


def _age_band(image: Image) -> str:
    age = years(image.row.get("age", ""))
    return next((f"{low}-{high - 1}" for low, high in pairwise(AGES) if age is not None and low <= age < high), "")


PROPERTIES: Mapping[str, Callable[[Image], str]] = {
    "sex": _sex,
    "age": _age_band,
    "view": lambda image: image.view,
    "data set": lambda image: image.source,
}


def subgroups(extractor: FeatureExtractor, evaluated: EvaluatedHead) -> list[Subgroup]:
    """Return the result by sex, age, view and data set, where manifests know them."""
    images = [extractor.dataset.images[row] for row in evaluated.held_out]
    every, classes = evaluated.predictions, evaluated.evaluation.classes
    positive, table = classes.index(evaluated.evaluation.positive), []
    for name, value_of in PROPERTIES.items():
        values = np.array([value_of(image) for image in images])
        # Bands of age by their number: 0-17 before 18-39 before 80-129.
        for value in sorted(set(values.tolist()) - {""}, key=lambda text: (name == "age" and len(text), text)):
            rows = np.flatnonzero(values == value)
            predictions = replace(
                every,
                labels=every.labels[rows],
                patients=every.patients[rows],
                probabilities=every.probabilities[:, rows],
                predicted=every.predicted[:, rows],
                folds=every.folds[:, rows],
            )
            if few := lacking(predictions.labels == positive, "images"):
                metrics = [few] * 3
            else:
                found = evaluate(predictions, classes, positive)
                metrics = [found.sensitivity, found.specificity, found.roc_auc]
            table.append(Subgroup(name, value, len(rows), len(set(predictions.patients)), *metrics))
    return table
