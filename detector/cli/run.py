"""How a script ends: its exit status, and one line for each error."""

from __future__ import annotations

import errno
import gc
import io
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from detector import InputError, as_called, printable
from detector.files.atomic import remove_unfinished

IMPORTING = "import tensorflow"  # name of the thread that does so
NOTHING = "No incomplete output was written"
# The disk is full, or does not answer: the system names no file.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE)


def fail(program: str, message: str, status: int = 2, details: Sequence[str] = ()) -> NoReturn:
    """Print one line on stderr, its details below it, and leave, with nothing left that is half-made."""
    remove_unfinished()
    lines = [f"{program}: error: {printable(as_called(message))}", *(f"  {printable(detail)}" for detail in details)]
    print("\n".join(lines), file=sys.stderr, flush=True)
    leave(status)


def leave(status: int) -> NoReturn:
    """Exit with `status` without waiting for a background import of TensorFlow, which cannot be interrupted."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if not _in_notebook():
        if any(thread.name == IMPORTING for thread in threading.enumerate()):
            os._exit(status)
        gc.freeze()  # Python would look for garbage among TensorFlow's objects once more, for a second
    raise SystemExit(status)


def _in_notebook() -> bool:
    """Return whether this is the kernel of a notebook, where ``%run`` must end the script alone."""
    return "ipykernel" in sys.modules


def run(main: Callable[[list[str] | None], int]) -> NoReturn:
    """Run a script's `main`; its exit status is 0 done, 1 partly, 2 bad input, 70 a fault of ours, 130 Ctrl-C."""
    program = Path(sys.argv[0]).name
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding cannot: show its escape rather than fail.
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")
    if "--verbose" not in sys.argv:
        # What a user should know is said by this program, not by warnings and logs of libraries.
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        Path.home()
    except RuntimeError:  # a container that knows the user's number only; libraries, too, keep their files at home
        os.environ["HOME"] = tempfile.gettempdir()
    if not _in_notebook():
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
    except Exception as error:
        if sentence := _users(error):
            fail(program, sentence)
        if "--verbose" in sys.argv:
            raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        fail(program, f"internal error: {reason}. {NOTHING}. Run with --verbose and report it", 70)
    leave(status)


def _users(error: Exception) -> str:
    """Return what to say of an error of the user's memory, installation, files or disk; empty for one of ours."""
    no_room = isinstance(error, ImportError) and re.search("llocate memory|map segment", str(error))
    if isinstance(error, MemoryError) or no_room:
        return "out of memory; close other programs or use fewer images"
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        if package in ("", "detector"):
            return ""
        return (
            f"the Python package {package} is not installed in {sys.executable}. Run it with .venv/bin/python, into "
            "which `make demo` installs everything, or install it: python -m pip install -r requirements.txt"
        )
    if not isinstance(error, OSError):
        return ""
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return f"{reason}. {NOTHING}" if error.errno in _DISK else ""
    path = Path(os.fsdecode(error.filename)).absolute()
    ours = any(path.is_relative_to(own) for own in (Path(__file__).parents[1], Path(sys.prefix)))
    return "" if ours else f"{error.filename}: {reason}. {NOTHING}"


def _stop(signum: int, frame: object) -> NoReturn:
    """End the run at once on Ctrl-C or when asked to terminate.

    Python's own way, an exception at whatever line happens to run, is lost where that line is a callback of the import
    system, and leaves its lock held for ever. A run can be ended anywhere: what it writes appears whole or not at all.
    """
    remove_unfinished()
    # Nothing buffered is used here: the interrupted line may be in the middle of a print.
    taken_away = "\r\x1b[K" if os.isatty(2) else ""  # of a progress bar that the line would stand behind
    os.write(2, f"{taken_away}{Path(sys.argv[0]).name}: error: interrupted. {NOTHING}\n".encode())
    os._exit(128 + signum)
