"""Disturb every script in every way, look at what is left, run it again, count what is lost: `make fault-injection`.

A fault is survived if each output is absent, old and whole, or new and whole; if no traceback is shown; and if the next
run ends as if nothing had happened.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from detector.files.cache import FILE, default_folder
from detector.network.weights import KEPT

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 600.0  # after which a run is hung
TIME = re.compile(rb"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")
DIFFER = ("created", "times")  # keys of JSON files that differ between two runs that do the same
PR_CAPBSET_DROP, CAPABILITIES = 24, (1, 2)  # to write, and to read, what the permission bits forbid: root has them

State = dict[str, str]  # file below the output folder → digest


@dataclass
class Job:
    """A script, the arguments of an earlier run and of the one that is disturbed, and what they leave, undisturbed."""

    script: str
    old: list[str]  # {in} and {out} stand for folders
    new: list[str]
    uses_cache: bool = False
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    seconds: float = 0.0
    bytes: int = 0


def jobs() -> list[Job]:
    """Return every script with arguments that write all of its outputs."""
    train = ["-d", "{in}/data", "-p", "{out}/plot.png", "-m", "{out}/model.h5", "--epochs", "3", "--rotations", "1"]
    audit = ["-d", "{in}/data", "-o", "{out}", "--folds", "2", "--repeats", "1", "--recipe", "probe"]
    predict = ["-m", "{in}/model.h5", "--csv", "{out}/p.csv", "--json", "{out}/p.json", "--gradcam", "{out}/cam"]
    lungs = ["-o", "{out}", "--overlay", "--json", "{out}/lungs.json"]
    build = ["-c", "{in}/clone", "-o", "{out}/covid", "--controls-output", "{out}/other"]
    kaggle = ["-k", "{in}/chest_xray", "-o", "{out}", "-s", "6"]
    phantoms = ["-o", "{out}"]
    return [
        Job("make_phantom_dataset.py", [*phantoms, "-n", "5", "--seed", "1"], [*phantoms, "-n", "4"]),
        Job("build_covid_dataset.py", [*build, "--limit", "3"], [*build, "--view", "AP"]),
        Job("sample_kaggle_dataset.py", [*kaggle, "--seed", "1"], kaggle),
        Job("train_covid19.py", [*train, "--seed", "1"], train, uses_cache=True),
        Job("audit_covid19.py", [*audit, "--seed", "1"], audit, uses_cache=True),
        Job("predict_covid19.py", ["{in}/few/0.png", *predict], ["{in}/few", *predict]),
        Job("find_lungs.py", ["{in}/few/0.png", *lungs], ["{in}/few", *lungs], uses_cache=True),
    ]


def make_inputs(folder: Path) -> None:
    """Draw phantoms, and lay them out as a data set, a copy of Cohen's collection and Kaggle's folders."""
    scripts = [sys.executable, str(ROOT / "make_phantom_dataset.py")], [sys.executable, str(ROOT / "train_covid19.py")]
    folder.mkdir()
    subprocess.run([*scripts[0], *["--quiet", "-o", "data", "-n", "8"]], cwd=folder, check=True)
    clone, few, normal = folder / "clone" / "images", folder / "few", folder / "chest_xray" / "train" / "NORMAL"
    for made in (clone, few, normal):
        made.mkdir(parents=True)
    lines = ["patientid,finding,view,modality,folder,filename,license,url"]
    for i, picture in enumerate(sorted(folder.glob("data/*/*.png"))):
        shutil.copyfile(picture, clone / picture.name)
        shutil.copyfile(picture, normal / f"IM-{i:04d}-0001.jpeg")
        if i % 6 == 0:
            shutil.copyfile(picture, few / f"{i // 6}.png")
        finding, view = ("COVID-19", "SARS")[i % 2], ("PA", "AP")[i // 2 % 2]
        lines.append(f"{i},{finding},{view},X-ray,images,{picture.name},CC0,")
    (folder / "clone" / "metadata.csv").write_text("\n".join([*lines, ""]))
    train = [*scripts[1], *["--quiet", "-d", "data", "-m", "model.h5", "--epochs", "2"]]
    subprocess.run(train, cwd=folder, check=True, stdout=subprocess.DEVNULL)


class Place:
    """Folders of one case: what a script writes, caches, and keeps for itself meanwhile."""

    def __init__(self, inputs: Path, root: Path, cached: Path | None = None, own_weights: bool = False) -> None:
        self.inputs, self.root = inputs, root
        self.out, self.cache, self.temporary = (root / name for name in ("out", "cache", "tmp"))
        for folder in (self.out, self.cache, self.temporary):
            folder.mkdir(parents=True)
        if (kept := default_folder() / KEPT).exists():
            (shutil.copyfile if own_weights else os.symlink)(kept, self.cache / KEPT)
        if cached:
            shutil.copyfile(cached, self.cache / FILE)

    def start(self, job: Job, arguments: list[str], before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        """Start a script here, from `root`: reports and records show the command, and must be the same everywhere."""
        filled = [text.replace("{in}", str(self.inputs)).replace("{out}", "out") for text in arguments]
        return subprocess.Popen(
            [sys.executable, str(ROOT / job.script), *filled],
            cwd=self.root,
            env=os.environ | {"COVID19_CACHE": str(self.cache), "TMPDIR": str(self.temporary), "COLUMNS": "100"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - setrlimit and prctl alone, which take no lock
        )

    def must_run(self, job: Job, arguments: list[str]) -> float:
        """Run a script undisturbed, and return the seconds that it takes."""
        began = time.perf_counter()
        if complaints := rejection(self.start(job, arguments), may_reject=False):
            raise SystemExit(f"{job.script} failed undisturbed: {complaints}")
        return time.perf_counter() - began

    def state(self) -> State:
        """Return the output files; what a killed run left is hidden, and no output."""
        files = [path for path in self.out.rglob("[!.]*") if path.is_file()]
        return {path.relative_to(self.out).as_posix(): digest(path) for path in files}

    def left_behind(self) -> list[str]:
        """Return temporary files; SQLite's journal is how it comes back from a fault."""
        found = [path for folder in (self.out, self.cache) for path in folder.rglob(".covid19-*.part")]
        return [str(path.relative_to(self.root)) for path in (*found, *self.temporary.iterdir())]


