"""Progress on stderr, with an estimate: a bar for each loop, or one for a whole run; none where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")

SHARE = 0.8  # of what is left of a step that a loop within it fills: how many follow is not known
STEP = 10  # parts of a step, unless it is a short one
FORMAT = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"


@dataclass
class _WholeRun:
    """The bar of a whole run, and where the current step, or the current item of a loop in it, ends."""

    bar: tqdm
    end: float = 0.0


_whole: _WholeRun | None = None


def progress(items: Iterable[T], total: int, what: str, quiet: bool = False, unit: str = "image") -> Iterator[T]:
    """Yield items; show a bar with an estimate on stderr where that is a terminal.

    Within `one_bar` that bar moves on instead, whatever `quiet` says.

    Parameters
    ----------
    items : iterable
    total : int
    what : str
        What is done with each.
    quiet : bool
        Show no bar.
    unit : str
        What an item is.
    """
    if _whole is None:
        from tqdm import tqdm

        # None makes tqdm ask the stream: a log file gets no bar.
        yield from tqdm(items, total=total, desc=f"[INFO] {what}", unit=unit, disable=True if quiet else None)
        return
    whole, bar = _whole, _whole.bar
    start, end = bar.n, whole.end
    try:
        for number, item in enumerate(items, 1):
            # A loop within this one moves the bar within the item's part.
            whole.end = start + SHARE * (end - start) * min(number / max(total, 1), 1.0)
            yield item
            bar.update(whole.end - bar.n)
    finally:
        whole.end = end


@contextmanager
def one_bar(parts: int, what: str, quiet: bool) -> Iterator[None]:
    """Show one bar for all that happens within.

    Parameters
    ----------
    parts : int
        The sum of the parts of all calls of `step`.
    what : str
        Of the run.
    quiet : bool
        Show no bar.
    """
    global _whole
    from tqdm import tqdm

    bar = tqdm(total=parts, desc=f"[INFO] {what}", bar_format=FORMAT, disable=True if quiet else None)
    _whole = _WholeRun(bar)
    try:
        yield
        bar.set_description_str(f"[INFO] {what}")
    except BaseException:
        bar.leave = False  # an error is the only line
        raise
    finally:
        bar.close()
        _whole = None


@contextmanager
def step(what: str, parts: int = STEP) -> Iterator[None]:
    """Do one step of what `one_bar` shows; without it, show nothing.

    Parameters
    ----------
    what : str
        Shown beside the bar.
    parts : int
        How much of the bar it is.
    """
    if _whole is None:
        yield
        return
    whole = _whole
    end = whole.bar.n + parts
    whole.end = end
    whole.bar.set_description_str(f"[INFO] {what}")
    yield
    # A loop that was left early may have left its own end.
    whole.end = end
    whole.bar.update(end - whole.bar.n)


@contextmanager
def lines_above() -> Iterator[None]:
    """Take the bar of a whole run away while lines are printed, and show it below them."""
    if _whole is None:
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode():
        yield
