"""What predicts the class without the chest, and whether it can be read from the image.

Each baseline predicts the class from the border, the file, or what manifests record. `shortcut_risks` adds, in one
table, how well the features of the images predict each such property among images of one class, patients apart: what
does both, predict the class (utility) and show in the image (detectability), may be a shortcut.

Reference: "Detecting dataset bias in medical AI: a generalized and modality-agnostic auditing framework" (G-AUDIT), npj
Digital Medicine (2026), arXiv 2503.09969. Departure: there, utility and detectability are mutual information, of the
property with the class and with its prediction from the image. Here both are a cross-validated ROC AUC, which has an
interval over patients and 0.5 for nothing, and detectability is judged within class, so that what an image shows of its
class does not count as the property.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detector import counted
from detector.audit.context import Audit, Finding
from detector.audit.metrics import FOLDS, indicators, lacking, metadata_auc
from detector.datasets import clinical
from detector.datasets.dataset import Image
from detector.statistics.auc import roc_auc
from detector.statistics.metric import FEWEST, WIDTH, Metric
from detector.statistics.strata import crossed, one_thread

# Columns that DICOM headers or manifests may have: the patient, the device, and how the exposure was made.
RECORDED = (
    *("age", "sex", "site", "view"),
    *("manufacturer", "model", "device", "station", "detector", "modality", "photometric_interpretation"),
    *("kvp", "exposure", "exposure_time", "tube_current", "pixel_spacing", "bits_stored"),
)
SEVERAL_VALUES = 0.5  # of a column's cells, at most, may be different values for it to be a set of categories
SUSPECTED = 0.55  # lower bound of both, utility and detectability, from which a property is suspected
STRENGTHS = np.logspace(1, 6, 11)
LEAST_SPREAD, MOST_DEVIATIONS = 1e-3, 3.0  # of a feature, relative to its mean, and of its own deviations


@dataclass(frozen=True)
class Property:
    """A property of some images: numbers or categories, and the rows of the images of which it is known."""

    name: str
    rows: np.ndarray
    values: np.ndarray

    @property
    def is_number(self) -> bool:
        """Whether the values have an order."""
        return self.values.dtype.kind == "f"

    @property
    def columns(self) -> np.ndarray:
        """What the class is predicted from: categories, or rank and its square, so that a U-shape counts."""
        return np.stack([self.ranks, self.ranks**2], axis=1) if self.is_number else indicators(self.values)

    @property
    def ranks(self) -> np.ndarray:
        """The ranks of numbers, from -1 to 1."""
        from scipy.stats import rankdata

        return 2 * rankdata(self.values) / (len(self.values) + 1) - 1


def recorded(images: Sequence[Image], name: str) -> Property:
    """Return a column of the manifests: numbers, if all that is known are several numbers, or else categories."""
    cells = [getattr(image, name) if name in ("site", "view") else image.row.get(name, "") for image in images]
    rows = np.array([row for row, cell in enumerate(cells) if not clinical.is_missing(cell)], int)
    values = [cells[row].strip().upper()[:1] if name == "sex" else cells[row] for row in rows]
    numbers = [number for cell in values if (number := clinical.number(cell)) is not None]
    is_number = len(numbers) == len(rows) and (name == "age" or len(set(numbers)) > 2)
    return Property(name.replace("_", " "), rows, np.array(numbers, float) if is_number else np.array(values, str))


def metadata(audit: Audit) -> Finding:
    """Predict the class from site and view."""
    own, images = audit.sets.own, audit.own_images
    found = metadata_auc(images, audit.is_positive(own), audit.extractor.patients[own], audit.options.seed)
    unknown = sum(not image.site for image in images)
    return Finding(
        found, (f"without {counted(unknown, 'image')} of unknown site",) if unknown and found.available else ()
    )


def alone(name: str) -> Callable[[Audit], Finding]:
    """Return a baseline that predicts the class from one column, among the images of which it is known."""

    def baseline(audit: Audit) -> Finding:
        known = recorded(audit.own_images, name)
        own = audit.sets.own[known.rows]
        if not len(own):
            return Finding(Metric.unavailable("not recorded for any image"))
        few = lacking(audit.is_positive(own), "images of which it is recorded")
        return Finding(few or audit.linear(known.columns, own).auc())

    return baseline


def clinical_columns(audit: Audit) -> Finding | None:
    """Predict the class from clinical columns of the manifest; None where none were asked for."""
    if not audit.options.clinical_columns:
        return None
    table = [image.row for image in audit.own_images]
    # Encoded on all images: for a linear model, standardising with or without the held-out ones makes no difference.
    columns = clinical.encode(clinical.fit(audit.options.clinical_columns, table), table)
    return Finding(audit.linear(columns, audit.sets.own).auc())


@dataclass(frozen=True)
class Risk:
    """A property, how well it predicts the class, and how well it is read from the image.

    Utility is the ROC AUC of the class, predicted from the property; detectability that of the property's most telling
    category, or of the upper half of a number, predicted from the features of the images within class.
    """

    name: str
    utility: Metric
    detectability: Metric

    @property
    def suspected(self) -> bool:
        """Whether the property both predicts the class and can be read from the image."""
        return min(self.utility.low, self.detectability.low) > SUSPECTED

    def as_json(self) -> dict[str, object]:
        """Return the property as it stands in a JSON file."""
        both = {"utility": self.utility, "detectability": self.detectability}
        return {"property": self.name, **both, "suspected": self.suspected}


def properties(audit: Audit) -> Iterator[Property]:
    """Yield what manifests and files know of the data set's images, where it differs between some of them."""
    images, files = audit.own_images, audit.own_properties
    known: dict[str, Sequence[object]] = {
        "image size": [np.log(one.width * one.height) for one in files],
        "aspect ratio": [np.log(one.width / one.height) for one in files],
        "brightness": [one.mean for one in files],
        "contrast": [one.deviation for one in files],
        **({"border": audit.border.scores[0]} if audit.border.possible else {}),
        "file format": [one.format for one in files],
        "colour": ["colour" if one.colour else "grey" for one in files],
    }
    found = [recorded(images, name) for name in RECORDED]
    found += [Property(name, np.arange(len(images)), np.array(values)) for name, values in known.items()]
    for one in found:
        different = len(np.unique(one.values))
        if different > 1 and (one.is_number or different <= SEVERAL_VALUES * len(one.rows)):
            yield one


