"""What one forward pass keeps, and which part of it a recipe reads under a pooling; light, for ``--help``."""

from __future__ import annotations

RECIPES = ("tutorial", "probe")
# The upper-left 4 × 4 cells of block5_pool, the means of blocks 2-5 over the whole image, and those inside the lungs.
POOLINGS = ("tutorial", "global", "lungs")
WIDTH = 3328  # of the features of an input
# The tutorial's recipe reads block 5 only.
COLUMNS = {
    ("tutorial", "tutorial"): slice(0, 512),
    ("tutorial", "global"): slice(1408, 1920),
    ("tutorial", "lungs"): slice(2816, 3328),
    ("probe", "tutorial"): slice(0, 512),
    ("probe", "global"): slice(512, 1920),
    ("probe", "lungs"): slice(1920, 3328),
}
