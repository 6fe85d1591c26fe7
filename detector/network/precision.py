"""Which arithmetic is faster here: measured, and remembered."""

from __future__ import annotations

import platform
import time
from pathlib import Path

from detector.files.cache import Cache, key
from detector.network import runtime

# bfloat16 must be this much faster to be chosen; where a CPU has it in hardware it is about twice as fast.
WORTH_IT = 1.3


def choose_precision(wanted: str, cache: Cache) -> str:
    """Return the precision for training copies: the one wanted or, for ``"auto"``, the faster one here.

    The faster one is measured, since it depends on the machine: a convolution of VGG16's widest block, a few times in
    turn. The finding is kept, so that later runs on this machine compute the same features.

    Parameters
    ----------
    wanted : {"auto", "float32", "bfloat16"}
    cache : Cache

    Returns
    -------
    {"float32", "bfloat16"}
    """
    if wanted != "auto":
        return wanted
    runtime.ready()
    import tensorflow as tf

    devices = [device.name for device in tf.config.list_physical_devices()]
    name = key(kind="precision", cpu=_cpu(), devices=devices, tensorflow=tf.__version__)
    held = cache.get([name]).get(name, b"").decode(errors="replace")
    if held in ("float32", "bfloat16"):
        return held
    chosen = "bfloat16" if _speed_ratio() > WORTH_IT else "float32"
    cache.put({name: chosen.encode()})
    return chosen


def _speed_ratio() -> float:
    """Return how many times faster a convolution in bfloat16 is than in float32, best of three each, in turn."""
    import tensorflow as tf

    run = tf.function(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), autograph=False)
    seconds: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    operands = {
        precision: (tf.ones((4, 28, 28, 256), precision), tf.ones((3, 3, 256, 256), precision)) for precision in seconds
    }
    for precision in seconds:
        run(*operands[precision]).numpy()
    for _ in range(3):
        for precision, taken in seconds.items():
            start = time.perf_counter()
            run(*operands[precision]).numpy()
            taken.append(time.perf_counter() - start)
    return min(seconds["float32"]) / min(seconds["bfloat16"])


def _cpu() -> str:
    """Return what identifies a kind of processor: the instructions it has, where the kernel lists them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
