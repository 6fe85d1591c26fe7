"""A saved model applied to images, here or on a cluster: radiographs → class, probabilities, Grad-CAM."""

from __future__ import annotations

import glob
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detector import InputError
from detector.cluster.stream import Cluster, Row, node, shared
from detector.datasets import clinical
from detector.datasets.folders import view_of
from detector.files.values import view_group
from detector.images.dicom_header import DicomHeader, read_if_readable
from detector.images.listing import list_images as listing_of
from detector.images.lungs import Implausibility, colourfulness, describe, implausibility, seems_inverted
from detector.images.raster import joined
from detector.images.read import SIZE, read
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import DIGEST, MAPS, digest
from detector.network.gradcam import CELLS, Maps
from detector.network.lungs import MASK
from detector.network.model_file import SavedModel, join_masked, shortened
from detector.statistics.evaluation import predict as classes_of

if TYPE_CHECKING:
    import keras
    import ray
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
        lungs = lung_decoder.mask([model.get_layer(name).output for name in MAPS])
    else:
        finds_lungs, lungs = False, keras.ops.ones_like(model.inputs[0][..., :1])
    both = keras.Model(model.inputs, [model.output, lungs])
    if finds_lungs and saved.decoder is None:
        lung_decoder.put(both, lung_decoder.read())
    run = tf.function(lambda inputs: both(inputs, training=False), reduce_retracing=True, autograph=False)
    return run, finds_lungs


_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/")


def list_images(given: Sequence[Path], failures: list[InputError], left_out: Counter[str] | None = None) -> list[Path]:
    """Return the files to predict: those given, and those below the folders given, each once.

    Parameters
    ----------
    given : sequence of Path
        Files, folders, or patterns such as ``*.png`` that the shell did not expand.
    failures : list of InputError
        Gets what is no file and no folder with images.
    left_out : Counter, optional
        Gets the number of other files in the folders, by reason.

    Raises
    ------
    InputError
        If there is no file at all.
    """
    paths: list[Path] = []
    for path in (one for each in given for one in _expanded(each)):
        if _URL.match(str(path)):
            url = str(path).replace(":/", "://", 1)
            failures.append(InputError(f"{url} is a URL; download the file and give its path"))
        elif not path.is_dir():
            paths.append(path)
        else:
            listing = listing_of(path)
            if left_out is not None:
                left_out += listing.left_out
            paths += listing.images
            if not listing.images:
                failures.append(InputError(f"{path} holds no images{f' ({listing.note})' if listing.note else ''}"))
    if not paths and failures:
        raise failures[0]
    return list(dict.fromkeys(paths))


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
    saved : SavedModel
    requests : sequence of PredictionRequest
    cluster : Cluster, optional
        Reads and predicts; by default that is done here.
    force : bool, default=False
        Predict a class for images that are no frontal chest radiographs, too.
    """
    if cluster is None:
        return predict(saved, requests, force)
    return on_cluster(cluster, saved, requests, force)


def on_cluster(
    cluster: Cluster, saved: SavedModel, requests: Sequence[PredictionRequest], force: bool = False
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order, computed by actors that keep the model loaded.

    Raises
    ------
    InputError
        If a node cannot compute; it is named.
    """
    items = [
        {
            "index": i,
            "path": str(one.path.absolute()),
            "given": str(one.path),
            "values": json.dumps(dict(one.values)),
            "with_images": one.with_images,
        }
        for i, one in enumerate(requests)
    ]
    with_images = any(one.with_images for one in requests)
    arguments = shared(tuple(saved)), digest(saved.weights), with_images, force, max(1, int(cluster.cpus))
    ready: dict[int, Prediction | InputError] = {}
    following = 0
    for rows in cluster.map_batches(items, image_rows, PredictionWorker, arguments):
        for row in rows:
            if row["error"]:
                raise InputError(str(row["error"]))
            ready[int(row["index"])] = _prediction(row, requests[int(row["index"])].path)
        while following in ready:
            yield ready.pop(following)
            following += 1


