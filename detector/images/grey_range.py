"""The grey range of a radiograph: which stored values are shown as black and white.

A type says what values a file could hold, not what the image uses: a 12-bit radiograph stored in 16 bits would be 16
times too dark. The range is therefore chosen from the values, the same way for every format, without random draws:

1. Padding and burnt-in markers are left out: values beyond a wide gap at either end, which the blurred edge of a
   marker may cross.
2. What is left spans from its 0.1th to its 99.9th percentile, so that single pixels decide nothing.
3. If that span fills most of a common range (0-1, 8, 10, 12, 14 or 16 bits, signed or not), that range is shown: an
   image looks the same in 8 bits and in more. Otherwise the span itself is shown.

An 8-bit image has been made for display: it is changed only if it would otherwise show nothing (`is_flat`), or if it
is as dark as the high byte of a 14-bit radiograph in 16 bits (`is_dark`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from detector import InputError

Range = tuple[float, float]

DEPTHS = (8, 10, 12, 14, 16)  # bits of radiographs
COMMON: tuple[Range, ...] = (
    (0.0, 1.0),
    (-1.0, 1.0),
    *((0.0, 2.0**bits - 1) for bits in DEPTHS),
    *((-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) for bits in DEPTHS),
)
FILLED = 0.7  # share of a common range that an image must span to be shown at it
TAIL = 0.1  # percent of the values at either end that do not decide
GAP = 0.5  # of the span of all other values: what lies beyond such a gap is padding or a marker
MARKERS = 0.05  # share of the image that markers of more than one value can cover
EDGE = 0.001  # share of the image whose values may lie within a gap: of the blurred edges of markers
FLAT = 0.1  # share of the range between the 1st and the 99th percentile below which an image shows nothing
# Share of the range below which an 8-bit image is dark: 14 bits in 16 have a high byte below it. Of 605 radiographs
# of 8 bits no 99.9th percentile is below 0.53 (2026-11-28).
DARK = 0.25
LEAST_FINITE = 0.25  # share of an image of floats that is not padding
SAMPLE = 1_000_000  # values that are looked at
ROWS = 64  # scaled at a time: in double precision a whole image would be eight times itself
SMALLEST = 1e-30
LARGEST = 1e12  # no radiograph's values are larger, and sums of them stay finite


def to_8_bits(
    values: np.ndarray, padding: np.ndarray | None = None, common: Sequence[Range] = COMMON
) -> tuple[np.ndarray, str]:
    """Scale grey or colour values, (height, width) or (height, width, 3), to 0…255; return a note, mostly empty, too.

    Some NaN are padding; so are pixels where `padding`, (height, width), is True: they are shown black. `common` are
    the ranges that an image may have been made for.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        is_nan = np.isnan(values)
        absent = is_nan if is_nan.ndim == 2 else is_nan.any(axis=2)
        if np.isinf(values).any() or (~absent).mean() < LEAST_FINITE:
            raise InputError("pixel values that are not finite")
        values = np.where(is_nan, np.nanmin(values), values)
        padding = absent if padding is None else absent | padding
    inside = slice(None) if padding is None or padding.all() else ~padding
    sample, shows_8_bits = sampled(values[inside]), values.dtype == np.uint8 and padding is None
    if shows_8_bits and not is_flat(sample) and not is_dark(sample):
        return values, ""
    low, high = choose_range(sample, common)
    if shows_8_bits and low == high:
        return values, ""
    if not -LARGEST < low <= high < LARGEST:
        raise InputError(f"pixel values from {low:g} to {high:g}, which no radiograph has")
    shown = scaled(values, low, high)
    if padding is not None:
        shown[padding] = 0
    if values.dtype == np.uint8 and high > low:
        return shown, f"uses grey values {low:g} to {high:g} of 0 to 255 only; its contrast was stretched"
    return shown, ""


