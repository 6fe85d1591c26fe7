"""Run a program and measure it; describe the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A program's wall time in seconds and its peak resident memory in MiB, and what it printed."""

    seconds: float
    peak: float
    output: str


def run(*command: object, **environment: str) -> Run:
    """Run a Python program of this project to its end.

    Raises
    ------
    SystemExit
        If it fails.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
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


def machine() -> str:
    """Return a line that says what the measurements were made on."""
    name, flags = platform.processor() or platform.machine(), ""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
        elif line.startswith("flags"):
            flags = line
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag}" in flags]
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {name} ({', '.join(has) or 'no vector flags known'}), "
        f"Python {platform.python_version()}"
    )
