"""The scripts on phantoms: what each is called with, and what its outputs are when nothing disturbs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from detector.files.cache import FILE, default_folder
from detector.network import weights as weight_sources

ROOT = Path(__file__).resolve().parents[2]

State = dict[str, str]  # file below the output folder → digest


@dataclass
class Job:
    """A script with the arguments of an earlier run, `old`, and of the one that is disturbed, `new`.

    Attributes
    ----------
    script : str
    old, new : list of str
        ``{in}`` and ``{out}`` stand for the folders of inputs and outputs.
    uses_cache : bool
    before, after : dict
        The outputs of `old`, and of `new` after it, undisturbed.
    seconds : float
        That `new` takes undisturbed.
    """

    script: str
    old: list[str]
    new: list[str]
    uses_cache: bool = False
    before: State = field(default_factory=dict)
    after: State = field(default_factory=dict)
    seconds: float = 0.0


def jobs() -> list[Job]:
    """Return every script with arguments that write all of its outputs."""
    fast = ["--epochs", "3", "--rotations", "1"]
    train = ["-d", "{in}/data", "-p", "{out}/plot.png", "-m", "{out}/model.h5", *fast]
    # The probe: training is disturbed by the job above, and an audit would train some thirty heads for each fault.
    audit = ["-d", "{in}/data", "-o", "{out}", "--folds", "2", "--repeats", "1", "--recipe", "probe"]
    predict = ["-m", "{in}/model.h5", "--csv", "{out}/p.csv", "--json", "{out}/p.json", "--gradcam", "{out}/cam"]
    lungs = ["-o", "{out}", "--overlay", "--json", "{out}/lungs.json"]
    build = ["-c", "{in}/clone", "-o", "{out}/covid", "--controls-output", "{out}/other"]
    kaggle = ["-k", "{in}/chest_xray", "-o", "{out}", "-s", "6"]
    return [
        Job("make_phantom_dataset.py", ["-o", "{out}", "-n", "5", "--seed", "1"], ["-o", "{out}", "-n", "4"]),
        Job("build_covid_dataset.py", [*build, "--limit", "3"], [*build, "--view", "AP"]),
        Job("sample_kaggle_dataset.py", [*kaggle, "--seed", "1"], kaggle),
        Job("train_covid19.py", [*train, "--seed", "1"], train, uses_cache=True),
        Job("audit_covid19.py", [*audit, "--seed", "1"], audit, uses_cache=True),
        Job("predict_covid19.py", ["{in}/few/0.png", *predict], ["{in}/few", *predict]),
        Job("find_lungs.py", ["{in}/few/0.png", *lungs], ["{in}/few", *lungs], uses_cache=True),
    ]


def make_inputs(folder: Path) -> None:
    """Draw phantoms, and lay them out as a data set, a copy of Cohen's collection and Kaggle's folders."""
    run = [sys.executable, ROOT / "make_phantom_dataset.py", "--quiet", "-o", folder / "data", "-n", "8"]
    subprocess.run(list(map(str, run)), check=True)
    pictures = sorted(folder.glob("data/*/*.png"))
    (folder / "clone" / "images").mkdir(parents=True)
    lines = ["patientid,finding,view,modality,folder,filename,license,url"]
    for i, picture in enumerate(pictures):
        finding, view = ("COVID-19", "SARS")[i % 2], ("PA", "AP")[i // 2 % 2]
        shutil.copyfile(picture, folder / "clone" / "images" / picture.name)
        lines.append(f"{i},{finding},{view},X-ray,images,{picture.name},CC0,")
    (folder / "clone" / "metadata.csv").write_text("\n".join([*lines, ""]))
    (folder / "few").mkdir()
    for i, picture in enumerate(pictures[::6]):
        shutil.copyfile(picture, folder / "few" / f"{i}.png")
    normal = folder / "chest_xray" / "train" / "NORMAL"
    normal.mkdir(parents=True)
    for i, picture in enumerate(pictures):
        shutil.copyfile(picture, normal / f"IM-{i:04d}-0001.png")
    model = [sys.executable, ROOT / "train_covid19.py", "--quiet", "-d", "data", "-m", "model.h5", "--epochs", "2"]
    subprocess.run(list(map(str, model)), cwd=folder, check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Place:
    """Folders of one case: what a script reads, writes, caches, and keeps for itself meanwhile."""

    inputs: Path
    root: Path

    @property
    def out(self) -> Path:
        """The folder of the outputs."""
        return self.root / "out"

    @property
    def cache(self) -> Path:
        """The folder of cached features."""
        return self.root / "cache"

    @property
    def temporary(self) -> Path:
        """The folder of temporary files."""
        return self.root / "tmp"

    def prepare(self, *, warm: Path | None, link_weights: bool = True) -> None:
        """Make the folders; `warm` is a cache to begin with. The weights are the user's own, linked or copied."""
        for folder in (self.out, self.cache, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        kept = default_folder() / weight_sources.KEPT
        if kept.exists():
            (os.symlink if link_weights else shutil.copyfile)(kept, self.cache / weight_sources.KEPT)
        if warm:
            shutil.copyfile(warm, self.cache / FILE)

    def command(self, script: str, arguments: list[str]) -> list[str]:
        """Return the command line of a script here."""
        # Relative to `root`, where it runs: reports and records show the command, and must be the same in every place.
        filled = [text.replace("{in}", str(self.inputs)).replace("{out}", self.out.name) for text in arguments]
        return [sys.executable, str(ROOT / script), *filled]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of a script here."""
        return os.environ | {"COVID19_CACHE": str(self.cache), "TMPDIR": str(self.temporary), "COLUMNS": "100"}

    def start(
        self, script: str, arguments: list[str], preexec_fn: Callable[[], None] | None = None
    ) -> subprocess.Popen[str]:
        """Start a script here."""
        return subprocess.Popen(
            self.command(script, arguments),
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=preexec_fn,  # noqa: PLW1509 - setrlimit and prctl alone, which take no lock
        )

    def state(self) -> State:
        """Return the output files with digests of what they say; when a run was, and how long it took, is left out."""
        files = [path for path in self.out.rglob("*") if path.is_file()]
        return {path.relative_to(self.out).as_posix(): _digest(path) for path in files}

    def left_behind(self) -> list[str]:
        """Return what lies in the cache and the folder for temporary files and does not belong there."""
        belongs = {FILE, weight_sources.KEPT}
        found = [path.name for path in self.cache.iterdir() if path.name not in belongs]
        return found + [path.name for path in self.temporary.iterdir()]


# Keys of JSON files that differ between two runs that do the same.
DIFFER = ("created", "times")
TIME = re.compile(rb"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?")


def _digest(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix in (".html", ".h5"):  # a model file says when it was made
        data = TIME.sub(b"", data)
    if path.suffix == ".json":
        try:
            record = json.loads(data)
        except ValueError:
            return "not JSON"
        for key in DIFFER if isinstance(record, dict) else ():
            record.pop(key, None)
        data = json.dumps(record, sort_keys=True).encode()
    return hashlib.sha256(data).hexdigest()
