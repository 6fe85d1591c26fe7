"""Fine-tune a head on a frozen VGG16 to tell COVID-19 on chest radiographs, and say what the result is worth."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detector.command_line import Parser, Story, add_common, between, run, say, whole_number

if TYPE_CHECKING:
    import numpy as np

    from detector.study import Study

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
    parser.add_argument("--folds", type=whole_number(2), metavar="K", help="cross-validate, then train on everything")
    parser.add_argument("--repeats", type=whole_number(1), default=1, metavar="R", help="repeat it with other folds")
    point = parser.add_mutually_exclusive_group()
    point.add_argument("--threshold", type=between(0, 1), metavar="X", help="call positive from this probability on")
    point.add_argument("--sensitivity", type=between(0, 1), metavar="X", help="choose the threshold to reach this")
    parser.add_argument("--clinical", metavar="COLUMN,…", help="columns of manifest.csv that join the image")
    parser.add_argument("--allow-missing-shortcut", action="store_true", help="even if absence of values tells classes")
    parser.add_argument("--timings", action="store_true", help="say where the time went")
    add_common(parser, tensorflow=True)
    options = parser.parse_args(arguments)
    options.evaluation = options.evaluation or options.plot.parent / "evaluation.png"
    options.json = options.json or options.model.parent / "covid19.json"
    return options


def main(arguments: list[str] | None) -> int:
    options = parse_arguments(arguments)
    story = Story(options.quiet)

    from detector import InputError, clinical, dataset
    from detector.files import require_outputs, write_together

    outputs = {
        "--plot": options.plot,
        "--evaluation": options.evaluation,
        "--model": options.model,
        "--json": options.json,
    }
    require_outputs(outputs)
    images = dataset.load(options.dataset)
    classes, labels = images.classes, images.labels
    if options.positive not in classes:
        raise InputError(f"--positive {options.positive} is no class of {options.dataset}; it has {', '.join(classes)}")
    positive = classes.index(options.positive)
    table = [image.row for image in images.images]
    columns = [name.strip() for name in options.clinical.split(",")] if options.clinical else []
    clinical.fit(columns, table)
    if not options.allow_missing_shortcut:
        clinical.require_no_missing_shortcut(columns, table, labels)

    from detector import crossvalidation, evidence, head, model, plots, report
    from detector.evaluation import evaluate
    from detector.material import Material
    from detector.study import open_study

    study = open_study(images, story, **study_options(options))
    kind, train, held_out = choose_split(options, study, story)

    story.tell(f"computing features ({study.precision} for training copies, weights: {study.origin})...")
    with story.timed("forward"):
        material = Material(
            study.copies_of(train, options.rotations, options.seed),
            study.exact_of(held_out),
            labels,
            study.groups(kind),
            classes,
            table,
            columns,
        )

    recipe = head.Recipe(options.epochs, options.batch_size, options.learning_rate)
    threshold = options.threshold
    if options.folds:
        story.tell(f"cross-validating: {options.folds} folds, {options.repeats} times...")
        with story.timed("cross-validate"):
            found = crossvalidation.out_of_fold(
                material,
                positive,
                recipe,
                options.folds,
                options.repeats,
                options.seed,
                options.threshold,
                options.sensitivity,
                options.quiet,
            )
            result = crossvalidation.as_evaluation(found, material, positive, options.seed)
            probabilities = found.probabilities[0]
            if options.sensitivity:
                threshold = crossvalidation.threshold_for(
                    options.sensitivity, probabilities[:, positive], labels == positive
                )
    elif options.sensitivity:
        story.tell("choosing the threshold on training patients...")
        with story.timed("choose the threshold"):
            inner = study.exact_of(train)
            threshold = crossvalidation.inner_threshold(
                replace(material, exact=inner).part(train), positive, options.sensitivity, recipe, options.seed
            )

    story.tell("training the head" + (" on everything..." if options.folds else "..."))
    with story.timed("train the head"):
        judged = None if options.folds else held_out
        fitted = material.train(train, recipe, options.seed, judged, epoch_teller(options))

    story.tell("evaluating on " + ("out-of-fold predictions..." if options.folds else "held-out images..."))
    with story.timed("evaluate"):
        if not options.folds:
            probabilities = material.judge(fitted, held_out)
            result = evaluate(labels[held_out], probabilities, classes, options.positive, options.seed, threshold)
        predicted = found.predicted[0] if options.folds else None
        for line in report.lines(result, labels[held_out], probabilities, threshold, predicted):
            say(line)
        for line in report.operating_point(options.sensitivity, threshold, result, labels[held_out], probabilities):
            say(line)
        findings = evidence.gather(study, result, positive, train, held_out, material.patients, options.seed)
        print("Can this number be believed?")
        for finding in findings:
            say(f"  {finding}")

    story.tell("saving...")
    with story.timed("save"):
        joined = model.join(study.backbone.weights, fitted.training.weights, options.pool)
        description = model.Description(classes, options.positive, options.pool, threshold, fitted.columns)
        patients = len(set(study.patients[held_out]))
        title = f"Held-out images: {len(held_out)} of {patients} patients"
        if options.folds:
            title = f"{options.folds} folds: each of {len(held_out)} images, {patients} patients, judged unseen"
        record = {
            "notice": "Educational software: never a diagnosis.",
            "versions": report.versions(),
            "settings": settings(options, kind),
            "base": report.base(study),
            "classes": classes,
            "train": report.images(study, train),
            "held_out": report.predictions(study, held_out, probabilities, classes),
            "patients": {"train": len(set(study.patients[train])), "held_out": patients},
            "threshold": threshold,
            "metrics": result,
            "believed": findings,
            "history": fitted.training.history,
        }
        write_together(
            {
                options.plot: plots.training(fitted.training.history, "Training the head, by epoch"),
                options.evaluation: plots.evaluation(
                    result, probabilities[:, positive], labels[held_out] == positive, title, options.seed
                ),
                options.model: model.as_file(joined, description, options.model.suffix),
                options.json: report.as_json(record | {"times": story.seconds}),
            }
        )
    story.tell(f"wrote {', '.join(str(path) for path in outputs.values())}")
    if options.timings:
        for stage, seconds in story.seconds.items():
            print(f"{stage}: {seconds:.2f} s")
    return 0


def choose_split(options: argparse.Namespace, study: Study, story: Story) -> tuple[str, np.ndarray, np.ndarray]:
    """Return what is kept whole, and the images to train on and to judge by: all of both where folds are asked for."""
    import numpy as np

    from detector import split

    dataset, labels = study.dataset, study.dataset.labels
    known = sum(image.patient is not None for image in dataset.images)
    kind = options.split or ("patient" if known else "image")
    if kind == "patient":
        story.tell(split.describe_patients(known, len(labels), len(set(study.patients))))
    else:
        story.tell("images are split whoever they are of: a person may be on both sides")
    if options.folds:
        # Drawn here only to say before the long work that they cannot be.
        split.folds(labels, study.groups(kind), dataset.classes, options.folds, options.seed)
        everything = np.arange(len(labels))
        return kind, everything, everything
    if kind == "patient":
        train, held_out = split.by_patient(labels, study.patients, dataset.classes, options.test_size, options.seed)
    else:
        train, held_out = split.by_image(labels, dataset.classes, options.test_size, options.seed)
    story.tell(f"{len(train)} images to train on, {len(held_out)} held out, split by {kind} with seed {options.seed}")
    return kind, train, held_out


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
    names += ("folds", "repeats", "threshold", "sensitivity", "clinical", "allow_missing_shortcut")
    return {name: getattr(options, name) for name in names} | {"split": kind}


def epoch_teller(options: argparse.Namespace) -> object:
    def tell(epoch: int, figures: dict[str, float]) -> None:
        if not options.quiet:
            text = " - ".join(f"{name}: {value:.4f}" for name, value in figures.items())
            print(f"Epoch {epoch}/{options.epochs} - {text}", flush=True)

    return tell


if __name__ == "__main__":
    run(main)
