"""A saved model made ready to predict: radiographs → class, probabilities, Grad-CAM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detector import InputError
from detector.collections.dicom_header import DicomHeader, read_if_readable
from detector.datasets import clinical
from detector.datasets.folders import view_of
from detector.files.values import view_group
from detector.images.lungs import Implausibility, colourfulness, describe, implausibility, seems_inverted
from detector.images.radiographs import read
from detector.images.raster import joined
from detector.network import lung_decoder, runtime
from detector.network.gradcam import Maps
from detector.network.lung_decoder import MASK
from detector.network.model import join_masked
from detector.network.model_file import SavedModel
from detector.network.training_images import shortened
from detector.network.weights import CHANNELS_BY_BLOCK, DIGEST, digest
from detector.statistics.evaluation import predict as classes_of

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

BATCH = 8
TRAINED_ON = "a training image of this model, so the prediction is not that of a new image"


@dataclass(frozen=True)
class PredictionRequest:
    """An image file, its clinical values, and whether its image and Grad-CAM are wanted beside the prediction."""

    path: Path
    values: Mapping[str, str]
    with_images: bool = False


class InputImage(NamedTuple):
    """An image as the network reads it, (224, 224, 3), uint8, and what its file says of it.

    Attributes
    ----------
    pixels : ndarray of shape (224, 224, 3), uint8
    digest : str
        SHA-256 of the file.
    note : str
        On how it was decoded.
    view : str
        Its projection by header or file name, such as ``"lateral"``; mostly empty.
    modality : str
        Of a DICOM file that is no radiograph, such as ``"CT"``; mostly empty.
    aspect : float
        Height of the file's image, divided by its width.
    """

    pixels: np.ndarray
    digest: str
    note: str
    view: str = ""
    modality: str = ""
    aspect: float = 1.0


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image.

    Attributes
    ----------
    path : Path
    label : str
        The predicted class.
    probabilities : list of float
        In the order of the model's classes.
    note : str
        What a user should know of the image: how it was decoded, that it may be no frontal chest radiograph, or that
        the model was trained on it; mostly empty.
    image : ndarray of shape (224, 224, 3), uint8, or None
        What the network saw, where that was asked for.
    grad_cam : ndarray of shape (14, 14), float32, or None
        In [0, 1], where that was asked for.
    seen : float
        Share of width and height, from the upper left, that the head's pooling sees.
    aspect : float
        Height of the file's image, divided by its width.
    """

    path: Path
    label: str
    probabilities: list[float]
    note: str = ""
    image: np.ndarray | None = None
    grad_cam: np.ndarray | None = None
    seen: float = 1.0
    aspect: float = 1.0


class Predictor:
    """A saved model, compiled.

    Parameters
    ----------
    saved : SavedModel
    with_images : bool
        Whether Grad-CAM will be asked for.
    force : bool, default=False
        Predict a class for images that are no frontal chest radiographs, too.
    """

    def __init__(self, saved: SavedModel, with_images: bool, force: bool = False) -> None:
        runtime.ready()
        self.saved, self.force = saved, force
        self._trained_on = frozenset(saved.description.training_images.digests)
        model = saved.joined()
        self._run, self._finds_lungs = _compiled(model, saved)
        self._maps: Maps | None = None
        self._seen = 1.0
        if with_images:
            self._maps, self._seen = _grad_cam(model, saved)

    def __call__(
        self, requests: Sequence[PredictionRequest], images: Sequence[InputImage]
    ) -> list[Prediction | InputError]:
        """Return the prediction of each image of a batch, or why there is none."""
        description = self.saved.description
        pixels = np.stack([image.pixels for image in images]).astype(np.float32) / 255.0
        extra = clinical.encode(description.clinical, [one.values for one in requests])
        inputs = [pixels, extra] if description.clinical else [pixels]
        probabilities, lungs = (found.numpy() for found in self._run(inputs))
        if description.input == "lungs":
            inputs[0] = pixels * lungs
        predicted = classes_of(probabilities, description.classes.index(description.positive), description.threshold)
        maps = self._maps if any(one.with_images for one in requests) else None
        grad_cams = list(maps(inputs, predicted, None)) if maps else []
        found: list[Prediction | InputError] = []
        for i, (one, image) in enumerate(zip(requests, images, strict=True)):
            implausible = self._implausibility(image, lungs[i, ..., 0] > 0)
            if implausible and (reason := self._why_rejected(implausible)):
                found.append(InputError(f"{one.path}: {reason}"))
                continue
            label = description.classes[predicted[i]]
            known = shortened(image.digest) in self._trained_on
            note = joined(image.note, implausible.reason if implausible else "", TRAINED_ON if known else "")
            prediction = Prediction(one.path, label, probabilities[i].astype(float).tolist(), note, aspect=image.aspect)
            if one.with_images and maps:
                shown = np.rint(255 * inputs[0][i]).astype(np.uint8)
                prediction = replace(prediction, image=shown, grad_cam=grad_cams[i], seen=self._seen)
            found.append(prediction)
        return found

    def _implausibility(self, image: InputImage, lungs: np.ndarray) -> Implausibility | None:
        """Return why an image may be no frontal chest radiograph."""
        if image.modality:
            return Implausibility(f"of another modality ({image.modality})", "of another modality", True)
        found = describe(lungs) if self._finds_lungs else None
        return implausibility(colourfulness(image.pixels), found, image.view, seems_inverted(image.pixels))

    def _why_rejected(self, implausible: Implausibility) -> str:
        """Return why no class is predicted; empty where one is."""
        if not implausible.rejected:
            return ""
        if self.saved.description.input == "lungs":
            return f"{implausible.reason}; this model uses only the lung region"
        return "" if self.force else f"{implausible.reason}, so no class is predicted (--force predicts one)"


