"""How a script ends: status and line for the user's errors, and for this program's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from conftest import ROOT

import detector

RUN = """
import errno, sys
from detector import InputError
from detector.cli.run import run
def main(arguments):
    raise {error}
sys.argv = ["script.py", *sys.argv[1:]]
run(main)
"""
OWN = f"{detector.__path__[0]}/network/lung_decoder.npy"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("InputError('--folds 9 is too many')", 2, "error: --folds 9 is too many"),
        ("FileNotFoundError(2, 'No such file', '/data/a.png')", 2, "error: /data/a.png: no such file. No incomplete"),
        ("OSError(errno.ENOSPC, 'No space left on device')", 2, "error: no space left on device. No incomplete"),
        (f"FileNotFoundError(2, 'No such file', {OWN!r})", 70, "error: internal error: FileNotFoundError"),
        ("OSError('unknown')", 70, "error: internal error: OSError: unknown"),
        ("MemoryError()", 2, "error: out of memory"),
        ("ImportError('x.so: cannot allocate memory in static TLS block')", 2, "error: out of memory"),
        ("ImportError('x.so: failed to map segment from shared object')", 2, "error: out of memory"),
        ("ModuleNotFoundError('none', name='cv2.gapi')", 2, "error: the Python package cv2 is not installed in"),
        ("ModuleNotFoundError('none', name='detector.x')", 70, "error: internal error: ModuleNotFoundError"),
        ("ZeroDivisionError('by zero')", 70, "error: internal error: ZeroDivisionError: by zero"),
    ],
)
def test_an_error_is_one_line_and_its_status_says_whose_it_is(error, status, said):
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(error=error)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stderr.startswith(f"script.py: {said}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["--verbose"]])
def test_tracebacks_and_what_libraries_say_are_shown_with_verbose_only(flags):
    code = RUN.format(error="ZeroDivisionError('by zero')").replace(
        "    raise", "    import logging, warnings\n    warnings.warn('careful')\n    logging.error('oh')\n    raise"
    )
    done = subprocess.run([sys.executable, "-c", code, *flags], cwd=ROOT, capture_output=True, text=True, check=False)
    assert {word in done.stderr for word in ("careful", "oh", "Traceback")} == {bool(flags)}
    assert "ZeroDivisionError: by zero" in done.stderr


def test_files_that_an_error_is_about_stand_below_it_one_a_line():
    error = r"InputError('2 of 9 images cannot be read:', ['a.png: empty', 'b\\nscript.py: error: forged.png'])"
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(error=error)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    first, *details = done.stderr.splitlines()
    assert done.returncode == 2 and first.endswith("error: 2 of 9 images cannot be read:")
    assert details == ["  a.png: empty", r"  b\nscript.py: error: forged.png"]


@pytest.mark.parametrize(("importing", "kernel", "goes_on"), [(0, 0, True), (1, 0, False), (1, 1, True), (0, 1, True)])
def test_only_the_import_of_tensorflow_ends_the_process_and_never_that_of_a_notebook(importing, kernel, goes_on):
    code = f"""
import sys, threading, time
from detector.cli import run
if {kernel}:
    sys.modules["ipykernel"] = sys
if {importing}:
    threading.Thread(target=time.sleep, args=(9,), name=run.IMPORTING, daemon=True).start()
try:
    run.run(lambda arguments: 1)
except SystemExit as end:
    print("goes on after", end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((0, "goes on after 1\n") if goes_on else (1, ""))


def test_messages_name_scripts_as_they_are_called(monkeypatch):
    message = "train with python train_covid19.py, or build_covid_dataset.py"
    assert detector.as_called(message) == message
    monkeypatch.setattr(sys, "argv", ["/usr/bin/covid19-audit"])
    assert detector.as_called(message) == "train with covid19-train, or covid19-build"


@pytest.mark.skipif(os.name == "nt", reason="Windows always has a home")
def test_a_user_without_a_name_or_home_has_the_folder_of_temporary_files(tmp_path):
    code = """
import os, pwd
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
from detector.cli.run import run
from detector.files.cache import default_folder
run(lambda arguments: print(default_folder()))
"""
    without = ("HOME", "XDG_CACHE_HOME", "COVID19_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in without} | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(str(tmp_path)), done.stderr
