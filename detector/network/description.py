"""What a model file says of its model beyond the weights, read from a file that may come from anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from detector.datasets.clinical import checked, width
from detector.network.poolings import COLUMNS, POOLINGS, RECIPES
from detector.network.training_images import TrainingImages
from detector.network.training_summary import TrainingSummary

VERSION = 2
INPUTS = ("image", "lungs")


@dataclass(frozen=True)
class Description:
    """What a model file says of itself beyond its weights.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    positive : str
    recipe : {"tutorial", "probe"}
    pooling : {"tutorial", "global", "lungs"}
        What of the base's maps the head reads, with `recipe`.
    threshold : float or None
        Of the positive class's probability; None takes the likeliest class.
    clinical : list of dict
        How clinical values are encoded, as `detector.datasets.clinical` does it; empty where there are none.
    version : int
    input : {"image", "lungs"}
        Whether the model masks out all but the lungs that it finds.
    training_images : TrainingImages
        Digests that identify them; kept beside the JSON. Empty in files of earlier versions.
    summary : TrainingSummary or None
        Of the training run; None in files of earlier versions.
    """

    classes: list[str]
    positive: str
    recipe: str
    pooling: str
    threshold: float | None = None
    clinical: list[dict] = field(default_factory=list)
    version: int = VERSION
    input: str = "image"
    training_images: TrainingImages = field(default_factory=TrainingImages)
    summary: TrainingSummary | None = None

    @property
    def finds_lungs(self) -> bool:
        """Whether the lung decoder is a part of the model."""
        return self.pooling == "lungs" or self.input == "lungs"

    @property
    def feature_width(self) -> int:
        """Number of features that the head reads beside clinical values."""
        return width_of(self.recipe, self.pooling)

    @property
    def clinical_width(self) -> int:
        """Number of clinical inputs."""
        return sum(width(column) for column in self.clinical)

    @classmethod
    def from_json(cls, values: dict) -> Description:
        """Return a description from what `save` wrote.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is not what `save` writes.
        """
        if values.get("version") != VERSION:
            raise ValueError(f"version {values.get('version')!r}")
        classes = [text(name) for name in values["classes"]]
        if not 2 <= len(classes) <= 1000 or len(set(classes)) != len(classes):
            raise ValueError("classes")
        threshold = values["threshold"]
        if threshold is not None and not 0.0 <= float(threshold) <= 1.0:
            raise ValueError("threshold")
        columns = [checked(column) for column in values["clinical"]]
        for name, known in (("recipe", RECIPES), ("pooling", POOLINGS), ("input", INPUTS)):
            if text(values[name]) not in known:
                raise ValueError(name)
        read = (values["recipe"], values["pooling"])
        if (values["input"], values["pooling"]) == ("lungs", "lungs"):
            raise ValueError("both the input and the pooling are the lungs")
        summary = TrainingSummary.from_json(values["summary"]) if values.get("summary") is not None else None
        positive, images = text(values["positive"]), TrainingImages()
        return cls(classes, positive, *read, threshold, columns, VERSION, values["input"], images, summary)


def text(value: object) -> str:
    """Return `value` if it is a string.

    Raises
    ------
    TypeError
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def width_of(recipe: str, pooling: str) -> int:
    """Return how many features a head reads beside clinical values."""
    columns = COLUMNS[recipe, pooling]
    return columns.stop - columns.start
