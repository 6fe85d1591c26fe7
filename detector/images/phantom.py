"""Synthetic chest radiographs ("phantoms") for demonstrations and tests.

A crude model of what an X-ray meets on its way: soft tissue, bone and air each add to or take from the attenuation
along the ray, and the image's brightness is one minus what is transmitted (Beer and Lambert). Lengths are in units of
the image's side, 0…1, from the upper left corner; the patient's right is on the left, as in a posterior-anterior view.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

SIDE = 512  # pixels
SHIFT = 4  # OpenCV draws with positions in 1/2**SHIFT of a pixel
SOURCE = "phantom"  # what marks synthetic radiographs in a manifest
CLASSES = ("covid", "normal")
SMALLEST_OPACITY = 0.002  # of the image's area, of an opacity that gets a box
X, Y = np.meshgrid((np.arange(SIDE) + 0.5) / SIDE, (np.arange(SIDE) + 0.5) / SIDE, sparse=True)
T = np.linspace(0.0, 1.0, 40)  # along a curve


class Habitus(NamedTuple):
    """What differs from patient to patient."""

    width: float  # half of the chest's
    apex: float  # top of the lungs
    base: float  # height of the right dome of the diaphragm
    heart: float  # half of the heart's width
    thickness: float  # of soft tissue
    bone: float
    tilt: float  # degrees


MEAN = Habitus(0.40, 0.13, 0.74, 0.125, 1.0, 1.0, 0.0)
DEVIATION = Habitus(0.02, 0.015, 0.03, 0.012, 0.10, 0.15, 1.5)


def blur(layer: np.ndarray, sigma: float) -> np.ndarray:
    """Blur by a Gaussian; `sigma` in units of the side."""
    return cv2.GaussianBlur(layer, (0, 0), sigma * SIDE)


def _path(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.rint(np.stack([x, y], axis=1) * SIDE * 2**SHIFT).astype(np.int32)


def _stroke(layer: np.ndarray, path: np.ndarray, width: float, value: float) -> np.ndarray:
    return cv2.polylines(layer, [path], False, value, max(1, round(width * SIDE)), cv2.LINE_AA, SHIFT)


def soft_tissue(habitus: Habitus, generator: np.random.Generator) -> np.ndarray:
    """Return trunk, neck and shoulders: as thick as an ellipse is, a little more below the diaphragm."""
    shoulders = 1.0 / (1.0 + np.exp(-(Y - 0.10) / 0.022))
    half = 0.10 + (habitus.width + 0.02 - 0.10 + 0.05 * np.exp(-(((Y - 0.22) / 0.12) ** 2))) * shoulders
    chord = np.sqrt(np.clip(1.0 - ((X - 0.5) / half) ** 2, 0.0, None))
    abdomen = 0.25 / (1.0 + np.exp(-(Y - habitus.base - 0.03) / 0.05))
    fold = 0.06 * generator.random() * np.exp(-(((Y - 0.55) / 0.16) ** 2) - ((np.abs(X - 0.5) - 0.19) / 0.10) ** 2)
    return blur((habitus.thickness * (1.15 + abdomen + fold) * chord).astype(np.float32), 0.004)


def lung(habitus: Habitus, side: int) -> np.ndarray:
    """Return a lung field's mask; `side` is -1 for the patient's right, on the left of the image."""
    base = habitus.base if side < 0 else habitus.base + 0.025
    outer = habitus.width - 0.055
    corner = base + 0.09  # the costophrenic angle
    lateral_y = habitus.apex + (corner - habitus.apex) * T
    lateral_x = 0.055 + (outer - 0.055) * np.sin(np.pi / 2 * np.minimum(1.0, 0.12 + T * 1.5)) ** 0.75
    dome_x = np.linspace(outer, 0.07, 40)
    dome_y = base + 0.09 * ((dome_x - 0.17) / (outer - 0.17)) ** 2
    medial_y = np.linspace(dome_y[-1], habitus.apex, 40)
    reach, y = np.concatenate([[lateral_x, lateral_y], [dome_x, dome_y], [np.full(40, 0.05), medial_y]], axis=1)
    layer = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(layer, [_path(0.5 + side * reach, y)], 1.0, cv2.LINE_AA, SHIFT)
    return blur(layer, 0.004)


def depth(mask: np.ndarray) -> np.ndarray:
    """Return how much air a ray meets: none at the border of the lung, soon nearly all of its depth."""
    distance = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5) / SIDE
    return blur((mask * (1.0 - np.exp(-distance / 0.035))).astype(np.float32), 0.004) * 0.82


def heart_and_spine(habitus: Habitus) -> np.ndarray:
    """Return heart, aortic arch, mediastinum and spine, less the air of the trachea."""
    u, v = X - 0.5 - 0.055, Y - (habitus.base - 0.055)
    u, v = 0.94 * u + 0.34 * v, -0.34 * u + 0.94 * v
    heart = np.clip(1.0 - (u / habitus.heart) ** 2 - (v / 0.15) ** 2, 0.0, None) ** 0.7
    arch = np.clip(1.0 - ((X - 0.535) / 0.045) ** 2 - ((Y - 0.36) / 0.055) ** 2, 0.0, None) ** 0.5
    mediastinum = np.exp(-(((X - 0.5) / 0.045) ** 2)) * (habitus.apex < Y)
    vertebrae = np.exp(-(((X - 0.5) / 0.028) ** 2)) * (0.75 + 0.25 * np.sin(2 * np.pi * Y / 0.052))
    trachea = np.exp(-(((X - 0.495) / 0.016) ** 2)) / (1.0 + np.exp((Y - 0.37) / 0.012))
    layer = 0.75 * heart + 0.30 * arch + 0.30 * mediastinum + 0.30 * vertebrae - 0.28 * trachea
    return blur(layer.astype(np.float32), 0.006)


def bones(habitus: Habitus, generator: np.random.Generator) -> np.ndarray:
    """Return ribs, clavicles and shoulder blades."""
    layer = np.zeros((SIDE, SIDE), np.float32)
    jitter = generator.normal(0.0, 0.004, 24)
    for side in (-1, 1):
        for rib in range(10):
            top = habitus.apex + 0.02 + 0.062 * rib + jitter[rib]
            reach = (habitus.width - 0.035) * min(1.0, 0.55 + 0.12 * rib)
            back = _path(
                0.5 + side * (0.035 + (reach - 0.035) * np.sin(np.pi / 2 * T)),
                top - 0.035 * np.sin(np.pi * T * 0.8) + 0.10 * T**2,
            )
            layer += _bone(back, 0.020, 0.16)
            if rib < 7:
                front = _path(0.5 + side * reach * (1.0 - 0.62 * T), top + 0.075 + 0.10 * T**1.3)
                layer += _bone(front, 0.017, 0.08)
        clavicle_y = 0.185 + generator.normal(0.0, 0.008) - 0.045 * T + 0.016 * np.sin(2 * np.pi * T)
        layer += _bone(_path(0.5 + side * (0.03 + 0.27 * T), clavicle_y), 0.026, 0.20)
        layer += _bone(_path(0.5 + side * (0.315 + 0.05 * T), 0.17 + 0.26 * T), 0.03, 0.07)
    return blur(layer, 0.0028)


def _bone(path: np.ndarray, width: float, value: float) -> np.ndarray:
    """Return a bone: denser at its edges, where the ray runs through the cortex."""
    solid, core = (_stroke(np.zeros((SIDE, SIDE), np.float32), path, share * width, 1.0) for share in (1.0, 0.55))
    # In place: a new array of a megabyte for each step takes as long as its values.
    core *= 0.4
    solid -= core
    solid *= value
    return solid


def vessels(field: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the markings of a lung: branches that leave the hilum and thin out."""
    layer = np.zeros((SIDE, SIDE), np.float32)
    side = -1 if field[:, : SIDE // 2].sum() > field[:, SIDE // 2 :].sum() else 1
    hilum = np.array([0.5 + side * 0.085, 0.44])
    for _ in range(20):
        angle = generator.uniform(-1.25, 1.35)
        steps = int(generator.integers(10, 24))
        turn = angle + np.cumsum(generator.normal(0.0, 0.10, steps))
        walk = 0.016 * np.stack([side * np.cos(turn), np.sin(turn)])
        path = _path(*(hilum[:, None] + np.cumsum(walk, axis=1)))
        for at in range(0, steps - 3, 3):
            _stroke(layer, path[at : at + 4], 0.009 * (1.0 - at / steps) ** 1.5, 0.17 * (1.0 - 0.6 * at / steps))
    shadow = 0.16 * np.exp(-(((X - hilum[0]) / 0.035) ** 2)) * np.exp(-(((Y - hilum[1]) / 0.06) ** 2))
    return (blur(layer, 0.0025) + shadow.astype(np.float32)) * field


def opacities(field: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return ground-glass opacities of one lung: patchy, along its outer border, mostly in its lower half."""
    rows, columns = np.nonzero(field > 0.5)
    outward = np.abs(columns - SIDE / 2) / np.abs(columns.mean() - SIDE / 2)
    height = (rows - rows.min()) / (np.ptp(rows) + 1)
    likely = np.clip(outward - 0.85, 0.0, None) ** 1.5 * np.clip(height - 0.1, 0.0, None)
    layer = np.zeros((SIDE, SIDE))
    strength = generator.uniform(0.4, 1.2)  # of the air in front of which it lies
    for _ in range(generator.integers(4, 9)):
        at = generator.choice(len(rows), p=likely / likely.sum())
        u, v = X - columns[at] / SIDE, Y - rows[at] / SIDE
        a, b = generator.uniform(0.045, 0.1, 2)
        layer += generator.uniform(0.5, 1.0) * np.exp(-((u / a) ** 2)) * np.exp(-((v / (b * 1.3)) ** 2))
    grain = blur(generator.normal(0.0, 1.0, (SIDE, SIDE)).astype(np.float32), 0.014)
    texture = np.clip(1.0 + 0.25 * grain / grain.std(), 0.2, None)
    return (strength * np.minimum(layer, 1.0) * texture * depth(field)).astype(np.float32)


@lru_cache(maxsize=32)  # a phantom is drawn, and then its boxes
def both_opacities(seed: int) -> list[np.ndarray]:
    """Return the opacities of a patient's lungs."""
    anatomy, _, disease = generators(seed)
    return [opacities(field, disease) for field in body(anatomy)[1]]


def draw(covid: bool, seed: int, visit: int = 0) -> np.ndarray:
    """Draw one phantom.

    Parameters
    ----------
    covid : bool
        Add bilateral, peripheral opacities of the lower zones, the pattern most often described in COVID-19 pneumonia
        (H. Y. F. Wong et al., Radiology 296, 2020), of a strength that varies down to hardly visible.
    seed : int
        The same seed draws the same phantom; without opacities it is that of the same patient with them.
    visit : int, default=0
        Which radiograph of this patient: another has the same anatomy and opacities, with another position, exposure
        and noise.

    Returns
    -------
    ndarray of shape (512, 512), uint8
    """
    anatomy, exposure, _ = generators(seed, visit)
    habitus, lungs = body(anatomy)
    attenuation = soft_tissue(habitus, anatomy)
    for field in lungs:
        attenuation -= 0.95 * habitus.thickness * depth(field)
        attenuation += vessels(field, anatomy)
    attenuation += heart_and_spine(habitus)
    attenuation += habitus.bone * bones(habitus, anatomy)
    for layer in both_opacities(seed) if covid else ():
        attenuation += layer
    return _expose(attenuation, habitus.tilt, exposure)


def draw_boxes(seed: int, visit: int = 0) -> list[tuple[float, float, float, float]]:
    """Return the boxes of the opacities that `draw` adds to a phantom: x, y, width, height in fractions of the image.

    A box holds a region in which the opacities absorb at least a fifth of what they do at their densest.
    """
    anatomy, exposure, _ = generators(seed, visit)
    habitus, _ = body(anatomy)
    placed = pose(habitus.tilt, exposure)
    boxes = []
    for layer in both_opacities(seed):
        turned = cv2.warpAffine(layer, placed, (SIDE, SIDE))
        dense = (turned > 0.2 * turned.max()).astype(np.uint8)
        _, _, statistics, _ = cv2.connectedComponentsWithStats(dense, connectivity=8)
        large = statistics[statistics[:, cv2.CC_STAT_AREA] >= SMALLEST_OPACITY * SIDE**2]
        boxes += [(left / SIDE, top / SIDE, width / SIDE, height / SIDE) for left, top, width, height, _ in large[1:]]
    return boxes


def generators(seed: int, visit: int = 0) -> list[np.random.Generator]:
    """Return what decides on the anatomy, on the exposure of a visit and on the disease."""
    anatomy, exposure, disease = np.random.SeedSequence(seed).spawn(3)
    if visit:
        exposure = exposure.spawn(visit)[-1]
    return [np.random.default_rng(part) for part in (anatomy, exposure, disease)]


def body(anatomy: np.random.Generator) -> tuple[Habitus, list[np.ndarray]]:
    """Return a patient, and the masks of the right and of the left lung."""
    habitus = Habitus(*anatomy.normal(MEAN, DEVIATION).tolist())
    return habitus, [lung(habitus, side) for side in (-1, 1)]


def pose(tilt: float, exposure: np.random.Generator) -> np.ndarray:
    """Return how a patient stands before the detector, as an affine map of pixels."""
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), tilt, exposure.uniform(0.94, 1.06))
    return matrix + np.array([[0.0, 0.0, shift * SIDE] for shift in exposure.normal(0.0, 0.012, 2)])


def _expose(attenuation: np.ndarray, tilt: float, generator: np.random.Generator) -> np.ndarray:
    """Return the radiograph: exposure, contrast, scatter, grain, and a patient who stands a little askew."""
    turned = cv2.warpAffine(attenuation, pose(tilt, generator), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    scatter = 0.12 * blur(turned, 0.06)
    image = 1.0 - np.exp(-generator.uniform(0.95, 1.45) * np.clip(turned + scatter, 0.0, None))
    image = image ** generator.uniform(0.85, 1.35)
    image = image * generator.uniform(0.86, 1.0) + generator.uniform(0.0, 0.08)
    fine = generator.normal(0.0, generator.uniform(0.008, 0.022), image.shape)
    coarse = 1.8 * blur(generator.normal(0.0, 0.02, image.shape).astype(np.float32), 0.0022)
    return np.rint(255.0 * np.clip(image + fine + coarse, 0.0, 1.0)).astype(np.uint8)
