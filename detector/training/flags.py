"""The flags that say how a detector is trained, the same in training and in an audit."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from detector import InputError
from detector.command_line.arguments import Parser, between, whole_number
from detector.network.hyperparameters import Hyperparameters
from detector.network.poolings import POOLINGS, RECIPES

if TYPE_CHECKING:
    from detector.training.recipes import Recipe

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


def recipe_from(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the flags ask for, not yet adjusted, and fill in the defaults of those not given.

    Raises
    ------
    InputError
        If a flag is given that applies to no recipe of the run.
    """
    compare = getattr(options, "compare", None) or ""
    used = {options.recipe, compare.partition(":")[0]}
    given = [name for name in TUTORIAL if getattr(options, name) is not None]
    if "tutorial" not in used and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InputError(f"{flags} has no meaning with --recipe probe, which has no epochs or copies; leave it out")
    if "probe" not in used and options.adjust == "strata":
        raise InputError("--adjust strata needs --recipe probe: the tutorial's recipe is never adjusted")
    if "tutorial" in used:
        for name, default in TUTORIAL.items():
            setattr(options, name, default if getattr(options, name) is None else getattr(options, name))
    options.pooling = options.pooling or _usual_pooling(options.recipe, options)
    if _reads_lungs_twice(options.pooling, options):
        raise InputError("--pooling lungs needs the whole image; use --pooling global, or leave out --input lungs")
    return _recipe(options.recipe, options.pooling, options)


def compared_recipe_from(options: argparse.Namespace) -> Recipe | None:
    """Return the recipe that ``--compare`` names, not yet adjusted, or None; `recipe_from` has filled in the defaults.

    Raises
    ------
    InputError
        If it is the recipe that is trained, or cannot be evaluated with the other flags.
    """
    if options.compare is None:
        return None
    recipe, _, pooling = options.compare.partition(":")
    pooling = pooling or _usual_pooling(recipe, options)
    if _reads_lungs_twice(pooling, options):
        raise InputError(
            "--compare with lung pooling needs the whole image; use probe:global, or leave out --input lungs"
        )
    options.compare = f"{recipe}:{pooling}"
    if (recipe, pooling) == (options.recipe, options.pooling):
        raise InputError(f"--compare {options.compare} is the recipe that is trained; name another recipe or pooling")
    return _recipe(recipe, pooling, options)


def _usual_pooling(recipe: str, options: argparse.Namespace) -> str:
    """Return the pooling of a recipe where none is named."""
    if recipe == "tutorial":
        return "tutorial"
    return "global" if getattr(options, "input", "image") == "lungs" else "lungs"


def _reads_lungs_twice(pooling: str, options: argparse.Namespace) -> bool:
    """Say whether lungs would be pooled over in images that show nothing but lungs."""
    return pooling == "lungs" and getattr(options, "input", "image") == "lungs"


def _recipe(name: str, pooling: str, options: argparse.Namespace) -> Recipe:
    """Return a recipe with the settings that all recipes of a run share."""
    from detector.training.recipes import ProbeRecipe, TutorialRecipe

    balanced = options.class_weight == "balanced"
    if name == "probe":
        return ProbeRecipe(balanced=balanced, pooling=pooling)
    hyperparameters = Hyperparameters(options.epochs, options.batch_size, options.learning_rate)
    return TutorialRecipe(hyperparameters, pooling, options.rotations, balanced)
