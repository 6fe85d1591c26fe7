"""A saved model in other programs: loaded once, it predicts paths, bytes and arrays, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from detector import InputError
from detector.images.read import SIZE, Radiograph, from_bytes
from detector.inference.predict import Prediction, PredictionRequest, Predictor, input_image
from detector.network import model_file, runtime
from detector.network.features import BATCH

Given = str | Path | bytes | np.ndarray  # an image
UPLOADED = "image"  # what messages call one that has no name


@dataclass(frozen=True)
class Result:
    """What a model says of an image.

    Attributes
    ----------
    label : str or None
        The predicted class; None where none is predicted.
    probabilities : dict of str to float
        Of each class; empty where none is predicted.
    threshold : float or None
        From which probability on the positive class is predicted; None for the likeliest of three and more.
    reason : str
        Why no class is predicted: the image cannot be read, or is no frontal chest radiograph. Else empty.
    note : str
        What a user should know of the image; mostly empty.
    """

    label: str | None
    probabilities: dict[str, float]
    threshold: float | None
    reason: str = ""
    note: str = ""


class Model:
    """A saved model; `detector.load_model` makes it. Its methods can be called from several threads at once.

    Attributes
    ----------
    classes : list of str
    positive : str
        The class that the threshold is one of.
    threshold : float or None
        As `Result` has it.
    clinical_columns : list of str
        Values that it takes beside each image.
    """

    def __init__(self, saved: model_file.SavedModel, force: bool = False) -> None:
        description = saved.description
        self.classes, self.positive = description.classes, description.positive
        self.threshold = description.threshold
        if self.threshold is None and len(self.classes) == 2:
            self.threshold = 0.5
        self.clinical_columns = [str(column["name"]) for column in description.clinical]
        self._lock = threading.Lock()
        runtime.configure(verbose=False)
        self._predictor = Predictor(saved, with_images=False, force=force)
        # TensorFlow compiles what it runs the first time, which no user should wait for.
        blank = Radiograph(np.zeros((SIZE, SIZE, 3), np.uint8), "", SIZE, SIZE, "", False)
        self._predictor([PredictionRequest(Path(UPLOADED), {})], [blank])

    def __call__(self, image: Given, clinical: Mapping[str, object] | None = None) -> Result:
        """Predict one image; `predict` says what it may be."""
        return self.predict([image], [clinical or {}])[0]

    def predict(self, images: Sequence[Given], clinical: Sequence[Mapping[str, object]] = ()) -> list[Result]:
        """Predict images.

        Parameters
        ----------
        images : sequence
            Each a path (str or Path), the bytes of a file (DICOM, PNG, JPEG, …), or an array of shape (height, width)
            or (height, width, 3), RGB, uint8 or uint16, at full size: it is resized as files are. Arrays are not
            recognised as training images, nor their view.
        clinical : sequence of mapping, optional
            Of each image, values by `clinical_columns`; what is left out is not known.

        Returns
        -------
        list of Result
            In the order of the images. A file that cannot be read, and what is no frontal chest radiograph, is a result
            with a `reason`, not an exception.

        Raises
        ------
        InputError
            A ValueError: if an array has another shape or type, or `clinical` another length or names.
        """
        given = clinical or [{}] * len(images)
        if len(given) != len(images):
            raise InputError(f"clinical values of {len(given)} images are given for {len(images)} images")
        if unknown := {name for values in given for name in values} - {*self.clinical_columns}:
            known = ", ".join(self.clinical_columns) or "no clinical values"
            raise InputError(f"the model takes no {', '.join(sorted(unknown))}; it takes {known}")
        requests = [
            PredictionRequest(
                Path(image) if isinstance(image, (str, Path)) else Path(UPLOADED),
                {name: "" if value is None else str(value) for name, value in values.items()},
            )
            for image, values in zip(images, given, strict=True)
        ]
        found: list[Result] = []
        for start in range(0, len(images), BATCH):
            read = [_read(image) for image in images[start : start + BATCH]]
            with self._lock:
                predicted = self._predictor(requests[start : start + BATCH], read)
            found += map(self._result, predicted)
        return found

    def _result(self, predicted: Prediction | InputError) -> Result:
        if isinstance(predicted, InputError):
            return Result(None, {}, self.threshold, str(predicted))
        probabilities = dict(zip(self.classes, predicted.probabilities, strict=True))
        return Result(predicted.label, probabilities, self.threshold, note=predicted.note)


def load_model(
    path: str | Path, threshold: float | None = None, classes: Sequence[str] = (), force: bool = False
) -> Model:
    """Load a model that ``train_covid19.py`` saved; nothing in its file is run.

    Takes seconds, in which TensorFlow is imported; then an image takes about 0.15 s.

    Parameters
    ----------
    path : str or Path
        HDF5. One that anybody may have written is read as safely as one's own.
    threshold : float, optional
        Of the positive class's probability, in place of the model's.
    classes : sequence of str, optional
        In the order of the outputs, of a model that Keras saved, which lacks their names.
    force : bool, default=False
        Also predict images that are no frontal chest radiographs.

    Raises
    ------
    InputError
        A ValueError: if the file is missing, or no such model, or the threshold no probability.
    """
    if threshold is not None and not 0 < threshold < 1:
        raise InputError(f"threshold {threshold} is not a number between 0 and 1")
    saved = model_file.read(Path(path), classes)
    if threshold is not None:
        saved = saved._replace(description=replace(saved.description, threshold=threshold))
    return Model(saved, force)


def _read(image: Given) -> Radiograph | InputError:
    """Read an image, or return why it cannot be read."""
    if isinstance(image, (str, Path)):
        return input_image(Path(image))
    data = _as_png(image) if isinstance(image, np.ndarray) else bytes(image)
    try:
        return from_bytes(data, UPLOADED)
    except InputError as error:
        return error


def _as_png(array: np.ndarray) -> bytes:
    """Return an array as a file, so that its depth is read as that of files is."""
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise InputError(
            f"an array of shape {array.shape} and type {array.dtype} is no image; give (height, width) or "
            "(height, width, 3), RGB, uint8 or uint16"
        )
    if not array.size:
        raise InputError("an array without pixels is no image")
    pixels = array if array.ndim == 2 else array[..., ::-1]
    return cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
