"""The experiments of an audit: which there are, in which order, and how they are run.

An experiment is an entry of `EXPERIMENTS`: its id, title and group, its question, and a function that
returns what it found, or None where the folders given do not ask it. It can be run alone and in any order. What its
metric means is a rule in `conclusion`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detector.audit import baselines, negative_control, same_site_controls, signal
from detector.audit.comparison import Audit, Finding
from detector.cli.output import STEP, step
from detector.statistics.metric import Metric
from detector.statistics.split import TooFewPatientsError

FULL, MASKED_OUT, MASKED_REGION = "full_image", "lungs_masked_out", "masked_region"
LUNGS_ALONE, LUNG_MASK = "lungs_only", "lung_mask"
WITHIN, BORDER_ADJUSTED = "within_site_and_view", "border_adjusted"
BORDER, FILES, METADATA = "border", "file_properties", "site_and_view"
VIEW, SEX, AGE, CLINICAL = "view", "sex", "age", "clinical_columns"
CONTROLS_V_OTHERS, SAME_SITE, SAME_SITE_LUNGS = "controls_v_others", "same_site", "same_site_lungs_only"
PERMUTED = "permuted_labels"

SIGNAL, BASELINES = "Where is the signal?", "Baselines without the chest"
SAME_SITES, NEGATIVE = "Same-site controls", "Negative control"
EXTERNAL = "External test sets"
GROUPS = (SIGNAL, BASELINES, SAME_SITES, EXTERNAL, NEGATIVE)


@dataclass(frozen=True)
class Experiment:
    """A line of the audit, before it is run."""

    id: str
    title: str
    group: str
    question: str
    run: Callable[[Audit], Finding | None]

    @property
    def parts(self) -> int:
        """How much of the progress bar it is: a baseline needs no network and takes next to no time."""
        return 1 if self.group == BASELINES else STEP


@dataclass(frozen=True)
class Result:
    """A line of the audit.

    Attributes
    ----------
    id, title, group, question : str
    metric : Metric
        The ROC AUC.
    notes : tuple of str
    """

    id: str
    title: str
    group: str
    question: str
    metric: Metric
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the line as it stands in a JSON file."""
        names = ("id", "title", "group", "question", "notes")
        return {name: getattr(self, name) for name in names} | {"roc_auc": self.metric.as_json()}


# In the order in which they are printed.
EXPERIMENTS: Sequence[Experiment] = (
    Experiment(FULL, "full image", SIGNAL, "Does the model separate the classes?", signal.full_image),
    Experiment(
        MASKED_OUT, "lungs masked out", SIGNAL, "Are the classes separated without the lungs?", signal.lungs_masked_out
    ),
    Experiment(
        MASKED_REGION,
        "shape of the masked region",
        SIGNAL,
        "Does the shape of the masked region predict the class?",
        signal.masked_region,
    ),
    Experiment(LUNGS_ALONE, "lungs only", SIGNAL, "Are the classes separated by the lungs alone?", signal.lungs_only),
    Experiment(
        LUNG_MASK, "shape of the lung mask", SIGNAL, "Does the shape of the lungs predict the class?", signal.lung_mask
    ),
    Experiment(
        WITHIN,
        "within one site and view",
        SIGNAL,
        "Are the classes separated within one site and view?",
        signal.within_site_and_view,
    ),
    Experiment(
        BORDER_ADJUSTED,
        "images with similar borders",
        SIGNAL,
        "Are the classes separated if image borders are similar?",
        signal.border_adjusted_predictions,
    ),
    Experiment(
        BORDER, "image border alone", BASELINES, "Does the outer 10 % of the image predict the class?", baselines.border
    ),
    Experiment(
        FILES,
        "file properties alone",
        BASELINES,
        "Do size, format and brightness predict the class?",
        baselines.file_properties,
    ),
    Experiment(METADATA, "site and view alone", BASELINES, "Do site and view predict the class?", baselines.metadata),
    Experiment(VIEW, "view alone", BASELINES, "Does the view (AP, PA) predict the class?", baselines.view),
    Experiment(SEX, "sex alone", BASELINES, "Does the sex predict the class?", baselines.sex),
    Experiment(AGE, "age alone", BASELINES, "Does the age predict the class?", baselines.age),
    Experiment(
        CLINICAL,
        "clinical columns alone",
        BASELINES,
        "Do clinical columns predict the class?",
        baselines.clinical_columns,
    ),
    Experiment(
        CONTROLS_V_OTHERS,
        "controls v other classes",
        SAME_SITES,
        "Do images without the disease differ by site or finding?",
        same_site_controls.controls_v_others,
    ),
    Experiment(
        SAME_SITE,
        "positives v controls",
        SAME_SITES,
        "Are positives separated from controls of their site?",
        same_site_controls.same_site,
    ),
    Experiment(
        SAME_SITE_LUNGS,
        "lungs of positives v controls",
        SAME_SITES,
        "Do the lungs alone separate positives from controls?",
        same_site_controls.lungs_only,
    ),
    Experiment(
        PERMUTED,
        "permuted labels",
        NEGATIVE,
        "Is the ROC AUC of random labels near 0.5?",
        negative_control.permuted_labels,
    ),
)


def run_experiments(audit: Audit, experiments: Sequence[Experiment] = EXPERIMENTS) -> list[Result]:
    """Run the experiments that the given folders allow, in the order given.

    Parameters
    ----------
    audit : Audit
    experiments : sequence of Experiment

    Returns
    -------
    list of Result
        With the reason in place of the metric, where it cannot be computed.
    """
    results: list[Result] = []
    for one in experiments:
        with step(one.title, one.parts):
            try:
                found = one.run(audit)
            except TooFewPatientsError as error:
                found = Finding(Metric.unavailable(str(error)))
        if found is not None:
            note = audit.sets.controls_note if one.group == SAME_SITES else ""
            if one.group in {result.group for result in results}:
                note = note.partition(": ")[2].partition(": ")[0]  # the names once are enough
            notes = (*found.notes, note) if note else found.notes
            results.append(Result(one.id, one.title, one.group, one.question, found.metric, notes))
    return results
