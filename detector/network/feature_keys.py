"""Under which keys the cache holds features and lung masks: everything that they depend on."""

from __future__ import annotations

from detector.files.cache import key
from detector.images.masks import NetworkInput
from detector.images.radiographs import READER_VERSION
from detector.network import lung_decoder
from detector.network.poolings import WIDTH
from detector.network.weights import DIGEST

# By precision. Raise when a feature changes for the same input: cached ones of the old kind must never be met again.
FEATURES_VERSION = {"float32": 4, "bfloat16": 5}


def feature_key(one: NetworkInput, precision: str) -> bytes:
    """Return the key of the features of an input."""
    return key(
        kind="feature",
        image=one.digest,
        angle=one.angle,
        occlusion=one.occlusion,
        weights=DIGEST,
        decoder=lung_decoder.DIGEST,
        precision=precision,
        versions=(READER_VERSION, FEATURES_VERSION[precision]),
    )


def lungs_key(digest: str, angle: float = 0.0, precision: str = "float32") -> bytes:
    """Return the key of the lung mask of an image, rotated or not."""
    copy = {"copy": (angle, precision)} if angle or precision != "float32" else {}
    return key(kind="lungs", image=digest, weights=DIGEST, decoder=lung_decoder.DIGEST, version=READER_VERSION, **copy)


def is_features(data: bytes) -> bool:
    """Return whether bytes can be the features of an input."""
    return len(data) == 4 * WIDTH
