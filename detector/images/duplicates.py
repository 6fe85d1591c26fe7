"""Near duplicates: images that differ in size, format or compression only, found by their perceptual hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# A hash of 16 × 16 = 256 bits. On 200 real radiographs (72 COVID-19, 38 controls, 90 normals), the nearest two of
# different patients differ by 56 bits; an image and itself as JPEG of quality 60 by at most 8, at half the size and
# cropped by 3 pixels by at most 38. With the usual 64 bits, two patients differ by as few as 4.
HASH_SIDE, NEAR_BITS = 16, 40
BLOCK = 4096  # hashes that are looked up at a time


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


def near_any(hashes: Sequence[str], others: Sequence[str]) -> set[int]:
    """Return the positions of hashes that differ from any of others by at most `NEAR_BITS`."""
    if not hashes or not others:
        return set()
    import faiss

    index = faiss.IndexBinaryFlat(HASH_SIDE**2)
    index.add(_codes(others))
    distances, _ = index.search(_codes(hashes), 1)
    return set(np.flatnonzero(distances[:, 0] <= NEAR_BITS).tolist())


def _codes(hashes: Iterable[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, HASH_SIDE**2 // 8)


def near_pairs(hashes: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of images whose hashes differ by at most `NEAR_BITS`.

    Each is compared with every other, so that none is missed: faiss' flat index does 10⁹ comparisons in two seconds
    (docs/cluster.md). An index that looks at fewer would miss some, since 40 bits of 256 are far.

    Parameters
    ----------
    hashes : sequence of str
        As `perceptual_hash` returns them.

    Returns
    -------
    list of (int, int)
        Sorted, the smaller index first. Of images with one and the same hash each is paired with the first only.
    """
    import faiss

    first: dict[str, int] = {}
    same = [(first.setdefault(text, position), position) for position, text in enumerate(hashes)]
    pairs = [pair for pair in same if pair[0] != pair[1]]
    different = np.array(list(first.values()), int)
    codes = _codes(first)
    index = faiss.IndexBinaryFlat(HASH_SIDE**2)
    index.add(codes)
    for start in range(0, len(codes), BLOCK):
        # The bound is exclusive.
        limits, _, found = index.range_search(codes[start : start + BLOCK], NEAR_BITS + 1)
        left = np.repeat(np.arange(len(limits) - 1) + start, np.diff(limits.astype(int)))
        once = left < found
        pairs += zip(different[left[once]].tolist(), different[found[once]].tolist(), strict=True)
    return sorted((min(pair), max(pair)) for pair in pairs)
