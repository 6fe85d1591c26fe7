"""The two recipes: which features are read, which copies are made, and how a head is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detector.network import head, probe
from detector.network.head import AfterEpoch, TrainedHead, TrainingSet

Validation = tuple[np.ndarray, np.ndarray]  # features (m, width) and labels (m,) of held-out images


@dataclass(frozen=True)
class TutorialRecipe:
    """A small network on VGG16's last map, trained for some epochs on rotated copies.

    Attributes
    ----------
    pooling : {"tutorial", "global", "lungs"}
    balanced : bool
        Let the classes count equally.
    rotations : int
        Copies of each image; 0 for the image as it is. One is as good as more: 80 v 80 images of NIH's, five seeds of
        5 folds × 2, ROC AUC 0.830 with one, 0.828 with two, 0.832 with none.
    epochs, batch_size, learning_rate
        As in the tutorial.
    """

    pooling: str = "tutorial"
    balanced: bool = True
    rotations: int = 1
    epochs: int = 25
    batch_size: int = 8
    learning_rate: float = 1e-3
    name = "tutorial"

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Train the tutorial's head; groups and strata are not used."""
        how = self.epochs, self.batch_size, self.learning_rate
        return head.fit(data, seed, held_out, after_epoch, self.balanced, *how)


@dataclass(frozen=True)
class ProbeRecipe:
    """One linear layer on four blocks of the same pass, fitted by logistic regression.

    Attributes
    ----------
    pooling : {"tutorial", "global", "lungs"}
    balanced : bool
        Let the classes count equally.
    adjust : {"auto", "strata", "none"}
        Whether a fit compares within strata only; auto: where every class shares one with another.
    """

    pooling: str = "lungs"
    balanced: bool = True
    adjust: str = "auto"
    name = "probe"
    rotations = 0

    def fit(self, data: TrainingSet, seed: int, held_out: Validation | None, after_epoch: AfterEpoch) -> TrainedHead:
        """Fit the probe; there are no epochs, and held-out images are not used."""
        return probe.fit(data, seed, self.adjust, self.balanced)


Recipe = TutorialRecipe | ProbeRecipe
RECIPES: dict[str, type[Recipe]] = {one.name: one for one in (TutorialRecipe, ProbeRecipe)}
