"""Find the lungs in chest radiographs: a mask for each, and a picture to check it by."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector import InputError, printable
from detector.cli.arguments import Parser, add_common, any_path, output_of
from detector.cli.output import DISCLAIMER, Log, named_notes, progress, say, wrapped
from detector.cli.run import run
from detector.cluster.connection import ComputeOptions

if TYPE_CHECKING:
    from detector.reports.lung_mask_report import LungMaskOutputs

EXAMPLE = "python find_lungs.py radiograph.png folder -o masks --overlay"


@dataclass(frozen=True)
class LungOptions:
    """Whose lungs are found, and what is written.

    Attributes
    ----------
    files : list of Path
    outputs : LungMaskOutputs
    compute : ComputeOptions
    quiet : bool
    """

    files: list[Path]
    outputs: LungMaskOutputs
    compute: ComputeOptions
    quiet: bool


def parse_arguments(arguments: list[str] | None) -> LungOptions:
    """Parse the command line."""
    parser = Parser("Find the lungs in frontal chest radiographs, and write a mask for each.", EXAMPLE)
    parser.add_argument(
        "files", type=any_path, nargs="+", metavar="FILE_OR_DIR", help="images, DICOM files, folders of them"
    )
    parser.add_argument(
        "-o", "--output-dir", type=Path, default=Path("masks"), metavar="DIR", help="where NAME_mask.png is written"
    )
    parser.add_argument("--overlay", action="store_true", help="also draw each image with its lungs, NAME_overlay.png")
    parser.add_argument(
        "--json",
        type=output_of(".json"),
        metavar="FILE",
        help="also write each lung's share of the image, and warnings",
    )
    add_common(parser, seed=False, tensorflow=True)
    given = parser.parse_args(arguments)

    from detector.reports.lung_mask_report import LungMaskOutputs

    compute = ComputeOptions(weights=given.weights, cache=given.cache, no_cache=given.no_cache, verbose=given.verbose)
    return LungOptions(given.files, LungMaskOutputs(given.output_dir, given.overlay, given.json), compute, given.quiet)


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse_arguments(arguments)
    outputs, log = options.outputs, Log(options.quiet)

    from detector.files.atomic import write_together
    from detector.files.cache import Cache, default_folder
    from detector.images.listing import left_out_line
    from detector.inference import lung_masks
    from detector.inference import predict as prediction
    from detector.network import runtime
    from detector.network import weights as weight_sources
    from detector.network.features import Backbone
    from detector.reports import lung_mask_report

    outputs.require_writable()
    left_out: Counter[str] = Counter()
    done: list[lung_masks.FoundLungs] = []
    failures: list[InputError] = []
    paths = prediction.list_images(options.files, failures, left_out)
    if note := left_out_line(left_out):
        say(note)
    lung_masks.require_names(paths)
    compute = options.compute
    runtime.configure(compute.verbose)
    runtime.start()
    home = compute.cache or default_folder()
    found, _ = weight_sources.load(compute.weights, home, log.info)
    backbone = Backbone(found, Cache(None if compute.no_cache else home))

    each = lung_mask_report.with_masks(lung_masks.find_all(backbone, paths, outputs.overlay), outputs)
    for one in progress(each, len(paths), "finding lungs", options.quiet):
        if isinstance(one, InputError):
            failures.append(one)
        else:
            done.append(one)
    for text in lung_mask_report.lines(done):
        print(text)
    for note in named_notes((one.path, one.note) for one in done):
        say("\n".join(wrapped(note, rest="  ")))
    for failure in failures:
        print(f"{Path(sys.argv[0]).name}: {printable(failure)}", file=sys.stderr)
    if outputs.json:
        write_together({outputs.json: lung_mask_report.as_json(done, failures)})
    say(lung_mask_report.summary(done, failures, outputs.folder))
    print(DISCLAIMER)
    return 1 if failures or not all(one.plausible for one in done) else 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
