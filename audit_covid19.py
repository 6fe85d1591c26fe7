"""Find out what a detector really learnt: the disease, or where its images come from."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from detector.command_line import Parser, Story, add_common, between, run, say, whole_number

EXAMPLE = "python audit_covid19.py -d dataset --controls controls/other -o audit"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Audit what a COVID-19 detector learns from a data set.", EXAMPLE)
    parser.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    parser.add_argument("-o", "--output", type=Path, default=Path("audit"), metavar="DIR", help="audit.json, audit.png")
    parser.add_argument("--controls", type=Path, metavar="DIR", help="images of the positives' source, other findings")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="lung masks by the images' names (default: a box)")
    parser.add_argument("--external", type=Path, metavar="DIR", help="class folders from elsewhere, for --model")
    parser.add_argument(
        "-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="saved model"
    )
    parser.add_argument("--epochs", type=whole_number(1), default=25, metavar="N", help="passes over the images")
    parser.add_argument("--batch-size", type=whole_number(1), default=8, metavar="N", help="images a training step")
    parser.add_argument("--learning-rate", type=between(0, 1), default=1e-3, metavar="X", help="Adam's, at the start")
    parser.add_argument("--rotations", type=whole_number(0), default=2, metavar="K", help="rotated copies an image")
    parser.add_argument("--folds", type=whole_number(2), default=5, metavar="K", help="folds of each experiment")
    parser.add_argument("--repeats", type=whole_number(1), default=3, metavar="R", help="repeats with other folds")
    parser.add_argument("--pool", choices=["corner", "global"], default="corner", help="cells of VGG16's map pooled")
    parser.add_argument("--positive", default="covid", metavar="CLASS", help="class that is told from the others")
    parser.add_argument("--clinical", metavar="COLUMN,…", help="columns of manifest.csv to judge alone")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    add_common(parser, tensorflow=True)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import InputError, audit, audit_images, clinical, head, model_file, report
    from detector.files import require_folder, require_writable, write_together
    from detector.occlusion import find_masks
    from detector.weights import DIGEST, digest

    require_folder(options.output)
    page, picture = options.output / "audit.json", options.output / "audit.png"
    for path in (page, picture):
        require_writable(path)
    columns = [name.strip() for name in options.clinical.split(",")] if options.clinical else []
    parts = audit_images.gather(options.dataset, options.controls, options.external, options.positive)
    clinical.fit(columns, [parts.dataset.images[row].row for row in parts.own])
    if options.external and not options.model.is_file():
        raise InputError(f"--external needs a saved model, and --model {options.model} is not a file; train one first")
    masks = find_masks(options.masks, [image.path for image in parts.dataset.images]) if options.masks else {}
    saved = model_file.read(options.model) if options.external else None
    if saved and digest(saved[0]) != DIGEST:
        raise InputError(
            f"--model {options.model} has another base than ImageNet's; it was not saved by train_covid19.py"
        )
    if saved and saved[2].pool != options.pool:
        raise InputError(f"--model {options.model} was trained with --pool {saved[2].pool}; audit with the same")

    from detector import verdict
    from detector.plots import forest
    from detector.study import open_study

    study = open_study(
        parts.dataset,
        story,
        pool=options.pool,
        weights_file=options.weights,
        precision=options.precision,
        cache_folder=options.cache,
        no_cache=options.no_cache,
        verbose=options.verbose,
    )
    recipe = head.Recipe(options.epochs, options.batch_size, options.learning_rate)
    settings = audit.Settings(
        options.positive, options.rotations, recipe, options.folds, options.repeats, options.seed, columns
    )
    inquiry = audit.Audit(study, parts, settings, masks)
    with story.timed("experiments"):
        experiments = inquiry.run()
        called = inquiry.called_positive()
        if saved:
            experiments.insert(-1, inquiry.external(saved[1], saved[2]))
    judged = verdict.judge(experiments, called, options.positive)

    for experiment in experiments:
        say(f"{experiment.name:<34} {experiment.auc}  {experiment.question}")
    if called:
        say(f"{'controls called ' + options.positive:<34} {called}")
    for note in inquiry.notes:
        say(f"note: {note}")
    say("\n".join(textwrap.wrap(f"Verdict: {judged}", 118)))

    record = {
        "notice": "Educational software: never a diagnosis.",
        "versions": report.versions(),
        "settings": {name: getattr(options, name) for name in SETTINGS},
        "base": report.base(study),
        "experiments": experiments,
        "controls_called_positive": called,
        "notes": inquiry.notes,
        "verdict": judged,
        "images": report.images(study, range(len(study.traits))),
    }
    write_together(
        {
            page: report.as_json(record | {"times": story.seconds}),
            picture: forest(experiments, judged),
        }
    )
    story.tell(f"wrote {page}, {picture}")
    if options.timings:
        for stage, seconds in story.seconds.items():
            print(f"{stage}: {seconds:.2f} s")
    return 0


SETTINGS = (
    *("epochs", "batch_size", "learning_rate", "rotations", "folds", "repeats", "pool", "positive", "clinical", "seed"),
)


if __name__ == "__main__":
    run(main)
