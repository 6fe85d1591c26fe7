"""The page of predictions: images with answers, where the model looked, and what the model is not."""

from __future__ import annotations

from collections.abc import Sequence

from detector import InputError
from detector.inference.prediction import Prediction
from detector.network.model import Description
from detector.reports import html_report


def prediction_page(
    predictions: Sequence[Prediction], failures: Sequence[InputError], description: Description, model: str
) -> bytes:
    """Return the page.

    Parameters
    ----------
    predictions : sequence of Prediction
    failures : sequence of InputError
        Of images without an answer.
    description : Description
    model : str
        Name of the model's file.
    """
    classes = description.classes
    cards = [
        {
            "file": str(one.path),
            "predicted": one.label,
            "label_index": classes.index(one.label),
            "probability": one.probabilities[classes.index(one.label)],
            "probabilities": list(zip(classes, one.probabilities, strict=True)),
            "film": one.film,
            "heat": one.heat,
            "note": one.note,
        }
        for one in predictions
        if one.film
    ]
    counts = ", ".join(f"{sum(one.label == name for one in predictions)} {name}" for name in classes)
    return html_report.render(
        "prediction.html.j2",
        "What the model says of these images",
        counted=f"{len(predictions)} images: {counts}.",
        left_out=len(predictions) - len(cards),
        cards=cards,
        classes=classes,
        failures=[str(failure) for failure in failures],
        command=html_report.command(),
        settings=[
            ("model", model),
            ("recipe", description.recipe),
            ("positive", description.positive),
            ("threshold", description.threshold or "the likeliest class"),
            ("looks at", "the lungs only" if description.input == "lungs" else "the whole image"),
        ],
    )
