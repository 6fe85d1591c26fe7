"""Whether Grad-CAM lies where radiologists drew boxes: Grad-CAM of held-out images against boxes and lungs.

References: J. Zhang, S. A. Bargal, Z. Lin et al., "Top-Down Neural Attention by Excitation Backprop", International
Journal of Computer Vision 126 (2018), section 4.1 (the pointing game); for the comparison of saliency maps with boxes
of radiologists: A. Saporta, X. Gui, A. Agrawal et al., Nature Machine Intelligence 4 (2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector import counted
from detector.audit.checks import NOT_ASSESSED, PASS, WARN, Check
from detector.audit.context import Audit
from detector.cli.output import progress
from detector.datasets.dataset import boxes_of
from detector.images.lungs import describe
from detector.images.masks import Rectangle, boxed, read_mask, share_inside
from detector.statistics.intervals import means, proportion
from detector.statistics.metric import FEWEST, Metric

ID = "localisation"
POINTING, IN_BOXES, IN_LUNGS = "pointing_game", "saliency_in_boxes", "saliency_in_lungs"
TITLES = {
    POINTING: "maximum in a box",
    IN_BOXES: "saliency in boxes",
    IN_LUNGS: "saliency in the lungs",
}


@dataclass(frozen=True)
class LocatedMap:
    """An image, and where its Grad-CAM lies."""

    row: int  # among the audit's images
    boxes: tuple[Rectangle, ...]
    heat: np.ndarray  # (14, 14), in [0, 1]
    in_boxes: float  # share of the positive saliency
    random: float  # share of the lungs that lies in boxes: the probability that a random point of them hits one
    lungs: np.ndarray  # (14, 14), share of each cell that they fill: its mean is the probability of a random point


@dataclass(frozen=True)
class Localisation:
    """Where Grad-CAM lies in correctly predicted images of the positive class with boxes and lungs.

    Metrics are `POINTING`, `IN_BOXES` and `IN_LUNGS`: what is ``"found"``, what the ``"others"``, the other images'
    maps, and a ``"random"`` point get, and the paired ``"difference"`` from the other maps. The random point is one of
    the lungs, beside the third one of the image. They are empty where nothing can be said, for a reason.
    """

    images: list[LocatedMap]
    metrics: dict[str, dict[str, Metric]]
    reason: str = ""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the metrics as they stand in a JSON file, or the reason why there are none."""
        return {**(self.metrics or {"reason": self.reason}), "notes": self.notes}


def localise(audit: Audit) -> Localisation:
    """Compare Grad-CAM with boxes and lungs, of correctly predicted images of the positive class that have boxes.

    Each image's map is of the head that did not train on it, in the first repeat.
    """
    own, drawn = audit.sets.own, [boxes_of(image) for image in audit.own_images]
    with_boxes = np.flatnonzero(audit.is_positive(own) & np.array([bool(boxes) for boxes in drawn]))
    if not len(with_boxes):
        return Localisation([], {}, f"no image of {audit.sets.positive} has boxes (column boxes of the manifest)")
    chosen = with_boxes[audit.validated.predictions.predicted[0][with_boxes] == 0]
    paths = [audit.extractor.dataset.images[row].path for row in own[chosen]]
    unmasked = [row for row, path in zip(own[chosen], paths, strict=True) if path not in audit.masks]
    lungs = audit.extractor.lungs(unmasked)
    masks = (read_mask(audit.masks[path]) if path in audit.masks else next(lungs) for path in paths)
    found = {one: mask for one, mask in zip(chosen.tolist(), masks, strict=True) if describe(mask).found}
    notes: tuple[str, ...] = ()
    if len(found) < len(chosen):
        notes = (f"leaves out {counted(len(chosen) - len(found), 'image')}: no lungs were found",)
    if len(found) < FEWEST:
        few = counted(len(found), "correctly predicted image")
        return Localisation([], {}, f"{few} with boxes and lungs; at least {FEWEST} needed", notes)
    heats = fold_heat_maps(audit, np.array([*found]))
    located = [locate(int(own[one]), drawn[one], heats[one], mask) for one, mask in found.items()]
    if blind := sum(one.heat.max() <= 0 for one in located):
        notes = (*notes, f"{counted(blind, 'image')} without positive saliency: counted as misses")
    patients = audit.extractor.patients[[one.row for one in located]]
    return Localisation(located, compare(located, patients, audit.options.seed), "", notes)


