"""Near duplicates: copies of one radiograph that were resized, compressed, cropped a little, turned or inverted.

In three steps, each for what the one before leaves: a coarse hash of every image is looked up among all others; the
pixels of what is near are laid over each other; and images that agree form a group, of which two are never compared
again. All limits were chosen while looking at the 903 frontal radiographs of docs/validation.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from detector.cli.output import progress
from detector.statistics.strata import one_thread

SEARCH_VERSION = 7  # raise when other groups are found: results are kept
NOT_SEARCHED = "copies rotated by 11° to 79°, or cropped, enlarged or framed by more than 15 %, are not searched for"

SIDE = 32  # pixels of the picture that is hashed
SLOWEST = 3.0  # half waves of a side: what changes more slowly is exposure and outline, alike in all patients
COUNT, LEVELS = 512, 16  # coefficients, and the values that each may have: 4 bits
BYTES = COUNT // 2
WIDEST = 2.5  # standard deviations that the levels reach to
RADIUS = 0.45  # of the disc that is hashed, in sides: a rotation changes the corners
LOCAL = 0.04  # standard deviation of the blur that is subtracted, in sides
NOISE = 3.0  # grey values: a local contrast below it is not amplified
CENTRE = (SIDE - 1) / 2

# Every image is looked up mirrored, rotated and scaled in these steps, and in quarter turns.
ANGLES, SCALES, QUARTERS = (-9.0, -4.5, 0.0, 4.5, 9.0), (0.85, 0.95, 1.05, 1.17), (0.0, 90.0, 180.0, -90.0)
BITS = 256  # signs of the slowest coefficients, which are compared first
BLOCK = 4096  # pairs whose coefficients are compared at a time
CELLS = 2**25  # pairs of images that are looked up at a time
BY_ONE_THREAD = 40_000  # pairs up to which a thread is no slower than several: 200 images with each other
FEW = 25_000_000  # pairs up to which the search is thorough: 5,000 images with each other
TRIES = 2  # pairs of two groups that may disagree before the groups do

# Sides in pixels, steps, and the correlation of local detail that pixels need to be compared further, from coarse to
# fine: in the last, noise and small vessels of two patients differ. Two patients reach 0.93 there, other radiographs of
# one patient 0.935 and phantoms 0.941; copies mostly reach 0.97, but less where they have lost detail.
PYRAMID = ((32, 10, 0.80), (64, 6, 0.90), (128, 4, 0.945))
COMPARED = 0.4  # radius of the disc that is compared, in sides
COVERED = 0.25  # of that disc, at least: what lies on each other
CONVERGED = 5e-4  # change of the map, in sides
SOFT = 0.8  # pixels: deviation of the blur before slopes are measured


class Search(NamedTuple):
    """Which pairs are compared by their pixels.

    At most `differing` of 256 bits differ, the cosine between their coefficients is at least `cosine`, and copies that
    were cropped off centre are looked up shifted (right, down), in pixels of 32.
    """

    shifts: Sequence[tuple[int, int]]
    differing: int
    cosine: float


QUICK = Search([(0, 0)], 72, 0.57)
THOROUGH = Search(list(product((-1, 0, 1), (-1, 0, 1))), 84, 0.48)


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
    import cv2

    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    fast = cv2.subtract(small, cv2.GaussianBlur(small, (0, 0), LOCAL * side))
    contrast = np.sqrt(cv2.GaussianBlur(cv2.multiply(fast, fast), (0, 0), 2 * LOCAL * side))
    return np.asarray(fast / (contrast + NOISE), np.float32)


def _chosen() -> tuple[np.ndarray, np.ndarray]:
    speed = np.hypot(*np.mgrid[:SIDE, :SIDE]).ravel()
    chosen = np.argsort(np.where(speed < SLOWEST, np.inf, speed), kind="stable")[:COUNT]
    return np.stack([chosen // SIDE, chosen % SIDE]), speed[chosen].astype(np.float32)


# Half waves of each coefficient, downwards and to the right; and how many along its own direction, slowest first.
WAVES, SPEEDS = _chosen()


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the perceptual hash of an image, one hexadecimal digit a coefficient.

    The image is reduced to 32 × 32. Slow changes of brightness are subtracted and local contrast is made equal. A disc
    of it is described by its slowest 512 cosines, each times its frequency: images have less of fast ones.

    Parameters
    ----------
    pixels : ndarray of shape (height, width, 3), uint8
    """
    import cv2

    detail = local_detail(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    values = cv2.dct(detail * disc(RADIUS, 0.1))[WAVES[0], WAVES[1]] * SPEEDS
    values /= max(float(np.sqrt((values**2).mean())), 1e-6)
    levels = np.clip(np.floor((values / WIDEST + 1.0) * LEVELS / 2), 0, LEVELS - 1).astype(np.uint8)
    return (levels[::2] << 4 | levels[1::2]).tobytes().hex()


def as_array(hashes: Iterable[str]) -> np.ndarray:
    """Return hashes as an array of shape (n, 256), uint8."""
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, BYTES)


