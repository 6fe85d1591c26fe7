"""The flags that say how a detector is trained, the same in training and in an audit."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from detector import InputError
from detector.cli.arguments import Parser, between, whole_number
from detector.network.hyperparameters import Hyperparameters
from detector.network.poolings import POOLINGS, RECIPES

if TYPE_CHECKING:
    from detector.training.options import ModelOptions

# The tutorial's own, and what they are where nothing is said.
TUTORIAL = {field.name: field.default for field in fields(Hyperparameters)} | {"rotations": 2}


def add_recipe(parser: Parser) -> None:
    """Add the flags of both recipes. Those of the tutorial's are None where they are not given."""
    model = parser.group("model")
    model.add_argument("--recipe", choices=RECIPES, default="tutorial", help="the tutorial's, or a linear probe")
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
        choices=POOLINGS,
        help="features are means over the upper left (tutorial), the whole image, or the lungs "
        "(default: tutorial; with --recipe probe: lungs)",
    )


def add_compare(parser: Parser) -> None:
    """Add the flag that names a second recipe."""
    parser.group("evaluation").add_argument(
        "--compare",
        type=recipe_name,
        metavar="RECIPE[:POOLING]",
        help="also evaluate this recipe (tutorial, probe) on the same images, split, folds and repeats, and report the "
        "difference in ROC AUC; every other flag holds for both recipes, where it applies to them",
    )


def recipe_name(text: str) -> str:
    """Parse a recipe with or without its pooling, such as ``"probe:global"``, for `argparse`."""
    recipe, colon, pooling = text.partition(":")
    if recipe not in RECIPES or (colon and pooling not in POOLINGS):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no recipe: use {' or '.join(RECIPES)}, alone or with a pooling ({', '.join(POOLINGS)}), such "
            "as probe:global"
        )
    return text


def model_options(options: argparse.Namespace, lungs_only: bool = False, compare: str | None = None) -> ModelOptions:
    """Return what the flags of `add_recipe` say, with the defaults of those not given.

    Parameters
    ----------
    options : argparse.Namespace
    lungs_only : bool
        Whether all else is masked out of the images: ``--input lungs``.
    compare : str, optional
        What ``--compare`` names, with or without a pooling.

    Returns
    -------
    ModelOptions

    Raises
    ------
    InputError
        If a flag is given that applies to no recipe of the run, or if recipe, pooling and input contradict each other.
    """
    from detector.training.options import TUTORIAL_ONLY, ModelOptions

    other, _, other_pooling = (compare or "").partition(":")
    used = {options.recipe, other}
    given = {name: value for name, value in vars(options).items() if name in TUTORIAL_ONLY and value is not None}
    if "tutorial" not in used and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in TUTORIAL_ONLY if name in given)
        raise InputError(f"{flags} has no meaning with --recipe probe, which has no epochs or copies; leave it out")
    if "probe" not in used and options.adjust == "strata":
        raise InputError("--adjust strata needs --recipe probe: the tutorial's recipe is never adjusted")
    pooling = options.pooling or _usual_pooling(options.recipe, lungs_only)
    if pooling == "lungs" and lungs_only:
        raise InputError("--pooling lungs needs the whole image; use --pooling global, or leave out --input lungs")
    compared = (other, other_pooling or _usual_pooling(other, lungs_only)) if other else None
    if compared and compared[1] == "lungs" and lungs_only:
        raise InputError(
            "--compare with lung pooling needs the whole image; use probe:global, or leave out --input lungs"
        )
    if compared == (options.recipe, pooling):
        raise InputError(
            f"--compare {':'.join(compared)} is the recipe that is trained; name another recipe or pooling"
        )
    return ModelOptions(options.recipe, pooling, options.adjust, options.class_weight, compared=compared, **given)


def _usual_pooling(recipe: str, lungs_only: bool) -> str:
    """Return the pooling of a recipe where none is named."""
    if recipe == "tutorial":
        return "tutorial"
    return "global" if lungs_only else "lungs"
