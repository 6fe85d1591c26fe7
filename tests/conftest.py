"""What several tests share: real data where it is, scripts run as a user runs them, small data sets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# At a desk every run tries other inputs; on CI the same ones, so that what lands does not hang on a draw.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def needs(folder: Path):
    """Mark a test that reads real data."""
    return pytest.mark.skipif(not folder.is_dir(), reason=f"the real data is not there: {folder}")


def script(name: str, *arguments: object, cwd: Path, timeout: float = 240, **environment: str):
    """Run a script in a process of its own, from another folder, as a user does."""
    return subprocess.run(
        [sys.executable, ROOT / name, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100"} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def refused(done, *words: str) -> None:
    """Assert that a script refused its input as the project promises: status 2 and one line that has `words`."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the user's own cache folder: what it holds is keyed by content, and saves the tests minutes."""
    from detector.cache import default_folder

    return default_folder()


@pytest.fixture(scope="session")
def weights(cache: Path):
    """Return VGG16's ImageNet weights."""
    from detector.weights import load

    return load(None, cache)[0]


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
