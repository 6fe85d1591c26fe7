"""TensorFlow, imported once: quietly, in the background while files are read, and without taking a whole GPU."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from detector.cli.run import IMPORTING

_importing: threading.Thread | None = None


def configure(verbose: bool) -> None:
    """Let TensorFlow write its log to stderr, or fatal messages only; call it before `start`."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0" if verbose else "3"


def start() -> threading.Thread:
    """Begin to import TensorFlow in the background, unless that has begun; nothing else may import it before.

    Until `ready` has returned, nothing may be imported that TensorFlow imports too: two threads that meet in a circle
    of imports see half of a module, or stop. What reading files needs is therefore imported first.
    """
    global _importing
    if _importing is not None:
        return _importing
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import h5py  # noqa: F401
    import scipy.fftpack  # noqa: F401
    from PIL import Image

    Image.init()
    _importing = threading.Thread(target=_import, name=IMPORTING, daemon=True)
    _importing.start()
    return _importing


def finish() -> None:
    """Wait for the import if it has begun."""
    if _importing is not None:
        ready()


def ready() -> None:
    """Wait until TensorFlow can be used; import it now where `start` was not called."""
    start().join()
    import keras  # a failure in the background shows here, where it can be handled
    import tensorflow as tf

    # What a user's keras.json says is of other programs.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.utils.disable_interactive_logging()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _import() -> None:
    # What fails here fails again in `ready`, where it can be handled; a thread would print a traceback.
    with suppress(Exception):
        import tensorflow  # noqa: F401
