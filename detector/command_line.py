"""What every script does alike: arguments, one-line errors, stages, progress, exit status."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from detector import InputError, __version__, printable
from detector.storage.temporary import remove_unfinished

T = TypeVar("T")

# Bold blue and bold yellow: told apart by every eye, readable on black and on white.
GOOD, BAD, PLAIN = "\x1b[1;34m", "\x1b[1;33m", "\x1b[0m"

DISCLAIMER = "Educational software: what it prints is never a diagnosis."


class _WithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Show defaults, where there is a value to show: not of switches, nor of what is empty where it is not given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


class Parser(argparse.ArgumentParser):
    """`argparse` with an example in the help and an error of a single line."""

    def __init__(self, description: str, example: str) -> None:
        super().__init__(
            description=f"{description} {DISCLAIMER}",
            epilog=f"example: {example}",
            formatter_class=_WithDefaults,
            allow_abbrev=False,
        )
        self._by_title: dict[str, argparse._ArgumentGroup] = {}
        self.add_argument("--version", action="version", version=f"%(prog)s {__version__}")

    def group(self, title: str) -> argparse._ArgumentGroup:
        """Return the group of flags of this title, which the help shows together; made when it is first asked for."""
        if title not in self._by_title:
            self._by_title[title] = self.add_argument_group(title)
        return self._by_title[title]

    def error(self, message: str) -> NoReturn:
        """Print the message as one line and exit with status 2."""
        fail(self.prog, f"{message} (see {self.prog} --help)")


def fail(program: str, message: str, status: int = 2) -> NoReturn:
    """Print one line on stderr and leave, with nothing left that is half-made."""
    remove_unfinished()
    print(f"{program}: error: {printable(message)}", file=sys.stderr, flush=True)
    leave(status)


def say(text: object, colour: str = "") -> None:
    """Print a result; what strangers named has no say over the terminal.

    Parameters
    ----------
    text : object
    colour : str, optional
        `GOOD` or `BAD`: shown where stdout is a terminal and NO_COLOR (no-color.org) is not set.
    """
    coloured = colour and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in str(text).split("\n"):
        print(f"{colour}{printable(line)}{PLAIN}" if coloured else printable(line))


def leave(status: int) -> NoReturn:
    """Exit with `status` without waiting for a background import of TensorFlow, which cannot be interrupted."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if threading.active_count() > 1:
        os._exit(status)
    raise SystemExit(status)


