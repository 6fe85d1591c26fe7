"""Near duplicates: copies of one radiograph that were resized, compressed, cropped a little, turned or inverted.

Each image has a hash, from which it can be turned and scaled roughly. So changed, it is compared with all others; the
pixels of what is nearest are laid over each other; and images that agree form a group, of which two are never compared
again. All limits were chosen while looking at the 903 frontal radiographs of docs/validation.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np

from detector.cli.output import progress
from detector.statistics.strata import one_thread

SEARCH_VERSION = 8  # raise when other groups are found: results are kept
NOT_SEARCHED = "copies rotated by 11° to 79°, or cropped, enlarged or framed by more than 15 %, are not searched for"

SIDE = 32  # pixels of the picture that is hashed
SLOWEST = 3.0  # half waves of a side: what changes more slowly is exposure and outline, alike in all patients
COUNT, LEVELS = 256, 16  # coefficients, and the values that each may have: 4 bits
WIDEST = 2.5  # standard deviations that the levels reach to
RADIUS = 0.45  # of the disc that is hashed, in sides: a rotation changes the corners
LOCAL = 0.04  # standard deviation of the blur that is subtracted, in sides
NOISE = 3.0  # grey values: a local contrast below it is not amplified
BLOCK = 256  # images that are looked up at a time
FEW = 25_000_000  # pairs up to which the search is thorough: 5,000 images with each other
TRIES = 5  # groups that an image is compared with in vain

# Sides in pixels, steps, and the correlation of local detail that pixels need to be compared further, from coarse to
# fine: in the last, noise and small vessels of two patients differ. Two patients reach 0.93 there, other radiographs of
# one patient 0.935 and phantoms 0.941; copies mostly reach 0.97, but less where they have lost detail.
PYRAMID = ((32, 10, 0.80), (64, 6, 0.90), (128, 4, 0.945))
COMPARED = 0.4  # radius of the disc that is compared, in sides
COVERED = 0.25  # of that disc, at least: what lies on each other
CONVERGED = 5e-4  # change of the map, in sides
SOFT = 0.8  # pixels: deviation of the blur before slopes are measured


class Copy(NamedTuple):
    """What one image is of another: mirrored first, then rotated by an angle in degrees; correlation in -1…1."""

    mirrored: bool = False
    angle: float = 0.0
    correlation: float = 1.0
    negative: bool = False

    def __str__(self) -> str:
        """Say it in words; empty for a copy that is neither inverted, mirrored nor rotated."""
        turned = f"rotated by about {abs(self.angle):.0f}°" if abs(self.angle) >= 2.0 else ""
        words = ("negative" if self.negative else "", "mirrored" if self.mirrored else "", turned)
        return " and ".join(word for word in words if word)

    def then(self, other: Copy) -> Copy:
        """Return what a copy of this copy is of the original."""
        angle = other.angle + (-self.angle if other.mirrored else self.angle)
        agreement = min(self.correlation, other.correlation)
        negative = self.negative != other.negative
        return Copy(self.mirrored != other.mirrored, (angle + 180) % 360 - 180, agreement, negative)

    def inverse(self) -> Copy:
        """Return what the original is of this copy."""
        return self if self.mirrored else self._replace(angle=-self.angle)


def with_change(name: str, copy: Copy) -> str:
    """Return a file's name, with what kind of copy it is if it is a changed one."""
    return f"{name} ({copy})" if str(copy) else name


def disc(radius: float, soft: float, side: int = SIDE) -> np.ndarray:
    """Return a disc that fades out within `soft` around a radius, in sides; shape (side, side), in 0…1."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip((radius + soft / 2 - np.hypot(y, x) / side) / soft, 0.0, 1.0).astype(np.float32)


def local_detail(grey: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return an image without its slow changes of brightness, its local contrast made equal, (side, side), float32."""
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    fast = cv2.subtract(small, cv2.GaussianBlur(small, (0, 0), LOCAL * side))
    contrast = np.sqrt(cv2.GaussianBlur(cv2.multiply(fast, fast), (0, 0), 2 * LOCAL * side))
    return np.asarray(fast / (contrast + NOISE), np.float32)


