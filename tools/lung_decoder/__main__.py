"""Fit the lung decoder to masked radiographs, or measure how well one fitted in the same way finds lungs."""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector.files.atomic import write_together
from detector.files.cache import default_folder
from detector.network import lungs as lung_decoder
from detector.network import runtime
from detector.network.backbone import Weights
from detector.network.weights import load
from tools.lung_decoder.masked_radiographs import MaskedRadiograph, read_folder

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SEED = 42
FOLDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--masks", type=Path, default=SHARED / "lung-masks-v7", help="a folder with images, masks and list.csv"
    )
    parser.add_argument("--measure", action="store_true", help="cross-validate by patient, and write nothing")
    options = parser.parse_args()
    radiographs = read_folder(options.masks)
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
    found = np.zeros(len(radiographs))
    for train, held_out in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(radiographs, groups=patients):
        found[held_out] = dice(weights, fit(prepared, train, SEED), [radiographs[row] for row in held_out])
    print(f"Dice of {len(found)} radiographs, {FOLDS} folds, patients apart: mean {found.mean():.3f}", end=", ")
    print(f"median {np.median(found):.3f}, tenth percentile {np.percentile(found, 10):.3f}")
    print("worst:", ", ".join(f"{radiographs[row].name} {found[row]:.2f}" for row in np.argsort(found)[:8]))


if __name__ == "__main__":
    main()
