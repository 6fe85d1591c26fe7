"""The faults: each is a way to disturb a run of a script, and repairs the place for the next run."""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from detector.files.cache import FILE
from detector.network import weights as weight_sources
from tools.fault_injection.jobs import Job, Place

PR_CAPBSET_DROP = 24
CAPABILITIES = (1, 2)  # to write, and to read, what the permission bits forbid: root has them
SECONDS = 600.0


def killed(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill the script with -9 at a random moment."""
    running = place.start(job.script, job.new)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.uniform(0.0, job.seconds))
    running.kill()
    running.communicate()
    return []


def killed_writing(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Kill the script with -9 while it has a file in the output folder open, or just after."""
    running = place.start(job.script, job.new)
    while running.poll() is None and not _has_open(running.pid, place.out):
        time.sleep(0.0005)
    # Some scripts are done writing in a few milliseconds, others copy for a while.
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.choice([0.0, 0.002, 0.01, 0.05, 0.3]) * chance.random())
    running.kill()
    running.communicate()
    return []


def _has_open(pid: int, folder: Path) -> bool:
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(link.readlink()).startswith(f"{folder}/"):
                    return True
    return False


def disk_full(job: Job, place: Place, chance: random.Random, share: float) -> list[str]:
    """Leave less room on the disk than the script needs; `share` of that need.

    The place is a tmpfs that `Mount` has mounted. Where nothing can be mounted, no file may grow beyond a share of
    what the largest output has.
    """
    if place.root.is_mount():
        free = os.statvfs(place.root)
        fill = free.f_bavail * free.f_frsize - int(share * NEED[job.script]) // 4096 * 4096
        ballast = place.root / "ballast"
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(fill, 1))
        complaints = _rejection(place.start(job.script, job.new))
        ballast.unlink()
        return complaints
    largest = LARGEST[job.script]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * largest), resource.RLIM_INFINITY))

    return _rejection(place.start(job.script, job.new, preexec_fn=limit))


# Bytes that a script writes in all, and the size of its largest output: measured undisturbed.
NEED: dict[str, int] = {}
LARGEST: dict[str, int] = {}


def permission_revoked(job: Job, place: Place, chance: random.Random) -> list[str]:
    """Take away the permission to write, to the outputs or to everything, at a random moment."""
    running = place.start(job.script, job.new, preexec_fn=_obey_permissions)
    with suppress(subprocess.TimeoutExpired):
        running.wait(chance.uniform(0.0, job.seconds))
    folders = [place.out, *(path for path in place.out.rglob("*") if path.is_dir())]
    folders += [place.cache] if chance.random() < 0.5 else []
    for folder in folders:
        folder.chmod(0o500)
    complaints = _rejection(running)
    for folder in folders:
        folder.chmod(0o755)
    return complaints


def four_at_once(job: Job, place: Place, chance: random.Random, mixed: bool) -> list[str]:
    """Run four at once on one cache and one output folder: four alike, or two and two.

    What they leave must be what one of them leaves, not some of each.
    """
    arguments = [job.new, job.old if mixed else job.new] * 2
    running = [place.start(job.script, each) for each in arguments]
    complaints = [line for each in running for line in _rejection(each, may_reject=False)]
    ends = [job.after, *([job.before] if mixed else [])]
    # A later run only adds to what predict_covid19.py has drawn, and find_lungs.py found.
    drawn = {
        name for end in ends for name in end if name.startswith("cam/") or name.endswith(("_mask.png", "_overlay.png"))
    }
    state = {name: digest for name, digest in place.state().items() if name not in drawn}
    if state not in [{name: digest for name, digest in end.items() if name not in drawn} for end in ends]:
        complaints.append(f"neither of the two: {sorted(state)}")
    return complaints


def bits_flipped(job: Job, place: Place, chance: random.Random, name: str) -> list[str]:
    """Flip random bits of a file in the cache, then run: it must not notice, or begin the file anew."""
    path = place.cache / name
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 8, 64, 512])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return _rejection(place.start(job.script, job.new), may_reject=False)


CACHED = (FILE, weight_sources.KEPT)


def _rejection(running: subprocess.Popen, may_reject: bool = True) -> list[str]:
    """Wait for a disturbed run; return what is wrong with how it ended: a traceback, silence, a hang."""
    try:
        _, said = running.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGKILL)
        running.communicate()
        return ["hung"]
    if running.returncode == 0:
        return [f"succeeded, but said: {said}"] if said else []
    if not may_reject or running.returncode != 2 or said.count("\n") != 1:
        return [f"ended with {running.returncode}: {said[-600:]}"]
    return []


def _obey_permissions() -> None:
    if os.geteuid() == 0:
        for capability in CAPABILITIES:
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


class Mount:
    """A small disk in memory, mounted at a folder; nothing where this user may not mount.

    Parameters
    ----------
    folder : Path
    size : int
        Bytes.
    """

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "faults", str(folder)]
        with suppress(FileNotFoundError):
            subprocess.run(command, capture_output=True, check=False)

    def close(self) -> None:
        """Take it away."""
        for _ in range(20):
            if not self.folder.is_mount():
                return
            subprocess.run(["umount", str(self.folder)], capture_output=True, check=False)
            time.sleep(0.05)
