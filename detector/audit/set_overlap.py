"""Which controls and external images a model has seen: they are named and left out, since they prove nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from detector.audit.image_sets import ImageSets
from detector.datasets.identity import find_overlap
from detector.images.duplicates import Copy, near_any
from detector.images.inspect import ImageProperties
from detector.images.phantom import SOURCE as PHANTOM
from detector.network.model_file import TrainingImages, shortened

LEFT_OUT = "left out, since they would make this result invalid"


def without_overlap(
    sets: ImageSets,
    properties: Sequence[ImageProperties],
    near_duplicates: Mapping[tuple[int, int], Copy],
    trained: TrainingImages | None = None,
) -> ImageSets:
    """Leave out controls that are in the data set, and external images that are there or were trained on.

    Phantoms resemble each other more than people do: of two phantoms, only the same file counts.

    Parameters
    ----------
    sets : ImageSets
    properties : sequence of ImageProperties
        Of all images.
    near_duplicates : mapping of (int, int) to Copy
        Near duplicates among all images, as `near_duplicates.find_near_duplicates` returns them.
    trained : TrainingImages, optional
        Those of the saved model, which external images are compared with, too.

    Returns
    -------
    ImageSets
        With notes on what was left out.
    """
    trained = trained or TrainingImages()
    images = sets.dataset.images
    own = [images[row] for row in sets.own]
    digests = {shortened(properties[row].digest) for row in sets.own}
    mine = set(sets.own.tolist())
    copies = {one: copy for pair, copy in near_duplicates.items() for one, other in (pair, pair[::-1]) if other in mine}

    def kept(rows: np.ndarray, seen: TrainingImages, where: str) -> tuple[np.ndarray, str]:
        given = [images[row] for row in rows]
        looked = [i for i, row in enumerate(rows) if properties[row].hash and images[row].source != PHANTOM]
        near = near_any([properties[rows[i]].hash for i in looked], seen.known_hashes)
        changes = {looked[position]: str(copy) for position, copy in near.items()}
        changes |= {i: str(copies[rows[i]]) for i in looked if rows[i] in copies}
        found = find_overlap(
            given,
            [shortened(properties[row].digest) for row in rows],
            own,
            digests | set(seen.digests),
            changes,
        )
        left = np.array([row for i, row in enumerate(rows) if i not in found.reasons], int)
        note = found.describe(given, where)
        return left, f"{LEFT_OUT}: {note}" if note else ""

    controls, note = kept(sets.controls, TrainingImages(), "the data set")
    external, notes = {}, {}
    for name, rows in sets.external.items():
        external[name], notes[name] = kept(rows, trained, "the training set")
    return replace(sets, controls=controls, external=external, controls_note=note, external_notes=notes)


def without_hashes(trained: TrainingImages) -> str:
    """Return what to say of a model file that was written before hashes of mirrored and rotated copies; or nothing."""
    if not trained.digests or trained.known_hashes:
        return ""
    return (
        "the model file is of an earlier version: external images are compared with its training images by file, not "
        "for near duplicates; train the model again to compare both"
    )


def notes(sets: ImageSets) -> list[str]:
    """Return a sentence for each folder that holds images which were left out."""
    named = [("--controls", sets.controls_note)]
    named += [(f"--external {name}", note) for name, note in sets.external_notes.items()]
    return [f"{name}: {note}" for name, note in named if note]
