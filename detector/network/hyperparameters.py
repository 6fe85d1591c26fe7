"""How the tutorial's head is trained; apart, so that ``--help`` need not wait for NumPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """How the head is trained; the defaults are the tutorial's.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        At the start; after `step` steps it is learning_rate / (1 + learning_rate / epochs · step).
    """

    epochs: int = 25
    batch_size: int = 8
    learning_rate: float = 1e-3
