"""Fit the lung decoder to masked radiographs, or measure how well one fitted in the same way finds lungs."""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector import InputError
from detector.files.atomic import write_together
from detector.files.cache import default_folder
from detector.images.read import SIZE
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import Weights
from detector.network.features import BATCH
from detector.network.weights import load
from tools.lung_decoder.masked_radiographs import MaskedRadiograph, phantoms, read_folder

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SEED = 42
FOLDS = 3
PHANTOMS = 40
TIMES = 10  # that each forward pass is timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--masks", type=Path, default=SHARED / "lung-masks-v7", help="a folder with images, masks and list.csv"
    )
    parser.add_argument("--measure", action="store_true", help="cross-validate by patient, and write nothing")
    options = parser.parse_args()
    try:
        radiographs = read_folder(options.masks)
    except InputError as error:
        raise SystemExit(f"--masks: {error}") from None
    print(f"{len(radiographs)} radiographs of {len({one.patient for one in radiographs})} patients")
    runtime.ready()
    weights = load(None, default_folder())[0]
    if options.measure:
        measure(weights, radiographs)
    else:
        write(weights, radiographs)


def write(weights: Weights, radiographs: Sequence[MaskedRadiograph]) -> None:
    """Fit a decoder to all radiographs and put it where the program reads it."""
    from tools.lung_decoder.fit import fit, prepare

    arrays = fit(prepare(weights, radiographs, SEED), range(len(radiographs)), SEED)
    data = io.BytesIO()
    np.save(data, np.concatenate([array.ravel() for array in arrays]).astype("<f4"))
    write_together({lung_decoder.FILE: data.getvalue()})
    print(f"wrote {lung_decoder.FILE}: put this into DIGEST of detector/network/lung_decoder.py, if it is another:")
    print(hashlib.sha256(data.getvalue()).hexdigest())


def measure(weights: Weights, radiographs: Sequence[MaskedRadiograph]) -> None:
    """Print the Dice coefficient of radiographs of patients that the decoder was not fitted to."""
    from sklearn.model_selection import GroupKFold

    from tools.lung_decoder.fit import dice, fit, prepare

    prepared = prepare(weights, radiographs, SEED)
    patients = [one.patient for one in radiographs]
    found, drawn = np.zeros(len(radiographs)), []
    for train, held_out in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(radiographs, groups=patients):
        arrays = fit(prepared, train, SEED)
        found[held_out] = dice(weights, arrays, [radiographs[row] for row in held_out])
        drawn.append(dice(weights, arrays, phantoms(PHANTOMS)))
    print("| images | n | mean | median | tenth percentile |\n| --- | --- | --- | --- | --- |")
    for name, values in (
        (f"radiographs, {FOLDS} folds, patients apart", found),
        ("phantoms, with and without opacities", np.mean(drawn, axis=0)),
    ):
        tenth_percentile = np.percentile(values, 10)
        print(f"| {name} | {len(values)} | {values.mean():.3f} | {np.median(values):.3f} | {tenth_percentile:.3f} |")
    print(
        f"cost: {cost(weights):.1%} over the forward pass without lungs (best of {TIMES}, in turn, {BATCH} images each)"
    )
    print("worst:", ", ".join(f"{radiographs[row].name} {found[row]:.2f}" for row in np.argsort(found)[:8]))


def cost(weights: Weights) -> float:
    """Return by how much finding lungs makes the forward pass longer."""
    import tensorflow as tf

    from detector.network.backbone import pooled_maps
    from detector.network.features import compile_forward

    maps = pooled_maps(weights)
    plain = tf.function(lambda x, _: [tf.reduce_mean(one, (1, 2)) for one in maps(x)[0]], autograph=False)
    pixels = np.random.default_rng(SEED).random((BATCH, SIZE, SIZE, 3), np.float32)
    as_found = np.full((BATCH, SIZE, SIZE), -1, np.int8)
    seconds: dict[Callable[..., Any], list[float]] = {plain: [], compile_forward(weights, lung_decoder.read()): []}
    for _ in range(TIMES + 1):
        for forward, taken in seconds.items():
            start = time.perf_counter()
            forward(pixels, as_found)[0].numpy()
            taken.append(time.perf_counter() - start)
    # The first of each compiles.
    without, with_lungs = (min(taken[1:]) for taken in seconds.values())
    return with_lungs / without - 1


if __name__ == "__main__":
    main()
