"""Give the data sets of the audit's benchmark to cleanlab's Datalab, and count where it finds spurious correlations.

Datalab scores each image property that CleanVision computes (darkness, brightness, blur, aspect ratio, size,
information) by how well it alone predicts the class, and reports those whose score is below 0.3. The data sets are
those of `tools.benchmarks.audit`; which planted shortcuts had an effect comes from its results (`--rows`). cleanlab is
not needed otherwise, so this runs in an environment of its own:

    python -m venv /tmp/datalab
    /tmp/datalab/bin/pip install -r requirements.txt "cleanlab[image]==2.9.0"
    /tmp/datalab/bin/python -m tools.benchmarks.datalab --rows audit-rows.json

Reference: C. Northcutt, L. Jiang, I. Chuang, "Confident learning", Journal of Artificial Intelligence Research 70
(2021).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tools.benchmarks.audit import SUBSETS, Job, write_set
from tools.benchmarks.conclusion_counts import CHOSEN_ON, CLEAN, RAISED, judged, share_text

# What Datalab computes of images by default.
PROPERTIES = ("dark", "light", "low_information", "odd_aspect_ratio", "odd_size", "grayscale", "blurry")


def correlated(job: Job, start: int, stop: int) -> list[str]:
    """Return the image properties that Datalab reports for a data set as correlated with the class."""
    from cleanlab import Datalab
    from datasets import Dataset, Image

    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name) / "set"
        write_set(folder, job, start, stop)
        files = sorted(folder.glob("*/*.png"))
        data = {"image": [str(file) for file in files], "label": [file.parent.name for file in files]}
        lab = Datalab(Dataset.from_dict(data).cast_column("image", Image()), label_name="label", image_key="image")
        lab.find_issues(issue_types={"image_issue_types": {key: {} for key in PROPERTIES}, "spurious_correlations": {}})
        found = lab.get_info("spurious_correlations")
    scores = found["correlations_df"]
    return sorted(scores[scores["score"] < found["threshold"]]["property"])


def main() -> None:
    """Run Datalab on every data set of the rows, and print the counts beside those of the audit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("audit-rows.json"), help="results of tools.benchmarks.audit")
    options = parser.parse_args()
    sets = list(judged(json.loads(options.rows.read_text())))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        running = [
            pool.submit(correlated, Job(one["pool"], one["kind"], one["strength"]), one["start"], _stop(one))
            for one in sets
        ]
        for one, task in zip(sets, running, strict=True):
            one["datalab"] = task.result()
    raised = [one for one in sets if one["kind"] != CLEAN and one["raised"] >= RAISED]
    print("| sets | n | detected by Datalab | detected by the audit |\n| --- | --- | --- | --- |")
    for title, some in (
        ("clean (each detection is a false alarm)", [one for one in sets if one["kind"] == CLEAN]),
        ("planted, ROC AUC raised by 0.03 or more", raised),
        ("of these, kinds that the audit's rules were chosen on", [one for one in raised if one["kind"] in CHOSEN_ON]),
        ("of these, the other kinds", [one for one in raised if one["kind"] not in CHOSEN_ON]),
        *((f"planted: {kind}", [one for one in raised if one["kind"] == kind]) for kind in _kinds(raised)),
    ):
        datalab = share_text([bool(one["datalab"]) for one in some])
        print(f"| {title} | {len(some)} | {datalab} | {share_text([one['detected'] for one in some])} |")
    print("\nproperties reported:", *sorted({name for one in sets for name in one["datalab"]}))


def _stop(one: dict) -> int:
    return next(stop for start, stop in SUBSETS[str(one["n"])] if start == one["start"])


def _kinds(sets: Sequence[dict]) -> list[str]:
    return list(dict.fromkeys(one["kind"] for one in sets))


if __name__ == "__main__":
    main()
