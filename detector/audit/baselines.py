"""Baselines: what predicts the class without the chest, or without the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector import counted
from detector.audit.context import Audit, Finding
from detector.audit.linear_baseline import (
    Baseline,
    border_matrix,
    cross_validate,
    indicators,
    linear_auc,
    metadata_auc,
    property_matrix,
)
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.files.values import years
from detector.images.inspect import ImageProperties
from detector.statistics.auc import roc_auc
from detector.statistics.metric import FEWEST, WIDTH, Metric, too_few
from detector.statistics.resampling import percentiles, resampled
from detector.statistics.strata import crossed, one_thread

# Of which images something is known, and columns of numbers that say what.
Known = tuple[np.ndarray, np.ndarray]


def border(audit: Audit) -> Finding:
    """Predict the class from the outer 10 % of the images, where no lung is."""
    own = audit.sets.own
    return Finding(audit.border.auc(audit.is_positive(own), audit.extractor.patients[own]))


def file_properties(audit: Audit) -> Finding:
    """Predict the class from size, shape, format, colour and brightness of the files."""
    return Finding(_linear(audit, audit.sets.own, property_matrix(audit.own_properties)))


def metadata(audit: Audit) -> Finding:
    """Predict the class from site and view."""
    own = audit.sets.own
    positive, patients = audit.is_positive(own), audit.extractor.patients[own]
    found = metadata_auc(audit.own_images, positive, patients, audit.settings.seed)
    unknown = sum(not image.site for image in audit.own_images)
    notes = (f"without {counted(unknown, 'image')} of unknown site",) if unknown and found.available else ()
    return Finding(found, notes)


def view(audit: Audit) -> Finding:
    """Predict the class from the view."""
    return _where_known(audit, known_views)


def sex(audit: Audit) -> Finding:
    """Predict the class from the patients' sex."""
    return _where_known(audit, known_sexes)


def age(audit: Audit) -> Finding:
    """Predict the class from the patients' age and its square: patients may be the oldest and the youngest."""
    return _where_known(audit, known_ages)


def clinical_columns(audit: Audit) -> Finding | None:
    """Predict the class from clinical columns of the manifest; None where none were asked for."""
    if not audit.settings.clinical:
        return None
    table = [image.row for image in audit.own_images]
    # Encoded on all images: for a linear model, standardising with or without the held-out ones makes no difference.
    columns = clinical.encode(clinical.fit(audit.settings.clinical, table), table)
    return Finding(_linear(audit, audit.sets.own, columns))


def known_views(images: Sequence[Image]) -> Known:
    """Return of which images the view is known, and an indicator of each view."""
    return _indicators([image.view for image in images])


def known_sexes(images: Sequence[Image]) -> Known:
    """Return of which images the patient's sex is known, and an indicator of each."""
    cells = [image.row.get("sex", "") for image in images]
    return _indicators(["" if clinical.is_missing(cell) else cell.strip().upper()[:1] for cell in cells])


def known_ages(images: Sequence[Image]) -> Known:
    """Return of which images the patient's age is known, and age and its square, shape (known, 2)."""
    ages = [years(image.row.get("age", "")) for image in images]
    rows = np.array([row for row, age in enumerate(ages) if age is not None], int)
    known = np.array([age for age in ages if age is not None], float)
    return rows, np.stack([known, known**2], axis=1)


def _linear(audit: Audit, rows: np.ndarray, columns: np.ndarray) -> Metric:
    return linear_auc(columns, audit.is_positive(rows), audit.extractor.patients[rows], audit.settings.seed)


def _where_known(audit: Audit, known: Callable[[Sequence[Image]], Known]) -> Finding:
    """Predict the class from something that manifests may know, among the images of which it is known."""
    rows, columns = known(audit.own_images)
    own = audit.sets.own[rows]
    truth = audit.is_positive(own)
    if min(truth.sum(), (~truth).sum()) < FEWEST:
        n_positive, n_negative = int(truth.sum()), int((~truth).sum())
        recorded = f"recorded for {n_positive} v {n_negative} images; at least {FEWEST} v {FEWEST} needed"
        reason = recorded if len(truth) else "not recorded for any image"
        return Finding(Metric.unavailable(reason, n_positive, n_negative))
    return Finding(_linear(audit, own, columns))


def _indicators(values: Sequence[str]) -> Known:
    rows = np.flatnonzero(np.array(values) != "")
    return rows, indicators([values[row] for row in rows]) if len(rows) else np.empty((0, 0))


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