def shortcut_risks(audit: Audit) -> list[Risk]:
    """Return the properties of the data set's images: useful and detectable ones first, then useful ones not assessed.

    The features are those of the full images, which the audit has anyway.
    """
    own, risks = audit.sets.own, []
    for one in properties(audit):
        positive, people = audit.is_positive(own[one.rows]), audit.extractor.patients[own[one.rows]]
        few = lacking(positive, "images of which it is known")
        utility = few or (audit.border if one.name == "border" else audit.linear(one.columns, own[one.rows])).auc()
        features, seed = audit.samples.features[one.rows], audit.options.seed
        risks.append(Risk(one.name, utility, few or _detectability(one, features, positive, people, seed)))
    return sorted(risks, key=_order)


def _order(risk: Risk) -> tuple[int, float]:
    """Return a key: both useful and detectable, useful but not assessable (as a site that is the class), the nearest.

    What is not known of enough images comes last.
    """
    utility, detected = risk.utility.value or 0.0, risk.detectability.value
    if detected is None:
        return (1 if risk.utility.low > SUSPECTED else 3), -utility
    return (0 if risk.suspected else 2), -min(utility, detected)


def _detectability(
    one: Property, features: np.ndarray, positive: np.ndarray, patients: np.ndarray, seed: int
) -> Metric:
    """Return how well the features predict a property among images of the same class.

    Of a number, its rank is predicted, and the upper half of each class told from the lower; of categories, that with
    enough images whose share differs most between the classes.
    """
    sides = positive, ~positive
    middle: np.ndarray = np.zeros(len(positive))
    if one.is_number:
        wanted = one.ranks
        middle = np.where(positive, np.median(wanted[positive]), np.median(wanted[~positive]))
    else:
        counts = one.columns.sum(axis=0)
        enough = np.minimum(counts, len(one.rows) - counts) >= FEWEST
        if not enough.any():
            return Metric.unavailable(f"no category has {FEWEST} images and {FEWEST} others")
        apart = np.abs(one.columns[positive].mean(axis=0) - one.columns[~positive].mean(axis=0))
        wanted = one.columns[:, int(np.argmax(np.where(enough, apart, -1.0)))]
    if all(np.ptp(wanted[side]) <= WIDTH for side in sides):
        return Metric.unavailable("inseparable from the class")
    if min(len(set(patients[side])) for side in sides) < 2:
        return Metric.unavailable("too few patients to cross-validate")
    predicted, folds = np.zeros(len(wanted)), np.zeros(len(wanted), int)
    for side in sides:
        predicted[side], folds[side] = _ridge(features[side].astype(float), wanted[side], patients[side], seed)
    return roc_auc(predicted[None], wanted > middle, patients, crossed(positive.astype(int)), folds)


def _ridge(features: np.ndarray, wanted: np.ndarray, patients: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return out-of-fold ridge predictions of a number, and the fold of each image."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold

    predicted, folds = np.zeros(len(wanted)), np.zeros(len(wanted), int)
    people = np.unique(patients, return_inverse=True)[1]
    # Patients come in random order, so that a collection's order does not become the folds'.
    people = np.random.default_rng(seed).permutation(people.max() + 1)[people]
    splits = GroupKFold(min(FOLDS, people.max() + 1)).split(features, groups=people)
    with one_thread():
        for fold, (train, held_out) in enumerate(splits):
            mean, scale = features[train].mean(axis=0), features[train].std(axis=0)
            # What hardly varies among training images may vary by thousands of that elsewhere.
            scale[scale <= LEAST_SPREAD * np.abs(mean) + WIDTH] = np.inf
            standardised = np.clip((features - mean) / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)
            model = RidgeCV(alphas=STRENGTHS).fit(standardised[train], wanted[train])
            predicted[held_out], folds[held_out] = model.predict(standardised[held_out]), fold
    return predicted, folds
