"""The linear probe: one layer on the means of four blocks of the frozen VGG16, fitted by logistic regression.

The loss is convex: the result depends on neither the seed nor the machine. Where strata (site × view) are given, each
has a separate intercept while the weights are fitted, so that these explain only differences within strata.

References: G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", arXiv:1610.01644
(2016); N. Breslow, N. Day, "Statistical Methods in Cancer Research I" (1980), chapters 6 and 7, for the strata.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector import InputError
from detector.network.head import AfterEpoch, TrainedHead, TrainingSet, Validation, class_weights
from detector.statistics.split import TooFewPatientsError, draw_folds
from detector.statistics.strata import holding_two_classes, one_thread, spread

# Scikit-learn's C: the inverse of the strength of the regularisation, two a decade.
STRENGTHS = tuple(float(f"{c:.3g}") for c in np.logspace(-4, 0, 9))
FOLDS = 5
# Where there are too few patients to choose: the middle of what was chosen on real data (0.0003 to 0.01).
DEFAULT_STRENGTH = 1e-3
# Scikit-learn penalises every column; one that is this much larger needs weights so small that they are nearly free.
# Truly free ones (300) did no better (docs/validation.md).
FREE = 30.0
# The choice of strength is repeated with other folds until about so many images have been held out, at most so often:
# from one cross-validation of a hundred images it came out anywhere from 1e-4 to 1e-2.
HELD_OUT, MOST_REPEATS = 1000, 4
# From so many on, the losses of two strengths differ by more than another fold would change them: it ends there.
ENOUGH = 10_000
# Of the gradient: the losses that choose a strength need fewer digits than the weights that are kept.
PATH_TOLERANCE, TOLERANCE, ITERATIONS = 1e-5, 1e-7, 5000


@dataclass(frozen=True)
class Design:
    """What a probe is fitted to: columns of standardised features, labels, and strata to fit within."""

    columns: np.ndarray
    labels: np.ndarray
    classes: int
    strata: np.ndarray | None
    balanced: bool

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Return how much each of some images counts."""
        return class_weights(self.labels[rows], self.classes, self.balanced)[self.labels[rows]].astype(float)


