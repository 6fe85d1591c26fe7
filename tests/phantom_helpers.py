"""Phantoms that the tests share: each is drawn once a run, and its features, which are cached, are computed once."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.datasets import manifest
from detector.files.atomic import write_together
from make_phantom_dataset import draw

SEED = 42
# The first 22 of each class are those of ``make_phantom_dataset.py -n 22``; no number is of both classes.
NUMBERS = {"covid": [*range(22), *range(48, 52)], "normal": [*range(22, 48)]}


class Phantoms:
    """Data sets of the first phantoms of each class in `NUMBERS`.

    Parameters
    ----------
    folder : Path
        What pytest's processes share.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def write(self, folder: Path, number: int) -> Path:
        """Write `number` phantoms of each class, and their manifests, to a folder."""
        for label, numbers in NUMBERS.items():
            (folder / label).mkdir(parents=True)
            rows = [self._drawn(label, one) for one in numbers[:number]]
            for row in rows:
                shutil.copyfile(self.folder / row["file"], folder / label / row["file"])
            manifest.write(folder / label, rows)
        return folder

    def images(self, label: str, number: int = 22) -> list[np.ndarray]:
        """Return the first phantoms of a class."""
        files = [self.folder / self._drawn(label, one)["file"] for one in NUMBERS[label][:number]]
        return [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]

    def _drawn(self, label: str, number: int) -> dict[str, str]:
        """Draw a phantom if no test has, and return its row of the manifest."""
        stored = self.folder / f"phantom-{number:05d}.png.json"
        if not stored.exists():
            file, row = draw(label, number, number, SEED)
            write_together({self.folder / row["file"]: file, stored: json.dumps(row).encode()})
        return json.loads(stored.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that all of pytest's processes share in this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def phantoms_of(shared: Path) -> Phantoms:
    """Return data sets of phantoms."""
    return Phantoms(shared / "phantoms")
