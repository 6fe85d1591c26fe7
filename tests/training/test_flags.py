"""Flags of a recipe: defaults of each, and flags that have no meaning with the other."""

from __future__ import annotations

import pytest
from conftest import rejection

from detector.cli.arguments import Parser
from detector.network.head import Hyperparameters
from detector.training import options as training_options
from detector.training.options import ModelOptions
from detector.training.recipes import ProbeRecipe, TutorialRecipe


def options(*arguments: str, lungs_only: bool = False, compare: str | None = None) -> ModelOptions:
    parser = Parser("Train.", "train")
    training_options.add_recipe(parser)
    return training_options.model_options(parser.parse_args(arguments), lungs_only, compare)


def recipe(*arguments: str, lungs_only: bool = False):
    return options(*arguments, lungs_only=lungs_only).trained_recipe()


def test_without_flags_the_recipe_is_the_tutorials():
    assert recipe() == TutorialRecipe(Hyperparameters(25, 8, 1e-3), "tutorial", 2, True)
    assert recipe("--epochs", "3", "--rotations", "0", "--class-weight", "none") == TutorialRecipe(
        Hyperparameters(3, 8, 1e-3), "tutorial", 0, False
    )


def test_a_probe_pools_inside_the_lungs_unless_they_are_the_input():
    assert recipe("--recipe", "probe") == ProbeRecipe(balanced=True, pooling="lungs")
    assert recipe("--recipe", "probe", lungs_only=True).pooling == "global"
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
    with rejection(said):
        recipe(*arguments, lungs_only=True)


@pytest.mark.parametrize(
    ("arguments", "compare", "said"),
    [
        (("--recipe", "probe"), "probe:lungs", "--compare with lung pooling needs the whole image"),
        (("--recipe", "probe"), "probe", "--compare probe:global is the recipe that is trained"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_rejected(arguments, compare, said):
    with rejection(said):
        options(*arguments, lungs_only=True, compare=compare)


def test_a_compared_recipe_shares_all_settings_but_its_pooling():
    found = options("--recipe", "probe", "--epochs", "4", "--class-weight", "none", compare="tutorial")
    assert found.trained_recipe() == ProbeRecipe(balanced=False, pooling="lungs")
    assert found.compared_recipe() == TutorialRecipe(Hyperparameters(4, 8, 1e-3), "tutorial", 2, False)
    assert options().compared_recipe() is None
    assert options(compare="probe").compared == ("probe", "lungs")


def test_parsing_leaves_the_namespace_as_it_is():
    parser = Parser("Train.", "train")
    training_options.add_recipe(parser)
    given = parser.parse_args([])
    before = dict(vars(given))
    training_options.model_options(given)
    assert vars(given) == before