def coefficients(hashes: np.ndarray) -> np.ndarray:
    """Return the coefficients that hashes stand for, shape (n, 512), float32, of norm 1 in each row."""
    levels = np.stack([hashes >> 4, hashes & 15], axis=-1).reshape(-1, COUNT)
    values = (levels + 0.5) * (2 / LEVELS) - 1.0
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def _signs(hashes: np.ndarray) -> np.ndarray:
    """Return the signs of the slowest coefficients as bits, (n, 32), uint8."""
    slowest = hashes[:, : BITS // 2]
    # A level of 8 and more is a positive coefficient.
    return np.packbits(np.stack([slowest >> 7, (slowest >> 3) & 1], axis=-1).reshape(-1, BITS), axis=1)


class Variant(NamedTuple):
    """How an image is changed before it is looked up: mirrored, then rotated (degrees) and scaled."""

    mirrored: bool
    angle: float
    scale: float

    def origins(self, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Return the map from positions in the variant, shifted, to those in the mirrored image, about the centre."""
        turn = np.radians(self.angle)
        cosine, sine = self.scale * np.cos(turn), self.scale * np.sin(turn)
        return np.linalg.inv([[cosine, sine, shift[0]], [-sine, cosine, shift[1]], [0.0, 0.0, 1.0]])

    def pictures(self) -> np.ndarray:
        """Return the matrix from coefficients of images to the pictures of their variants, (512, 1024)."""
        rows, columns = np.mgrid[:SIDE, :SIDE] - CENTRE
        x, y, _ = self.origins() @ np.stack([columns.ravel(), rows.ravel(), np.ones(SIDE**2)])
        return _cosines(y + CENTRE, CENTRE + (-x if self.mirrored else x)) / SPEEDS[:, None]


USUAL = [Variant(*one) for one in product((False, True), ANGLES, SCALES)]
WHOLE = [Variant(*one, 1.0) for one in product((False, True), QUARTERS)]  # and as negatives


def _cosines(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the value of each coefficient's cosine at positions in pixels, shape (512, positions)."""
    numbers = np.arange(SIDE)[:, None] * np.pi / SIDE
    down, right = (np.cos(numbers * (place.ravel() + 0.5)).astype(np.float32) for place in (rows, columns))
    return down[WAVES[0]] * right[WAVES[1]]


def _after_shift(shift: tuple[int, int]) -> np.ndarray:
    """Return the matrix from a picture to its coefficients after a shift (right, down), (1024, 512)."""
    (rows, columns), (right, down) = np.mgrid[:SIDE, :SIDE], shift
    within = np.roll(np.pad(disc(RADIUS, 0.1), 2), (-down, -right), (0, 1))[2:-2, 2:-2]
    return _cosines(rows + down, columns + right).T * within.reshape(-1, 1) * SPEEDS


def among(pairs: Mapping[tuple[int, int], Copy], rows: Sequence[int] | np.ndarray) -> dict[tuple[int, int], Copy]:
    """Return what is left of pairs, as `find_copies` returns them, among some images, by positions among these."""
    firsts = {other: (first, copy) for (first, other), copy in pairs.items()}
    found: dict[tuple[int, int], Copy] = {}
    seen: dict[int, tuple[int, Copy]] = {}
    for position, row in enumerate(rows):
        first, copy = firsts.get(int(row), (int(row), Copy()))
        start, earlier = seen.setdefault(first, (position, copy))
        if start != position:
            found[start, position] = earlier.inverse().then(copy)
    return found


class Candidate(NamedTuple):
    """Two images that may be copies, and by which variant of the first they are alike."""

    left: int
    right: int
    variant: Variant
    shift: tuple[int, int]
    negative: bool


Detail = Callable[[int, int], np.ndarray]  # of an image's position and a side in pixels


class Groups:
    """Images that are copies of each other: of each, the first of its group, and what it is of that one."""

    def __init__(self, count: int) -> None:
        self.first = np.arange(count)
        self.copies = [Copy()] * count
        self.failed: Counter[tuple[int, int]] = Counter()  # pairs of two groups that disagreed

    def settled(self, left: int, right: int) -> bool:
        """Return whether two images need not be compared any more."""
        first, second = sorted((self.first[left], self.first[right]))
        return first == second or self.failed[first, second] >= TRIES

    def disagree(self, left: int, right: int) -> None:
        """Note that two images are no copies."""
        first, second = sorted((self.first[left], self.first[right]))
        self.failed[first, second] += 1

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
    quiet : bool
        Show no progress.
    """
    import cv2
    import faiss  # noqa: F401 (before its threads are limited)

    @lru_cache(maxsize=2048)
    def detail(position: int, side: int) -> np.ndarray:
        return local_detail(cv2.cvtColor(pixels(position), cv2.COLOR_RGB2GRAY), side)

    groups, codes = Groups(len(hashes)), as_array(hashes)
    known: dict[str, int] = {}
    for position, digest in enumerate(digests):
        if known.setdefault(digest, position) != position:
            groups.join(known[digest], position, Copy())
    everything = np.array(list(known.values()), np.int64)
    with one_thread() if len(everything) ** 2 <= BY_ONE_THREAD else nullcontext():
        for search in (QUICK, THOROUGH):
            # Afterwards one image stands for its group.
            rows = everything if search is QUICK else np.unique(groups.first)
            if search is QUICK or len(rows) * len(everything) <= FEW:
                steps = _steps(groups, codes, rows, everything, search, detail)
                for _ in progress(steps, len(rows), "comparing images", quiet):
                    pass
    return groups.pairs()


def _steps(
    groups: Groups, codes: np.ndarray, rows: np.ndarray, everything: np.ndarray, search: Search, detail: Detail
) -> Iterator[None]:
    """Look some images up among all, and join the groups of copies; yield as often as there are images, for the bar."""
    size = max(1, CELLS // len(everything))
    for block in (rows[start : start + size] for start in range(0, len(rows), size)):
        # Of two images that are both looked up, the later is looked for only.
        others = everything[everything >= block[0]] if len(rows) == len(everything) else everything
        found = _candidates(groups, codes, block, others, np.isin(others, rows), search)
        for part in np.array_split(np.arange(len(found)), len(block)):
            for one in map(found.__getitem__, part):
                if not groups.settled(one.left, one.right):
                    if copy := _compared(one, detail):
                        groups.join(one.left, one.right, copy)
                    else:
                        groups.disagree(one.left, one.right)
            yield


def _candidates(
    groups: Groups, codes: np.ndarray, rows: np.ndarray, others: np.ndarray, looked_up: np.ndarray, search: Search
) -> list[Candidate]:
    """Return pairs of different groups that are near, the nearest first, with the variant by which they are."""
    import faiss

    index = faiss.IndexBinaryFlat(BITS)
    index.add(_signs(codes[others]))
    best = np.zeros((len(rows), len(others)), np.float16)
    how = np.zeros(best.shape, np.uint16)
    ways: list[tuple[Variant, tuple[int, int], bool]] = []
    values, described = coefficients(codes[rows]), {one: _after_shift(one) for one in search.shifts}
    slowest = {one: np.ascontiguousarray(matrix[:, :BITS]) for one, matrix in described.items()}
    for variant in [*USUAL, *WHOLE]:
        pictures, whole = variant.pictures(), variant in WHOLE
        for shift in [(0, 0)] if whole else search.shifts:
            bits = np.linalg.multi_dot([values, pictures, slowest[shift]])
            for negative in (False, True) if whole else (False,):
                # The bound is exclusive.
                signs = np.packbits((bits < 0) if negative else (bits > 0), axis=1)
                limits, _, right = index.range_search(signs, search.differing + 1)
                left = np.repeat(np.arange(len(rows)), np.diff(limits.astype(int)))
                once = (others[right] > rows[left]) | ~looked_up[right]
                new = once & (groups.first[rows[left]] != groups.first[others[right]])
                left, right = left[new], right[new]
                hit, where = np.unique(left, return_inverse=True)
                moved = np.linalg.multi_dot([values[hit], pictures, described[shift]])
                moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6) * (-1 if negative else 1)
                for start in range(0, len(left), BLOCK):
                    some = slice(start, start + BLOCK)
                    i, j = left[some], right[some]
                    cosine = np.einsum("nd,nd->n", moved[where[some]], coefficients(codes[others[j]]))
                    near = cosine > np.maximum(best[i, j], search.cosine)
                    best[i[near], j[near]], how[i[near], j[near]] = cosine[near], len(ways)
                ways.append((variant, shift, negative))
    left, right = np.nonzero(best)
    order = np.argsort(-best[left, right], kind="stable")
    left, right = left[order], right[order]
    return [
        Candidate(i, j, *ways[k])
        for i, j, k in zip(rows[left].tolist(), others[right].tolist(), how[left, right].tolist(), strict=True)
    ]


@cache
def _inside(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the disc that is compared, (side, side), bool, and x and y of its pixels from the centre."""
    inside = disc(COMPARED, 1e-6, side) > 0
    return inside, np.stack(np.nonzero(inside)[::-1]) - (side - 1) / 2


def _compared(candidate: Candidate, detail: Detail) -> Copy | None:
    """Lay the pixels of two images over each other, from coarse to fine, and return what kind of copy one is, if any.

    Reference: S. Baker and I. Matthews, "Lucas-Kanade 20 years on: a unifying framework" (2004), the inverse
    compositional algorithm, here with standardised pixels, so that brightness and contrast have no effect.
    """
    import cv2

    affine = candidate.variant.origins(candidate.shift)
    affine[:2, 2] /= SIDE
    for side, steps, least in PYRAMID:
        inside, _ = _inside(side)
        template, other = detail(candidate.right, side), detail(candidate.left, side)
        other = -other if candidate.negative else other
        other = np.ascontiguousarray(other[:, ::-1]) if candidate.variant.mirrored else other
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
    angle = np.degrees(np.arctan2(affine[1, 0] - affine[0, 1], affine[0, 0] + affine[1, 1]))
    return Copy(candidate.variant.mirrored, float(angle), correlation, candidate.negative)


def _laid(pixels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return an image where an affine map, in sides from the centre, has the pixels of another."""
    import cv2

    side = len(pixels)
    matrix, centre = affine[:2].copy(), np.full(2, (side - 1) / 2)
    matrix[:, 2] = matrix[:, 2] * side + centre - matrix[:, :2] @ centre
    return cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _standardised(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _linearised(template: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a template's standardised pixels, and the matrix from a difference to the affine change against it."""
    import cv2

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
