"""Plumbing of tutorial.ipynb: stop at a failed command, read what a run wrote, show images, compare two runs.

Everything that the lesson teaches stands in the notebook; nothing here trains or evaluates a model.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from detector.datasets import manifest
from detector.reports.text import NAMES
from detector.statistics.auc import auc_difference
from detector.statistics.metric import Metric
from detector.statistics.proportions import predictive_values

if TYPE_CHECKING:
    from IPython.display import HTML, Markdown

CHANCE = 0.5  # of an area under the ROC curve
SIDE = 224  # pixels of an image in the page: what the network sees


class FailedCommandError(RuntimeError):
    """A command of the notebook ended with an error."""


class Shell(Protocol):
    """What is used of IPython's shell: the function behind ``!``, and the notebook's variables."""

    system: Callable[[str], None]
    user_ns: dict[str, Any]


def set_up(shell: Shell) -> None:
    """Let ``!python`` run the notebook's own Python, and a command that fails stop the notebook."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    shell.system = checked(shell.system, shell.user_ns)


def checked(system: Callable[[str], None], names: dict[str, Any]) -> Callable[[str], None]:
    """Return a function that runs a command as IPython does, and raises `FailedCommandError` if that fails.

    Parameters
    ----------
    system : callable
        IPython's own: it leaves the exit status in `names`.
    names : dict
        The notebook's variables.
    """

    def run(command: str) -> None:
        system(command)
        status = names.get("_exit_code", 0)
        if status:
            raise FailedCommandError(f"exit status {status}: {command}")

    return run


def read_run(folder: str) -> dict[str, Any]:
    """Return what a training run in a folder of the lesson recorded."""
    return json.loads((Path(folder) / "covid19.json").read_text(encoding="utf-8"))


def metric(folder: str, name: str) -> Metric:
    """Return a metric of a training run by its key in covid19.json, such as ``"border_baseline"``."""
    found = read_run(folder)["metrics"][name]
    if found["value"] is None:
        return Metric.unavailable(found["reason"])
    return Metric(**found)


def markdown(*lines: str) -> Markdown:
    """Return lines of Markdown for the page."""
    from IPython.display import Markdown

    return Markdown("\n".join(lines))


def metric_table(folders: Sequence[str], names: Sequence[str]) -> Markdown:
    """Return a table of metrics with their intervals, a row for each run."""
    rows = [f"| run | {' | '.join(NAMES[name].name for name in names)} |", "| --- " * (len(names) + 1) + "|"]
    rows += [f"| {folder} | {' | '.join(metric(folder, name).short for name in names)} |" for folder in folders]
    return markdown(*rows)


def change_sentence(before: str, after: str) -> Markdown:
    """Say how the ROC AUC differs between two runs, with a paired interval where both have the same folds."""
    first, second = metric(before, "roc_auc"), metric(after, "roc_auc")
    runs = [sorted(read_run(folder)["held_out"], key=lambda image: image["file"]) for folder in (before, after)]
    files, folds = ([[image[key] for image in run] for run in runs] for key in ("file", "fold"))
    if files[0] != files[1] or folds[0] != folds[1]:
        return markdown(f"**The ROC AUC was {first}, then {second}**, in other folds: the runs are not paired.")
    positive = read_run(before)["settings"]["positive_class"]
    scores = [np.array([[image["probabilities"][positive] for image in run]]) for run in runs]
    truth = np.array([image["label"] == positive for image in runs[0]])
    patients = np.array([image["patient"] for image in runs[0]])
    held_out = np.array([[fold or 0 for fold in folds[0]]])
    change = auc_difference((scores[1], scores[0]), truth, patients, 42, held_out)
    if change.ci_low is None or change.ci_high is None:
        return markdown(f"**The ROC AUC is the same in both runs**, {first} and {second}.")
    verb = "rose" if change.ci_low > 0 else "fell" if change.ci_high < 0 else "did not change detectably,"
    return markdown(f"**The ROC AUC {verb} from {first} to {second}**; paired difference {change}.")


