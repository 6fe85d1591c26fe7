"""What a model file keeps of its training run: the data set's size, how well the model did, and which checks warned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST = 300  # characters of a text; longer ones are cut
MOST_CHECKS = 50
TEXTS = ("data_set", "created", "evaluation", "roc_auc")


@dataclass(frozen=True)
class ClassCount:
    """How many images and patients of a class the model was trained on."""

    name: str
    images: int
    patients: int


@dataclass(frozen=True)
class TrainingSummary:
    """A training run in a few lines, for the model card.

    Attributes
    ----------
    data_set : str
        Name of its folder.
    created : str
        When the model was trained.
    classes : tuple of ClassCount
        Of the images that the saved model was trained on.
    evaluation : str
        What the metrics are of, such as ``"Test set: 24 images from 24 patients"``.
    roc_auc : str
        With its interval, or why there is none.
    warned : tuple of str
        Titles of the validity checks that warned.
    """

    data_set: str
    created: str
    classes: tuple[ClassCount, ...]
    evaluation: str
    roc_auc: str
    warned: tuple[str, ...]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainingSummary:
        """Return a summary from what a model file holds, which may come from anywhere.

        Raises
        ------
        TypeError, ValueError, KeyError
            If it is not what a training run writes.
        """
        counts = tuple(
            ClassCount(_text(one["name"]), *map(_count, (one["images"], one["patients"])))
            for one in _list(values["classes"], 1000)
        )
        warned = tuple(map(_text, _list(values["warned"], MOST_CHECKS)))
        data_set, created, evaluation, roc_auc = (_text(values[name]) for name in TEXTS)
        return cls(data_set, created, counts, evaluation, roc_auc, warned)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value[:LONGEST]


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a count")
    return value


def _list(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("a list")
    return value
