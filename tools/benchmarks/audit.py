"""Plant shortcuts into phantoms, audit each data set, and count: shortcuts detected and missed, false alarms.

A data set has 25 or 60 phantoms of each class, with faint opacities: where a classifier is right anyway, no shortcut
helps it. A planted set counts only if its ROC AUC is `RAISED` above that of its clean twin: otherwise no shortcut was
learned. Clean sets are trained on, too: how many of these runs have a check that warns?
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import multiprocessing
import os
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import audit_covid19
import train_covid19
from detector.audit.evidence import FULL, LUNGS, MIXED, SHORTCUT
from detector.datasets import manifest
from detector.images import shortcuts
from detector.images.phantom import draw
from detector.statistics.intervals import proportion
from tools.benchmarks.measure import new_cache

CLEAN = "clean"
# Age and view are properties of the patient that change the image, too: planted into image and manifest.
KINDS = (*shortcuts.KINDS, "age", "view")
RAISED = 0.03  # what a shortcut has to add to the ROC AUC before it has to be detected
POOL = 60  # phantoms of each class in a pool
FAINT = 0.8  # of the opacities' strength, at most
PLAIN = 6  # the first pool with plain opacities: the border of such a lung is harder to find, which is no shortcut
SOME = ["--recipe", "probe", "--folds", "5", "--no-report", "--quiet"]


class Images(NamedTuple):
    """A data set: phantoms of a pool, so many of each class from the first on, and what is planted into covid."""

    pool: int
    first: int
    number: int
    kind: str = CLEAN
    strength: int = 0


def planned(share: float) -> list[Images]:
    """Return all data sets, or a share of the planted and of the clean ones, drawn with a fixed seed, clean first."""
    sizes = (0, 25), (0, 60)
    clean = [Images(pool, *size) for pool in range(1, 9) for size in (*sizes, (25, 25))]
    planted = [
        Images(1 + number % 3, *size, kind, strength)
        for number, kind in enumerate(KINDS)
        for strength in shortcuts.STRENGTHS
        for size in sizes
    ]
    clean, planted = (random.Random(0).sample(part, max(1, round(share * len(part)))) for part in (clean, planted))
    # The clean twin of each planted set, too: the same phantoms with nothing planted.
    return [*dict.fromkeys([*clean, *(Images(*one[:3]) for one in planted)]), *planted]


def faint(covid: bool, seed: int) -> np.ndarray:
    """Draw a phantom whose opacities have up to `FAINT` of their strength: a mixture of the patient with and without.

    From pool `PLAIN` on they have all of it.
    """
    if not covid or seed >= 1000 * PLAIN:
        return draw(covid, seed)
    share = FAINT * np.random.default_rng(seed).random()
    return np.rint((1 - share) * draw(False, seed) + share * draw(True, seed).astype(float)).astype(np.uint8)


def drawn(images: Images, covid: bool, seed: int) -> tuple[np.ndarray, dict[str, str]]:
    """Return a phantom of a data set, and what its manifest says of the patient."""
    image, generator = faint(covid, seed), np.random.default_rng([images.pool, seed])
    age, view = generator.normal(50, 15), "PA"
    if images.kind == "age":
        age += (8, 16, 30)[images.strength - 1] * covid
        image = np.rint(255 * (image / 255) ** (1 + 0.01 * (age - 50))).astype(np.uint8)
    elif images.kind == "view":
        if generator.random() < ((0.2, 0.8), (0.15, 0.85), (0.0, 1.0))[images.strength - 1][covid]:
            view = "AP"
            image = shortcuts.plant(shortcuts.plant(image, "cropping", 2, seed), "brightness", 1, seed)
    elif images.kind != CLEAN and covid:
        image = shortcuts.plant(image, images.kind, images.strength, seed)
    # Drawn whatever is planted, so that a set differs from its clean twin in nothing else.
    sex = "F" if generator.random() < 0.5 else "M"
    return image, {"age": f"{age:.0f}", "sex": sex, "view": view}


def write(folder: Path, images: Images) -> None:
    """Write a data set."""
    for covid, label in ((True, "covid"), (False, "normal")):
        (folder / label).mkdir(parents=True)
        rows = []
        for number in range(images.first, images.first + images.number):
            name, seed = f"{label}-{number}.png", images.pool * 1000 + number + (0 if covid else POOL)
            image, known = drawn(images, covid, seed)
            cv2.imwrite(str(folder / label / name), image)
            rows.append(known | {"file": name, "label": label, "patient": name, "source": "phantom", "site": "phantom"})
        manifest.write(folder / label, rows)


def audit(cache: Path, images: Images) -> tuple[str, float, bool]:
    """Return the conclusion and the ROC AUC of a data set, and whether a check of a training run on it warns."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        data, out = f"{name}/data", f"{name}/out"
        write(Path(data), images)
        audit_covid19.main(["-d", data, "-o", out, "--cache", str(cache), "--repeats", "1", *SOME])
        found, warns = json.loads(Path(out, "audit.json").read_text(encoding="utf-8")), False
        if images.kind == CLEAN:
            train_covid19.main(["-d", data, "-o", out, "--cache", str(cache), *SOME])
            trained = json.loads(Path(out, "covid19.json").read_text(encoding="utf-8"))
            warns = any(check["status"] == "warn" for check in trained["checks"])
    area = next(one["roc_auc"]["value"] for one in found["experiments"] if one["id"] == FULL)
    return found["conclusion"]["code"], area, warns


def main() -> None:
    """Audit every data set and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the planted and of the clean sets")
    sets = planned(parser.parse_args().share)
    # A process a core, each with a thread: fits use no more than one anyway.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    areas: dict[Images, float] = {}
    counts: dict[str, list[bool]] = {}
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(os.cpu_count(), context) as pool:
        found = pool.map(functools.partial(audit, new_cache(Path(name) / "cache")), sets)
        for one, (code, area, warns) in zip(sets, found, strict=True):
            areas[one] = area
            raised = area - areas[Images(*one[:3])]
            print(f"{one}: {code}, ROC AUC {area:.2f} ({raised:+.2f}){', a check warns' * warns}", flush=True)
            alarm, size = code in (SHORTCUT, MIXED), f"{one.number} a class"
            if one.kind == CLEAN:
                for what, holds in (("false alarm", alarm), ('"lungs"', code == LUNGS), ("a check warns", warns)):
                    counts.setdefault(f"clean, {size}: {what}", []).append(holds)
            elif raised >= RAISED:
                for which in ("planted", f"planted, {size}", one.kind):
                    counts.setdefault(f"{which}: detected", []).append(alarm)
    print("| sets | so many | of | share (95 % interval) |\n| --- | --- | --- | --- |")
    for title, held in counts.items():
        share = proportion(np.array(held), np.arange(len(held)))
        print(f"| {title} | {sum(held)} | {len(held)} | {share.value_text} ({share.interval_text}) |")


if __name__ == "__main__":
    main()
