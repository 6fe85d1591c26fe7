"""How a script ends: its exit status, and one line for each error."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from detector import InputError, printable
from detector.files.atomic import remove_unfinished


def fail(program: str, message: str, status: int = 2, details: Sequence[str] = ()) -> NoReturn:
    """Print one line on stderr, its details below it, and leave, with nothing left that is half-made."""
    remove_unfinished()
    lines = [f"{program}: error: {printable(message)}", *(f"  {printable(detail)}" for detail in details)]
    print("\n".join(lines), file=sys.stderr, flush=True)
    leave(status)


def leave(status: int) -> NoReturn:
    """Exit with `status` without waiting for a background import of TensorFlow, which cannot be interrupted."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if threading.active_count() > 1:
        os._exit(status)
    raise SystemExit(status)


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a script's `main`; its exit status is 0 done, 1 partly, 2 bad input, 70 a fault of ours, 130 Ctrl-C."""
    program = Path(sys.argv[0]).name
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot: show its escape rather than fail.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
    if "--verbose" not in sys.argv:
        _quieten_libraries()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        status = main(None)
        remove_unfinished()
        sys.stdout.flush()
    except InputError as error:
        fail(program, str(error), details=error.details)
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


def _quieten_libraries() -> None:
    """Keep warnings and logs of libraries from the terminal: what a user should know is said by this program."""
    warnings.simplefilter("ignore")
    # Without a handler, a log ends on stderr.
    logging.getLogger().addHandler(logging.NullHandler())


# The disk is full, or does not answer: the system names no file.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE)


def _is_users(error: OSError) -> bool:
    """Return whether an error is one of the user's files or disk, not of this program."""
    if error.filename is None:
        return error.errno in _DISK
    path = Path(os.fsdecode(error.filename)).absolute()
    return not any(path.is_relative_to(own) for own in (Path(__file__).parents[1], Path(sys.prefix)))


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
    taken_away = "\r\x1b[K" if os.isatty(2) else ""  # of a progress bar that the line would stand behind
    os.write(
        2, f"{taken_away}{Path(sys.argv[0]).name}: error: interrupted. No incomplete output was written\n".encode()
    )
    os._exit(128 + signum)