def relabel_patients(source: str, target: str, seed: int = 42, shortcut: str = "", strength: int = 3) -> Markdown:
    """Copy the images of a class folder into two classes, patients drawn at random: no disease is behind the classes.

    Parameters
    ----------
    source : str
        Class folder with a manifest.
    target : str
        Data set to make, of the classes covid and normal with as many patients each.
    seed : int
        Of the draw.
    shortcut, strength : str and {1, 2, 3}
        What is injected into the images of covid; nothing, if no shortcut is given.
    """
    rows = manifest.read(Path(source))
    patients = sorted({row["patient"] for row in rows.values()})
    chosen = set(np.random.default_rng(seed).permutation(patients)[: len(patients) // 2].tolist())
    counts = dict.fromkeys(("covid", "normal"), 0)
    for label in counts:
        own = [row | {"label": label} for row in rows.values() if (row["patient"] in chosen) == (label == "covid")]
        counts[label] = len(own)
        folder = Path(target) / label
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(own):
            data = (Path(source) / row["file"]).read_bytes()
            if shortcut and label == "covid":
                data = with_shortcut(data, shortcut, strength, number)
            (folder / row["file"]).write_bytes(data)
            row["sha256"] = hashlib.sha256(data).hexdigest()
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, own[0])
            writer.writeheader()
            writer.writerows(own)
    said = ", ".join(f"{count} images {label}" for label, count in counts.items())
    return markdown(f"`{target}`: {said}, of {len(patients)} patients without disease.")


def with_shortcut(data: bytes, kind: str, strength: int, seed: int) -> bytes:
    """Return the file of a greyscale image with a shortcut injected, as PNG."""
    from PIL import Image

    from detector.images.shortcuts import plant

    changed = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        Image.fromarray(plant(np.array(image.convert("L")), kind, strength, seed)).save(changed, "PNG")
    return changed.getvalue()


def test_errors(folder: str, most: int = 4) -> list[dict[str, Any]]:
    """Return the test images that a run misclassified, the most confident errors first."""
    run = read_run(folder)
    found = []
    for image in run["held_out"]:
        predicted = max(image["probabilities"], key=image["probabilities"].__getitem__)
        if predicted != image["label"]:
            found.append(image | {"predicted": predicted, "confidence": image["probabilities"][predicted]})
    return sorted(found, key=lambda image: -image["confidence"])[:most]


def as_arguments(paths: Iterable[Path | str]) -> str:
    """Return paths as they stand on a command line."""
    return shlex.join(map(str, paths))


def picture(path: Path, width: int = SIDE) -> str:
    """Return an image file as a small data URI."""
    from PIL import Image

    data = io.BytesIO()
    with Image.open(path) as image:
        image.thumbnail((width, width))
        image.convert("RGB").save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def gallery(pictures: Iterable[tuple[Path, str]], width: int = SIDE) -> HTML:
    """Show images side by side, each with its caption."""
    from html import escape

    from IPython.display import HTML

    shown = "".join(
        f'<figure style="margin:0"><img width="{width}" alt="{escape(text)}" src="{picture(path, 2 * width)}">'
        f"<figcaption>{escape(text)}</figcaption></figure>"
        for path, text in pictures
    )
    return HTML(f'<div style="display:flex;flex-wrap:wrap;gap:0.8em">{shown}</div>')


def first_images(folder: str, count: int = 3) -> list[tuple[Path, str]]:
    """Return the first images of each class of a data set, with their class."""
    return [
        (path, label.name) for label in sorted(Path(folder).iterdir()) for path in sorted(label.glob("*.png"))[:count]
    ]


def predictive_value_table(folder: str, prevalences: Sequence[float]) -> Markdown:
    """Return PPV and NPV of a run at several prevalences, with false positives among 1,000 tested."""
    sensitivity, specificity = metric(folder, "sensitivity"), metric(folder, "specificity")
    rows = ["| prevalence | PPV | NPV | of 1,000 tested: true positives | false positives |", "| --- " * 5 + "|"]
    for prevalence in prevalences:
        ppv, npv = predictive_values(sensitivity, specificity, prevalence)
        true = 1000 * prevalence * sensitivity.point
        false = 1000 * (1 - prevalence) * (1 - specificity.point)
        rows.append(f"| {prevalence:.1%} | {ppv.short} | {npv.short} | {true:.0f} | {false:.0f} |")
    return markdown(f"Sensitivity {sensitivity}, specificity {specificity}.", "", *rows)


def audit_summary(folder: str) -> Markdown:
    """Return an audit's conclusion and the experiments that carry it."""
    audit = json.loads((Path(folder) / "audit.json").read_text(encoding="utf-8"))
    conclusion = audit["conclusion"]
    rows = [f"**Conclusion: {conclusion['message']}**", ""]
    rows += [f"- {reason}" for reason in conclusion["reasons"]]
    return markdown(*rows, "", f"Next: {conclusion['recommendation']}")


def baseline_sentence(folder: str, names: Sequence[str]) -> Markdown:
    """Say which baselines predict the class: those whose interval is above 0.5."""
    found = {NAMES[name].name: metric(folder, name) for name in names}
    above = [f"{name} {one.short}" for name, one in found.items() if one.available and one.low > CHANCE]
    rest = [f"{name} {one.short}" for name, one in found.items() if one.available and one.low <= CHANCE]
    said = []
    if above:
        said.append(f"**Without the lungs, the class is predicted** by {', '.join(above)}.")
    if rest:
        said.append(f"Not shown to predict the class (interval includes or is below 0.5): {', '.join(rest)}.")
    return markdown(" ".join(said))


def leakage_sentence(*folders: str) -> Markdown:
    """Say, for each run, how many patients have images in more than one fold."""
    said = []
    for folder in folders:
        folds: dict[str, set[int]] = {}
        for image in read_run(folder)["held_out"]:
            folds.setdefault(image["patient"], set()).add(image["fold"])
        both = sum(len(one) > 1 for one in folds.values())
        said.append(f"- `{folder}`: {both} of {len(folds)} patients have images in more than one fold.")
    return markdown(*said)


def images_in(folder: str, pattern: str = "*.png") -> list[Path]:
    """Return the images of a folder, in order of their names."""
    return sorted(Path(folder).glob(pattern))