@dataclass(frozen=True)
class ProbeRecipe:
    """One linear layer on four blocks of the same pass, fitted by logistic regression.

    Attributes
    ----------
    pooling : {"tutorial", "global", "lungs"}
    balanced : bool
        Weigh the classes equally.
    adjust : {"auto", "strata", "none"}
        Whether to fit within strata: an intercept for each, and only those that hold two classes, since others can
        teach the site only. ``"auto"`` does where every class shares a stratum with another; ``"strata"`` is an
        InputError where one does not.
    """

    pooling: str = "lungs"
    balanced: bool = True
    adjust: str = "auto"
    name = "probe"
    rotations = 0

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Fit the probe, its strength chosen by cross-validation on the same images; there are no epochs.

        The seed is of the folds; held-out images are not used.

        Returns
        -------
        TrainedHead
            Kernel (width, classes) and bias (classes,), the standardisation folded in; with its history and strength.
        """
        import sklearn

        shared = holding_two_classes(data.labels, data.strata)
        adjusted = self.adjust != "none" and len(set(data.labels[shared])) == len(data.classes)
        if self.adjust == "strata" and not adjusted:
            raise InputError(
                "--adjust strata: among the training images a class shares no site and view with another, so the "
                "disease cannot be compared within a site; use controls of the same site, fewer folds, or --adjust none"
            )
        rows = np.flatnonzero(shared) if adjusted else np.arange(len(data.labels))
        features, labels = data.features[rows, 0], data.labels[rows]
        mean, scale = features.mean(axis=0, dtype=float), spread(features)
        columns = features - mean
        columns /= scale
        # Hundreds of small fits: checking each one's columns and arguments anew would take a quarter of their time.
        with one_thread(), sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            basis = np.eye(len(mean))
            if len(rows) < len(mean):
                # Columns of the same geometry, no more than there are images.
                left, singular, basis = np.linalg.svd(columns, full_matrices=False)
                columns = left * singular
            design = Design(columns, labels, len(data.classes), data.strata[rows] if adjusted else None, self.balanced)
            history, strength = choose_strength(design, data.classes, data.groups[rows], seed)
            everything = np.arange(len(rows))
            coefficients, intercepts = _fit_path(design, everything, [strength], TOLERANCE)[0]
        coefficients = coefficients[:, : columns.shape[1]]
        if adjusted:
            intercepts = best_intercepts(columns @ coefficients.T, labels, design.weights(everything))
        kernel = (coefficients @ basis) / scale
        bias = intercepts - kernel @ mean
        return TrainedHead([kernel.T.astype(np.float32), bias.astype(np.float32)], history, strength, adjusted)


def choose_strength(
    design: Design, classes: Sequence[str], groups: np.ndarray, seed: int
) -> tuple[dict[str, list[float]], float]:
    """Return the loss at every strength, on the images fitted to and on held-out ones, and the strength chosen.

    The loss is the class-weighted cross-entropy of images that a fold holds out, with the intercepts of their strata;
    images of strata that the fold's other side does not know with two classes do not count.
    """
    from scipy.special import log_softmax

    by_class = class_weights(design.labels, design.classes, design.balanced)
    losses, counted = np.zeros((2, len(STRENGTHS))), np.zeros((2, 1))
    for sides in _folds(design, classes, groups, seed):
        path = _fit_path(design, sides[0], STRENGTHS)
        for side, rows in enumerate(sides):
            columns, labels = _with_strata(design, rows, sides[0]), design.labels[rows]
            counted[side] += by_class[labels].sum()
            for i, (coefficients, intercepts) in enumerate(path):
                logs = log_softmax(columns @ coefficients.T + intercepts, axis=1)
                losses[side, i] -= by_class[labels] @ logs[np.arange(len(rows)), labels]
    if not counted[1]:
        return {"strength": [], "loss": [], "cv_loss": []}, DEFAULT_STRENGTH
    inner, outer = (losses / counted).tolist()
    return {"strength": list(STRENGTHS), "loss": inner, "cv_loss": outer}, STRENGTHS[int(np.argmin(outer))]


def _folds(
    design: Design, classes: Sequence[str], groups: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the sides of each fold of each repeat; of held-out images those of strata with two classes there."""
    fewest, seen = min(len(set(groups[design.labels == index])) for index in range(design.classes)), 0
    repeats = min(MOST_REPEATS, -(-HELD_OUT // len(design.labels)))
    try:
        plan = draw_folds(design.labels, groups, classes, max(2, min(FOLDS, fewest)), repeats, seed)
    except TooFewPatientsError:
        return
    for _, _, train, held_out in plan:
        rows = held_out
        if design.strata is not None:
            known = holding_two_classes(design.labels[train], design.strata[train])
            rows = held_out[np.isin(design.strata[held_out], design.strata[train][known])]
        if len(rows):
            yield train, rows
        seen += len(rows)
        if seen >= ENOUGH:
            return


def _with_strata(design: Design, rows: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return the columns of some images beside an indicator of each stratum among the images fitted to."""
    if design.strata is None:
        return design.columns[rows]
    known = np.unique(design.strata[fitted])
    return np.hstack([design.columns[rows], FREE * (design.strata[rows, None] == known)])


def _fit_path(
    design: Design, rows: np.ndarray, strengths: Sequence[float], tolerance: float = PATH_TOLERANCE
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return coefficients (classes, columns) and intercepts (classes,) at each strength, symmetric about 0."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        fit_intercept=design.strata is None, tol=tolerance, max_iter=ITERATIONS, warm_start=True, solver="lbfgs"
    )
    columns, weights = _with_strata(design, rows, rows), design.weights(rows)
    path = []
    # From the strongest regularisation on, each beginning where the last one ended.
    for strength in strengths:
        model.set_params(C=strength).fit(columns, design.labels[rows], weights)
        coefficients, intercepts = model.coef_.copy(), model.intercept_.copy()
        if len(coefficients) == 1:
            coefficients, intercepts = (np.concatenate([-one, one]) / 2 for one in (coefficients, intercepts))
        path.append((coefficients, intercepts))
    return path


def best_intercepts(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the intercepts, adding up to 0, that minimise the weighted cross-entropy when added to given logits."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    shares, own = weights / weights.sum(), (np.arange(len(labels)), labels)

    # The logarithm of the loss, and its gradient: where the classes are nearly separated the loss itself is flat to
    # the last digits. Minimised by finite differences, it ended a quarter of a logit off, and elsewhere after a
    # rounding of the features.
    def loss(intercepts: np.ndarray) -> tuple[float, np.ndarray]:
        margins = logits + intercepts
        margins -= margins[own][:, None]
        margins[own] = -np.inf
        losses = np.logaddexp(0, logsumexp(margins, axis=1))
        gradients = np.exp(margins - losses[:, None])
        gradients[own] = -gradients.sum(axis=1)
        total = shares @ losses
        return float(np.log(total)), shares @ gradients / total

    found = minimize(loss, np.zeros(logits.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-8}).x
    return found - found.mean()
