"""TensorFlow, imported once: quietly, in the background while files are read, and without taking a whole GPU."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_importing: threading.Thread | None = None


def start(verbose: bool = False) -> threading.Thread:
    """Begin to import TensorFlow in the background; call it once, before anything else imports it.

    Until `ready` has returned, nothing may be imported that TensorFlow imports too: two threads that meet in a circle
    of imports see half of a module, or stop. What reading files needs is therefore imported first.

    Parameters
    ----------
    verbose : bool
        Let TensorFlow write its log to stderr.

    Returns
    -------
    Thread
        Ends when TensorFlow is imported.
    """
    global _importing
    # Its log level can only be set before the import; 3 lets fatal messages through.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0" if verbose else "3"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import cv2  # noqa: F401
    import h5py  # noqa: F401
    import imagehash  # noqa: F401
    import numpy  # noqa: F401
    import scipy.fftpack  # noqa: F401
    from PIL import Image

    Image.init()
    _importing = threading.Thread(target=_import, name="import tensorflow", daemon=True)
    _importing.start()
    return _importing


def limit_cores(count: int) -> None:
    """Let TensorFlow use so many cores; it takes every one that it sees unless it is told before it is imported."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(count), "TF_NUM_INTEROP_THREADS": "1"}


def ready() -> None:
    """Wait until TensorFlow can be used; import it now where `start` was not called."""
    (_importing or start()).join()
    # A failure in the background shows where it can be handled.
    import keras
    import tensorflow as tf

    keras.utils.disable_interactive_logging()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _import() -> None:
    # What fails here fails again in `ready`, where it can be handled; a thread would print a traceback.
    with suppress(Exception):
        import tensorflow  # noqa: F401
