"""Which images of an audit may be no frontal chest radiographs: named, and left out where only the lungs are read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector.audit.image_sets import ImageSets
from detector.images.raster import joined
from detector.training.dataset import (
    FeatureExtractor,
    ImplausibleImage,
    implausibilities,
    implausible_line,
    implausible_list,
    require_every_class,
)
from detector.training.recipes import Recipe


def without_implausible(
    sets: ImageSets, extractor: FeatureExtractor, recipe: Recipe
) -> tuple[ImageSets, list[ImplausibleImage]]:
    """Name images that may be no frontal chest radiographs, by training's own rule, and leave out what it would.

    Parameters
    ----------
    sets : ImageSets
    extractor : FeatureExtractor
        Opened on its data set; lungs are found in the pass that gives the features.
    recipe : TutorialRecipe or ProbeRecipe

    Returns
    -------
    sets : ImageSets
        With notes on what was left out of controls and external sets.
    implausible : list of ImplausibleImage

    Raises
    ------
    InputError
        If no image of a class of the data set is left.
    """
    named: list[ImplausibleImage] = []

    def kept(rows: np.ndarray, note: str) -> tuple[np.ndarray, str]:
        found = implausibilities(extractor, rows, extractor.lungs(rows))
        listed = implausible_list(extractor, rows, found, leave_out=recipe.pooling == "lungs")
        named.extend(listed)
        left_out = [one for one in listed if one.left_out]
        if not left_out:
            return rows, note
        left = np.array([row for row, one in zip(rows, found, strict=True) if not (one and one.rejected)], int)
        return left, joined(note, implausible_line(left_out, len(rows)))

    own, _ = kept(sets.own, "")
    require_every_class([extractor.dataset.images[row] for row in sets.own], np.isin(sets.own, own))
    controls, controls_note = kept(sets.controls, sets.controls_note)
    external, notes = {}, {}
    for name, rows in sets.external.items():
        external[name], notes[name] = kept(rows, sets.external_notes.get(name, ""))
    left = replace(sets, own=own, controls=controls, external=external, controls_note=controls_note)
    return replace(left, external_notes=notes), named
