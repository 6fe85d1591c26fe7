"""The experiments of an audit: training's own recipe and folds, on other images or other labels.

An experiment is an entry of `EXPERIMENTS`: its name, the question that it answers, and a function that returns an area
under the ROC curve, or why there is none, or None where the folders given do not ask it. What its figure says is a rule
in `verdict`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from detector import InputError
from detector.audit.baselines import age, border, linear, sex, site, view
from detector.audit.comparison import Audit, compare, cross_validated, feature_set, hidden_shape, out_of_fold_scores
from detector.audit.image_sets import CONTROLS
from detector.audit.linear_baseline import border_matrix, linear_area, linear_scores, property_matrix
from detector.audit.metrics import Scored, among_alike_films, deciles_of, within_source
from detector.datasets import clinical
from detector.images.occlusion import LUNGS_ONLY, WITHOUT_LUNGS
from detector.images.occlusion import OUTLINE as OUTLINE_ONLY
from detector.statistics.evaluation import predict
from detector.statistics.intervals import Proportion, proportion
from detector.statistics.roc import Area, patient_area

TRAINED = "as trained"
WITHOUT = "lungs blacked out"
HOLE = "the blacked-out shape alone"
ONLY = "lungs only"
OUTLINE = "the lungs' outline alone"
WITHIN = "within source"
ALIKE = "among alike films"
BORDER = "the border alone"
SITE, VIEW, SEX, AGE = "the site alone", "the view alone", "the sex alone", "the age alone"
TRAITS = "file properties only"
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
    run: Callable[[Audit, str], Area | str | None]


@dataclass(frozen=True)
class Result:
    """A row of the audit."""

    name: str
    question: str
    auc: Area


def as_trained(audit: Audit, name: str) -> Area:
    """Cross-validate the data set as training does; what heads said is kept for the rows that look at it again."""
    own = audit.sets.own
    audit.extractor.log.info(f"{name}: {len(own)} images...")
    samples = feature_set(audit, own, audit.settings.positive, None)
    truth, seed = samples.labels == 0, audit.settings.seed
    border = linear_scores(border_matrix([audit.extractor.properties[row] for row in own]), truth, samples.groups, seed)
    scores = out_of_fold_scores(audit, samples, audit.settings.repeats)
    audit.scored = Scored(scores, truth, samples.groups, samples.strata, deciles_of(border), seed)
    return patient_area(scores, truth, samples.groups, seed)


def within(audit: Audit, name: str) -> Area | str:
    """Compare the same predictions within one site and view only."""
    return within_source(audit.scored)


def among_alike(audit: Audit, name: str) -> Area | str:
    """Compare the same predictions among films of one site and view whose edges look alike."""
    return among_alike_films(audit.scored)


def without_lungs(audit: Audit, name: str) -> Area | str:
    """The same with the lungs black."""
    return compare(audit, name, audit.sets.own, part=WITHOUT_LUNGS)


def only_lungs(audit: Audit, name: str) -> Area | str:
    """The same with all but the lungs black."""
    return compare(audit, name, audit.sets.own, part=LUNGS_ONLY)


def outline(audit: Audit, name: str) -> Area | str:
    """The same with the lungs' mask as the image: what is hidden, or shown, has a shape that may tell by itself."""
    return compare(audit, name, audit.sets.own, part=OUTLINE_ONLY)


def file_traits(audit: Audit, name: str) -> Area | str:
    """Tell the classes by size, shape, format, colour and brightness of the files."""
    own = audit.sets.own
    return linear(audit, own, property_matrix([audit.extractor.properties[row] for row in own]))


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


def disease_in_lungs(audit: Audit, name: str) -> Area | str | None:
    """Tell the disease within its source by the lungs alone."""
    if not len(audit.sets.controls):
        return None
    return compare(audit, name, np.concatenate([audit.own_positives(), audit.sets.controls]), part=LUNGS_ONLY)


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
    Experiment(HOLE, "or is it the hole's shape?", hidden_shape),
    Experiment(ONLY, "is there one in them?", only_lungs),
    Experiment(OUTLINE, "does their shape tell?", outline),
    Experiment(WITHIN, "among films of one site and view?", within),
    Experiment(ALIKE, "and if their edges look alike, too?", among_alike),
    Experiment(BORDER, "does it need the chest at all?", border),
    Experiment(TRAITS, "does it need pixels at all?", file_traits),
    Experiment(SITE, "does it need the film at all?", site),
    Experiment(VIEW, "are the ill lying down?", view),
    Experiment(SEX, "are the ill men, or women?", sex),
    Experiment(AGE, "are the ill older, or younger?", age),
    Experiment(CLINICAL, "does it need an image at all?", clinical_values),
    Experiment(SOURCES, "does the source alone tell?", sources),
    Experiment(DISEASE, "disease or source?", disease),
    Experiment(DISEASE_ONLY, "disease, seen in the lungs?", disease_in_lungs),
    Experiment(SHUFFLED, "is the harness itself sound?", shuffled_labels),
)


def run_experiments(audit: Audit, experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Result]:
    """Run those experiments that the given folders allow; `TRAINED` comes before all that look at it again."""
    found = []
    for experiment in experiments:
        area = experiment.run(audit, experiment.name)
        if isinstance(area, str):
            audit.notes.append(f"{experiment.name}: {area}")
        elif area is not None:
            found.append(Result(experiment.name, experiment.question, area))
    return found


def predicted_positive(audit: Audit) -> Proportion | None:
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
