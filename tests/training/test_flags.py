"""Flags of a recipe: defaults of each, and flags that have no meaning with the other."""

from __future__ import annotations

import pytest
from conftest import refusal

from detector.command_line.arguments import Parser
from detector.network.hyperparameters import Hyperparameters
from detector.training import flags
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def recipe(*arguments: str, **others: str):
    """Return the recipe that flags ask for; `others` are flags of a script, such as ``input``."""
    parser = Parser("Train.", "train")
    flags.add_recipe(parser)
    options = parser.parse_args(arguments)
    for name, value in others.items():
        setattr(options, name, value)
    return flags.recipe_from(options)


def test_without_flags_the_recipe_is_the_tutorials():
    assert recipe() == TutorialRecipe(Hyperparameters(25, 8, 1e-3), "tutorial", 2, True)
    assert recipe("--epochs", "3", "--rotations", "0", "--class-weight", "none") == TutorialRecipe(
        Hyperparameters(3, 8, 1e-3), "tutorial", 0, False
    )


def test_a_probe_pools_inside_the_lungs_unless_they_are_the_input():
    assert recipe("--recipe", "probe") == ProbeRecipe(balanced=True, pooling="lungs")
    assert recipe("--recipe", "probe", input="lungs").pooling == "global"
    assert recipe("--recipe", "probe", "--pooling", "global").pooling == "global"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--recipe", "probe", "--epochs", "3", "--batch-size", "4"), "--epochs, --batch-size has no meaning with"),
        (("--adjust", "strata"), "--adjust strata needs --recipe probe"),
        (("--pooling", "lungs"), "--pooling lungs needs the whole image; use --pooling global, or leave out --input"),
    ],
)
def test_flags_that_contradict_each_other_are_rejected(arguments, said):
    with refusal(said):
        recipe(*arguments, input="lungs")
