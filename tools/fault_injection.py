"""Disturb every script in every way, look at what is left, run it again, count what is lost: `make fault-injection`.

A fault is survived if each output is absent, old and whole, or new and whole; if no traceback is shown; and if the next
run ends as if nothing had happened.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from detector.files.cache import FILE, default_folder
from detector.network.weights import KEPT

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600.0  # after which a run is hung
# What differs between two runs that do the same: when they were, and how long they took.
DIFFERS = re.compile(rb'\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?|"times": \{[^}]*\}')
PR_CAPBSET_DROP, CAPABILITIES = 24, (1, 2)  # to write, and to read, what the permission bits forbid: root has them

State = dict[str, str]  # file below the output folder → digest


@dataclass
class Job:
    """A script, the arguments of an earlier run and of the one that is disturbed, and what they leave, undisturbed."""

    script: str
    old: list[str]
    new: list[str]
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    seconds: float = 0.0
    largest: int = 0  # bytes of an output


def jobs() -> list[Job]:
    """Return every script with arguments that write all of its outputs."""
    data, images, model = "../inputs/data", "../inputs/more/covid", "../inputs/model.h5"
    phantoms = ["-o", "out"]
    build = ["-c", "../inputs/clone", "-o", "out/covid", "--controls-output", "out/other"]
    kaggle = ["-k", "../inputs/chest_xray", "-o", "out", "-s", "6"]
    train = ["-d", data, "-p", "out/plot.png", "-m", "out/model.h5", "--epochs", "3"]
    audit = ["-d", data, "-o", "out", "--folds", "2", "--repeats", "1", "--recipe", "probe"]
    evaluate = ["-d", "../inputs/more", "-m", model, "-o", "out"]
    predict = ["-m", model, "--csv", "out/p.csv", "--json", "out/p.json", "--gradcam", "out/cam"]
    lungs = ["-o", "out", "--overlay", "--json", "out/lungs.json"]
    return [
        Job("make_phantom_dataset.py", [*phantoms, "-n", "5", "--seed", "1"], [*phantoms, "-n", "4"]),
        Job("build_covid_dataset.py", [*build, "--limit", "3"], [*build, "--view", "AP"]),
        Job("sample_kaggle_dataset.py", [*kaggle, "--seed", "1"], kaggle),
        Job("train_covid19.py", [*train, "--seed", "1"], train),
        Job("audit_covid19.py", [*audit, "--seed", "1"], audit),
        Job("evaluate_covid19.py", [*evaluate, "--threshold", "0.3"], evaluate),
        Job("predict_covid19.py", [f"{images}/phantom-00000.png", *predict], [images, *predict]),
        Job("find_lungs.py", [f"{images}/phantom-00000.png", *lungs], [images, *lungs]),
    ]


def make_inputs(folder: Path) -> None:
    """Draw phantoms, train a model, and lay phantoms out as Cohen's collection and as Kaggle's folders."""
    clone, normal = folder / "clone" / "images", folder / "chest_xray" / "train" / "NORMAL"
    for made in (clone, normal):
        made.mkdir(parents=True)
    for command in (
        ["make_phantom_dataset.py", "-o", "data", "-n", "8"],
        ["make_phantom_dataset.py", "-o", "more", "-n", "4", "--seed", "1"],
        ["train_covid19.py", "-d", "data", "-m", "model.h5", "--epochs", "2"],
    ):
        line = [sys.executable, str(ROOT / command[0]), *command[1:], "--quiet"]
        subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    lines = ["patientid,finding,view,modality,folder,filename,license,url"]
    for i, picture in enumerate(sorted(folder.glob("data/*/*.png"))):
        shutil.copyfile(picture, clone / picture.name)
        shutil.copyfile(picture, normal / f"IM-{i:04d}-0001.jpeg")
        finding, view = ("COVID-19", "SARS")[i % 2], ("PA", "AP")[i // 2 % 2]
        lines.append(f"{i},{finding},{view},X-ray,images,{picture.name},CC0,")
    (folder / "clone" / "metadata.csv").write_text("\n".join([*lines, ""]))


class Place:
    """Folders of one case, beside the inputs: what a script writes, caches, and keeps for itself meanwhile."""

    def __init__(self, root: Path, cached: Path | None = None) -> None:
        self.root = root
        self.out, self.cache, self.temporary = (root / name for name in ("out", "cache", "tmp"))
        for folder in (self.out, self.cache, self.temporary):
            folder.mkdir(parents=True)
        (self.cache / KEPT).symlink_to(default_folder() / KEPT)
        if cached and cached.exists():
            shutil.copyfile(cached, self.cache / FILE)

    def start(self, script: str, arguments: list[str], before: Callable[[], None] | None = None) -> subprocess.Popen:
        """Start a script in `root`: reports and records show the command, and must be the same everywhere."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *arguments],
            cwd=self.root,
            env=os.environ | {"COVID19_CACHE": str(self.cache), "TMPDIR": str(self.temporary), "COLUMNS": "100"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - setrlimit and prctl alone, which take no lock
        )

    def state(self) -> State:
        """Return the output files; what a killed run left is hidden, and no output."""
        files = [path for path in self.out.rglob("[!.]*") if path.is_file()]
        contents = {path.relative_to(self.out).as_posix(): DIFFERS.sub(b"", path.read_bytes()) for path in files}
        return {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def complaints(running: subprocess.Popen, may_reject: bool = False) -> list[str]:
    """Wait for a run; return what is wrong with how it ended: a traceback, silence, a hang."""
    try:
        _, said = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        return ["hung"]
    if (running.returncode == 0 and not said) or (may_reject and running.returncode == 2 and said.count("\n") == 1):
        return []
    return [f"ended with {running.returncode}: {said[-600:]}"]


def kill(running: subprocess.Popen, seconds: float) -> list[str]:
    """Kill a run with -9 after some time, unless it has ended."""
    with suppress(subprocess.TimeoutExpired):
        running.wait(seconds)
    running.kill()
    running.communicate()
    return []


def killed(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill at a random moment."""
    return kill(place.start(job.script, job.new), chance.uniform(0.0, job.seconds))


def killed_while_writing(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill while a file in the output folder is open, or just after."""
    running, writes = place.start(job.script, job.new), False
    while running.poll() is None and not writes:
        time.sleep(0.0005)
        with suppress(OSError):
            opened = [str(link.readlink()) for link in Path(f"/proc/{running.pid}/fd").iterdir()]
            writes = any(path.startswith(f"{place.out}/") for path in opened)
    return kill(running, chance.choice([0.0, 0.002, 0.01, 0.05, 0.3]) * chance.random())


def disk_full(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Let no file, of the outputs or of the cache, become as large as the largest output."""
    room = int(job.largest * chance.random()), resource.RLIM_INFINITY
    running = place.start(job.script, job.new, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, room))
    return complaints(running, may_reject=True)


def permission_revoked(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Take away the permission to write, to the outputs or to the cache too, at a random moment."""

    def obey_permissions() -> None:
        for capability in CAPABILITIES if os.geteuid() == 0 else ():
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    running = place.start(job.script, job.new, obey_permissions)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.uniform(0.0, job.seconds))
    folders = [place.out, *(path for path in place.out.rglob("*") if path.is_dir())]
    folders += chance.choice([[], [place.cache]])
    for folder in folders:
        folder.chmod(0o500)
    wrong = complaints(running, may_reject=True)
    for folder in folders:
        folder.chmod(0o755)
    return wrong


def four_at_once(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Run four at once on one cache and one output folder."""
    running = [place.start(job.script, job.new) for _ in range(4)]
    return [line for each in running for line in complaints(each)]


def cache_damaged(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Flip random bits of the cache, now and then of the weights: a run must not notice, or begin the file anew."""
    kept = place.cache / KEPT  # of a user whose Keras has the weights, there are none
    path = kept if chance.random() < 0.1 and kept.exists() else place.cache / FILE
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 8, 64, 512])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.unlink()  # the weights are the user's own, until here
    path.write_bytes(data)
    return complaints(place.start(job.script, job.new))


# How often a script is disturbed so.
FAULTS = {
    killed: 50,
    killed_while_writing: 25,
    disk_full: 12,
    permission_revoked: 10,
    four_at_once: 4,
    cache_damaged: 20,
}
Fault = Callable[[Job, Place, random.Random], list[str]]
# After these a temporary file may remain: nobody was there, or allowed, to remove it.
LEAVE = (killed, killed_while_writing, permission_revoked)


def undisturbed(job: Job, base: Path) -> None:
    """Note what a job's old and new runs leave, and that the same comes out twice, with and without what is cached."""

    def run(place: Place, arguments: list[str]) -> State:
        began = time.perf_counter()
        if wrong := complaints(place.start(job.script, arguments)):
            raise SystemExit(f"{job.script} failed undisturbed: {wrong}")
        job.seconds = time.perf_counter() - began
        return place.state()

    old = Place(base / f"old-{job.script}")
    job.before = run(old, job.old)
    fresh, new = Place(base / f"fresh-{job.script}"), Place(base / f"new-{job.script}", old.cache / FILE)
    job.after = run(fresh, job.new)
    if any(run(new, job.new) != job.after for _ in range(2)):
        raise SystemExit(f"{job.script}: two undisturbed runs differ, without and with what is cached")
    job.largest = max(path.stat().st_size for path in new.out.rglob("*"))


def cached(base: Path, job: Job) -> Path:
    """Return what an undisturbed run leaves in the cache, if it uses one."""
    return base / f"new-{job.script}" / "cache" / FILE


def attempt(job: Job, fault: Fault, number: int, base: Path) -> list[str]:
    """Disturb one run, look at what it left, run again; return what is wrong."""
    name = f"{job.script}-{fault.__name__}-{number}"
    place = Place(base / name, cached(base, job))
    if number % 2:
        shutil.copytree(base / f"old-{job.script}" / "out", place.out, dirs_exist_ok=True)
    wrong = fault(job, place, random.Random(name))
    for file, digest in place.state().items():
        if digest not in (job.before.get(file), job.after.get(file)):
            wrong.append(f"{file} is neither old nor new")
    if fault not in LEAVE:
        # SQLite's journal is no such file: it is how a cache comes back from a fault.
        left = [*place.root.rglob(".covid19-*.part"), *place.temporary.iterdir()]
        wrong += [f"left behind: {path.relative_to(place.root)}" for path in left]
    wrong += [f"the next run {line}" for line in complaints(place.start(job.script, job.new))]
    found = place.state()
    wrong += [f"after the next run {file} is missing" for file in job.after.keys() - found.keys()]
    for file, digest in found.items():
        # What an earlier run put beside the new outputs may stay.
        if digest != job.after.get(file, job.before.get(file)):
            wrong.append(f"after the next run {file} is another")
    shutil.rmtree(place.root, ignore_errors=True)
    return wrong


def main() -> int:
    """Disturb and print the counts; the exit status says whether anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the faults, at least one of each kind")
    parser.add_argument("--only", default="", help="scripts whose names hold this")
    options = parser.parse_args()
    tried, lost = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        make_inputs(base / "inputs")
        every = [job for job in jobs() if options.only in job.script]
        for job in every:
            undisturbed(job, base)
        planned = [
            (job, fault, number)
            for job in every
            for fault, most in FAULTS.items()
            for number in range(max(1, round(most * options.share)))
            if fault is not cache_damaged or cached(base, job).exists()
        ]
        random.Random(0).shuffle(planned)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tasks = {pool.submit(attempt, *case, base): case for case in planned}
            for task in tqdm(as_completed(tasks), total=len(tasks), unit="fault", disable=None):
                (job, fault, number), wrong = tasks[task], task.result()
                tried[fault.__name__] += 1
                lost[fault.__name__] += bool(wrong)
                for line in wrong:
                    print(f"LOST {job.script} {fault.__name__} {number}: {line}", file=sys.stderr, flush=True)
    print("| fault | tried | lost |\n| --- | --- | --- |")
    for name, count in tried.items():
        print(f"| {name.replace('_', ' ')} | {count} | {lost[name]} |")
    print(f"| all | {tried.total()} | {lost.total()} |")
    return 1 if lost.total() else 0


if __name__ == "__main__":
    sys.exit(main())
