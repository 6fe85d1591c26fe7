"""The least that a prediction can cost: importing TensorFlow and one forward pass of VGG16."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from detector.network.forward import compile_forward
from detector.network.weights import load
from detector.storage.cache import default_folder

forward = compile_forward(load(None, default_folder())[0], "float32")
assert np.isfinite(forward(np.zeros((1, 224, 224, 3), np.float32))[0].numpy()).all()
assert tf.__version__
