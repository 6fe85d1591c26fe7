"""Utility and detectability of properties: what predicts the class and can be read from the image may be a shortcut.

For each property that manifests or files know: how well it predicts the class (utility), and how well the features of
the images predict it among images of one class, patients apart (detectability).

Reference: "Detecting dataset bias in medical AI: a generalized and modality-agnostic auditing framework" (G-AUDIT), npj
Digital Medicine (2026).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector.audit.baselines import known_ages, known_sexes
from detector.audit.comparison import Audit
from detector.audit.linear_baseline import Baseline, border_matrix, cross_validate, indicators
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.images.inspection import ImageProperties
from detector.statistics.intervals import percentiles, resampled
from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few
from detector.statistics.roc import roc_auc
from detector.statistics.strata import crossed
from detector.statistics.threads import one_thread

ROC_AUC, R2 = "ROC AUC", "R²"
# From these lower bounds on, a property is suspected: it predicts the class, and features predict it.
USEFUL, DETECTABLE = 0.55, {ROC_AUC: 0.55, R2: 0.05}
FOLDS = 5
STRENGTHS = np.logspace(0, 6, 13)
# Columns that DICOM headers or manifests may have: the device, and how the exposure was made.
DEVICE = ("manufacturer", "model", "device", "station", "detector", "modality", "photometric_interpretation")
EXPOSURE = ("kvp", "exposure", "exposure_time", "tube_current", "pixel_spacing", "bits_stored")
SEVERAL_VALUES = 0.5  # of a column's cells, at most, may be different values for it to be a set of categories


@dataclass(frozen=True)
class Property:
    """A property of some images.

    Attributes
    ----------
    name : str
    rows : ndarray of shape (known,), int
        Of which images it is known.
    columns : ndarray of shape (known, columns)
        What the class is predicted from.
    is_number : bool
        Whether detectability is that of a number (R²), or of the most telling category (ROC AUC).
    """

    name: str
    rows: np.ndarray
    columns: np.ndarray
    is_number: bool


@dataclass(frozen=True)
class Risk:
    """A property in the plane of utility and detectability.

    Attributes
    ----------
    property : str
    utility : Metric
        ROC AUC of the class, predicted from the property.
    detectability : Metric
        ROC AUC of the property's most telling category, or R² of a number, predicted from the features of the images
        within class.
    measure : {"ROC AUC", "R²"}
        Of the detectability.
    """

    property: str
    utility: Metric
    detectability: Metric
    measure: str

    @property
    def suspected(self) -> bool:
        """Whether the property both predicts the class and can be read from the image."""
        both = self.utility.available and self.detectability.available
        return both and self.utility.low > USEFUL and self.detectability.low > DETECTABLE[self.measure]

    def as_json(self) -> dict[str, object]:
        """Return the property as it stands in a JSON file."""
        return {
            "property": self.property,
            "utility": self.utility.as_json(),
            "detectability": self.detectability.as_json(),
            "measure": self.measure,
            "suspected": self.suspected,
        }


def shortcut_risks(audit: Audit) -> list[Risk]:
    """Return the properties of the data set's images; those that are both useful and detectable come first.

    The features are those of the full images, which the audit has anyway.

    Parameters
    ----------
    audit : Audit

    Returns
    -------
    list of Risk
    """
    samples = audit.samples
    truth, patients = samples.labels == 0, samples.groups
    reader = FeatureReader(samples.features, truth, patients, audit.settings.seed)
    risks = []
    for one in properties(audit.own_images, audit.own_properties):
        positive, people = truth[one.rows], patients[one.rows]
        n_positive, n_negative = int(positive.sum()), int((~positive).sum())
        measure = R2 if one.is_number else ROC_AUC
        if min(n_positive, n_negative) < FEWEST:
            missing = too_few(n_positive, n_negative, "images of which it is known")
            risks.append(Risk(one.name, missing, missing, measure))
            continue
        baseline = cross_validate(one.columns, positive, people, audit.settings.seed)
        detected = reader.detect(one, baseline)
        risks.append(Risk(one.name, baseline.auc(positive, people), detected, measure))
    return sorted(risks, key=_order)


def _order(risk: Risk) -> tuple[bool, float]:
    """Return a key that puts what is both useful and detectable first, then what is nearer to it."""
    if not (risk.utility.available and risk.detectability.available):
        return True, 1.0
    floor = 0.5 if risk.measure == ROC_AUC else 0.0
    scale = 0.5 if risk.measure == ROC_AUC else 1.0
    return not risk.suspected, -min((risk.utility.value - 0.5) / 0.5, (risk.detectability.value - floor) / scale)


def properties(images: Sequence[Image], files: Sequence[ImageProperties]) -> Iterator[Property]:
    """Yield what manifests and files know of images: at least two different values of each."""
    everything = np.arange(len(images))
    rows, columns = known_ages(images)
    if len(rows):
        yield Property("age", rows, columns, True)
    rows, columns = known_sexes(images)
    if columns.shape[1] > 1:
        yield Property("sex", rows, columns, False)
    for name, values in (("site", [image.site for image in images]), ("view", [image.view for image in images])):
        yield from _categories(name, values)
    for name in (*DEVICE, *EXPOSURE):
        yield from _of_column(name, [image.row.get(name, "") for image in images])
    yield Property("border", everything, border_matrix(files), True)
    sizes = np.array([[np.log(one.width), np.log(one.height)] for one in files])
    for name, values in (
        ("image size", sizes),
        ("brightness", np.array([[one.mean] for one in files], float)),
        ("contrast", np.array([[one.deviation] for one in files], float)),
    ):
        if values.std(axis=0).max() > WIDTH:
            yield Property(name, everything, values, True)
    yield from _categories("file format", [one.format for one in files])
    yield from _categories("colour", ["colour" if one.colour else "grey" for one in files])


def _of_column(name: str, cells: Sequence[str]) -> Iterator[Property]:
    """Yield a manifest's column as numbers, where all that is known are numbers, or else as categories."""
    known = np.array([row for row, cell in enumerate(cells) if not clinical.is_missing(cell)], int)
    numbers = [clinical.number(cells[row]) for row in known]
    if len(known) and all(number is not None for number in numbers) and len(set(numbers)) > 2:
        yield Property(name.replace("_", " "), known, np.array(numbers, float)[:, None], True)
    elif len({cells[row] for row in known}) <= SEVERAL_VALUES * len(known):
        yield from _categories(name.replace("_", " "), ["" if clinical.is_missing(cell) else cell for cell in cells])


