"""Find the lungs in chest radiographs: a mask for each, and a picture to check it by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detector import InputError
from detector.cli.arguments import flag, output_of, parse
from detector.cli.output import DISCLAIMER, Log, say
from detector.cli.run import run
from detector.cluster.connection import CacheOptions

EXAMPLE = "python find_lungs.py radiograph.png folder -o masks --overlay"


@dataclass(frozen=True, kw_only=True)
class LungOptions(CacheOptions):
    """Whose lungs are found, and what is written."""

    files: list[Path] = flag(
        "data", None, "images, DICOM files, folders of them", "files", type=Path, nargs="+", metavar="FILE_OR_DIR"
    )
    output_dir: Path = flag("outputs", Path("masks"), "where NAME_mask.png is written", "-o", metavar="DIR")
    overlay: bool = flag("outputs", False, "also draw each image with its lungs, NAME_overlay.png")
    json: Path | None = flag(
        "outputs",
        None,
        "also write each lung's share of the image, and warnings",
        type=output_of(".json"),
        metavar="FILE",
    )


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(
        LungOptions, "Find the lungs in frontal chest radiographs, and write a mask for each.", EXAMPLE, arguments
    )
    log = Log(options.quiet)

    from detector.files.atomic import require_folder, require_outputs, write_together
    from detector.files.cache import Cache, default_folder
    from detector.inference import lung_masks
    from detector.inference.predict import gathered, list_images, say_notes
    from detector.network import runtime, weights
    from detector.network.features import Backbone
    from detector.reports import lung_mask_report

    require_folder(options.output_dir)
    require_outputs({"--json": options.json} if options.json else {})
    failures: list[InputError] = []
    paths = list_images(options.files, failures)
    lung_masks.require_names(paths)
    runtime.configure(options.verbose)
    runtime.start()
    home = options.cache or default_folder()
    cache = Cache(None if options.no_cache else home)
    backbone = Backbone(weights.load(options.weights, home, log.info), cache)

    each = lung_mask_report.with_masks(lung_masks.find_all(backbone, paths, options.overlay), options.output_dir)
    done = gathered(each, len(paths), "finding lungs", options.quiet, failures)
    for text in lung_mask_report.lines(done):
        print(text)
    say_notes(((one.path, one.note) for one in done), failures)
    if options.json:
        write_together({options.json: lung_mask_report.as_json(done, failures)})
    say(lung_mask_report.summary(done, failures, options.output_dir))
    print(DISCLAIMER)
    return 1 if failures or not all(one.lungs.found for one in done) else 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