def locate(row: int, boxes: tuple[Rectangle, ...], heat: np.ndarray, lungs: np.ndarray) -> LocatedMap:
    """Return where a Grad-CAM (14, 14) lies, given the lungs (224, 224), not empty."""
    region, cells = boxed(boxes), _cells(lungs, len(heat))
    return LocatedMap(row, boxes, heat, share_inside(heat, region), float(region[lungs].mean()), cells)


def _cells(region: np.ndarray, cells: int) -> np.ndarray:
    """Return the share of each cell that a region fills, shape (cells, cells)."""
    side = len(region) // cells
    return region.reshape(cells, side, cells, side).mean(axis=(1, 3))


def compare(located: Sequence[LocatedMap], patients: np.ndarray, seed: int) -> dict[str, dict[str, Metric]]:
    """Return each metric beside what the maps of the other images get on this one, and what a random point gets.

    A map that is the same in every image finds no box of this image in particular, however often it lies in one: it
    gets what the others get. The seed is of the bootstrap over patients, (n,).
    """
    maps = np.array([one.heat.ravel() for one in located])
    speaks = maps.max(axis=1) > 0
    maxima = np.eye(maps.shape[1])[maps.argmax(axis=1)] * speaks[:, None]
    saliency = maps / np.where(speaks, maps.sum(axis=1), 1.0)[:, None]
    cells = len(located[0].heat)
    hits = np.array([boxed(one.boxes, cells).ravel() for one in located], float)
    boxes = np.array([_cells(boxed(one.boxes), cells).ravel() for one in located])
    lungs, random = np.array([one.lungs.ravel() for one in located]), np.array([one.random for one in located])
    found: dict[str, dict[str, Metric]] = {}
    for name, regions, shown, chance in (
        (POINTING, hits, maxima, random),
        (IN_BOXES, boxes, saliency, random),
        (IN_LUNGS, lungs, saliency, lungs.mean(axis=1)),
    ):
        inside = regions @ shown.T  # of each image's region (rows), the share of each image's map (columns)
        own = np.diagonal(inside)
        others = (inside.sum(axis=1) - own) / (len(located) - 1)
        values = {"found": own, "others": others, "random": chance, "difference": own - others}
        found[name] = means(values, patients, seed)
        if name == POINTING:
            found[name]["found"] = proportion(own, patients)
    return found


CONDITION = "warns where a map's maximum is not shown to lie in its own image's boxes more often than the other maps'"


def check(found: Localisation, pooling: str) -> Check:
    """Check whether the maximum of Grad-CAM lies in boxes more often than the maxima of the other images do."""
    pointing = found.metrics.get(POINTING, {})
    if not pointing or not pointing["difference"].available:
        reason = found.reason or f"difference from the other images' maps: {pointing['difference'].reason}"
        return Check(ID, NOT_ASSESSED, reason, "", CONDITION)
    difference = pointing["difference"]
    numbers = (
        f"maximum in a box {pointing['found'].value_text}, of other images' maps {pointing['others'].value_text}, "
        f"difference {difference.short}; random point of the lungs {pointing['random'].value_text}"
    )
    if difference.low > 0:
        return Check(ID, PASS, f"Grad-CAM follows the boxes: {numbers}", "", CONDITION)
    advice = "See the example images in the report for where Grad-CAM lies instead."
    if pooling == "tutorial":
        advice = "Use --pooling global or lungs: the tutorial's pooling reads the upper left of the image."
    return Check(ID, WARN, f"Grad-CAM is not shown to follow the boxes: {numbers}", advice, CONDITION)


def fold_heat_maps(audit: Audit, positions: np.ndarray) -> dict[int, np.ndarray]:
    """Return Grad-CAM for the positive class, of the head of the fold that held each image out in the first repeat.

    By position among the data set's images; each map is (14, 14), in [0, 1].
    """
    found: dict[int, np.ndarray] = {}
    folds = audit.validated.predictions.folds[0][positions]
    present = np.unique(folds)
    for fold in progress(present, len(present), "Grad-CAM", audit.extractor.log.quiet, "fold"):
        inside = positions[folds == fold]
        rows, classes = audit.sets.own[inside], np.zeros(len(inside), int)
        maps = audit.extractor.heat_maps(audit.validated.heads[fold], rows, classes)
        found |= dict(zip(inside.tolist(), maps, strict=True))
    return found
