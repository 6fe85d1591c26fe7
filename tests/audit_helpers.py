"""An opened data set without files or a network: features, masks and manifests as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from detector.audit.checks import judge
from detector.audit.context import Audit, AuditOptions, ImageSets
from detector.cli.output import Log
from detector.datasets.dataset import Dataset, Image
from detector.images.inspect import ImageProperties
from detector.images.masks import LUNGS_ONLY, OUTLINE, WITHOUT_LUNGS
from detector.network.head import TrainedHead
from detector.statistics.evaluation import Predictions, evaluate, predict
from detector.training.crossvalidation import NO_HEAD, EvaluatedHead
from detector.training.dataset import FeatureExtractor

CLASSES = ["covid", "normal"]


@dataclass(frozen=True)
class RidgeRecipe:
    """A linear classifier in one step: what an audit does around a fit does not hang on the recipe."""

    name = "ridge"
    pooling = "blocks"
    rotations = 0
    adjusted = False
    balanced = True

    def fit(self, data, *others):
        """Fit features (n, 1, width) by ridge regression."""
        x, y = data.features[:, 0].astype(float), np.where(data.labels == 0, 1.0, -1.0)
        mean = x.mean(axis=0)
        kernel = np.linalg.solve((x - mean).T @ (x - mean) + len(x) * np.eye(x.shape[1]), (x - mean).T @ (y - y.mean()))
        bias = y.mean() - mean @ kernel
        arrays = np.stack([kernel, -kernel], axis=1), np.array([bias, -bias])
        return TrainedHead([array.astype(np.float32) for array in arrays], {})


@dataclass(frozen=True)
class FakeExtractor:
    """What an audit asks of a `FeatureExtractor`."""

    dataset: Dataset
    properties: list[ImageProperties]
    patients: np.ndarray
    by_part: dict[str, np.ndarray]
    mask: np.ndarray
    without: frozenset[int] = frozenset()
    log: Log = field(default_factory=lambda: Log(True))
    near_duplicates: dict = field(default_factory=dict)
    backbone: object = field(default_factory=lambda: SimpleNamespace(weights=True))

    groups, subset = FeatureExtractor.groups, FeatureExtractor.subset

    def features(self, rows, occlusion=None):
        """Return features, of what is shown."""
        return self.by_part.get(occlusion.part if occlusion else "", self.by_part[""])[np.asarray(rows)]

    def lungs(self, rows):
        """Yield the same lungs for every image that has some."""
        return (self.mask & (int(row) not in self.without) for row in rows)

    def masks(self, rows, occlusion):
        """Yield the same lungs for every image."""
        return self.lungs(rows)

    def pixels(self, row, occlusion=None):
        """Return a grey image."""
        return np.full((224, 224, 3), 90, np.uint8)


def lungs():
    """Two ellipses, (224, 224), bool."""
    y, x = np.mgrid[:224, :224]
    return sum(((x - cx) / 32) ** 2 + ((y - 110) / 62) ** 2 < 1 for cx in (68, 156)) > 0


@dataclass(frozen=True)
class Case:
    """A data set of some images a class, and what is known of them; noise unless something else is said.

    Attributes
    ----------
    counts : (int, int)
        Images of the positive class and of the other.
    images : int
        Of each patient.
    signal : float
        By how much the classes differ in ten features.
    masked : float
        The same where the lungs are masked out.
    site : callable
        From class and number to a site.
    """

    counts: tuple[int, int] = (24, 24)
    images: int = 1
    signal: float = 0.0
    masked: float = 0.0
    constant: bool = False
    site: object = lambda positive, number: "a"
    row: object = lambda positive, number: {}
    border: object = lambda positive, number, noise: noise
    seed: int = 0


def extractor_of(case: Case) -> FakeExtractor:
    """Return the data set of a case, opened."""
    generator = np.random.default_rng(case.seed)
    images, properties = [], []
    for positive, label, count in ((True, "covid", case.counts[0]), (False, "normal", case.counts[1])):
        for number in range(count):
            name = f"{label}/{number}.png"
            patient = f"{label}-{number // case.images}"
            row = {"file": name, **case.row(positive, number)}
            images.append(Image(Path(name), name, label, patient, "set", case.site(positive, number), row))
            noise = np.zeros(13) if case.constant else generator.normal(size=13)
            border = np.asarray(case.border(positive, number, noise), float).tolist()
            mean = 100.0 if case.constant else generator.normal(100, 10)
            properties.append(ImageProperties(name, 512, 512, "PNG", False, mean, 50.0, border))
    truth = np.array([image.label == "covid" for image in images])
    base = np.zeros((len(images), 40)) if case.constant else generator.normal(size=(len(images), 40))
    shifted = {}
    for part, signal in (("", case.signal), (LUNGS_ONLY, case.signal), (WITHOUT_LUNGS, case.masked), (OUTLINE, 0.0)):
        features = base.copy()
        features[:, :10] += signal * truth[:, None]
        shifted[part] = features.astype(np.float32)
    patients = np.array([image.patient for image in images])
    return FakeExtractor(Dataset(images, CLASSES), properties, patients, shifted, lungs())


def audit_of(case: Case) -> Audit:
    """Return the audit of a case."""
    extractor = extractor_of(case)
    everything = np.arange(len(extractor.properties))
    sets = ImageSets(extractor.dataset, everything, everything[:0], {}, "covid")
    return Audit(extractor, sets, AuditOptions(repeats=1), RidgeRecipe(), {})


def outcome_of(extractor: FakeExtractor, positive: np.ndarray) -> EvaluatedHead:
    """Return an outcome of a single model, judged on all images; `positive` are probabilities of the positive class."""
    labels, everything = extractor.dataset.labels, np.arange(len(extractor.properties))
    said = np.stack([positive, 1 - positive], axis=1)
    predictions = Predictions.of_one_model(labels, extractor.patients, said, predict(said, 0))
    return EvaluatedHead(NO_HEAD, evaluate(predictions, CLASSES, 0), predictions, None, [], everything[:0], everything)


def checked(case: Case, scores=None, implausible=()):
    """Run every check on all images of a case, with scores of a single model."""
    extractor = extractor_of(case)
    labels = extractor.dataset.labels
    noise = np.random.default_rng(0).normal(size=len(labels))
    evaluated = outcome_of(extractor, 1 / (1 + np.exp(-(2 * noise if scores is None else scores(labels == 0, noise)))))
    return {one.id: one for one in judge(extractor, evaluated, 0, implausible=implausible).checks}


def known(**values):
    """Return rows whose cells depend on class and number."""
    return lambda positive, number: {name: value(positive, number) for name, value in values.items()}