def properties(images: Sequence[Image], files: Sequence[ImageProperties]) -> Iterator[Property]:
    """Yield what manifests and files know of images: at least two different values of each."""
    everything = np.arange(len(images))
    rows, columns = known_ages(images)
    if len(set(columns[:, 0])) > 1:
        yield Property("age", rows, columns, True)
    rows, columns = known_sexes(images)
    if columns.shape[1] > 1:
        yield Property("sex", rows, columns, False)
    for name, values in (("site", [image.site for image in images]), ("view", [image.view for image in images])):
        yield from _categories(name, values)
    for name in (*DEVICE, *EXPOSURE):
        yield from _of_column(name, [image.row.get(name, "") for image in images])
    sizes = np.array([[np.log(one.width), np.log(one.height)] for one in files])
    for name, numbers in (
        ("border", border_matrix(files)),
        ("image size", sizes),
        ("brightness", np.array([[one.mean] for one in files], float)),
        ("contrast", np.array([[one.deviation] for one in files], float)),
    ):
        if numbers.std(axis=0).max() > WIDTH:
            yield Property(name, everything, numbers, True)
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


ROC_AUC, R2 = "ROC AUC", "R²"
INSEPARABLE = "inseparable from the class"
# From these lower bounds on, a property is suspected: it predicts the class, and features predict it.
USEFUL, DETECTABLE = 0.55, {ROC_AUC: 0.55, R2: 0.05}
FOLDS = 5
STRENGTHS = np.logspace(1, 6, 11)
LEAST_SPREAD, MOST_DEVIATIONS = 1e-3, 3.0  # of a feature, relative to its mean, and of its own deviations


@dataclass(frozen=True)
class Risk:
    """A property in the plane of utility and detectability.

    Attributes
    ----------
    name : str
    utility : Metric
        ROC AUC of the class, predicted from the property.
    detectability : Metric
        ROC AUC of the property's most telling category, or R² of a number, predicted from the features of the images
        within class.
    measure : {"ROC AUC", "R²"}
        Of the detectability.
    """

    name: str
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
            "property": self.name,
            "utility": self.utility.as_json(),
            "detectability": self.detectability.as_json(),
            "measure": self.measure,
            "suspected": self.suspected,
        }


def shortcut_risks(audit: Audit) -> list[Risk]:
    """Return the properties of the data set's images: useful and detectable ones first, then useful ones not assessed.

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


def _order(risk: Risk) -> tuple[int, float]:
    """Return a key: both useful and detectable, useful but not assessable (as a site that is the class), the nearest.

    What is not known of enough images comes last.
    """
    if not risk.utility.available:
        return 3, 0.0
    if not risk.detectability.available:
        return (1 if risk.utility.low > USEFUL else 3), -risk.utility.point
    floor = 0.5 if risk.measure == ROC_AUC else 0.0
    scale = 0.5 if risk.measure == ROC_AUC else 1.0
    return (0 if risk.suspected else 2), -min(
        (risk.utility.point - 0.5) / 0.5, (risk.detectability.point - floor) / scale
    )


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

        Of a number its rank is predicted; of several columns, such as the border's, of that which differs most between
        the classes.
        """
        positive, people = self.is_positive[one.rows], self.patients[one.rows]
        if one.is_number:
            target = _ranked(one.columns[:, :1] if one.name == "age" else one.columns, positive)
        else:
            telling = _most_telling(one.columns, positive)
            if telling is None:
                return Metric.unavailable(f"no category has {FEWEST} images and {FEWEST} others")
            target = telling
        if all(np.ptp(target[side]) <= WIDTH for side in (positive, ~positive)):
            return Metric.unavailable(INSEPARABLE)
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
                    # What hardly varies among training images may vary by thousands of that elsewhere.
                    scale[scale <= LEAST_SPREAD * np.abs(mean) + WIDTH] = np.inf
                    standardised = np.clip((features - mean) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)
                    model = RidgeCV(alphas=STRENGTHS).fit(standardised[train], wanted[train])
                    predicted[own[held_out]] = model.predict(standardised[held_out])
                    folds[own[held_out]] = fold
        return predicted, folds


def _ranked(columns: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return the ranks, from -1 to 1, of the column that differs most between the classes."""
    from scipy.stats import rankdata

    ranks = 2 * rankdata(columns, axis=0) / (len(columns) + 1) - 1
    apart = np.abs(ranks[positive].mean(axis=0) - ranks[~positive].mean(axis=0))
    return ranks[:, int(np.argmax(apart))]


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
    people = [len(set(patients[side])) for side in sides]
    if min(people) < FEWEST:
        # A bootstrap over so few has next to no different draws.
        return too_few(people[0], people[1], "patients")

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
