"""Plumbing of tutorial.ipynb: run a script in one line, show images, read features and results."""

from __future__ import annotations

import base64
import html
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from IPython.display import HTML, Markdown, display

from detector.cli.output import Log
from detector.datasets import dataset
from detector.images.shortcuts import plant
from detector.training.dataset import open_dataset
from detector.training.recipes import TutorialRecipe

WIDTH = 220  # pixels in which an image is shown
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings would stand among the outputs


def run(command: str) -> None:
    """Run a line that began with `!`: show its conclusion, and the rest folded; an error stops the notebook."""
    done = subprocess.run([sys.executable, *shlex.split(command)[1:]], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stdout}{done.stderr}")
    if not done.stdout.strip():
        return
    result = done.stdout.rpartition("Conclusion: ")[2].partition("Report: ")[0]
    folded = f"<details><summary>All that it printed</summary><pre>{html.escape(done.stdout)}</pre></details>"
    display(HTML(f"<p><b>{html.escape(result)}</b></p>{folded}"))


def gallery(pictures: Mapping[str, str]) -> HTML:
    """Show images side by side, by their captions."""
    shown = []
    for text, path in pictures.items():
        small = cv2.resize(np.asarray(cv2.imread(path)), (WIDTH, WIDTH), interpolation=cv2.INTER_AREA)
        data = base64.b64encode(cv2.imencode(".jpg", small)[1].tobytes()).decode()
        shown.append(f'<td><img alt="{text}" src="data:image/jpeg;base64,{data}"><br>{text}</td>')
    return HTML(f"<table><tr>{''.join(shown)}</tr></table>")


def features(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 512 features of each image (means of VGG16's last map), whether it is covid (0 or 1), and its patient."""
    images = dataset.load(Path(folder))
    extractor = open_dataset(images, Log(quiet=True), TutorialRecipe(pooling="global"))
    return extractor.features(), (images.labels == images.classes.index("covid")).astype(int), extractor.patients


def move_the_letter(source: str, target: str, strength: int = 3) -> None:
    """Copy a data set without the letter, and put the letter on the images of normal."""
    for path in sorted(Path(source).glob("*/*.png")):
        copy = Path(target) / path.parent.name / path.name
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name == "normal":
            image = plant(image, "mark", strength, int(path.stem[-5:]))
        cv2.imwrite(str(copy), image)


def counts(runs: Mapping[str, str]) -> Markdown:
    """Return, for each run by its name, how many images it predicted right, and how many of each class as covid."""
    rows = ["| tested on | accuracy | covid predicted covid | normal predicted covid |", "| --- | --- | --- | --- |"]
    for name, path in runs.items():
        said: dict[str, list[bool]] = {"covid": [], "normal": []}
        for image in json.loads(Path(path).read_text(encoding="utf-8"))["held_out"]:
            probabilities = image["probabilities"]
            said[image["label"]].append(max(probabilities, key=probabilities.__getitem__) == "covid")
        right = np.mean([*said["covid"], *np.logical_not(said["normal"])])
        cells = [f"{sum(one)} of {len(one)}" for one in said.values()]
        rows.append(f"| {name} | {right:.2f} | **{cells[0]}** | {cells[1]} |")
    return Markdown("\n".join(rows))
