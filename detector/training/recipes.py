"""The two recipes: which features are read, which copies are made, and how a head is fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from detector.network import head, probe
from detector.network.head import Hyperparameters, TrainedHead

AfterEpoch = Callable[[int, dict[str, float]], object]


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

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        classes: Sequence[str],
        groups: np.ndarray,
        strata: np.ndarray,
        seed: int,
        held_out: tuple[np.ndarray, np.ndarray] | None,
        after_epoch: AfterEpoch,
    ) -> TrainedHead:
        """Train the tutorial's head on features (n, copies, width); neither groups nor strata have a say."""
        return head.fit(
            features, labels, len(classes), self.hyperparameters, seed, held_out, after_epoch, self.balanced
        )


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

    def fit(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        classes: Sequence[str],
        groups: np.ndarray,
        strata: np.ndarray,
        seed: int,
        held_out: tuple[np.ndarray, np.ndarray] | None,
        after_epoch: AfterEpoch,
    ) -> TrainedHead:
        """Fit the probe to features (n, 1, width); there are no epochs, and held-out images have no say."""
        return probe.fit(
            features[:, 0], labels, classes, groups, seed, strata if self.adjusted else None, self.balanced
        )


Recipe = TutorialRecipe | ProbeRecipe
