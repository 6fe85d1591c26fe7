"""The two recipes: which features are read, which copies are made, and how a head is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detector.network import head, probe
from detector.network.head import AfterEpoch, Hyperparameters, TrainedHead, TrainingSet

Validation = tuple[np.ndarray, np.ndarray]  # features (m, width) and labels (m,) of held-out images


@dataclass(frozen=True)
class TutorialRecipe:
    """A small network on VGG16's last map, trained for some epochs on rotated copies.

    Attributes
    ----------
    hyperparameters : Hyperparameters
    pooling : {"tutorial", "global", "lungs"}
    rotations : int
        Copies of each image.
    balanced : bool
        Let the classes count equally.
    """

    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    pooling: str = "tutorial"
    rotations: int = 2
    balanced: bool = True
    name = "tutorial"
    adjusted = False

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Train the tutorial's head; groups and strata are not used."""
        return head.fit(data, self.hyperparameters, seed, held_out, after_epoch, self.balanced)


@dataclass(frozen=True)
class ProbeRecipe:
    """One linear layer on four blocks of the same pass, fitted by logistic regression.

    Attributes
    ----------
    pooling : {"tutorial", "global", "lungs"}
    adjusted : bool
        Compare within strata only.
    balanced : bool
        Let the classes count equally.
    """

    adjusted: bool = False
    balanced: bool = True
    pooling: str = "lungs"
    name = "probe"
    rotations = 0

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Fit the probe; there are no epochs, and held-out images are not used."""
        return probe.fit(data, seed, self.adjusted, self.balanced)


Recipe = TutorialRecipe | ProbeRecipe