def _categories(name: str, values: Sequence[str]) -> Iterator[Property]:
    known = np.flatnonzero(np.array(values) != "")
    if len(known) and len({values[row] for row in known}) > 1:
        yield Property(name, known, indicators([values[row] for row in known]), False)


@dataclass(frozen=True)
class FeatureReader:
    """Predicts properties from the features of images, within class and patients apart.

    Attributes
    ----------
    features : ndarray of shape (n, width)
    is_positive : ndarray of shape (n,), bool
    patients : ndarray of shape (n,)
    seed : int
    """

    features: np.ndarray
    is_positive: np.ndarray
    patients: np.ndarray
    seed: int

    def detect(self, one: Property, baseline: Baseline) -> Metric:
        """Return how well the features predict a property among images of the same class.

        A number is predicted itself; of several columns, such as the border's, the combination that predicts the class.
        """
        positive, people = self.is_positive[one.rows], self.patients[one.rows]
        if one.is_number:
            target = one.columns[:, 0] if one.name == "age" or one.columns.shape[1] == 1 else _direction(one, positive)
        else:
            target = _most_telling(one.columns, positive)
            if target is None:
                return Metric.unavailable(f"no category has {FEWEST} images and {FEWEST} others")
        predicted, folds = self._out_of_fold(one.rows, target)
        if predicted is None:
            return Metric.unavailable("too few patients to cross-validate")
        if one.is_number:
            return _r_squared(predicted, target, positive, people, self.seed)
        return roc_auc(predicted[None], target > 0, people, crossed(positive.astype(int)), folds)

    def _out_of_fold(self, rows: np.ndarray, target: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Return ridge predictions of a target within each class, and the fold of each image."""
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import GroupKFold

        predicted, folds = np.zeros(len(rows)), np.zeros(len(rows), int)
        for side in (True, False):
            own = np.flatnonzero(self.is_positive[rows] == side)
            people = np.unique(self.patients[rows[own]], return_inverse=True)[1]
            count = min(FOLDS, len(set(people)))
            if count < 2:
                return None, folds
            # Patients come in random order, so that a collection's order does not become the folds'.
            people = np.random.default_rng(self.seed).permutation(people.max() + 1)[people]
            features, wanted = self.features[rows[own]].astype(float), target[own]
            with one_thread():
                for fold, (train, held_out) in enumerate(GroupKFold(count).split(own, groups=people)):
                    mean, scale = features[train].mean(axis=0), features[train].std(axis=0)
                    scale[scale <= WIDTH] = np.inf
                    model = RidgeCV(alphas=STRENGTHS).fit((features[train] - mean) / scale, wanted[train])
                    predicted[own[held_out]] = model.predict((features[held_out] - mean) / scale)
                    folds[own[held_out]] = fold
        return predicted, folds


def _direction(one: Property, positive: np.ndarray) -> np.ndarray:
    """Return the combination of a property's columns that predicts the class best."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = one.columns.mean(axis=0), one.columns.std(axis=0)
    scale[scale <= WIDTH] = np.inf
    standardised = (one.columns - mean) / scale
    return standardised @ LogisticRegression(max_iter=1000).fit(standardised, positive).coef_[0]


def _most_telling(columns: np.ndarray, positive: np.ndarray) -> np.ndarray | None:
    """Return the indicator, of those with enough images on both sides, whose share differs most between the classes."""
    counts = columns.sum(axis=0)
    enough = np.minimum(counts, len(columns) - counts) >= FEWEST
    if not enough.any():
        return None
    apart = np.abs(columns[positive].mean(axis=0) - columns[~positive].mean(axis=0))
    return columns[:, int(np.argmax(np.where(enough, apart, -1.0)))]


def _r_squared(
    predicted: np.ndarray, target: np.ndarray, positive: np.ndarray, patients: np.ndarray, seed: int
) -> Metric:
    """Return the share of a number's variance within class that is predicted, its interval over patients."""
    sides = [positive, ~positive]
    counts = int(positive.sum()), int((~positive).sum())
    if min(len(set(patients[side])) for side in sides) < 2 or max(target[side].std() for side in sides) <= WIDTH:
        return Metric.unavailable("the property does not vary within class", *counts)

    def explained(weights: np.ndarray) -> np.ndarray:
        wrong = weights @ (target - predicted) ** 2
        total = np.zeros(len(weights))
        for side in sides:
            own = weights[:, side]
            mean = own @ target[side] / own.sum(axis=1)
            total += own @ target[side] ** 2 - own.sum(axis=1) * mean**2
        return 1.0 - np.divide(wrong, total, out=np.full(len(weights), np.nan), where=total > WIDTH)

    value, draws = resampled({"r2": explained}, positive, patients, seed)["r2"]
    low, high = percentiles(draws)
    if not np.isfinite([value, low, high]).all() or high - low <= WIDTH:
        return Metric.unavailable("the property does not vary within class", *counts)
    return Metric(value, low, high, *counts, n_patients=len(set(patients)))