def _prediction(row: Row, path: Path) -> Prediction | InputError:
    if row["rejected"]:
        return InputError(str(row["rejected"]))
    image = np.frombuffer(row["image"], np.uint8).reshape(SIZE, SIZE, 3) if row["image"] else None
    grad_cam = np.frombuffer(row["grad_cam"], np.float32).reshape(CELLS, CELLS) if row["grad_cam"] else None
    probabilities, sizes = json.loads(row["probabilities"]), (float(row["seen"]), float(row["aspect"]))
    return Prediction(path, str(row["label"]), probabilities, str(row["note"]), image, grad_cam, *sizes)


def image_rows(item: Row) -> list[Row]:
    """Read an image on the node that sees it."""
    image, rejected = InputImage(np.zeros((SIZE, SIZE, 3), np.uint8), "", ""), ""
    try:
        image = input_image(Path(item["path"]))
    except InputError as error:
        rejected = f"{str(error).replace(str(item['path']), str(item['given']))} (on {node()})"
    kept = {name: item[name] for name in ("index", "given", "values", "with_images")}
    return [kept | image._asdict() | {"rejected": rejected}]


class PredictionWorker:
    """Keeps a model loaded in a process of its own.

    Parameters
    ----------
    saved : ray.ObjectRef
        Stands for the model in Ray's object store.
    expected : str
        Digest of its base's weights.
    with_images : bool
    force : bool
    threads : int
        Cores that this process has.
    """

    def __init__(self, saved: ray.ObjectRef, expected: str, with_images: bool, force: bool, threads: int) -> None:
        runtime.limit_cores(threads)
        self.shared, self.expected, self.with_images, self.force = saved, expected, with_images, force
        self.predictor: Predictor | None = None

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the predictions of some images, or one sentence that says why there are none."""
        rows = [dict(zip(block, values, strict=True)) for values in zip(*block.values(), strict=True)]
        predictions: list[Prediction | InputError] = []
        error = ""
        try:
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                requests = [_request(row) for row in some]
                predictions += predict_batch(self._ready(), requests, [_image(row) for row in some])
        # A node can lack a package or memory: whatever it is, it has a name and a place.
        except Exception as reason:
            error = f"{node()} cannot predict: {type(reason).__name__}: {reason}".splitlines()[0][:300]
            predictions = [InputError(error)] * len(rows)
        plain = [_columns(one) for one in predictions]
        found = {name: np.array([row[name] for row in plain], object) for name in plain[0]}
        return found | {"index": block["index"], "error": np.array([error] * len(rows), object)}

    def _ready(self) -> Predictor:
        if self.predictor is None:
            import ray

            saved = SavedModel(*ray.get(self.shared))
            if digest(saved.weights) != self.expected:
                raise InputError("the model's weights arrived damaged")
            self.predictor = Predictor(saved, self.with_images, self.force)
        return self.predictor


def _image(row: Row) -> InputImage | InputError:
    if row["rejected"]:
        return InputError(str(row["rejected"]))
    sha256, note, view, modality = (str(row[name]) for name in ("digest", "note", "view", "modality"))
    return InputImage(np.asarray(row["pixels"]), sha256, note, view, modality, float(row["aspect"]))


def _request(row: Row) -> PredictionRequest:
    return PredictionRequest(Path(row["given"]), json.loads(row["values"]), bool(row["with_images"]))


def _columns(prediction: Prediction | InputError) -> Row:
    """Return a prediction as plain values; empty ones for a rejected image."""
    rejected = ""
    if isinstance(prediction, InputError):
        rejected, prediction = str(prediction), Prediction(Path(), "", [])
    arrays = {
        "image": b"" if prediction.image is None else prediction.image.tobytes(),
        "grad_cam": b"" if prediction.grad_cam is None else prediction.grad_cam.astype(np.float32).tobytes(),
    }
    kept = {name: getattr(prediction, name) for name in ("label", "note", "seen", "aspect")}
    return kept | arrays | {"probabilities": json.dumps(prediction.probabilities), "rejected": rejected}
