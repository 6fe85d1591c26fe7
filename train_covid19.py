"""Fine-tune a head on a frozen VGG16 to tell COVID-19 on chest radiographs, and say what the result is worth."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.command_line import Parser, Story, add_common, between, run, whole_number

EXAMPLE = "python train_covid19.py -d dataset -p plot.png -m covid19.model.h5"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser("Train a COVID-19 detector on class folders of chest radiographs.", EXAMPLE)
    parser.add_argument("-d", "--dataset", type=Path, default=Path("dataset"), metavar="DIR", help="a folder per class")
    parser.add_argument("-p", "--plot", type=Path, default=Path("plot.png"), metavar="PNG", help="curves by epoch")
    parser.add_argument(
        "-m", "--model", type=Path, default=Path("covid19.model.h5"), metavar="FILE", help="HDF5, or Keras' own .keras"
    )
    parser.add_argument("--evaluation", type=Path, metavar="PNG", help="default: evaluation.png beside the plot")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: covid19.json beside the model")
    parser.add_argument("--epochs", type=whole_number(1), default=25, metavar="N", help="passes over the images")
    parser.add_argument("--batch-size", type=whole_number(1), default=8, metavar="N", help="images a training step")
    parser.add_argument("--learning-rate", type=between(0, 1), default=1e-3, metavar="X", help="Adam's, at the start")
    parser.add_argument("--rotations", type=whole_number(0), default=2, metavar="K", help="rotated copies an image")
    parser.add_argument("--test-size", type=between(0, 1), default=0.2, metavar="X", help="share of images held out")
    parser.add_argument("--split", choices=["patient", "image"], help="what is kept whole (default: patient, if known)")
    parser.add_argument("--pool", choices=["corner", "global"], default="corner", help="cells of VGG16's map pooled")
    parser.add_argument("--positive", default="covid", metavar="CLASS", help="class whose sensitivity is reported")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    add_common(parser, tensorflow=True)
    options = parser.parse_args(arguments)
    options.evaluation = options.evaluation or options.plot.parent / "evaluation.png"
    options.json = options.json or options.model.parent / "covid19.json"
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import InputError, dataset
    from detector.files import require_outputs, write_together

    outputs = {
        "--plot": options.plot,
        "--evaluation": options.evaluation,
        "--model": options.model,
        "--json": options.json,
    }
    require_outputs(outputs)
    images = dataset.load(options.dataset)
    classes = images.classes
    if options.positive not in classes:
        raise InputError(f"--positive {options.positive} is no class of {options.dataset}; it has {', '.join(classes)}")

    from detector import head, model, plots, report, split
    from detector.evaluation import evaluate
    from detector.study import open_study

    study = open_study(images, story, **study_options(options))
    labels = images.labels
    known = sum(image.patient is not None for image in images.images)
    kind = options.split or ("patient" if known else "image")
    if kind == "patient":
        story.tell(split.describe_patients(known, len(labels), len(set(study.patients))))
        train, held_out = split.by_patient(labels, study.patients, classes, options.test_size, options.seed)
    else:
        story.tell("images are split whoever they are of: a person may be on both sides")
        train, held_out = split.by_image(labels, classes, options.test_size, options.seed)
    story.tell(f"{len(train)} images to train on, {len(held_out)} held out, split by {kind} with seed {options.seed}")

    story.tell(f"computing features ({study.precision} for training copies, weights: {study.origin})...")
    with story.timed("forward"):
        copies = study.copies(train, options.rotations, options.seed)
        exact = study.exact(held_out)

    story.tell("training the head...")
    recipe = head.Recipe(options.epochs, options.batch_size, options.learning_rate)
    with story.timed("train the head"):
        trained = head.train(
            copies, labels[train], len(classes), recipe, options.seed, (exact, labels[held_out]), epoch_teller(options)
        )

    story.tell("evaluating on held-out images...")
    with story.timed("evaluate"):
        probabilities = head.probabilities(exact, trained.weights)
        result = evaluate(labels[held_out], probabilities, classes, options.positive, options.seed)
        for line in report.lines(result, labels[held_out], probabilities, None):
            print(line)

    story.tell("saving...")
    with story.timed("save"):
        joined = model.join(study.backbone.weights, trained.weights, options.pool)
        description = model.Description(classes, options.positive, options.pool)
        title = f"Held-out images: {len(held_out)} of {len(set(study.patients[held_out]))} patients"
        index = classes.index(options.positive)
        record = {
            "notice": "Educational software: never a diagnosis.",
            "versions": report.versions(),
            "settings": settings(options, kind),
            "base": report.base(study),
            "classes": classes,
            "train": report.images(study, train),
            "held_out": report.predictions(study, held_out, probabilities, classes),
            "patients": {"train": len(set(study.patients[train])), "held_out": len(set(study.patients[held_out]))},
            "metrics": result,
            "history": trained.history,
        }
        write_together(
            {
                options.plot: lambda path: plots.training(trained.history, "Training the head, by epoch", path),
                options.evaluation: lambda path: plots.evaluation(
                    result, probabilities[:, index], labels[held_out] == index, title, options.seed, path
                ),
                options.model: lambda path: model.save(joined, description, path),
                options.json: lambda path: report.write_json(record | {"times": story.seconds}, path),
            }
        )
    story.tell(f"wrote {', '.join(str(path) for path in outputs.values())}")
    if options.timings:
        for stage, seconds in story.seconds.items():
            print(f"{stage}: {seconds:.2f} s")
    return 0


def study_options(options: argparse.Namespace) -> dict[str, object]:
    return {
        "pool": options.pool,
        "weights_file": options.weights,
        "precision": options.precision,
        "cache_folder": options.cache,
        "no_cache": options.no_cache,
        "verbose": options.verbose,
    }


def settings(options: argparse.Namespace, kind: str) -> dict[str, object]:
    """Return what has a say in the numbers; where files lie has none."""
    names = ("epochs", "batch_size", "learning_rate", "rotations", "test_size", "pool", "positive", "seed")
    return {name: getattr(options, name) for name in names} | {"split": kind}


def epoch_teller(options: argparse.Namespace) -> object:
    def tell(epoch: int, figures: dict[str, float]) -> None:
        if not options.quiet:
            text = " - ".join(f"{name}: {value:.4f}" for name, value in figures.items())
            print(f"Epoch {epoch}/{options.epochs} - {text}", flush=True)

    return tell


if __name__ == "__main__":
    run(main)