def whole_number(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` up, for `argparse`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer ≥ {least}")
        return value

    return parse


def between(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of numbers strictly between `low` and `high`, for `argparse`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low < value < high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number between {low:g} and {high:g}")
        return value

    return parse


def add_common(parser: Parser, *, seed: bool = True, tensorflow: bool = False, precision: bool = True) -> None:
    """Add the flags that mean the same in every script."""
    computing = parser.group("computing")
    if seed:
        computing.add_argument(
            "--seed", type=whole_number(0), default=42, metavar="N", help="seed of every random draw"
        )
    computing.add_argument("--quiet", action="store_true", help="print results only: no stages, no progress")
    computing.add_argument(
        "--verbose", action="store_true", help="TensorFlow's log, and where an unforeseen error arose"
    )
    if tensorflow:
        computing.add_argument(
            "--weights", type=Path, metavar="FILE", help="VGG16's ImageNet weights, Keras' notop HDF5 (default: found)"
        )
        if precision:
            computing.add_argument(
                "--precision",
                choices=["auto", "float32", "bfloat16"],
                default="auto",
                help="arithmetic for rotated training copies; auto measures which is faster here",
            )
        computing.add_argument("--cache", type=Path, metavar="DIR", help="where features are kept (default: per user)")
        computing.add_argument("--no-cache", action="store_true", help="neither read nor keep features")


def add_report(parser: Parser, default: str) -> None:
    """Add the flags of a run's HTML report."""
    choice = parser.group("outputs").add_mutually_exclusive_group()
    choice.add_argument("--report", type=Path, metavar="FILE", help=f"HTML report (default: {default})")
    choice.add_argument("--no-report", action="store_true", help="make no HTML report")


def add_output_dir(parser: Parser, what: str) -> argparse._ArgumentGroup:
    """Add the flag of the folder of all outputs; return the group of the outputs' flags."""
    outputs = parser.group("outputs")
    outputs.add_argument("-o", "--output-dir", type=Path, metavar="DIR", help=f"folder of {what}")
    return outputs


def column_names(text: str) -> tuple[str, ...]:
    """Parse names of columns, separated by commas, for `argparse`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def epoch_printer(epochs: int | None, quiet: bool) -> Callable[[int, dict[str, float]], None]:
    """Return a function that prints the metrics of an epoch, as Keras does."""

    def show(epoch: int, metrics: dict[str, float]) -> None:
        if not quiet:
            text = " - ".join(f"{name}: {value:.4f}" for name, value in metrics.items())
            print(f"Epoch {epoch}/{epochs} - {text}", flush=True)

    return show


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a script's `main`; its exit status is 0 done, 1 partly, 2 bad input, 70 a fault of ours, 130 Ctrl-C."""
    program = Path(sys.argv[0]).name
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot: show its escape rather than fail.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        status = main(None)
        sys.stdout.flush()
    except InputError as error:
        fail(program, str(error))
    except BrokenPipeError:
        # The reader of our output (head, less) has left: that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(141)
    except MemoryError:
        fail(program, "out of memory; close other programs or use fewer images")
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "detector"):
            _internal(program, error)
        fail(
            program,
            f"the Python package {package} is not installed in {sys.executable}. Run it with .venv/bin/python, into "
            "which `make demo` installs everything, or install it: python -m pip install -r requirements.txt",
        )
    except OSError as error:
        if not _is_users(error):
            _internal(program, error)
        what = f"{error.filename}: " if error.filename else ""
        fail(program, f"{what}{(error.strerror or str(error)).lower()}. No incomplete output was written")
    except Exception as error:
        _internal(program, error)
    leave(status)


# The disk is full, or does not answer: the system names no file.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE)


def _is_users(error: OSError) -> bool:
    """Tell an error of the user's files or disk from one of this program's own."""
    if error.filename is None:
        return error.errno in _DISK
    path = Path(os.fsdecode(error.filename)).absolute()
    return not any(path.is_relative_to(own) for own in (Path(__file__).parent, Path(sys.prefix)))


def _internal(program: str, error: Exception) -> NoReturn:
    """End with a fault of this program: one sentence, or with ``--verbose`` a traceback for whoever wants to fix it."""
    if "--verbose" in sys.argv:
        raise error
    reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    fail(
        program,
        f"internal error: {reason}. No incomplete output was written. Run with --verbose and report it",
        70,
    )


def _stop(signum: int, frame: object) -> NoReturn:
    """End the run at once on Ctrl-C or when asked to terminate.

    Python's own way, an exception at whatever line happens to run, is lost where that line is a callback of the import
    system, and leaves its lock held for ever. A run can be ended anywhere: what it writes appears whole or not at all.
    """
    remove_unfinished()
    # Nothing buffered is used here: the interrupted line may be in the middle of a print.
    os.write(2, f"{Path(sys.argv[0]).name}: error: interrupted. No incomplete output was written\n".encode())
    os._exit(128 + signum)


def progress(items: Iterable[T], total: int, what: str, quiet: bool = False, unit: str = "image") -> Iterator[T]:
    """Yield `items`; show a bar with an estimate on stderr where that is a terminal."""
    from tqdm import tqdm

    # None makes tqdm ask the stream: a log file gets no bar.
    yield from tqdm(items, total=total, desc=f"[INFO] {what}", unit=unit, disable=True if quiet else None)


class Log:
    """The `[INFO]` lines of a run, and how long each stage of it took.

    Parameters
    ----------
    quiet : bool
        Print nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}

    def info(self, message: str) -> None:
        """Print one stage or finding."""
        if not self.quiet:
            print(f"[INFO] {printable(message)}", flush=True)

    def tell_times(self, wanted: bool) -> None:
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
