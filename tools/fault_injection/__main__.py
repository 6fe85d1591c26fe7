"""Disturb every script in every way that `faults` knows, and count what is lost: `make fault-injection`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from tqdm import tqdm

from detector.files import atomic
from detector.files.cache import FILE
from tools.fault_injection import faults
from tools.fault_injection.jobs import Job, Place, jobs, make_inputs

KILLS, AIMED_KILLS, FULL, REVOKED, CROWDS, FLIPS, FLIPPED_WEIGHTS = 50, 25, 12, 10, 4, 20, 2
ROOM = 512 * 2**20  # of the disk in memory: what the scripts need here, twice


@dataclass(frozen=True)
class Case:
    """A job, a fault, and whether outputs of an earlier run are there."""

    kind: str
    job: Job
    fault: Callable[[Job, Place, random.Random], list[str]]
    number: int
    old: bool
    cold: bool = False
    on_disk: bool = False
    link_weights: bool = True


def cases(every: list[Job], share: float) -> Iterator[Case]:
    """Yield all cases, or a share of each kind of them."""

    def count(number: int) -> range:
        return range(max(1, round(number * share)))

    for job in every:
        for i in count(KILLS):
            yield Case("killed with -9 at a random moment", job, faults.killed, i, old=i % 2 > 0)
        for i in count(AIMED_KILLS):
            yield Case("killed with -9 while it writes", job, faults.killed_writing, i, old=i % 2 > 0)
        for i in count(FULL):
            # From not a byte to all but one page, most of them at either end.
            part = (i / FULL) ** 2 if i % 2 else 1.0 - (i / FULL) ** 2 / 2 - 0.001
            fault = partial(faults.disk_full, share=part)
            yield Case("disk full at some write", job, fault, i, old=i % 2 > 0, on_disk=True)
        for i in count(REVOKED):
            yield Case("write permission revoked half-way", job, faults.permission_revoked, i, old=i % 2 > 0)
        for i in count(CROWDS):
            fault = partial(faults.four_at_once, mixed=i % 2 > 0)
            yield Case("four at once, one cache, one folder", job, fault, i, old=True, cold=i < 2)
        if job.uses_cache:
            for name, number in zip(faults.CACHED, (FLIPS, FLIPPED_WEIGHTS), strict=True):
                for i in count(number):
                    fault = partial(faults.bits_flipped, name=name)
                    links = name == FILE
                    yield Case("bits flipped in the cache", job, fault, i, old=i % 2 > 0, link_weights=links)


def attempt(case: Case, base: Path, warm: dict[str, Path], seed: int) -> list[str]:
    """Disturb one run, look at what it left, run again; return what is wrong."""
    name = f"{case.job.script}-{case.kind}-{case.number}-{case.link_weights}"
    chance = random.Random(f"{seed}-{name}")
    root = base / name.replace(" ", "-").replace(",", "")
    mount = faults.Mount(root, ROOM) if case.on_disk else None
    place = Place(base / "inputs", root)
    place.prepare(warm=None if case.cold else warm.get(case.job.script), link_weights=case.link_weights)
    try:
        if case.old:
            shutil.copytree(base / "old" / case.job.script / "out", place.out, dirs_exist_ok=True)
        wrong = case.fault(case.job, place, chance)
        known = {
            name: {case.job.after.get(name), case.job.before.get(name)} for name in case.job.after | case.job.before
        }
        for file, digest in place.state().items():
            # A kill just between two system calls leaves a whole file under its temporary name; it is looked for again
            # after the next run, which has to remove it.
            if case.kind.startswith("killed") and fnmatch(Path(file).name, atomic.NAME.format("*")):
                continue
            if digest not in known.get(file, ()):
                wrong.append(f"after the fault: {file} is neither old nor new")
        # SQLite's journal is how it comes back from a fault: the next run uses and removes it.
        wrong += [f"left behind: {file}" for file in place.left_behind() if not file.endswith("-journal")]
        again = place.start(case.job.script, case.job.new)
        _, said = again.communicate()
        if again.returncode or said:
            wrong.append(f"the next run ended with {again.returncode}: {said[-300:]}")
        state = place.state()
        wrong += [
            f"the next run: {name} is missing or another"
            for name, digest in case.job.after.items()
            if state.get(name) != digest
        ]
        wrong += [f"the next run: {name} is too much" for name in state.keys() - case.job.after.keys()]
        wrong += [f"the next run left behind: {file}" for file in place.left_behind()]
        return wrong
    finally:
        if mount:
            mount.close()
        shutil.rmtree(root, ignore_errors=True)


def undisturbed(job: Job, base: Path) -> Path:
    """Run a job's old and new arguments, note what they leave, and that the same comes out twice; return the cache."""
    place = Place(base / "inputs", base / "old" / job.script)
    place.prepare(warm=None)
    _must_run(place, job.script, job.old)
    job.before = place.state()
    other = Place(base / "inputs", base / "new" / job.script)
    other.prepare(warm=place.cache / FILE if job.uses_cache else None)
    _must_run(other, job.script, job.new)
    start = time.perf_counter()
    _must_run(other, job.script, job.new)
    job.seconds = time.perf_counter() - start
    job.after = other.state()
    fresh = Place(base / "inputs", base / "fresh" / job.script)
    fresh.prepare(warm=None)
    _must_run(fresh, job.script, job.new)
    if fresh.state() != job.after:
        raise SystemExit(f"{job.script}: two undisturbed runs differ, without and with what is cached")
    sizes = [path.stat().st_size for path in other.out.rglob("*") if path.is_file()]
    faults.NEED[job.script], faults.LARGEST[job.script] = sum(sizes), max(sizes)
    return other.cache / FILE


def _must_run(place: Place, script: str, arguments: list[str]) -> None:
    running = place.start(script, arguments)
    _, said = running.communicate()
    if running.returncode or said:
        raise SystemExit(f"{script} failed undisturbed: {said}")


def disturb(planned: Sequence[Case], base: Path, warm: dict[str, Path], seed: int) -> dict[str, Counter[str]]:
    """Attempt cases and name what is lost; return the counts by kind, of those tried where Ctrl-C ends it."""
    counts: dict[str, Counter[str]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = {pool.submit(attempt, case, base, warm, seed): case for case in planned}
        try:
            for task in tqdm(as_completed(tasks), total=len(tasks), unit="fault", disable=None):
                case, wrong = tasks[task], task.result()
                counts.setdefault(case.kind, Counter()).update({"tried": 1, "lost": int(bool(wrong))})
                for line in wrong:
                    print(f"LOST {case.job.script} {case.kind} {case.number}: {line}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    return counts


def main() -> int:
    """Run all cases and print the counts; the exit status says whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the cases, for a quick look")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="scripts whose names hold this")
    parser.add_argument("--kind", default="", help="faults whose names hold this")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="faults-"))
    every = [job for job in jobs() if options.only in job.script]
    try:
        make_inputs(base / "inputs")
        warm = {job.script: path for job in every if (path := undisturbed(job, base)).is_file()}
        planned = [case for case in cases(every, options.share) if options.kind in case.kind]
        random.Random(options.seed).shuffle(planned)
        counts = disturb(planned, base, warm, options.seed)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    total = sum(counts.values(), Counter())
    if total["tried"] < len(planned):
        print(f"Interrupted: {total['tried']} of {len(planned)} faults were tried.\n")
    print("| fault | tried | survived | lost |\n| --- | --- | --- | --- |")
    for kind, count in [*sorted(counts.items()), ("all", total)]:
        print(f"| {kind} | {count['tried']} | {count['tried'] - count['lost']} | {count['lost']} |")
    return 1 if total["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
