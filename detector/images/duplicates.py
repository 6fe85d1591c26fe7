"""Near duplicates: films that differ in size, format or compression only, found by their perceptual hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A hash of 16 × 16 = 256 bits. On 200 real radiographs (72 COVID-19, 38 controls, 90 normals), the nearest two of
# different patients differ by 56 bits; an image and itself as JPEG of quality 60 by at most 8, at half the size and
# cropped by 3 pixels by at most 38. With the usual 64 bits, two patients differ by as few as 4.
HASH_SIDE, NEAR_BITS = 16, 40
BLOCK = 512  # hashes that are compared with all others at a time


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the perceptual hash of an image.

    Reference: C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010); as the library
    ImageHash computes it.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8

    Returns
    -------
    str
        256 bits, hexadecimal.
    """
    import imagehash
    from PIL import Image

    return np.packbits(imagehash.phash(Image.fromarray(pixels), hash_size=HASH_SIDE).hash).tobytes().hex()


def as_words(hashes: Sequence[str]) -> np.ndarray:
    """Return hashes as numbers, shape (n, 4), uint64."""
    return np.array([np.frombuffer(bytes.fromhex(text), np.uint64) for text in hashes]).reshape(-1, 4)


def near_pairs(words: np.ndarray, left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of images, one of `left` and one of `right`, whose hashes differ by at most `NEAR_BITS`.

    Parameters
    ----------
    words : ndarray of shape (n, 4), uint64
        As `as_words` returns them.
    left, right : ndarray of int
        Which images.

    Returns
    -------
    list of (int, int)
    """
    pairs = []
    others = words[right]
    for start in range(0, len(left), BLOCK):
        rows = left[start : start + BLOCK]
        distance = np.zeros((len(rows), len(right)), np.uint16)
        for word in range(words.shape[1]):
            distance += np.bitwise_count(words[rows, word, None] ^ others[None, :, word])
        pairs += [(int(rows[i]), int(right[j])) for i, j in zip(*np.nonzero(distance <= NEAR_BITS), strict=True)]
    return pairs
