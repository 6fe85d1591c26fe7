"""Draw radiographs of one finding, normals by default, from a data set on Kaggle into a class folder."""

from __future__ import annotations

from detector.cli.arguments import parse
from detector.cli.output import Log
from detector.cli.run import run
from detector.collections.catalogue import SAMPLED, recognise
from detector.collections.kermany import Kermany
from detector.datasets import download
from detector.datasets.build import SampleOptions, build
from detector.files.atomic import require_folder

DESCRIPTION = "Sample normal radiographs, or those of another finding, into dataset/normal."
EXAMPLE = "python sample_kaggle_dataset.py -k chest_xray -o dataset/normal -s 25"


def main(arguments: list[str] | None) -> int:
    """Run the script."""
    options = parse(SampleOptions, DESCRIPTION, EXAMPLE, arguments)
    log = Log(options.quiet)
    folder = options.kaggle
    if folder is None:
        require_folder(options.output)
        log.info("no -k given: getting Kermany's data set (2 GB) through kagglehub...")
        folder = download.fetch_kaggle(Kermany.handle, Kermany.url)
    build(recognise(folder, SAMPLED, "--kaggle"), folder, options, log)
    return 0


def command() -> None:
    """Run this script: what its console script calls, too."""
    run(main)


if __name__ == "__main__":
    command()
