"""Near duplicates: copies of one radiograph that were resized, compressed, cropped a little, rotated or mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import product
from typing import NamedTuple

import numpy as np

from detector.images.perceptual_hash import COUNT, WAVES, as_array, coefficients
from detector.images.registration import agreement, picture
from detector.images.variants import Variant, after_shifts
from detector.statistics.threads import one_thread

SEARCH_VERSION = 6  # raise when other pairs are found: results are kept

# Every image is compared with every other, mirrored, rotated and scaled in these steps: first the 256 slowest signs of
# their hashes, then the cosine between all coefficients; what passes both is registered. The limits were chosen
# while looking at all of the 892 frontal radiographs of docs/validation.md (make bench-duplicates).
ANGLES, SCALES = (-9.0, -4.5, 0.0, 4.5, 9.0), (0.85, 0.95, 1.05, 1.17)
BITS = 256
SAME = 0.80  # cosine from which registration need not agree: that of different patients is below 0.7
CORRELATION = 0.84  # after registration: different patients reach 0.81, nearly all copies 0.86 and more
BLOCK = 4096  # images whose variants are looked up at a time
BY_ONE_THREAD = 40_000  # pairs up to which a thread is no slower than several: 200 images with each other


class Search(NamedTuple):
    """Which pairs are registered.

    Attributes
    ----------
    shifts : sequence of (int, int)
        What is tried for copies that were cropped off centre, in pixels of 32.
    differing : int
        At most so many of 256 bits differ.
    cosine : float
        At least so large is the cosine between the coefficients.
    """

    shifts: Sequence[tuple[int, int]]
    differing: int
    cosine: float


THOROUGH = Search(list(product((-1, 0, 1), (-1, 0, 1))), 84, 0.48)
QUICK = Search([(0, 0)], 72, 0.57)
FEW = 25_000_000  # pairs up to which the search is thorough: 5,000 images with each other


class Copy(NamedTuple):
    """What one image is of another.

    Attributes
    ----------
    mirrored : bool
    angle : float
        By which it is rotated, in degrees.
    correlation : float
        Of the two pictures after registration, in -1…1.
    """

    mirrored: bool = False
    angle: float = 0.0
    correlation: float = 1.0

    def __str__(self) -> str:
        """Say it in words; empty for a copy that is neither mirrored nor rotated."""
        turned = f"rotated by about {abs(self.angle):.0f}°" if abs(self.angle) >= 2.0 else ""
        return " and ".join(word for word in ("mirrored" if self.mirrored else "", turned) if word)


def with_change(name: str, copy: Copy) -> str:
    """Return a file's name, with what kind of copy it is if it is a mirrored or a rotated one."""
    return f"{name} ({copy})" if str(copy) else name


class _Found(NamedTuple):
    """Pairs that may be copies: positions of variant and image, and the cosine between their coefficients."""

    left: np.ndarray
    right: np.ndarray
    cosine: np.ndarray


def near_any(hashes: Sequence[str], others: Sequence[str]) -> dict[int, Copy]:
    """Return the positions of hashes that are copies of any of others, with how they were changed.

    Parameters
    ----------
    hashes, others : sequence of str
        As `perceptual_hash` returns them.
    """
    if not hashes or not others:
        return {}
    copies = _copies(as_array(hashes), as_array(others), within=False)
    return {left: copy for (left, _), copy in copies.items()}


def near_pairs(hashes: Sequence[str]) -> dict[tuple[int, int], Copy]:
    """Return pairs of images that are copies of each other.

    Each is compared with every other, so that none is missed: an index that looks at fewer would miss some, since
    copies may differ in 84 bits of 256.

    Parameters
    ----------
    hashes : sequence of str
        As `perceptual_hash` returns them.

    Returns
    -------
    dict of (int, int) to Copy
        Sorted, the smaller index first. Of images with one and the same hash each is paired with the first only.
    """
    first: dict[str, int] = {}
    same = [(first.setdefault(text, position), position) for position, text in enumerate(hashes)]
    found = {pair: Copy() for pair in same if pair[0] != pair[1]}
    different = list(first.values())
    if len(different) > 1:
        codes = as_array(first)
        found |= {(different[i], different[j]): copy for (i, j), copy in _copies(codes, codes, within=True).items()}
    return dict(sorted(found.items()))


