"""The small images of a report, cached: a second run need not decode radiographs of many megapixels for them."""

from __future__ import annotations

from collections.abc import Sequence

from detector.files.cache import key
from detector.images.read import READER_VERSION
from detector.network import lungs as lung_decoder
from detector.reports.html_report import QUALITY, SIDE, jpeg, jpeg_uri
from detector.training.dataset import FeatureExtractor


def image_uris(extractor: FeatureExtractor, rows: Sequence[int]) -> list[str]:
    """Return images as a run's network sees them, small, each as an address that holds it.

    Parameters
    ----------
    extractor : FeatureExtractor
    rows : sequence of int
        Among the run's images.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If an image has changed since the run has read it.
    """
    cache = extractor.backbone.cache
    hidden = (extractor.occlusion.part, lung_decoder.DIGEST) if extractor.occlusion else ()
    look = {"hidden": hidden, "side": SIDE, "quality": QUALITY, "version": READER_VERSION}
    names = [key(kind="thumbnail", image=extractor.properties[row].digest, **look) for row in rows]
    held = cache.get(names)
    new = {
        name: jpeg(extractor.pixels(row, extractor.occlusion))
        for name, row in zip(names, rows, strict=True)
        if name not in held
    }
    if new:
        cache.put(new)
    return [jpeg_uri((held | new)[name]) for name in names]
