"""A saved model applied to images, by scripts, on a cluster or in other programs: class, probabilities, Grad-CAM."""

from __future__ import annotations

import glob
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from detector import InputError, printable
from detector.cli.output import named_notes, progress, say, wrapped
from detector.cluster.connection import Cluster, on_node
from detector.datasets import clinical
from detector.datasets.dataset import view_of
from detector.files.cache import Cache
from detector.files.values import view_group
from detector.images.listing import Listing
from detector.images.listing import list_images as listing_of
from detector.images.lungs import Implausibility, colourfulness, describe, doubt, implausibility
from detector.images.raster import joined
from detector.images.read import SIZE, Radiograph, from_bytes, read
from detector.network import model_file, runtime
from detector.network.backbone import DIGEST, HEAT_CELLS, digest, seen_cells
from detector.network.features import BATCH, Backbone
from detector.network.head import TrainedHead
from detector.network.model_file import SavedModel, shortened
from detector.statistics.evaluation import predict as classes_of

Given = str | Path | bytes | np.ndarray  # an image
UPLOADED = "image"  # what messages call one that has no name
TRAINED_ON = "a training image of this model, so the prediction is not that of a new image"
T = TypeVar("T")


@dataclass(frozen=True)
class PredictionRequest:
    """An image file, its clinical values, and whether its image and Grad-CAM are wanted beside the prediction."""

    path: Path
    values: Mapping[str, str]
    with_images: bool = False


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image.

    Attributes
    ----------
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
    """A saved model, ready to predict.

    Parameters
    ----------
    with_images : bool
        Whether Grad-CAM will be asked for.
    force : bool, default=False
        Predict a class for images that are not frontal chest radiographs, too.
    """

    def __init__(self, saved: SavedModel, with_images: bool, force: bool = False) -> None:
        self.saved, self.force = saved, force
        self._trained_on = frozenset(saved.description.training_images)
        # This project's decoder was fitted to ImageNet's weights: on another base no lungs are looked for.
        self._finds_lungs = saved.decoder is not None or digest(saved.weights) == DIGEST
        self._base = Backbone(saved.weights, Cache(None), decoder=saved.decoder)
        self._head = TrainedHead(saved.head, columns=saved.description.clinical)
        self._heat_maps: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
        if with_images:
            runtime.ready()
            from detector.network.forward import heat_maps

            self._heat_maps = heat_maps(saved.weights, saved.head, saved.description.columns, saved.decoder)

    def __call__(
        self, requests: Sequence[PredictionRequest], images: Sequence[Radiograph | InputError]
    ) -> list[Prediction | InputError]:
        """Return the prediction of each image of a batch, or why there is none."""
        readable = [(one, image) for one, image in zip(requests, images, strict=True) if isinstance(image, Radiograph)]
        done = iter(self._predicted(readable) if readable else ())
        return [next(done) if isinstance(image, Radiograph) else image for image in images]

    def _predicted(self, batch: Sequence[tuple[PredictionRequest, Radiograph]]) -> Iterator[Prediction | InputError]:
        description, rows = self.saved.description, [one.values for one, _ in batch]
        pixels = np.stack([image.pixels for _, image in batch])
        features, lungs = self._base.forward(pixels)
        probabilities = self._head.predict_proba(features[:, description.columns], rows)
        predicted = classes_of(probabilities, description.classes.index(description.positive), description.threshold)
        heat = np.zeros((len(batch), 0))
        if self._heat_maps and any(one.with_images for one, _ in batch):
            heat = self._heat_maps(pixels, predicted, clinical.encode(description.clinical, rows))
        for i, (one, image) in enumerate(batch):
            implausible = self._implausibility(one.path, image, lungs[i])
            if implausible and implausible.rejected and not self.force:
                yield InputError(f"{one.path}: {implausible.reason}, so no class is predicted (--force predicts one)")
                continue
            trained_on = TRAINED_ON if shortened(image.digest) in self._trained_on else ""
            note = joined(image.note, implausible.reason if implausible else "", trained_on)
            label, seen = description.classes[predicted[i]], seen_cells(description.columns) / HEAT_CELLS
            scores, aspect = probabilities[i].astype(float).tolist(), image.height / image.width
            found = Prediction(one.path, label, scores, note, seen=seen, aspect=aspect)
            yield replace(found, image=image.pixels, grad_cam=heat[i]) if one.with_images else found

    def _implausibility(self, path: Path, image: Radiograph, lungs: np.ndarray) -> Implausibility | None:
        """Return why an image may be no frontal chest radiograph."""
        header = image.header
        if header.left_out:
            return Implausibility(header.left_out, "of another modality", True)
        found = describe(lungs) if self._finds_lungs else None
        view = view_group(header.view or view_of(Path(path.name)))
        return implausibility(colourfulness(image.pixels), found, view, doubt(image.pixels))