def choose_range(values: np.ndarray, common: Sequence[Range] = COMMON) -> Range:
    """Return which of some values, (n,), are to be shown as black and as white; equal only if all are."""
    ordered = without_outliers(np.sort(values.astype(float)))
    low, high = np.percentile(ordered, [TAIL, 100 - TAIL])
    if high <= low:
        low, high = ordered[0], ordered[-1]
    fitting = [one for one in common if one[0] <= low and high <= one[1] and high - low >= FILLED * (one[1] - one[0])]
    # The narrowest; 0 to 2047 is one of 12 signed bits only if there is nothing better.
    return min(fitting, key=lambda one: (one[1] - one[0], one[0] < 0)) if fitting else (float(low), float(high))


def without_outliers(ordered: np.ndarray) -> np.ndarray:
    """Return sorted values without padding and markers.

    Those are a single value of any number of pixels, and other values of at most 5 % of the pixels, beyond a gap of
    half of the span of all others. A marker that was smoothed or resized has an edge of values in between: a gap holds
    at most 0.1 % of the pixels.
    """
    for _ in range(2):
        ordered = _without_top(ordered)
        ordered = -_without_top(-ordered[::-1])[::-1]
    return ordered


def _without_top(ordered: np.ndarray) -> np.ndarray:
    n = len(ordered)
    first = int(np.searchsorted(ordered, ordered[-1]))
    start = min(first, max(1, first - int(MARKERS * n)))
    below = np.arange(start - 1, n - 1) if start else np.zeros(0, int)
    gaps = ordered[np.minimum(below + max(1, int(EDGE * n)), n - 1)] - ordered[below]
    # The lowest gap that is wide: what lies above it is left out. The span below must itself be one of an image.
    spans = ordered[below] - np.percentile(ordered, 1)
    wide = np.flatnonzero((gaps > GAP * spans) & (spans > 0))
    return ordered[: start + wide[0]] if len(wide) else ordered


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values with a range brought to 0…255, rounded, and clipped beyond it, uint8."""
    shown = np.empty(values.shape, np.uint8)
    # Of a smaller span the factor would not be finite.
    factor = 255.0 / (high - low) if high - low > SMALLEST else 0.0
    for start in range(0, len(values), ROWS):
        # Clipped first: what lies far beyond would not be finite either.
        part = np.clip(values[start : start + ROWS].astype(np.float64), low, high) - low
        shown[start : start + ROWS] = np.rint(np.clip(part * factor, 0.0, 255.0))
    return shown


def sampled(values: np.ndarray) -> np.ndarray:
    """Return some of the values, evenly spaced, shape (n,): those of all would take eight times the image's memory."""
    return values.ravel()[:: max(1, values.size // SAMPLE)]


def is_flat(pixels: np.ndarray, share: float = FLAT) -> bool:
    """Return whether 8-bit pixels show nothing: their 1st and 99th percentile are closer than a share of 0…255."""
    low, high = _percentiles(sampled(pixels), [1, 99])
    return bool(high - low < share * 255)


def is_dark(pixels: np.ndarray) -> bool:
    """Return whether 8-bit pixels use the darkest quarter of 0…255 only, markers left out."""
    values = sampled(pixels)
    # Markers cover less than a tenth: most images need not be sorted.
    if _percentiles(values, [90])[0] >= DARK * 256:
        return False
    return bool(np.percentile(without_outliers(np.sort(values.astype(float))), 100 - TAIL) < DARK * 256)


def _percentiles(values: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Return what `np.percentile` returns of 8-bit values, from their counts: several times as fast."""
    places = (len(values) - 1) * np.asarray(shares) / 100
    below = np.cumsum(_counts(values))
    low, high = (np.searchsorted(below, place, side="right") for place in (np.floor(places), np.ceil(places)))
    return low + (high - low) * (places - np.floor(places))


def _counts(values: np.ndarray) -> np.ndarray:
    """Return how often each 8-bit value occurs, (256,); NumPy's `bincount` makes 64 bits of each value first."""
    return cv2.calcHist([np.ascontiguousarray(values, np.uint8)[None]], [0], None, [256], [0, 256]).ravel().astype(int)
