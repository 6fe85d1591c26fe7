"""Grad-CAM of a run's images: cached, since a second run needs the same maps again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.cli.output import progress
from detector.files.cache import key
from detector.network.backbone import BATCH
from detector.network.gradcam import CELLS, heat_maps
from detector.network.head import Arrays
from detector.training.extraction import FeatureExtractor

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class GradCamRequest:
    """Images and the classes whose Grad-CAM is asked for.

    Attributes
    ----------
    rows : ndarray of shape (n,), int
        Among the run's images.
    classes : ndarray of shape (n,), int
        Indices among the head's outputs.
    extra : ndarray of shape (n, k)
        Encoded clinical values; k is 0 where the head takes none.
    """

    rows: np.ndarray
    classes: np.ndarray
    extra: np.ndarray


def cached_heat_maps(
    extractor: FeatureExtractor, head: Arrays, explained: GradCamRequest, model: Callable[[], keras.Model], quiet: bool
) -> list[np.ndarray]:
    """Return the Grad-CAM of images for classes.

    Features are means of the network's maps. The maps themselves are kept of the first images of a run only, where the
    tutorial's recipe reads them; any other image whose Grad-CAM is not in the cache passes through the network again.

    Parameters
    ----------
    extractor : FeatureExtractor
    head : list of ndarray
        The head's weights: what is cached belongs to them.
    explained : GradCamRequest
    model : callable
        Returns the Keras model with this head; called only if something has to be computed.
    quiet : bool
        Show no progress.

    Returns
    -------
    list of ndarray of shape (14, 14), in [0, 1]
    """
    names = _names(extractor, head, explained)
    cache = extractor.backbone.cache
    held = {
        name: np.frombuffer(data, "<f4").reshape(CELLS, CELLS)
        for name, data in cache.get(names).items()
        if len(data) == 4 * CELLS**2
    }
    missing = np.array([i for i, name in enumerate(names) if name not in held], int)
    if len(missing):
        maps = heat_maps(model())
        kept = np.array([extractor.is_kept(explained.rows[i]) for i in missing], bool)
        batches = [
            some[start : start + BATCH]
            for some in (missing[kept], missing[~kept])
            for start in range(0, len(some), BATCH)
        ]
        for batch in progress(batches, len(batches), "Grad-CAM", quiet, "batch"):
            pixels = np.stack([extractor.pixels(row, extractor.occlusion) for row in explained.rows[batch]])
            inputs = pixels.astype(np.float32) / 255
            extra = explained.extra[batch]
            passed = extractor.kept_maps(explained.rows[batch])
            found = maps([inputs, extra] if extra.shape[1] else inputs, explained.classes[batch], passed)
            done = {names[i]: one.astype("<f4") for i, one in zip(batch, found, strict=True)}
            cache.put({name: one.tobytes() for name, one in done.items()})
            held |= done
    return [held[name] for name in names]


def _names(extractor: FeatureExtractor, head: Arrays, explained: GradCamRequest) -> Sequence[bytes]:
    """Return the names under which Grad-CAMs are cached: everything that they depend on."""
    digest = hashlib.sha256(b"".join(array.tobytes() for array in head)).hexdigest()
    part = extractor.occlusion.part if extractor.occlusion else ""
    return [
        key(
            kind="grad-cam",
            image=extractor.properties[row].digest,
            head=digest,
            columns=(extractor.columns.start, extractor.columns.stop),
            predicted=int(label),
            part=part,
            clinical=beside.tolist(),
        )
        for row, label, beside in zip(explained.rows, explained.classes, explained.extra, strict=True)
    ]
