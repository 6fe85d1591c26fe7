"""Predict the class of chest radiographs with a trained model: class, probability, Grad-CAM."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from detector import InputError, printable
from detector.cli.arguments import CommonOptions, between, column_names, flag, output_of, parse
from detector.cli.output import BAD, DISCLAIMER, say, wrapped
from detector.cli.run import run
from detector.cluster.connection import RayOptions, connect

EXAMPLE = "python predict_covid19.py -m covid19.model.h5 radiograph.png folder --gradcam overlays"


@dataclass(frozen=True, kw_only=True)
class PredictionOptions(RayOptions, CommonOptions):
    """What is predicted, by which model, how, and where the predictions go."""

    files: list[Path] = flag(
        "data",
        None,
        "images, DICOM files, folders of them, patterns",
        "files",
        type=Path,
        nargs="+",
        metavar="FILE_OR_DIR",
    )
    clinical_csv: Path | None = flag(
        "data", None, "CSV of column file and the columns of --clinical-columns", type=Path, metavar="FILE"
    )
    model: Path = flag("model", Path("covid19.model.h5"), "the model", "-m", metavar="FILE")
    classes: tuple[str, ...] = flag(
        "model",
        (),
        "classes in the order of the outputs, of a model that Keras saved, which lacks their names",
        type=column_names,
        metavar="A,B",
    )
    threshold: float | None = flag(
        "model",
        None,
        "predict the positive class from this probability on (default: the model's)",
        type=between(0, 1),
        metavar="X",
    )
    force: bool = flag("model", False, "also predict images that are not frontal chest radiographs")
    output_dir: Path | None = flag(
        "outputs", None, "folder of predictions.html, predictions.csv and .json", "-o", type=Path, metavar="DIR"
    )
    csv: Path | None = flag(
        "outputs", None, "also write the predictions as CSV", type=output_of(".csv"), metavar="FILE"
    )
    json: Path | None = flag(
        "outputs", None, "also write the predictions as JSON", type=output_of(".json"), metavar="FILE"
    )
    gradcam: Path | None = flag(
        "outputs", None, "also write a Grad-CAM overlay of each image", type=Path, metavar="DIR"
    )
    report: Path | None = flag(
        "outputs",
        None,
        "HTML report (default: predictions.html beside --json, --csv or --gradcam, else here)",
        type=output_of(".html", ".htm"),
        metavar="FILE",
        either="report",
    )
    no_report: bool = flag("outputs", False, "make no HTML report", either="report")


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(
        PredictionOptions,
        "Predict the class of chest radiographs with a model that train_covid19.py saved.",
        EXAMPLE,
        arguments,
    )

    from detector.datasets import clinical
    from detector.files.atomic import require_folder, require_outputs
    from detector.inference.predict import PredictionRequest, gathered, list_images, predict_all, say_notes
    from detector.network import model_file, runtime
    from detector.reports import html, prediction_report

    folder, csv, json = options.output_dir, options.csv, options.json
    if folder:
        csv, json = csv or folder / prediction_report.CSV, json or folder / prediction_report.JSON
    beside = [path.parent for path in (json, csv) if path] + ([options.gradcam] if options.gradcam else [])
    where = folder or next(iter(beside), Path())
    report = None if options.no_report else options.report or where / prediction_report.REPORT
    named = {"--csv": csv, "--json": json, "--report": report}
    outputs = {flag: path for flag, path in named.items() if path}
    failures: list[InputError] = []
    paths = list_images(options.files, failures)
    for folder in {path.parent for path in outputs.values()} | ({options.gradcam} if options.gradcam else set()):
        require_folder(folder)
    require_outputs(outputs)
    cluster = connect(options) if options.ray else None
    runtime.configure(options.verbose)
    runtime.start()
    saved = model_file.read(options.model, options.classes, options.threshold)
    if saved.note:
        print(f"{Path(sys.argv[0]).name}: model {printable(options.model)} was {saved.note}", file=sys.stderr)
    values, notes = clinical.read(options.clinical_csv, saved.description.clinical, paths)
    for note in notes:
        say(note)
    shown = html.MOST if report else 0
    requests = [
        PredictionRequest(path, values.get(path, {}), options.gradcam is not None or position < shown)
        for position, path in enumerate(paths)
    ]
    results = predict_all(saved, requests, cluster, options.force)
    results = prediction_report.with_overlays(results, paths, options.gradcam, shown, saved.description.classes)
    done = gathered(results, len(paths), "predicting", options.quiet, failures)
    found = prediction_report.PredictionRun(done, failures, saved.description, options.model.name, saved.note)
    for line in wrapped(found.conclusion):
        say(line, BAD)
    for line in prediction_report.lines(found):
        print(line)
    say_notes(((one.path, one.note) for one in done), failures)
    prediction_report.write(found, outputs)
    say(prediction_report.summary(found))
    print(DISCLAIMER)
    # Of images that are all skipped there is no overlay.
    for name, path in (
        ("CSV", csv),
        ("JSON", json),
        ("Grad-CAM", options.gradcam if done else None),
        ("Report", report),
    ):
        if path:
            say(f"{name}: {path}")
    return 1 if failures else 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