def _basis() -> np.ndarray:
    """Return the cosines of the slowest waves that are no exposure, each times its frequency, (256, 1024)."""
    cosines = np.asarray(cv2.dct(np.eye(SIDE, dtype=np.float32), flags=cv2.DCT_ROWS), np.float32).T
    speeds = np.hypot(*np.mgrid[:SIDE, :SIDE]).ravel()
    chosen = np.argsort(np.where(speeds < SLOWEST, np.inf, speeds), kind="stable")[:COUNT]
    return np.asarray(np.kron(cosines, cosines)[chosen] * speeds[chosen, None], np.float32)


BASIS, DISC = _basis(), disc(RADIUS, 0.1)


def _described(pictures: np.ndarray) -> np.ndarray:
    """Return the coefficients of pictures, (32, 32, n), as rows of norm 1, (n, 256)."""
    values = (pictures.reshape(SIDE, SIDE, -1) * DISC[..., None]).reshape(SIDE * SIDE, -1).T @ BASIS.T
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the perceptual hash of an image, (height, width, 3), uint8: one hexadecimal digit a coefficient.

    The image is reduced to 32 × 32. Slow changes of brightness are subtracted and local contrast is made equal. A disc
    of it is described by its slowest 256 cosines, each times its frequency: images have less of fast ones.
    """
    values = _described(local_detail(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)))[0] * np.sqrt(COUNT)
    levels = np.clip(np.floor((values / WIDEST + 1.0) * LEVELS / 2), 0, LEVELS - 1).astype(np.uint8)
    return (levels[::2] << 4 | levels[1::2]).tobytes().hex()


def coefficients(hashes: Iterable[str]) -> np.ndarray:
    """Return the coefficients that hashes stand for, shape (n, 256), float32, of norm 1 in each row."""
    codes = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)
    levels = np.stack([codes >> 4, codes & 15], axis=-1).reshape(-1, COUNT).astype(np.float32)
    values = (levels + 0.5) * (2 / LEVELS) - 1.0
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True))


class Way(NamedTuple):
    """How an image is changed before it is looked up: where its pixels are then, in sides from the centre."""

    affine: np.ndarray
    negative: bool


def _way(
    mirrored: bool, angle: float, scale: float = 1.0, shift: tuple[int, int] = (0, 0), negative: bool = False
) -> Way:
    """Mirror, then rotate by an angle in degrees, scale, and shift by pixels of 32 to the right and down."""
    turn, (right, down) = np.radians(angle), np.divide(shift, SIDE)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    back = np.linalg.inv([[cosine, sine, right], [-sine, cosine, down], [0.0, 0.0, 1.0]])
    return Way(np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0]) @ back, negative)


def _ways(shifts: Iterable[tuple[int, int]]) -> list[Way]:
    """Return all eight orientations, their negatives, and small changes of the upright ones."""
    usual = product((False, True), (-9.0, -4.5, 0.0, 4.5, 9.0), (0.86, 0.93, 1.0, 1.08, 1.16), shifts)
    whole = product((False, True), (0.0, 90.0, 180.0, -90.0), (False, True))
    small = [_way(mirrored, angle, scale, shift) for mirrored, angle, scale, shift in usual]
    return small + [_way(mirrored, angle, negative=negative) for mirrored, angle, negative in whole]


# The ways in which images are looked up, and the cosine from which on pixels are compared: first quickly, then, where
# images are few, so that copies are found that were cropped off centre, too.
QUICK, THOROUGH = (_ways([(0, 0)]), 0.60), (_ways(product((-1, 0, 1), (-1, 0, 1))), 0.50)


def among(pairs: Mapping[tuple[int, int], Copy], rows: Sequence[int] | np.ndarray) -> dict[tuple[int, int], Copy]:
    """Return what is left of pairs, as `find_copies` returns them, among some images, by positions among these."""
    firsts = {other: (first, copy) for (first, other), copy in pairs.items()}
    found: dict[tuple[int, int], Copy] = {}
    seen: dict[int, tuple[int, Copy]] = {}
    for position, row in enumerate(map(int, rows)):
        first, copy = firsts.get(row, (row, Copy()))
        start, earlier = seen.setdefault(first, (position, copy))
        if start != position:
            found[start, position] = earlier.inverse().then(copy)
    return found


Detail = Callable[[int, int], np.ndarray]  # of an image's position and a side in pixels


class Groups:
    """Images that are copies of each other: of each, the first of its group, and what it is of that one."""

    def __init__(self, count: int) -> None:
        self.first = np.arange(count)
        self.copies = [Copy()] * count

    def join(self, left: int, right: int, copy: Copy) -> None:
        """Join the groups of two images, of which the right is a copy of the left."""
        if self.first[left] > self.first[right]:
            left, right, copy = right, left, copy.inverse()
        between = self.copies[left].then(copy).then(self.copies[right].inverse())
        moved = np.flatnonzero(self.first == self.first[right])
        self.first[moved] = self.first[left]
        for position in moved:
            self.copies[position] = between.then(self.copies[position])

    def pairs(self) -> dict[tuple[int, int], Copy]:
        """Return each image that is not the first of its group, paired with that one."""
        others = np.flatnonzero(self.first != np.arange(len(self.first)))
        return dict(sorted(((int(self.first[one]), int(one)), self.copies[one]) for one in others))


def find_copies(
    hashes: Sequence[str], digests: Sequence[str], pixels: Callable[[int], np.ndarray], quiet: bool = True
) -> dict[tuple[int, int], Copy]:
    """Return which images are copies of which, each paired with the first of its group.

    Parameters
    ----------
    hashes : sequence of str
        As `perceptual_hash` returns them.
    digests : sequence of str
        Of the files: images of the same file are copies without a look.
    pixels : callable
        From an image's position to its pixels, (height, width, 3), uint8.
    quiet : bool, default=True
        Show no progress.
    """

    @lru_cache(maxsize=2048)
    def detail(position: int, side: int) -> np.ndarray:
        return local_detail(cv2.cvtColor(pixels(position), cv2.COLOR_RGB2GRAY), side)

    groups, values = Groups(len(hashes)), coefficients(hashes)
    known: dict[str, int] = {}
    for position, digest in enumerate(digests):
        if known.setdefault(digest, position) != position:
            groups.join(known[digest], position, Copy())
    everything = np.array(list(known.values()), np.int64)
    for quick, (ways, least) in ((True, QUICK), (False, THOROUGH)):
        # Afterwards one image stands for its group.
        rows = everything if quick else np.unique(groups.first)
        if not quick and len(rows) * len(everything) > FEW:
            break
        starts = range(0, len(rows), BLOCK)
        for start in progress(starts, len(starts), "comparing images", quiet):
            block = rows[start : start + BLOCK]
            # Of two images that are both looked up, the earlier is looked for only.
            others = everything[~np.isin(everything, rows[start + BLOCK :])]
            with one_thread():
                nearness, which = _nearness(values[block], values[others], ways)
            nearness[np.isin(others, rows) & (others >= block[:, None])] = 0.0
            for row, near, way in zip(block.tolist(), nearness, which, strict=True):
                found = np.flatnonzero(near >= least)
                nearest = found[np.argsort(-near[found], kind="stable")]
                _join(groups, row, ((int(others[one]), ways[way[one]]) for one in nearest), quick, detail)
    return groups.pairs()


def _nearness(values: np.ndarray, others: np.ndarray, ways: Sequence[Way]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine of each image with each other in the way in which they are nearest, and which that is."""
    # BASIS is orthogonal. The pictures are the channels of one: a way is one call.
    pictures = ((BASIS / (BASIS**2).sum(axis=1, keepdims=True)).T @ values.T).reshape(SIDE, SIDE, -1)

    def nearest(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        best = np.zeros((len(values), len(others)), np.float32)
        which = np.zeros(best.shape, np.uint16)
        for number in numbers:
            cosine = _described(_laid(pictures, ways[number].affine)) @ others.T
            cosine = -cosine if ways[number].negative else cosine
            np.copyto(which, number, where=cosine > best)
            np.maximum(best, cosine, out=best)
        return best, which

    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        best, which = map(
            np.stack, zip(*pool.map(nearest, np.array_split(np.arange(len(ways), dtype=np.uint16), cores)), strict=True)
        )
    first = best.argmax(axis=0)[None]
    return np.take_along_axis(best, first, 0)[0], np.take_along_axis(which, first, 0)[0]


def _join(groups: Groups, row: int, candidates: Iterable[tuple[int, Way]], once: bool, detail: Detail) -> None:
    """Join an image with the groups of others that agree, or `once` with one, until `TRIES` groups do not."""
    differ: set[int] = set()
    for other, way in candidates:
        group = int(groups.first[other])
        if group == groups.first[row] or group in differ:
            continue
        if copy := _compared(row, other, way, detail):
            groups.join(row, other, copy)
        else:
            differ.add(group)
        if len(differ) == TRIES or (copy and once):
            return


@cache
def _inside(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the disc that is compared, (side, side), bool, and x and y of its pixels from the centre."""
    inside = disc(COMPARED, 1e-6, side) > 0
    return inside, np.stack(np.nonzero(inside)[::-1]) - (side - 1) / 2


def _compared(left: int, right: int, way: Way, detail: Detail) -> Copy | None:
    """Lay the pixels of two images over each other, from coarse to fine, and return what kind of copy one is, if any.

    Reference: S. Baker and I. Matthews, "Lucas-Kanade 20 years on: a unifying framework" (2004), the inverse
    compositional algorithm, here with standardised pixels, so that brightness and contrast have no effect.
    """
    affine = way.affine
    for side, steps, least in PYRAMID:
        inside, _ = _inside(side)
        template, other = detail(right, side), detail(left, side)
        other = -other if way.negative else other
        target, solve = _linearised(cv2.GaussianBlur(template, (0, 0), SOFT))
        smooth = cv2.GaussianBlur(other, (0, 0), SOFT)
        for _ in range(steps):
            change = np.eye(3)
            change[:2] += (solve @ (_standardised(_laid(smooth, affine)[inside]) - target)).reshape(2, 3)
            change[:2, 2] /= side
            if np.linalg.det(change) < 0.2:
                return None  # it does not converge
            affine = affine @ np.linalg.inv(change)
            if np.abs(change - np.eye(3)).max() < CONVERGED:
                break
        covered = inside & (_laid(np.ones_like(other), affine) > 0.99)
        if covered.sum() < COVERED * inside.sum():
            return None
        correlation = float(_standardised(_laid(other, affine)[covered]) @ _standardised(template[covered]))
        if correlation < least:
            return None
    mirrored = bool(np.linalg.det(affine) < 0)
    (a, b), (c, d) = affine[:2, :2] * np.array([[-1.0 if mirrored else 1.0], [1.0]])
    return Copy(mirrored, float(np.degrees(np.arctan2(c - b, a + d))), correlation, way.negative)


def _laid(pixels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return an image where an affine map, in sides from the centre, has the pixels of another."""
    side = len(pixels)
    matrix, centre = affine[:2].copy(), np.full(2, (side - 1) / 2)
    matrix[:, 2] = matrix[:, 2] * side + centre - matrix[:, :2] @ centre
    return cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _standardised(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _linearised(template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a template's standardised pixels, and the matrix from a difference to the affine change against it."""
    inside, (x, y) = _inside(len(template))
    right, down = (cv2.Sobel(template, cv2.CV_32F, *order, scale=0.125)[inside] for order in ((1, 0), (0, 1)))
    values = template[inside]
    slopes = np.stack([right * x, right * y, right, down * x, down * y, down])
    slopes /= max(float(np.linalg.norm(values - values.mean())), 1e-6)
    target = _standardised(values)
    slopes -= slopes.mean(axis=1, keepdims=True)
    slopes -= np.outer(slopes @ target, target)
    square = slopes @ slopes.T
    return target, np.linalg.pinv(square + 0.003 * np.diag(square.diagonal())) @ slopes
