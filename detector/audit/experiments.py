"""The experiments of an audit: training's own recipe and folds, on other images or other labels.

An experiment is an entry of `EXPERIMENTS`: its name, the question that it answers, and a function that returns an area
under the ROC curve, or None where the folders given do not allow it. What its figure says is a rule in `verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.audit.comparison import Audit, compare, cross_validated, feature_set
from detector.audit.image_sets import CONTROLS
from detector.audit.traits import linear_area, trait_matrix
from detector.datasets import clinical
from detector.statistics.evaluation import predict
from detector.statistics.intervals import Proportion, proportion
from detector.statistics.roc import Area

TRAINED = "as trained"
WITHOUT = "lungs blacked out"
ONLY = "lungs only"
TRAITS = "file traits only"
CLINICAL = "clinical values only"
SOURCES = "controls v the other classes"
DISEASE = "positives v controls"
DISEASE_ONLY = "positives v controls, lungs only"
SHUFFLED = "shuffled labels"

DEALS = 5  # of shuffled labels, at least


@dataclass(frozen=True)
class Experiment:
    """A row of the audit, before it is run."""

    name: str
    question: str
    run: Callable[[Audit, str], Area | None]


@dataclass(frozen=True)
class Result:
    """A row of the audit."""

    name: str
    question: str
    auc: Area


def as_trained(audit: Audit, name: str) -> Area:
    """Cross-validate the data set as training does."""
    return compare(audit, name, audit.sets.own)


def without_lungs(audit: Audit, name: str) -> Area:
    """The same with the lungs black."""
    return compare(audit, name, audit.sets.own, keep_lungs=False)


def only_lungs(audit: Audit, name: str) -> Area:
    """The same with all but the lungs black."""
    return compare(audit, name, audit.sets.own, keep_lungs=True)


def file_traits(audit: Audit, name: str) -> Area | None:
    """Tell the classes by size, shape, format, colour and brightness of the files."""
    own = audit.sets.own
    columns = trait_matrix([audit.extractor.traits[row] for row in own])
    return linear_area(columns, audit.is_positive(own), audit.extractor.patients[own], audit.settings.seed)


def clinical_values(audit: Audit, name: str) -> Area | None:
    """Tell the classes by clinical columns of the manifest."""
    if not audit.settings.clinical:
        return None
    own = audit.sets.own
    table = [audit.extractor.dataset.images[row].row for row in own]
    # Encoded on all images: for a linear model, standardising with or without the held-out ones is no matter.
    columns = clinical.encode(clinical.fit(audit.settings.clinical, table), table)
    area = linear_area(columns, audit.is_positive(own), audit.extractor.patients[own], audit.settings.seed)
    if area is None:
        raise InputError("--clinical: too few patients to cross-validate clinical values alone")
    return area


def sources(audit: Audit, name: str) -> Area | None:
    """Tell the positives' source from the others', without an image of the disease."""
    if not len(audit.sets.controls):
        return None
    return compare(audit, name, np.concatenate([audit.sets.controls, audit.own_others()]), CONTROLS)


def disease(audit: Audit, name: str) -> Area | None:
    """Tell the disease within its source."""
    if not len(audit.sets.controls):
        return None
    return compare(audit, name, np.concatenate([audit.own_positives(), audit.sets.controls]))


def disease_in_lungs(audit: Audit, name: str) -> Area | None:
    """Tell the disease within its source by the lungs alone."""
    if not len(audit.sets.controls):
        return None
    return compare(audit, name, np.concatenate([audit.own_positives(), audit.sets.controls]), keep_lungs=True)


def shuffled_labels(audit: Audit, name: str) -> Area:
    """Deal the labels out anew among patients, in every repeat: nothing may be found.

    The interval is the mean of those of the single deals, since the luck of one deal is what it stands for.
    """
    audit.extractor.log.info(f"{name}...")
    samples = feature_set(audit, audit.sets.own, audit.settings.positive, None)
    _, first, inverse = np.unique(samples.groups, return_index=True, return_inverse=True)
    deals = []
    for repeat in range(max(audit.settings.repeats, DEALS)):
        dealt = np.random.default_rng([audit.settings.seed, repeat]).permutation(samples.labels[first])
        deals.append(cross_validated(audit, replace(samples, labels=dealt[inverse]), repeats=1))
    mean = [float(np.mean([getattr(deal, name) for deal in deals])) for name in ("value", "low", "high")]
    return Area(*mean, deals[0].positives, deals[0].negatives)


# In the order in which they are printed.
EXPERIMENTS: Sequence[Experiment] = (
    Experiment(TRAINED, "the number that everyone quotes", as_trained),
    Experiment(WITHOUT, "is there an answer without lungs?", without_lungs),
    Experiment(ONLY, "is there one in them?", only_lungs),
    Experiment(TRAITS, "does it need pixels at all?", file_traits),
    Experiment(CLINICAL, "does it need an image at all?", clinical_values),
    Experiment(SOURCES, "does the source alone tell?", sources),
    Experiment(DISEASE, "disease or source?", disease),
    Experiment(DISEASE_ONLY, "disease, seen in the lungs?", disease_in_lungs),
    Experiment(SHUFFLED, "is the harness itself sound?", shuffled_labels),
)


def run_experiments(audit: Audit) -> list[Result]:
    """Run every experiment that the given folders allow."""
    found = []
    for experiment in EXPERIMENTS:
        area = experiment.run(audit, experiment.name)
        if area is not None:
            found.append(Result(experiment.name, experiment.question, area))
    return found


def called_positive(audit: Audit) -> Proportion | None:
    """Return the share of controls that the detector, trained on the whole data set, calls positive."""
    if not len(audit.sets.controls):
        return None
    classes = audit.extractor.dataset.classes
    positive = classes.index(audit.settings.positive)
    whole = feature_set(audit, audit.sets.own, audit.settings.positive, None, binary=False)
    recipe = audit.recipe_for(whole.labels, whole.strata, len(classes), [])
    fitted = whole.fit(np.arange(len(whole.labels)), recipe, audit.settings.seed)
    features = audit.extractor.features(audit.sets.controls)
    predicted = predict(fitted.predict_proba(features, [{}] * len(features)), positive)
    return proportion((predicted == positive).sum(), len(features))
