"""Ask a trained model about radiographs: a class and its probability for each, and where it looked."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from detector import printable
from detector.cluster.flags import add_ray, ray_options
from detector.command_line import DISCLAIMER, Parser, add_common, add_report, progress, run, say

EXAMPLE = "python predict_covid19.py -m covid19.model.h5 radiograph.png folder --gradcam overlays"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Predict the class of chest radiographs with a model that train_covid19.py saved.", EXAMPLE)
    parser.add_argument(
        "files", type=Path, nargs="+", metavar="FILE_OR_DIR", help="images, DICOM files, folders of them"
    )
    parser.add_argument("-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="the model")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the predictions as CSV")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the predictions as JSON")
    parser.add_argument("--gradcam", type=Path, metavar="DIR", help="also draw where the model looked, an image each")
    parser.add_argument(
        "--clinical", type=Path, metavar="CSV", help="column file, and those the model was trained with"
    )
    add_report(parser, "beside --json, --csv or --gradcam")
    add_common(parser, seed=False)
    add_ray(parser)
    options = parser.parse_args(arguments)
    beside = [path.parent for path in (options.json, options.csv) if path] + [options.gradcam] * bool(options.gradcam)
    if options.report is None and beside and not options.no_report:
        options.report = beside[0] / "report.html"
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)

    from detector import InputError
    from detector.cluster.connection import connect
    from detector.datasets import clinical_table
    from detector.images.inspection import named_notes
    from detector.images.listing import left_out_line
    from detector.inference import prediction
    from detector.network import model_file, runtime
    from detector.reports import html_report
    from detector.reports.prediction_report import prediction_page
    from detector.storage.files import require_folder, require_outputs

    if options.gradcam:
        require_folder(options.gradcam)
    outputs = {"--csv": options.csv, "--json": options.json, "--report": options.report}
    require_outputs({flag: path for flag, path in outputs.items() if path})
    if not options.model.is_file():
        raise InputError(f"model {options.model} is not a file; train one with train_covid19.py, or give it with -m")
    ray = ray_options(options)
    cluster = connect(ray) if ray else None
    runtime.start(options.verbose)
    saved = model_file.read(options.model)
    values = clinical_table.read(options.clinical, saved.description.clinical)
    left_out: Counter[str] = Counter()
    paths = prediction.list_images(options.files, left_out)
    if note := left_out_line(left_out):
        say(note)
    done, failures = [], []
    pictured = html_report.MOST if options.report else 0
    batches = prediction.predict_all(saved, paths, values, failures, options.gradcam, pictured, cluster)
    for one in progress(batches, len(paths), "predicting", options.quiet):
        done.append(one)
    for line in prediction.table(done, saved.description.classes):
        print(line)
    for note in named_notes((one.path, one.note) for one in done):
        say(note)
    for failure in failures:
        print(f"{Path(sys.argv[0]).name}: {printable(failure)}", file=sys.stderr)
    shown = {}
    if options.report:
        shown[options.report] = prediction_page(done, failures, saved.description, options.model.name)
    prediction.write(done, failures, saved.description, options.csv, options.json, shown)
    print(DISCLAIMER)
    return 1 if failures else 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
