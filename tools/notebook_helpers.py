"""Plumbing of tutorial.ipynb: run a script in one line, show images, read features and results."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.cli.output import Log
from detector.datasets import dataset
from detector.images.shortcuts import plant
from detector.training.dataset import open_dataset
from detector.training.recipes import TutorialRecipe

if TYPE_CHECKING:
    from IPython.display import HTML, Markdown


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings would stand among the outputs


class FailedCommandError(RuntimeError):
    """A command of the notebook ended with an error."""


def run(command: str) -> None:
    """Run a line that began with `!`: show its conclusion, and the rest folded; an error stops the notebook."""
    from IPython.display import HTML, display

    done = subprocess.run([sys.executable, *shlex.split(command)[1:]], check=False, capture_output=True, text=True)
    if done.returncode:
        raise FailedCommandError(f"{command}\n{done.stdout}{done.stderr}")
    if not done.stdout.strip():
        return
    result = done.stdout.rpartition("Conclusion: ")[2].partition("Report: ")[0]
    folded = f"<details><summary>All that it printed</summary><pre>{html.escape(done.stdout)}</pre></details>"
    display(HTML(f"<p><b>{html.escape(result)}</b></p>{folded}"))


def gallery(pictures: Mapping[str, str], width: int = 220) -> HTML:
    """Show images side by side, by their captions."""
    from IPython.display import HTML
    from PIL import Image

    shown = []
    for text, path in pictures.items():
        data = io.BytesIO()
        with Image.open(path) as image:
            image.thumbnail((2 * width, 2 * width))
            image.convert("RGB").save(data, "JPEG", quality=85)
        source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
        shown.append(f'<td><img width="{width}" alt="{text}" src="{source}"><br>{text}</td>')
    return HTML(f"<table><tr>{''.join(shown)}</tr></table>")


def features(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 512 features of each image (means of VGG16's last map), whether it is covid (0 or 1), and its patient."""
    images = dataset.load(Path(folder))
    extractor = open_dataset(images, Log(quiet=True), TutorialRecipe(pooling="global"))
    return extractor.features(), (images.labels == images.classes.index("covid")).astype(int), extractor.patients


def move_the_letter(source: str, target: str, strength: int = 3) -> None:
    """Copy a data set without the letter, and put the letter on the images of normal."""
    from PIL import Image

    for path in sorted(Path(source).glob("*/*.png")):
        copy = Path(target) / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == "covid":
            shutil.copy(path, copy)
            continue
        with Image.open(path) as image:
            Image.fromarray(plant(np.array(image), "mark", strength, int(path.stem[-5:]))).save(copy)


def counts(runs: Mapping[str, str]) -> Markdown:
    """Return, for each run by its name, how many images it predicted right, and how many of each class as covid."""
    from IPython.display import Markdown

    rows = ["| tested on | accuracy | covid predicted covid | normal predicted covid |", "| --- | --- | --- | --- |"]
    for name, path in runs.items():
        images = json.loads(Path(path).read_text(encoding="utf-8"))["held_out"]
        said = {
            label: [_predicted(one) == "covid" for one in images if one["label"] == label]
            for label in ("covid", "normal")
        }
        right = sum(said["covid"]) + said["normal"].count(False)
        cells = [f"{sum(one)} of {len(one)}" for one in said.values()]
        rows.append(f"| {name} | {right / len(images):.2f} | **{cells[0]}** | {cells[1]} |")
    return Markdown("\n".join(rows))


def _predicted(image: Mapping[str, Any]) -> str:
    probabilities = image["probabilities"]
    return max(probabilities, key=probabilities.__getitem__)
