"""What several tests share: real data where it is, scripts run as a user runs them, small data sets."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import re
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

# Of numerical libraries, in this process and those that it starts; before they are imported. Several processes of tests
# share the cores, and threads that wait for a turn spin: near duplicates are found in a fifth of the time by one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
# Where Python is told to keep no bytecode, each of hundreds of processes would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from phantom_helpers import phantoms_of, shared  # noqa: F401 (fixtures)
from PIL import Image

from detector import InputError, printable
from detector.cli import run as runner
from detector.files.atomic import remove_unfinished

# Under --import-mode importlib pytest gives this module another name; the tests import it by this one.
sys.modules.setdefault("conftest", sys.modules[__name__])

# At a desk every run tries other inputs; on CI the same ones, so that what lands does not hang on a draw. None
# depends on how fast the machine is.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: requirements/ray.lock")


def needs(folder: Path):
    """Mark a test that reads real data."""
    return pytest.mark.skipif(not folder.is_dir(), reason=f"the real data is not there: {folder}")


def script(name: str, *arguments: object, cwd: Path, timeout: float = 240, **environment: str):
    """Run a script in a process of its own, from another folder, as a user does; its notes have a line each."""
    done = subprocess.run(
        [sys.executable, ROOT / name, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    done.stdout = unwrapped(done.stdout)
    return done


# A note that is longer than 80 columns goes on below its beginning (tests/cli/test_output.py).
CONTINUED = re.compile(r"^((?:\[INFO\] |WARNING: ).*)\n(?: {7}| {9})(?=\S)", re.MULTILINE)


def unwrapped(text: str) -> str:
    """Return what a script printed with each of its notes in one line."""
    while text != (text := CONTINUED.sub(r"\1 ", text)):
        pass
    return text


def inside(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess:
    """Run a script's `main` here: importing TensorFlow once more would take longer than most of them run.

    For what a process of its own adds nothing to; `script` is what a user does.
    """
    given = [*map(str, arguments)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    before, arguments_before = Path.cwd(), sys.argv
    # Reports name the command that made them: the script's, not that of pytest's process.
    sys.argv = [str(ROOT / name), *given]
    os.chdir(cwd)
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patched:
            patched.setattr(runner, "leave", sys.exit)  # it ends the process where TensorFlow is being imported
            try:
                status = importlib.import_module(name.removesuffix(".py")).main(given)
            except SystemExit as stop:
                status = stop.code
            except InputError as error:
                status = 2
                print(f"{name}: error: {printable(str(error))}", file=sys.stderr)
                for detail in error.details:
                    print(f"  {printable(detail)}", file=sys.stderr)
            remove_unfinished()
    finally:
        sys.argv = arguments_before
        os.chdir(before)
        # What imports TensorFlow next must not meet half of it.
        for thread in threading.enumerate():
            if thread.name == runner.IMPORTING:
                thread.join()
    return subprocess.CompletedProcess(
        [sys.executable, ROOT / name, *given], status, unwrapped(out.getvalue()), err.getvalue()
    )


def accepted(done) -> str:
    """Assert that a script ended well and without a word on stderr, and return what it printed."""
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def rejected(done, *words: str) -> None:
    """Assert that a script rejected its input as the project promises: status 2 and one line that has `words`.

    Files that it is about may stand below it, one a line.
    """
    _, *details = done.stderr.splitlines()
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert all(line.startswith("  ") for line in details), done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def rejection(match: str | None = None):
    """Expect an `InputError` whose sentence `match` is found in."""
    return pytest.raises(InputError, match=match)


# Files whose tests run scripts for a minute and more, the longest first: begun last, one would keep a core waiting.
LONG = (
    "train_covid19_on_ray",
    "train_covid19",
    "audit_covid19",
    "train_covid19_errors",
    "html_report",
    "predict_covid19",
    "train_covid19_probe",
    "find_lungs",
    "model_file",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long files begin first, in the order of `LONG`."""
    order = {f"test_{name}": position for position, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the user's own cache folder: what it holds is keyed by content, and saves the tests minutes."""
    from detector.files.cache import default_folder

    return default_folder()


@pytest.fixture(scope="session")
def weights(cache: Path):
    """Return VGG16's ImageNet weights."""
    from detector.network.weights import load

    return load(None, cache)


@pytest.fixture
def grey() -> np.ndarray:
    """Return a grey image with structure, as uint8 of shape (280, 320)."""
    generator = np.random.default_rng(1)
    small = Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8))
    return np.asarray(small.resize((320, 280), Image.Resampling.BICUBIC))


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file unreadable, as permissions would for anyone but root."""

    def read_bytes(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (300, 260), mode: str = "L") -> np.ndarray:
    """Write a picture with structure and return its pixels."""
    generator = np.random.default_rng(seed)
    small = generator.integers(0, 256, (6, 6, 3 if mode == "RGB" else 1), dtype=np.uint8).squeeze()
    image = Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return np.asarray(image)


def classes(folder: Path, **counts: int) -> Path:
    """Write a data set of pictures, `counts` of each class, all different."""
    seed = 0
    for label, count in counts.items():
        for i in range(count):
            seed += 1
            picture(folder / label / f"{label}-{i:03d}.png", seed)
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Return the files below a folder with their digests."""
    return {path.relative_to(folder).as_posix(): digest(path) for path in folder.rglob("*") if path.is_file()}
