"""Plant shortcuts into phantoms, audit each data set, and count: shortcuts detected and missed, false alarms.

A data set has 25 or 60 phantoms of each class, with faint opacities: where a classifier is right anyway, no shortcut
helps it. Clean data sets come first, with every experiment that a conclusion rests on. A planted one gets further
experiments only if its ROC AUC is `RAISED` above that of its clean twin (otherwise no shortcut was learned), and only
until its detection is certain: what border, age or view predict by themselves counts whatever the lungs show. Permuted
labels are left out, since they could only withdraw a conclusion. Results are kept, so that a changed rule can be judged
again (`--judge`).
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from detector.audit.evidence import BASELINES, FULL, LUNGS, MIXED, SHORTCUT, Evidence, Result, conclude
from detector.audit.experiments import EXPERIMENTS, differences
from detector.images import shortcuts
from detector.images.phantom import draw
from detector.statistics.metric import Metric
from detector.statistics.proportions import proportion
from detector.training.recipes import ProbeRecipe, Recipe, TutorialRecipe

CLEAN = "none"
# Properties of the patient that change the image, too: planted into image and manifest.
KNOWN = ("age", "view")
KINDS = (*shortcuts.KINDS, *KNOWN)
RAISED = 0.03  # what a shortcut has to add to the ROC AUC before it has to be detected
Which = tuple[int, int, int]  # pool, phantoms of each class, and the first of them
COLUMNS = ("file", "label", "patient", "view", "sex", "age", "finding", "source", "site", "licence", "url", "sha256")
POOL = 60  # phantoms of each class in a pool
SUBSETS = {"25": [(0, 25), (25, 50)], "60": [(0, 60)]}
FAINT = 0.8  # of the opacities' strength, at most
PLAIN = 6  # the first pool with plain opacities: the border of such a lung is harder to find, which is no shortcut
RECIPES: dict[str, Recipe] = {
    "tutorial": TutorialRecipe(),
    "probe:global": ProbeRecipe(pooling="global"),
    "probe:lungs": ProbeRecipe(pooling="lungs"),
}
AT_FIRST = [one for one in EXPERIMENTS if one.id == FULL]
FREE = [one for one in EXPERIMENTS if one.group == BASELINES]  # of passes
AFTERWARDS = [one for one in EXPERIMENTS if one.id != FULL and one.group != BASELINES]


@dataclass(frozen=True)
class Job:
    """A pool of phantoms, and what is planted into its covid class."""

    pool: int
    kind: str
    strength: int


def jobs(share: float, kinds: Sequence[str]) -> list[Job]:
    """Return what a run does, or a share of it drawn with a fixed seed: clean pools, and each kind and strength."""
    planted = [Job(1 + KINDS.index(kind) % 3, kind, strength) for kind in kinds for strength in shortcuts.STRENGTHS]
    clean = [Job(pool, CLEAN, 0) for pool in range(1, 9)]
    generator = random.Random(0)
    some = [generator.sample(part, max(least, round(share * len(part)))) for part, least in ((clean, 5), (planted, 1))]
    # The clean twin of each planted set comes first: its ROC AUC is what the planted one's is compared with.
    needed = {Job(job.pool, CLEAN, 0) for job in some[1]} | set(some[0])
    return [*sorted(needed, key=lambda job: job.pool), *some[1]]


# Phantoms that a process draws again for every kind that is planted.
drawn = functools.lru_cache(maxsize=1024)(draw)


def faint(covid: bool, seed: int) -> np.ndarray:
    """Draw a phantom whose opacities have up to `FAINT` of their strength: a mixture of the patient with and without.

    From pool `PLAIN` on they have all of it.
    """
    without = drawn(False, seed)
    if not covid:
        return without
    if seed >= 1000 * PLAIN:
        return drawn(True, seed)
    share = FAINT * np.random.default_rng(seed).random()
    return np.rint((1 - share) * without + share * drawn(True, seed).astype(float)).astype(np.uint8)


def planted(image: np.ndarray, job: Job, covid: bool, number: int) -> tuple[np.ndarray, dict[str, str]]:
    """Return an image and what its manifest says of the patient, with a job's shortcut planted."""
    generator = np.random.default_rng([job.pool, number])
    age, view = generator.normal(50, 15), "PA"
    if covid and job.kind == "age":
        age += (8, 16, 30)[job.strength - 1]
    if job.kind == "view":
        view = "AP" if generator.random() < ((0.2, 0.8), (0.15, 0.85), (0.0, 1.0))[job.strength - 1][covid] else "PA"
    if job.kind == "age":
        image = np.rint(255 * (image / 255) ** (1 + 0.01 * (age - 50))).astype(np.uint8)
    elif view == "AP":
        image = shortcuts.plant(shortcuts.plant(image, "cropping", 2, number), "brightness", 1, number)
    elif covid and job.kind in shortcuts.KINDS:
        image = shortcuts.plant(image, job.kind, job.strength, number)
    # Drawn whatever is planted, so that a pool differs from its clean twin in nothing else.
    sex = "F" if generator.random() < 0.5 else "M"
    return image, {"age": f"{age:.0f}", "sex": sex, "view": view}


