"""Predict the class of chest radiographs with a trained model: class, probability, Grad-CAM."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector import InputError, printable
from detector.cli.arguments import Parser, add_common, add_output_dir, add_report, any_path, column_names, output_of
from detector.cli.output import DISCLAIMER, named_notes, progress, replaced_line, say, wrapped
from detector.cli.run import run
from detector.cluster.connection import add_ray, ray_options

if TYPE_CHECKING:
    from detector.cluster.connection import RayOptions
    from detector.inference.predict import Prediction
    from detector.reports.prediction_report import PredictionOutputs

EXAMPLE = "python predict_covid19.py -m covid19.model.h5 radiograph.png folder --gradcam overlays"


@dataclass(frozen=True)
class PredictionOptions:
    """What is predicted, by which model, how, and where the predictions go."""

    files: list[Path]
    model: Path
    classes: tuple[str, ...]
    clinical_csv: Path | None
    force: bool
    outputs: PredictionOutputs
    quiet: bool
    verbose: bool
    ray: RayOptions | None


def parse_arguments(arguments: list[str] | None) -> PredictionOptions:
    """Parse the command line."""
    parser = Parser("Predict the class of chest radiographs with a model that train_covid19.py saved.", EXAMPLE)
    data = parser.group("data")
    data.add_argument(
        "files", type=any_path, nargs="+", metavar="FILE_OR_DIR", help="images, DICOM files, folders of them, patterns"
    )
    data.add_argument(
        "--clinical-csv", type=Path, metavar="FILE", help="CSV of column file and the columns of --clinical-columns"
    )
    model = parser.group("model")
    model.add_argument("-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="the model")
    model.add_argument(
        "--classes",
        type=column_names,
        default=(),
        metavar="A,B",
        help="classes in the order of the outputs, of a model that Keras saved, which does not hold their names",
    )
    model.add_argument(
        "--force", action="store_true", help="also predict images that are not frontal chest radiographs"
    )
    outputs = add_output_dir(parser, "predictions.html, predictions.csv and .json")
    outputs.add_argument("--csv", type=output_of(".csv"), metavar="FILE", help="also write the predictions as CSV")
    outputs.add_argument("--json", type=output_of(".json"), metavar="FILE", help="also write the predictions as JSON")
    outputs.add_argument("--gradcam", type=Path, metavar="DIR", help="also write a Grad-CAM overlay of each image")
    add_report(parser, "predictions.html beside --json, --csv or --gradcam, else here")
    add_common(parser, seed=False)
    add_ray(parser)
    given = parser.parse_args(arguments)
    return PredictionOptions(
        given.files,
        given.model,
        given.classes,
        given.clinical_csv,
        given.force,
        output_paths(given),
        given.quiet,
        given.verbose,
        ray_options(given),
    )


def output_paths(given: argparse.Namespace) -> PredictionOutputs:
    """Return where a run writes."""
    from detector.reports.prediction_report import CSV, JSON, REPORT, PredictionOutputs

    folder = given.output_dir
    csv = given.csv or (folder / CSV if folder else None)
    json = given.json or (folder / JSON if folder else None)
    beside = [path.parent for path in (json, csv) if path] + [given.gradcam] * bool(given.gradcam)
    report = None if given.no_report else given.report or (folder or (beside or [Path()])[0]) / REPORT
    return PredictionOutputs(csv, json, report, given.gradcam)


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    outputs = options.outputs

    from detector.cluster.connection import connect
    from detector.datasets import clinical
    from detector.files.atomic import require_folder
    from detector.images.listing import left_out_line
    from detector.inference.predict import Prediction, PredictionRequest, list_images, predict_all
    from detector.network import model_file, runtime
    from detector.reports import prediction_report

    if (options.model / "saved_model.pb").is_file():
        raise InputError(
            f"model {options.model} is a folder of TensorFlow's SavedModel format, which is not read; save it as HDF5: "
            "model.save('covid19.h5', save_format='h5')"
        )
    if not options.model.is_file():
        raise InputError(f"model {options.model} is not a file; train one with train_covid19.py, or give it with -m")
    left_out: Counter[str] = Counter()
    failures: list[InputError] = []
    paths = list_images(options.files, failures, left_out)
    for folder in {path.parent for path in (outputs.csv, outputs.json, outputs.report) if path}:
        require_folder(folder)
    outputs.require_writable()
    cluster = connect(options.ray) if options.ray else None
    runtime.configure(options.verbose)
    runtime.start()
    saved = model_file.read(options.model, options.classes)
    if saved.note:
        print(f"{Path(sys.argv[0]).name}: model {printable(options.model)} was {saved.note}", file=sys.stderr)
    table = clinical.read(options.clinical_csv, saved.description.clinical)
    values, notes = clinical.of_images(table, paths, options.clinical_csv)
    for note in filter(None, [left_out_line(left_out), *notes]):
        say(note)
    requests = [
        PredictionRequest(path, values.get(path, {}), outputs.wants_images(position))
        for position, path in enumerate(paths)
    ]
    results = predict_all(saved, requests, cluster, options.force)
    results = prediction_report.with_overlays(results, paths, outputs, saved.description.classes)
    done: list[Prediction] = []
    for result in progress(results, len(paths), "predicting", options.quiet):
        if isinstance(result, Prediction):
            done.append(result)
        else:
            failures.append(result)
    found = prediction_report.PredictionRun(done, failures, saved.description, options.model.name, saved.note)
    for line in prediction_report.lines(found):
        print(line)
    for note in named_notes((one.path, one.note) for one in done):
        say("\n".join(wrapped(note, rest="  ")))
    for failure in failures:
        print(f"{Path(sys.argv[0]).name}: {printable(failure)}", file=sys.stderr)
    replaced = replaced_line(path for path in (outputs.csv, outputs.json, outputs.report) if path)
    written = prediction_report.write(found, outputs)
    say(prediction_report.summary(found))
    print(DISCLAIMER)
    for name, path in written.items():
        say(f"{name}: {path}")
    if replaced:
        say(replaced)
    return 1 if failures else 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
