"""Synthetic chest radiographs ("phantoms") for demonstrations and tests.

A crude model of what an X-ray meets on its way: soft tissue, bone and air each add to or take from the attenuation
along the ray, and the image's brightness is one minus what is transmitted (Beer and Lambert). Lengths are in units of
the image's side, 0…1, from the upper left corner; the patient's right is on the left, as in a posterior-anterior view.
"""

from __future__ import annotations

import numpy as np

from detector.images.phantom_layers import (
    SIDE,
    Habitus,
    blur,
    bones,
    depth,
    heart_and_spine,
    lung,
    opacities,
    soft_tissue,
    vessels,
)

SOURCE = "phantom"  # what marks synthetic radiographs in a manifest
CLASSES = ("covid", "normal")
SMALLEST_OPACITY = 0.002  # of the image's area, of an opacity that gets a box


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
    anatomy, exposure, disease = _generators(seed, visit)
    habitus = _habitus(anatomy)
    lungs = [lung(habitus, side) for side in (-1, 1)]
    attenuation = soft_tissue(habitus, anatomy)
    for field in lungs:
        attenuation -= 0.95 * habitus.thickness * depth(field)
        attenuation += vessels(field, anatomy)
    attenuation += heart_and_spine(habitus)
    attenuation += habitus.bone * bones(habitus, anatomy)
    if covid:
        for field in lungs:
            attenuation += opacities(field, disease)
    return _expose(attenuation, habitus.tilt, exposure)


def draw_lungs(seed: int) -> np.ndarray:
    """Return where the lungs of a phantom are, with or without opacities, shape (512, 512), bool."""
    import cv2

    anatomy, exposure, _ = _generators(seed)
    habitus = _habitus(anatomy)
    lungs = np.maximum(*(lung(habitus, side) for side in (-1, 1)))
    return cv2.warpAffine(lungs, _pose(habitus.tilt, exposure), (SIDE, SIDE)) > 0.5


def draw_boxes(seed: int, visit: int = 0) -> list[tuple[float, float, float, float]]:
    """Return the boxes of the opacities that `draw` adds to a phantom: x, y, width, height in fractions of the image.

    A box holds a region in which the opacities absorb at least a fifth of what they do at their densest.
    """
    import cv2

    anatomy, exposure, disease = _generators(seed, visit)
    habitus = _habitus(anatomy)
    lungs = [lung(habitus, side) for side in (-1, 1)]
    layers = [opacities(field, disease) for field in lungs]
    pose = _pose(habitus.tilt, exposure)
    boxes = []
    for layer in layers:
        turned = cv2.warpAffine(layer, pose, (SIDE, SIDE))
        dense = (turned > 0.2 * turned.max()).astype(np.uint8)
        _, _, statistics, _ = cv2.connectedComponentsWithStats(dense, connectivity=8)
        for left, top, width, height, area in statistics[1:]:
            if area >= SMALLEST_OPACITY * SIDE**2:
                boxes.append((left / SIDE, top / SIDE, width / SIDE, height / SIDE))
    return boxes


def _generators(seed: int, visit: int = 0) -> list[np.random.Generator]:
    """Return what decides on the anatomy, on the exposure of a visit and on the disease."""
    anatomy, exposure, disease = np.random.SeedSequence(seed).spawn(3)
    if visit:
        exposure = exposure.spawn(visit)[-1]
    return [np.random.default_rng(part) for part in (anatomy, exposure, disease)]


def _habitus(anatomy: np.random.Generator) -> Habitus:
    return Habitus(
        width=anatomy.normal(0.40, 0.02),
        apex=anatomy.normal(0.13, 0.015),
        base=anatomy.normal(0.74, 0.03),
        heart=anatomy.normal(0.125, 0.012),
        thickness=anatomy.normal(1.0, 0.10),
        bone=anatomy.normal(1.0, 0.15),
        tilt=anatomy.normal(0.0, 1.5),
    )


def _pose(tilt: float, generator: np.random.Generator) -> np.ndarray:
    """Return how a patient stands before the detector, as an affine map of pixels."""
    import cv2

    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), tilt, generator.uniform(0.94, 1.06))
    return matrix + np.array([[0.0, 0.0, shift * SIDE] for shift in generator.normal(0.0, 0.012, 2)])


def _expose(attenuation: np.ndarray, tilt: float, generator: np.random.Generator) -> np.ndarray:
    """Return the radiograph: exposure, contrast, scatter, grain, and a patient who stands a little askew."""
    import cv2

    turned = cv2.warpAffine(attenuation, _pose(tilt, generator), (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    scatter = 0.12 * blur(turned, 0.06)
    image = 1.0 - np.exp(-generator.uniform(0.95, 1.45) * np.clip(turned + scatter, 0.0, None))
    image = image ** generator.uniform(0.85, 1.35)
    image = image * generator.uniform(0.86, 1.0) + generator.uniform(0.0, 0.08)
    fine = generator.normal(0.0, generator.uniform(0.008, 0.022), image.shape)
    coarse = 1.8 * blur(generator.normal(0.0, 0.02, image.shape).astype(np.float32), 0.0022)
    return np.rint(255.0 * np.clip(image + fine + coarse, 0.0, 1.0)).astype(np.uint8)
