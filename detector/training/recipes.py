"""The recipes: each says which features it reads, how many copies of an image it makes, and how it fits a head."""

from detector.network.head import TutorialRecipe
from detector.network.probe import ProbeRecipe

Recipe = TutorialRecipe | ProbeRecipe
RECIPES: dict[str, type[Recipe]] = {one.name: one for one in (TutorialRecipe, ProbeRecipe)}
