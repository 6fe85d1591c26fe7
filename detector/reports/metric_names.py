"""The name of each metric and what it says, the same on the terminal and in the HTML report."""

from __future__ import annotations

from dataclasses import dataclass

from detector.audit.evidence import BORDER, BORDER_ADJUSTED, FILES, METADATA, STRATIFIED
from detector.audit.metrics import NPV, PPV
from detector.statistics.probabilities import BRIER, IN_THE_LARGE, PRECISION, SLOPE

CHANCE = "chance: 0.50"


@dataclass(frozen=True)
class MetricName:
    """A metric in words.

    Attributes
    ----------
    name : str
    gloss : str
        What it says, in a line.
    reference : str
        What it is compared with; holds the fields of `references`.
    remark : str
        What stands beside it on the terminal, where that is not the reference.
    """

    name: str
    gloss: str
    reference: str = ""
    remark: str = ""

    def beside(self, values: dict[str, object]) -> str:
        """Return what stands beside the metric on the terminal."""
        return self.remark or self.reference.format(**values)


DISCRIMINATION = {
    "roc_auc": MetricName("ROC AUC", "probability that a positive image scores above a negative one", CHANCE),
    STRATIFIED: MetricName("stratified ROC AUC", "the same within one site and view", CHANCE, "within site and view"),
    BORDER_ADJUSTED: MetricName(
        "border-adjusted ROC AUC", "the same among images with similar borders", CHANCE, "among similar borders"
    ),
    PRECISION: MetricName("average precision", "area under the precision-recall curve", "no skill: {prevalence:.2f}"),
    "accuracy": MetricName("accuracy", "share of images correctly classified", "majority class: {majority:.2f}"),
    "sensitivity": MetricName("sensitivity", "share of positive images predicted positive"),
    "specificity": MetricName("specificity", "share of negative images predicted negative"),
    PPV: MetricName("PPV", "share of positive predictions that are true", "at prevalence {at}"),
    NPV: MetricName("NPV", "share of negative predictions that are true", "at prevalence {at}"),
}
BASELINES = {
    METADATA: MetricName(
        "metadata-only baseline", "ROC AUC of site and view, without the image", CHANCE, "site and view"
    ),
    BORDER: MetricName("border-only baseline", "ROC AUC of the outer 10 % of the image", CHANCE, "outer 10 %"),
    FILES: MetricName(
        "file-property baseline", "ROC AUC of size, format, colour and brightness", CHANCE, "size, colour, brightness"
    ),
}
CALIBRATION = {
    BRIER: MetricName("Brier score", "mean squared error of the probabilities", "no skill: {no_skill:.2f}"),
    IN_THE_LARGE: MetricName("calibration-in-the-large", "above 0: probabilities are too low on average", "ideal: 0"),
    SLOPE: MetricName("calibration slope", "below 1: overconfident; above 1: underconfident", "ideal: 1"),
}
GROUPS = (("Discrimination", DISCRIMINATION), ("Shortcut baselines", BASELINES), ("Calibration", CALIBRATION))
NAMES = {**DISCRIMINATION, **BASELINES, **CALIBRATION}


def references(is_positive_share: float, majority: float, at: object) -> dict[str, object]:
    """Return what the references are filled in with.

    Parameters
    ----------
    is_positive_share : float
        Of the test images.
    majority : float
        Share of the most frequent class.
    at : float or None
        Prevalence at which predictive values are reported.
    """
    return {
        "prevalence": is_positive_share,
        "no_skill": is_positive_share * (1 - is_positive_share),
        "majority": majority,
        "at": at,
    }
