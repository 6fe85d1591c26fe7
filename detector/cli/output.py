"""What a script prints: results, `[INFO]` lines, progress on stderr, and how long each stage took."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from detector import as_called, first_names, printable

WIDTH = 80  # columns of a terminal

# Bold blue and bold yellow: distinguishable for colour-blind readers, readable on black and on white.
GOOD, BAD, PLAIN = "\x1b[1;34m", "\x1b[1;33m", "\x1b[0m"

DISCLAIMER = "Educational software: what it prints is never a diagnosis."


def wrapped(text: object, first: str = "", rest: str = "") -> list[str]:
    """Return text in lines of at most `WIDTH` columns, broken at spaces only, so that paths and flags stay whole.

    The first line begins with `first`, every other one with `rest`.
    """
    filled = textwrap.TextWrapper(
        WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return filled.wrap(printable(text)) or [first]


def say(text: object, colour: str = "") -> None:
    """Print a result; control characters in names do not reach the terminal.

    A `colour`, `GOOD` or `BAD`, is shown where stdout is a terminal and NO_COLOR (no-color.org) is not set.
    """
    coloured = colour and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in as_called(str(text)).split("\n"):
        print(f"{colour}{printable(line)}{PLAIN}" if coloured else printable(line))


def warn(text: object) -> None:
    """Print what a user has to know before the results."""
    for line in wrapped(text, "WARNING: ", " " * 9):
        say(line, BAD)


def epoch_printer(epochs: int, quiet: bool) -> Callable[[int, dict[str, float]], None]:
    """Return a function that prints the metrics of an epoch, as Keras does."""

    def show(epoch: int, metrics: dict[str, float]) -> None:
        if not quiet:
            text = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
            print(f"Epoch {epoch}/{epochs}  {text}", flush=True)

    return show


def named_notes(notes: Iterable[tuple[object, str]]) -> list[str]:
    """Return a line for each different note, with the number and the first names of the images that it is about.

    `notes` has names of images, and what a user should know of them; empty for most.
    """
    names: dict[str, list[str]] = {}
    for name, note in notes:
        if note:
            names.setdefault(note, []).append(str(name))
    counts = {note: f"{len(about)} images: " if len(about) > 1 else "" for note, about in names.items()}
    return [f"{counts[note]}{first_names(about)}: {note}" for note, about in names.items()]


class Log:
    """The `[INFO]` lines of a run, or nothing where it is `quiet`, and how long each stage of it took."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}

    def info(self, message: str) -> None:
        """Print one stage or finding."""
        if not self.quiet:
            print("\n".join(wrapped(as_called(message), "[INFO] ", " " * 7)), flush=True)

    def report_times(self, wanted: bool) -> None:
        """Print how long each stage took, if that is wanted."""
        for stage, seconds in self.seconds.items() if wanted else ():
            print(f"{stage}: {seconds:.2f} s")

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall time to `stage`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, quiet: bool = False, unit: str = "image") -> Iterator[T]:
    """Yield items; show a bar with an estimate on stderr where that is a terminal.

    `what` says what is done with each item, `unit` what an item is; `quiet` shows no bar.
    """
    from tqdm import tqdm

    # None makes tqdm ask the stream: a log file gets no bar.
    yield from tqdm(items, total=total, desc=f"[INFO] {what}", unit=unit, disable=True if quiet else None)