def write_set(folder: Path, job: Job, start: int, stop: int) -> None:
    """Write a data set: phantoms `start` to `stop` of each class of a pool."""
    for covid, label in ((True, "covid"), (False, "normal")):
        (folder / label).mkdir(parents=True)
        with open(folder / label / "manifest.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            for number in range(start, stop):
                seed = job.pool * 1000 + number + (0 if covid else POOL)
                image, known = planted(faint(covid, seed), job, covid, seed)
                data = cv2.imencode(".png", image)[1].tobytes()
                name = f"{label}-{number}.png"
                (folder / label / name).write_bytes(data)
                row = {"file": name, "label": label, "patient": name, "source": "phantom", "site": "phantom"}
                writer.writerow(row | known | {"sha256": hashlib.sha256(data).hexdigest()})


def audit(job: Job, cache: Path, recipe: Recipe, repeats: int, twins: Mapping[Which, float]) -> list[dict]:
    """Audit every set of a job as `audit_covid19.py` does, and return the rows of each.

    A planted set whose ROC AUC is not above that of its clean twin, in `twins`, gets its first row only. One whose
    detection is certain gets no row that needs a forward pass.
    """
    from detector.audit.context import Audit
    from detector.audit.experiments import run_experiments
    from detector.audit.image_sets import load_image_sets
    from detector.audit.options import AuditOptions
    from detector.cli.output import Log
    from detector.cluster.connection import ComputeOptions
    from detector.training.dataset import open_dataset

    found = []
    with tempfile.TemporaryDirectory() as name:
        for n, parts in SUBSETS.items():
            # Of clean pools, of which there are few, both halves.
            for start, stop in parts if job.kind == CLEAN else parts[:1]:
                folder = Path(name) / f"{n}-{start}"
                write_set(folder, job, start, stop)
                sets = load_image_sets(folder, None, [], "covid")
                extractor = open_dataset(sets.dataset, Log(True), recipe, ComputeOptions(cache=cache))
                study = Audit(extractor, sets, AuditOptions(repeats=repeats), recipe, {})
                rows = run_experiments(study, AT_FIRST)
                beside = {}
                if job.kind == CLEAN or value_of(rows[0]) - twins[job.pool, int(n), start] >= RAISED:
                    rows += run_experiments(study, FREE)
                    if job.kind == CLEAN or judged(rows, {}) not in (SHORTCUT, MIXED):
                        rows += run_experiments(study, AFTERWARDS)
                        beside = {name: asdict(one) for name, one in differences(study).items()}
                known = {"n": int(n), "start": start, "rows": [asdict(row) for row in rows], "differences": beside}
                found.append(asdict(job) | known)
    return found


def value_of(result: Result) -> float:
    """Return the ROC AUC of an experiment that always has one."""
    if result.metric.value is None:
        raise SystemExit(f"{result.title}: {result.metric.reason}")
    return result.metric.value


def judged(rows: Sequence[Result], beside: Mapping[str, dict]) -> str:
    """Return the code of the conclusion from experiments and paired differences."""
    paired = {name: Metric(**one) for name, one in beside.items()}
    return conclude(Evidence(rows, None, "covid", shared_sites=True, differences=paired)).code


def as_results(rows: Sequence[dict]) -> list[Result]:
    """Return results as they were kept."""
    return [Result(**row | {"metric": Metric(**row["metric"]), "notes": tuple(row["notes"])}) for row in rows]


def trained_areas(sets: Sequence[dict]) -> dict[Which, float]:
    """Return the ROC AUC of each clean set, as trained."""
    clean = [one for one in sets if one["kind"] == CLEAN]
    return {(one["pool"], one["n"], one["start"]): value_of(as_results(one["rows"])[0]) for one in clean}


def show(sets: Sequence[dict]) -> None:
    """Print how many clean sets give a false alarm, and how many planted ones whose ROC AUC is raised are detected."""
    trained = trained_areas(sets)
    found: dict[str, list[bool]] = {}
    for one in sets:
        results = as_results(one["rows"])
        raised = value_of(results[0]) - trained[one["pool"], one["n"], one["start"]] >= RAISED
        if one["kind"] != CLEAN and not raised:
            continue
        code = judged(results, one["differences"]) if len(results) > 1 else ""
        whole = "clean" if one["kind"] == CLEAN else "planted"
        for title in dict.fromkeys((whole, f"{whole}, {one['n']} a class", one["kind"])):
            found.setdefault(title, []).append(code in (SHORTCUT, MIXED))
        if one["kind"] == CLEAN:
            found.setdefault(f'"lungs" of clean, {one["n"]} a class', []).append(code == LUNGS)
        print(f"pool {one['pool']} {one['kind']} {one['strength']} n {one['n']}: {code or 'not audited'}")
    print("| sets | false alarms or detected | of | share (95 % interval) |\n| --- | --- | --- | --- |")
    for title, detected in found.items():
        share = proportion(np.array(detected), np.arange(len(detected)))
        print(f"| {title} | {sum(detected)} | {len(detected)} | {share.value_text} ({share.interval_text}) |")


def main() -> None:
    """Audit every data set and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the planted and of the clean sets")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="to plant (default: all)")
    parser.add_argument("--recipe", choices=RECIPES, default="probe:lungs")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="where features are kept (default: nowhere, afterwards)")
    parser.add_argument("--rows", type=Path, default=Path("audit-rows.json"), help="where every audit's rows are kept")
    parser.add_argument("--judge", action="store_true", help="judge the rows that are there, and run nothing")
    options = parser.parse_args()
    if not options.judge:
        # A process a core, each with a thread: fits use no more than one anyway.
        os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
        todo, began = jobs(options.share, options.kinds), time.time()
        sets: list[dict] = []
        with (
            tempfile.TemporaryDirectory() as cache,
            ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool,
        ):
            where = options.cache or Path(cache)
            for phase in ([one for one in todo if (one.kind == CLEAN) == clean] for clean in (True, False)):
                twins = trained_areas(sets)
                running = [
                    pool.submit(audit, job, where, RECIPES[options.recipe], options.repeats, twins) for job in phase
                ]
                for one in running:
                    sets += one.result()
                    options.rows.write_text(json.dumps(sets))
                    done = len({(found["kind"], found["strength"], found["pool"]) for found in sets})
                    print(f"{done} of {len(todo)} pools, {(time.time() - began) / 60:.0f} min", flush=True)
    show(json.loads(options.rows.read_text()))


if __name__ == "__main__":
    main()
