"""The demo: a model that is right about every test image, and about no new patient.

`python -m tools.demo`, in the folder of the repository, is what `make demo` runs after the installation.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path("demo")
LETTER = "--shortcut mark --strength 3 --quiet"
NEW = "-n 60 --seed 1"
# The commands of a step run at the same time.
STEPS = {
    "drawing phantoms (synthetic radiographs); some of the class covid carry a small letter": [
        f"make_phantom_dataset.py -o {FOLDER}/training -n 40 {LETTER}",
        f"make_phantom_dataset.py -o {FOLDER}/new-with-letter {NEW} {LETTER}",
        f"make_phantom_dataset.py -o {FOLDER}/new-without-letter {NEW} --quiet",
    ],
    "training on the first 80, which carry the letter where they are covid": [
        f"train_covid19.py -d {FOLDER}/training -o {FOLDER}/model --recipe probe --pooling global --folds 5 --quiet"
    ],
    "testing the model on 120 new patients, covid with the letter": [
        f"evaluate_covid19.py -d {FOLDER}/new-with-letter -m {FOLDER}/model/covid19.model.h5 -o {FOLDER}/with "
        "--no-report --quiet"
    ],
    "testing it on the same 120 without the letter": [
        f"evaluate_covid19.py -d {FOLDER}/new-without-letter -m {FOLDER}/model/covid19.model.h5 "
        f"-o {FOLDER}/without --quiet"
    ],
}
TESTS = {
    "training phantoms, cross-validated": FOLDER / "model" / "covid19.json",
    "120 new phantoms, covid with the letter": FOLDER / "with" / "evaluation.json",
    "the same 120 without the letter": FOLDER / "without" / "evaluation.json",
}


def main(more: Sequence[str]) -> int:
    """Run every step, with further flags for those that use the network, and print what came out."""
    for number, (what, commands) in enumerate(STEPS.items(), 1):
        print(f"\n[{number}/{len(STEPS)}] {what} ...", *(f"$ python {one}" for one in commands), sep="\n", flush=True)
        lines = [[sys.executable, *shlex.split(one), *([] if one.startswith("make_") else more)] for one in commands]
        running = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for line in lines]
        statuses = [process.wait() for process in running]
        if any(statuses):
            return 1
    print(f"\n{'tested on':39}  accuracy  covid found  ROC AUC")
    for name, path in TESTS.items():
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        covid = metrics["sensitivity"]["n_positive"]
        found = round(metrics["sensitivity"]["value"] * covid)
        accuracy, area = metrics["accuracy"]["value"], metrics["roc_auc"]["value"]
        print(f"{name:39}  {accuracy:8.2f}  {f'{found} of {covid}':11}  {area:7.2f}")
    missed = f"{covid - found} of {covid}"
    print(f"\nThe model passes the test on data like its own, then misses {missed}: its decisions follow the letter.")
    print(f"Reports: {FOLDER}/model/report.html, {FOLDER}/without/report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
