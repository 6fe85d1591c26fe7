"""What an audit prints and writes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from detector.audit.comparison import Audit
from detector.audit.conclusion import Verdict
from detector.audit.experiments import Result
from detector.audit.external import External
from detector.command_line import Log
from detector.reports import run_record
from detector.reports.audit_report import audit_page
from detector.reports.plots import forest
from detector.reports.training_outputs import NOTICE
from detector.statistics.intervals import Proportion
from detector.storage.files import require_folder, require_writable, write_together

SETTINGS = (
    "recipe",
    "adjust",
    "class_weight",
    "epochs",
    "batch_size",
    "learning_rate",
    "rotations",
    "folds",
    "repeats",
)
SETTINGS += ("pooling", "positive", "clinical", "seed")
JSON, PICTURE = "audit.json", "audit.png"


def require_outputs(folder: Path, page: Path | None) -> None:
    """Refuse a folder in which the audit could not be written later, or a page.

    Raises
    ------
    InputError
    """
    require_folder(folder)
    for path in (folder / JSON, folder / PICTURE, *([page] if page else [])):
        require_writable(path)


def lines(
    results: Sequence[Result],
    external: Sequence[External],
    called: Proportion | None,
    notes: Sequence[str],
    positive: str,
) -> list[str]:
    """Return what is printed of an audit, but for its verdict: a row each experiment."""
    below = {one.result.name: one.lines() for one in external}
    found = []
    for result in results:
        found.append(f"{result.name:<34} {result.auc}  {result.question}")
        found += below.get(result.name, [])
    if called:
        found.append(f"{'controls called ' + positive:<34} {called}")
    return [*found, *(f"note: {note}" for note in notes)]


def save(
    options: argparse.Namespace,
    audit: Audit,
    results: Sequence[Result],
    external: Sequence[External],
    called: Proportion | None,
    verdict: Verdict,
    log: Log,
) -> None:
    """Write the record, the forest plot and the page: all of them, or none."""
    extractor = audit.extractor
    record = {
        "notice": NOTICE,
        "versions": run_record.versions(),
        "settings": {name: getattr(options, name) for name in SETTINGS},
        "base": run_record.base(extractor),
        "experiments": results,
        "external": external,
        "controls_called_positive": called,
        "notes": audit.notes,
        "verdict": verdict,
        "images": run_record.images(extractor, range(len(extractor.properties))),
    }
    plot = forest(results, verdict)
    contents = {
        options.output / JSON: run_record.as_json(record | {"times": log.seconds}),
        options.output / PICTURE: plot,
    }
    if options.report:
        settings = record["settings"] | run_record.versions()
        contents[options.report] = audit_page(audit, results, called, verdict, plot, settings)
    write_together(contents)
    log.info(f"wrote {', '.join(map(str, contents))}")