def list_images(given: Sequence[Path], failures: list[InputError]) -> list[Path]:
    """Return the files to predict: those given, and those below the folders given, each once; say what is left out.

    Parameters
    ----------
    given : sequence of Path
        Files, folders, or patterns such as ``*.png`` that the shell did not expand.
    failures : list of InputError
        Gets what is no file and no folder with images; the first is raised where there is no file at all.
    """
    paths, left_out = [], Counter[str]()
    for path in (one for each in given for one in _expanded(each)):
        if not path.is_dir():
            paths.append(path)
        else:
            listing = listing_of(path)
            left_out += listing.left_out
            paths += listing.images
            if not listing.images:
                failures.append(InputError(f"{path} holds no images{f' ({listing.note})' if listing.note else ''}"))
    if not paths and failures:
        raise failures[0]
    if note := Listing(left_out=left_out).note:
        say(note)
    return list(dict.fromkeys(paths))


def gathered(
    results: Iterable[T | InputError], total: int, what: str, quiet: bool, failures: list[InputError]
) -> list[T]:
    """Return the results of images as they come, with a bar of progress; `failures` gets those that failed."""
    done: list[T] = []
    for one in progress(results, total, what, quiet):
        if isinstance(one, InputError):
            failures.append(one)
        else:
            done.append(one)
    return done


def say_notes(notes: Iterable[tuple[Path, str]], failures: Sequence[InputError]) -> None:
    """Print what has to be known of images, and on stderr why files were skipped."""
    for note in named_notes(notes):
        say("\n".join(wrapped(note, rest="  ")))
    for failure in failures:
        print(f"{Path(sys.argv[0]).name}: {printable(failure)}", file=sys.stderr)


def _expanded(path: Path) -> list[Path]:
    """Return what a pattern matches, or the path itself."""
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    root = Path(path.anchor)
    return sorted(root.glob(str(path.relative_to(path.anchor)))) or [path]


def predict_all(
    saved: SavedModel, requests: Sequence[PredictionRequest], cluster: Cluster | None = None, force: bool = False
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order, or why there is none.

    Parameters
    ----------
    cluster : Cluster, optional
        Reads and predicts; by default that is done here.
    force : bool, default=False
        Predict a class for images that are not frontal chest radiographs, too.
    """
    with_images = any(one.with_images for one in requests)
    if cluster is not None:
        yield from _on_cluster(cluster, saved, requests, with_images, force)
        return
    predictor = Predictor(saved, with_images, force)
    for start in range(0, len(requests), BATCH):
        batch = requests[start : start + BATCH]
        yield from predictor(batch, [input_image(one.path) for one in batch])


def input_image(image: Given) -> Radiograph | InputError:
    """Read an image, or return why it cannot be read."""
    data = _as_png(image) if isinstance(image, np.ndarray) else image
    try:
        return from_bytes(data, UPLOADED) if isinstance(data, bytes) else read(Path(data))
    except InputError as error:
        return error


# In other programs: loaded once, a model predicts paths, bytes and arrays, from any number of threads.


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
    positive : str
        The class that the threshold is one of.
    threshold : float or None
        As `Result` has it.
    clinical_columns : list of str
        Values that it takes beside each image.
    """

    def __init__(self, saved: SavedModel, force: bool = False) -> None:
        description = saved.description
        self.classes, self.positive = description.classes, description.positive
        self.threshold = description.threshold
        if self.threshold is None and len(self.classes) == 2:
            self.threshold = 0.5
        self.clinical_columns = [str(column["name"]) for column in description.clinical]
        self._lock = threading.Lock()
        runtime.configure(verbose=False)
        self._predictor = Predictor(saved, False, force)
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
            A ValueError: if that is no list of images, an array has another shape or type, or `clinical` another
            length or names.
        """
        if isinstance(images, (str, Path, bytes, np.ndarray)):
            raise InputError("predict takes a list of images; for one, call the model itself: model(image)")
        if wrong := [one for one in images if not isinstance(one, (str, Path, bytes, np.ndarray))]:
            raise InputError(f"{type(wrong[0]).__name__} is no image; give a path, the bytes of a file, or an array")
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
            given_images = [input_image(image) for image in images[start : start + BATCH]]
            with self._lock:
                predicted = self._predictor(requests[start : start + BATCH], given_images)
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
    return Model(model_file.read(Path(path), classes, threshold), force)


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


# On a cluster: images are read on their node, actors keep the model loaded.


def _on_cluster(
    cluster: Cluster, saved: SavedModel, requests: Sequence[PredictionRequest], with_images: bool, force: bool
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order."""
    items = [((i,), (one, one.path.absolute())) for i, one in enumerate(requests)]
    ready: dict[int, Prediction | InputError] = {}
    following = 0
    for found in cluster.compute(items, read_request, predictor_of, (tuple(saved), with_images, force)):
        ready |= found
        while following in ready:
            yield ready.pop(following)
            following += 1


def read_request(given: tuple[PredictionRequest, Path]) -> list[tuple[PredictionRequest, Radiograph | InputError]]:
    """Read an image on the node that sees it."""
    request, path = given
    image = input_image(path)
    if isinstance(image, InputError):
        image = on_node(str(image).replace(str(path), str(request.path)))
    return [(request, image)]


def predictor_of(given: tuple[tuple, bool, bool]) -> Callable[[list], list[Prediction | InputError]]:
    """Return a function from requests and their images to predictions."""
    saved, with_images, force = given
    predictor = Predictor(SavedModel(*saved), with_images, force)
    return lambda some: predictor(*zip(*some, strict=True))