def digest(path: Path) -> str:
    """Return the digest of what a file says, but for when and how long a run was."""
    data = path.read_bytes()
    if path.suffix in (".html", ".h5"):
        data = TIME.sub(b"", data)
    if path.suffix == ".json":
        try:
            record = json.loads(data)
        except ValueError:
            return "not JSON"
        data = json.dumps({name: record[name] for name in record if name not in DIFFER}, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()


def rejection(running: subprocess.Popen[str], may_reject: bool = True) -> list[str]:
    """Wait for a run; return what is wrong with how it ended: a traceback, silence, a hang."""
    try:
        _, said = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        return ["hung"]
    if (running.returncode == 0 and not said) or (may_reject and running.returncode == 2 and said.count("\n") == 1):
        return []
    return [f"ended with {running.returncode}: {said[-600:]}"]


def killed(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill with -9 at a random moment."""
    running = place.start(job, job.new)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.uniform(0.0, job.seconds))
    running.kill()
    running.communicate()
    return []


def killed_writing(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill with -9 while a file in the output folder is open, or just after."""
    running = place.start(job, job.new)
    while running.poll() is None and not _writes(running.pid, place.out):
        time.sleep(0.0005)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.choice([0.0, 0.002, 0.01, 0.05, 0.3]) * chance.random())
    running.kill()
    running.communicate()
    return []


def _writes(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        return any(str(link.readlink()).startswith(f"{folder}/") for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


def disk_full(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Leave less room than the outputs need: on a small disk in memory or, where none can be mounted, for each file."""
    room = int(job.bytes * chance.random())
    with small_disk(place.out, room) as mounted:

        def limit() -> None:
            if not mounted:
                resource.setrlimit(resource.RLIMIT_FSIZE, (room // 4, resource.RLIM_INFINITY))

        return rejection(place.start(job, job.new, limit))


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[bool]:
    """Put a folder on a disk in memory with so much room, and its files back where they were afterwards."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    room += sum(-(-path.stat().st_size // 4096) * 4096 for path in aside.rglob("*"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={max(room, 4096)}", "faults", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if mounted:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
    try:
        yield mounted
    finally:
        if mounted:
            shutil.rmtree(aside)
            shutil.copytree(folder, aside)
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)
            shutil.rmtree(folder)
            aside.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)


def permission_revoked(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Take away the permission to write, to the outputs or to everything, at a random moment."""

    def obey_permissions() -> None:
        for capability in CAPABILITIES if os.geteuid() == 0 else ():
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    running = place.start(job, job.new, obey_permissions)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.uniform(0.0, job.seconds))
    folders = [place.out, *(path for path in place.out.rglob("*") if path.is_dir())]
    folders += [place.cache] if chance.random() < 0.5 else []
    for folder in folders:
        folder.chmod(0o500)
    complaints = rejection(running)
    for folder in folders:
        folder.chmod(0o755)
    # Nothing can be removed where nothing may be written.
    for name in place.left_behind():
        (place.root / name).unlink()
    return complaints


def four_at_once(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Run four at once on one cache and one output folder."""
    running = [place.start(job, job.new) for _ in range(4)]
    return [line for each in running for line in rejection(each, may_reject=False)]


def cache_damaged(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Flip random bits of a file in the cache: a run must not notice, or begin the file anew."""
    path = chance.choice([path for path in place.cache.iterdir() if not path.is_symlink()])
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 8, 64, 512])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return rejection(place.start(job, job.new), may_reject=False)


FAULTS: dict[str, tuple[Callable[[Job, Place, random.Random], list[str]], int]] = {
    "killed with -9 at a random moment": (killed, 50),
    "killed with -9 while it writes": (killed_writing, 25),
    "disk full": (disk_full, 12),
    "write permission revoked": (permission_revoked, 10),
    "four at once, one cache, one folder": (four_at_once, 4),
    "bits flipped in the cache": (cache_damaged, 20),
}


def undisturbed(job: Job, base: Path) -> None:
    """Note what a job's old and new runs leave, and that the same comes out twice, with and without what is cached."""
    old = Place(base / "inputs", base / "old" / job.script)
    old.must_run(job, job.old)
    job.before = old.state()
    cached = old.cache / FILE if job.uses_cache else None
    new, fresh = (
        Place(base / "inputs", base / "new" / job.script, cached),
        Place(old.inputs, base / "fresh" / job.script),
    )
    new.must_run(job, job.new)
    job.seconds = new.must_run(job, job.new)
    fresh.must_run(job, job.new)
    job.after = new.state()
    if fresh.state() != job.after:
        raise SystemExit(f"{job.script}: two undisturbed runs differ, without and with what is cached")
    job.bytes = sum(path.stat().st_size for path in new.out.rglob("*") if path.is_file())


def attempt(job: Job, kind: str, number: int, base: Path) -> list[str]:
    """Disturb one run, look at what it left, run again; return what is wrong."""
    fault = FAULTS[kind][0]
    chance = random.Random(f"{job.script}-{kind}-{number}")
    cached = base / "new" / job.script / "cache" / FILE
    root = base / f"{job.script}-{fault.__name__}-{number}"
    # Every tenth run has weights of its own to damage.
    place = Place(
        base / "inputs", root, cached if cached.is_file() else None, fault is cache_damaged and number % 10 == 1
    )
    if number % 2:
        shutil.copytree(base / "old" / job.script / "out", place.out, dirs_exist_ok=True)
    wrong = fault(job, place, chance)
    known = {name: {job.before.get(name), job.after.get(name)} for name in job.before | job.after}
    found = place.state()
    wrong += [f"{name} is neither old nor new" for name in found if found[name] not in known.get(name, ())]
    wrong += [f"left behind: {name}" for name in place.left_behind() if not kind.startswith("killed")]
    wrong += [f"the next run {line}" for line in rejection(place.start(job, job.new), may_reject=False)]
    found = place.state()
    wrong += [f"after the next run {name} is missing" for name in job.after.keys() - found.keys()]
    for name in found:
        # What an earlier run put beside the new outputs may stay.
        if found[name] != job.after.get(name, job.before.get(name)):
            wrong.append(f"after the next run {name} is another")
    shutil.rmtree(root, ignore_errors=True)
    return wrong


def main() -> int:
    """Disturb and print the counts; the exit status says whether anything was lost. Ctrl-C prints those so far."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the faults, at least one of each kind")
    parser.add_argument("--only", default="", help="scripts whose names hold this")
    parser.add_argument("--kind", default="", help="faults whose names hold this")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    every = [job for job in jobs() if options.only in job.script]
    base = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        make_inputs(base / "inputs")
        for job in every:
            undisturbed(job, base)
        planned = [
            (job, kind, number)
            for job in every
            for kind, (fault, most) in FAULTS.items()
            for number in range(max(1, round(most * options.share)))
            if options.kind in kind and (job.uses_cache or fault is not cache_damaged)
        ]
        random.Random(0).shuffle(planned)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tasks = {pool.submit(attempt, *case, base): case for case in planned}
            try:
                for task in tqdm(as_completed(tasks), total=len(tasks), unit="fault", disable=None):
                    (job, kind, number), wrong = tasks[task], task.result()
                    counts.setdefault(kind, Counter()).update(tried=1, lost=int(bool(wrong)))
                    for line in wrong:
                        print(f"LOST {job.script} {kind} {number}: {line}", file=sys.stderr, flush=True)
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    counts["all"] = sum(counts.values(), Counter())
    print("| fault | tried | lost |\n| --- | --- | --- |")
    for kind, count in counts.items():
        print(f"| {kind} | {count['tried']} | {count['lost']} |")
    return 1 if counts["all"]["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