def predict(
    saved: SavedModel, requests: Sequence[PredictionRequest], force: bool = False
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order, or why there is none."""
    predictor = Predictor(saved, any(one.with_images for one in requests), force)
    for start in range(0, len(requests), BATCH):
        batch = requests[start : start + BATCH]
        yield from predict_batch(predictor, batch, [_read(one.path) for one in batch])


def _read(path: Path) -> InputImage | InputError:
    try:
        return input_image(path)
    except InputError as error:
        return error


def input_image(path: Path) -> InputImage:
    """Read an image file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    radiograph = read(path)
    header = read_if_readable(path) if radiograph.format == "DICOM" else DicomHeader()
    view = view_group(header.view or view_of(Path(path.name)))
    modality = "" if header.is_radiograph else header.modality
    aspect = radiograph.height / radiograph.width
    return InputImage(radiograph.pixels, radiograph.digest, radiograph.note, view, modality, aspect)


def predict_batch(
    predictor: Predictor, batch: Sequence[PredictionRequest], images: Sequence[InputImage | InputError]
) -> list[Prediction | InputError]:
    """Return the predictions of a batch, of which some images could not be read."""
    readable = [(one, image) for one, image in zip(batch, images, strict=True) if isinstance(image, InputImage)]
    done = iter(predictor(*zip(*readable, strict=True)) if readable else ())
    return [next(done) if isinstance(image, InputImage) else image for image in images]


def _grad_cam(model: keras.Model, saved: SavedModel) -> tuple[Maps, float]:
    """Return what computes Grad-CAM, and the share of width and height that the head's pooling sees."""
    from detector.network.gradcam import CELLS, heat_maps, seen_cells

    if saved.description.input == "lungs":
        model = join_masked(saved.weights, saved.head, saved.description)
    return heat_maps(model), seen_cells(model) / CELLS


def _compiled(
    model: keras.Model, saved: SavedModel
) -> tuple[Callable[[Sequence[np.ndarray]], tuple[tf.Tensor, tf.Tensor]], bool]:
    """Return a function from a model's inputs to probabilities and lung mask, and whether it finds lungs.

    The mask is (n, 224, 224, 1), 1 or 0. A model without a lung decoder gets this project's, which was fitted to
    ImageNet's weights: on another base no lungs are looked for, and the mask is 1.
    """
    import keras
    import tensorflow as tf

    finds_lungs = True
    if saved.decoder is not None:
        lungs = model.get_layer(MASK).output
    elif digest(saved.weights) == DIGEST:
        lungs = lung_decoder.mask([model.get_layer(name).output for name in CHANNELS_BY_BLOCK])
    else:
        finds_lungs, lungs = False, keras.ops.ones_like(model.inputs[0][..., :1])
    both = keras.Model(model.inputs, [model.output, lungs])
    if finds_lungs and saved.decoder is None:
        lung_decoder.put(both, lung_decoder.read())
    run = tf.function(lambda inputs: both(inputs, training=False), reduce_retracing=True, autograph=False)
    return run, finds_lungs
