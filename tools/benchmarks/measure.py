"""What the benchmarks share: run a program and measure it, copies of phantoms, a table of targets."""

from __future__ import annotations

import functools
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detector.files.cache import default_folder
from detector.images.phantom import draw
from detector.network.weights import KEPT

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A program's wall time in seconds and its peak resident memory in MiB, and what it printed."""

    seconds: float
    peak: float
    output: str

    def stages(self) -> dict[str, float]:
        """Return the seconds of each stage, as `--timings` prints them."""
        found = re.findall(r"^(.+): ([0-9.]+) s$", self.output, re.MULTILINE)
        return {stage: float(seconds) for stage, seconds in found}


def run(*command: object) -> Run:
    """Run a Python program of this project to its end, which must be a good one."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    ) as process:
        assert process.stdout is not None  # it is a pipe
        output = process.stdout.read()
        # wait4 alone tells the memory of this very child.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with status {process.returncode}:\n{output}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return Run(time.perf_counter() - start, usage.ru_maxrss * unit / 2**20, output)


def new_cache(folder: Path) -> Path:
    """Make a cache for a first run; the weights, which are fetched once in a lifetime, are there."""
    folder.mkdir()
    if (kept := default_folder() / KEPT).exists():  # else Keras has them in a folder of its own
        shutil.copy(kept, folder)
    return folder


drawn = functools.lru_cache(maxsize=1)(draw)


def changed_copy(number: int, copies: int, side: int) -> np.ndarray:
    """Return an image of a set that has so many copies of each phantom: shifted, exposed anew, and resized."""
    phantom, generator = number // copies, np.random.default_rng(number)
    image = np.roll(drawn(phantom % 2 == 0, phantom), generator.integers(-9, 10, 2), (0, 1))
    exposed = (image * generator.uniform(0.85, 1.0)).astype(np.uint8)
    return cv2.resize(exposed, (side, side), interpolation=cv2.INTER_AREA if side < len(image) else cv2.INTER_CUBIC)


def _write(folder: Path, copies: int, side: int, number: int) -> None:
    label = "normal" if number // copies % 2 else "covid"
    cv2.imwrite(str(folder / label / f"IM-{number:05d}-0001.jpeg"), changed_copy(number, copies, side))


def write_copies(folder: Path, images: int, copies: int, side: int) -> Path:
    """Write a data set of so many images, as `changed_copy` returns them."""
    for label in ("covid", "normal"):
        (folder / label).mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(functools.partial(_write, folder, copies, side), range(images), chunksize=25))
    return folder


def heading(what: str) -> None:
    """Print what the measurements were made on, and the head of the table."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = cpu.partition("model name")[2].partition("\n")[0].strip("\t :") or platform.machine()
    wide = "with" if " avx512f " in cpu else "without"
    machine = f"{os.cpu_count()} cores of {name} {wide} AVX-512, Python {platform.python_version()}"
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine}; {what}\n")
    print("| what | measured | target | reached |\n| --- | --- | --- | --- |")


def row(what: str, value: str, target: str, reached: bool) -> None:
    """Print a row of the table."""
    print(f"| {what} | {value} | {target} | {'yes' if reached else 'NO'} |", flush=True)


def ratio(what: str, top: float, bottom: float, most: float = math.inf, least: float = 0.0, unit: str = "s") -> None:
    """Print a row on the ratio of two measurements, which is to be at most, or at least, something."""
    found, target = top / bottom, f"≥ {least:g}" if least else f"≤ {most:g}"
    row(what, f"{top:.1f} {unit} / {bottom:.1f} {unit} = {found:.2f}", target, least <= found <= most)