def _copies(codes: np.ndarray, others: np.ndarray, within: bool) -> dict[tuple[int, int], Copy]:
    """Return which images are copies of which others; within one set, the smaller index comes first."""
    import faiss  # noqa: F401 (before its threads are limited)

    pairs = len(codes) * len(others)
    with one_thread() if pairs <= BY_ONE_THREAD else nullcontext():
        best = _best_variants(codes, others, within, THOROUGH if pairs <= FEW else QUICK)
        found = {pair: _verified(codes[pair[0]], others[pair[1]], *how) for pair, how in best.items()}
    return {pair: copy for pair, copy in found.items() if copy is not None}


def _best_variants(
    codes: np.ndarray, others: np.ndarray, within: bool, search: Search
) -> dict[tuple[int, int], tuple[float, Variant]]:
    """Return candidates: pairs, and for each the cosine and the variant that is nearest."""
    shifts = search.shifts
    described, bits = after_shifts(shifts), _bits(others)
    best: dict[tuple[int, int], tuple[float, Variant]] = {}
    for variant in (Variant(*one, (0, 0)) for one in product((False, True), ANGLES, SCALES)):
        pictures = variant.pictures()
        for start in range(0, len(codes), BLOCK):
            values = np.linalg.multi_dot([coefficients(codes[start : start + BLOCK]), pictures, described])
            skipped = start if within else 0
            for found in _candidates(values.reshape(-1, COUNT), others[skipped:], bits[skipped:], search):
                for left, right, cosine in zip(*(one.tolist() for one in found), strict=True):
                    image, shift = divmod(left, len(shifts))
                    i, j = image + start, right + skipped
                    if (i < j or not within) and cosine > best.get((i, j), (0.0,))[0]:
                        best[i, j] = cosine, variant._replace(shift=shifts[shift])
    return best


def _candidates(values: np.ndarray, others: np.ndarray, bits: np.ndarray, search: Search) -> Iterator[_Found]:
    """Yield pairs whose bits and coefficients are near enough.

    Parameters
    ----------
    values : ndarray of shape (n, 512)
        Coefficients of variants.
    others : ndarray of shape (m, 256), uint8
        Hashes that they are compared with.
    bits : ndarray of shape (m, 32), uint8
        Of these hashes.
    search : Search
    """
    import faiss

    index = faiss.IndexBinaryFlat(BITS)
    index.add(bits)
    # The bound is exclusive.
    limits, _, right = index.range_search(np.packbits(values[:, :BITS] > 0, axis=1), search.differing + 1)
    left = np.repeat(np.arange(len(values)), np.diff(limits.astype(int)))
    norms = np.maximum(np.linalg.norm(values, axis=1), 1e-6)
    for start in range(0, len(left), BLOCK):
        i, j = left[start : start + BLOCK], right[start : start + BLOCK]
        cosine = np.einsum("nd,nd->n", values[i], coefficients(others[j])) / norms[i]
        near = cosine >= search.cosine
        yield _Found(i[near], j[near], cosine[near])


def _bits(codes: np.ndarray) -> np.ndarray:
    """Return the signs of the slowest coefficients, (n, 32), uint8."""
    parts = [codes[start : start + BLOCK, : BITS // 2] for start in range(0, len(codes), BLOCK)]
    # A level of 8 and more is a positive coefficient.
    signs = [np.stack([part >> 7, (part >> 3) & 1], axis=-1).reshape(-1, BITS) for part in parts]
    return np.concatenate([np.packbits(one, axis=1) for one in signs])


def _verified(code: np.ndarray, other: np.ndarray, cosine: float, variant: Variant) -> Copy | None:
    """Return what kind of copy a candidate is, if it is one."""
    first, second = coefficients(np.stack([code, other]))
    if variant.mirrored:
        first = first * np.where(WAVES[1] % 2, -1.0, 1.0).astype(np.float32)
    scale, start = variant.scale, variant.origins()
    # The template is the one that shows less of the chest, so that all of it is in the other, too.
    if scale >= 1.0:
        found = agreement(picture(second, scale), picture(first), start)
    else:
        found = agreement(picture(first, 1.0 / scale), picture(second), np.linalg.inv(start))
    if found.correlation >= CORRELATION:
        return Copy(variant.mirrored, found.angle, found.correlation)
    return Copy(variant.mirrored, variant.angle, found.correlation) if cosine >= SAME else None
