"""The flags that say how a detector is trained, the same in training and in an audit."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from detector import InputError
from detector.command_line.arguments import Parser, between, whole_number
from detector.network.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from detector.training.recipes import Recipe

# The tutorial's own, and what they are where nothing is said.
TUTORIAL = {field.name: field.default for field in fields(Hyperparameters)} | {"rotations": 2}


def add_recipe(parser: Parser) -> None:
    """Add the flags of both recipes. Those of the tutorial's are None where they are not given."""
    model = parser.group("model")
    model.add_argument(
        "--recipe", choices=["tutorial", "probe"], default="tutorial", help="the tutorial's, or a linear probe"
    )
    model.add_argument(
        "--adjust",
        choices=["auto", "strata", "none"],
        default="auto",
        help="probe: fit within site and view (strata), or across; auto: within, where they hold two classes",
    )
    model.add_argument(
        "--class-weight", choices=["balanced", "none"], default="balanced", help="weigh classes equally, or images"
    )
    for flag, kind, metavar, what in (
        ("--epochs", whole_number(1), "N", "passes over the images"),
        ("--batch-size", whole_number(1), "N", "images a training step"),
        ("--learning-rate", between(0, 1), "X", "Adam's, at the start"),
        ("--rotations", whole_number(0), "K", "rotated copies an image"),
    ):
        default = TUTORIAL[flag[2:].replace("-", "_")]
        model.add_argument(flag, type=kind, metavar=metavar, help=f"tutorial: {what} (default: {default})")
    model.add_argument(
        "--pooling",
        choices=["tutorial", "global", "lungs"],
        help="features are means over the upper left (tutorial), the whole image, or the lungs "
        "(default: tutorial; with --recipe probe: lungs)",
    )


def recipe_from(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the flags ask for, not yet adjusted, and fill in the tutorial's defaults.

    Raises
    ------
    InputError
        If a flag of one recipe is given with the other.
    """
    from detector.training.recipes import ProbeRecipe, TutorialRecipe

    given = [name for name in TUTORIAL if getattr(options, name) is not None]
    if options.recipe == "probe" and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{flags} has no meaning with --recipe probe, which has no epochs or copies; leave it out")
    if options.recipe == "tutorial" and options.adjust == "strata":
        raise InputError("--adjust strata needs --recipe probe: the tutorial's recipe is never adjusted")
    balanced = options.class_weight == "balanced"
    lungs_only = getattr(options, "input", "image") == "lungs"
    if lungs_only and options.pooling == "lungs":
        raise InputError("--pooling lungs needs the whole image; use --pooling global, or leave out --input lungs")
    if options.pooling is None:
        probe = "global" if lungs_only else "lungs"
        options.pooling = probe if options.recipe == "probe" else "tutorial"
    if options.recipe == "probe":
        return ProbeRecipe(balanced=balanced, pooling=options.pooling)
    for name, default in TUTORIAL.items():
        setattr(options, name, default if getattr(options, name) is None else getattr(options, name))
    hyperparameters = Hyperparameters(options.epochs, options.batch_size, options.learning_rate)
    return TutorialRecipe(hyperparameters, options.pooling, options.rotations, balanced)
