"""Fit the lung decoder to masked radiographs, or measure how well one fitted in the same way finds lungs."""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detector.images.radiographs import SIZE
from detector.network import lung_decoder, runtime
from detector.network.backbone import BATCH
from detector.network.weights import Weights, load
from detector.storage.cache import default_folder
from detector.storage.files import write_together
from tools.lung_decoder.films import Film, patients_of, phantoms, read_films

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SEED = 42
FOLDS = 3
PHANTOMS = 40
TIMES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--collection",
        type=Path,
        default=SHARED / "covid-chestxray-dataset",
        help="a clone of J. P. Cohen's collection",
    )
    parser.add_argument(
        "--more", type=Path, default=SHARED / "lung-masks", help="a folder with images, masks and list.csv"
    )
    parser.add_argument("--measure", action="store_true", help="cross-validate, patients apart, and write nothing")
    options = parser.parse_args()
    films = every_film(options.collection, options.more)
    if not films:
        raise SystemExit(f"no masks in {options.collection} or {options.more}; give a clone with --collection")
    print(f"{len(films)} films of {len({film.patient for film in films})} patients")
    runtime.ready()
    weights = load(None, default_folder())[0]
    if options.measure:
        measure(weights, films)
    else:
        write(weights, films)


def every_film(collection: Path, more: Path) -> list[Film]:
    """Return the films of both folders that have masks; one that is not there has none."""
    films = []
    if (collection / "metadata.csv").is_file():
        patients = patients_of(collection / "metadata.csv", "filename", "patientid")
        films += read_films(collection / "images", collection / "annotations" / "lungVAE-masks", patients)
    if (more / "list.csv").is_file():
        films += read_films(more / "images", more / "masks", patients_of(more / "list.csv", "file", "patient"))
    return films


def write(weights: Weights, films: Sequence[Film]) -> None:
    """Fit a decoder to all films and put it where the program reads it."""
    from tools.lung_decoder.fit import fit, prepare

    arrays = fit(prepare(weights, films, SEED), range(len(films)), SEED)
    data = io.BytesIO()
    np.save(data, np.concatenate([array.ravel() for array in arrays]).astype("<f4"))
    write_together({lung_decoder.FILE: data.getvalue()})
    print(f"wrote {lung_decoder.FILE}: put this into DIGEST of detector/network/lung_decoder.py, if it is another:")
    print(hashlib.sha256(data.getvalue()).hexdigest())


def measure(weights: Weights, films: Sequence[Film]) -> None:
    """Print Dice's coefficient of films that a decoder was not fitted to, nor any other of their patients."""
    from sklearn.model_selection import GroupKFold

    from tools.lung_decoder.fit import dice, fit, prepare

    prepared = prepare(weights, films, SEED)
    patients = [film.patient for film in films]
    found, drawn = np.zeros(len(films)), []
    for train, held_out in GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(films, groups=patients):
        arrays = fit(prepared, train, SEED)
        found[held_out] = dice(weights, arrays, [films[row] for row in held_out])
        drawn.append(dice(weights, arrays, phantoms(PHANTOMS)))
    print("| films | n | mean | median | tenth percentile |\n| --- | --- | --- | --- | --- |")
    for name, values in (
        (f"radiographs, {FOLDS} folds, patients apart", found),
        ("phantoms, ill and healthy", np.mean(drawn, axis=0)),
    ):
        tenth = np.percentile(values, 10)
        print(f"| {name} | {len(values)} | {values.mean():.3f} | {np.median(values):.3f} | {tenth:.3f} |")
    print(
        f"cost: {cost(weights):.1%} over the forward pass without lungs (best of {TIMES}, in turn, {BATCH} images each)"
    )
    print("worst:", ", ".join(f"{films[row].name} {found[row]:.2f}" for row in np.argsort(found)[:8]))


def cost(weights: Weights) -> float:
    """Return by how much finding lungs makes the forward pass longer."""
    import tensorflow as tf

    from detector.network.forward import compile_forward, pooled_maps

    maps = pooled_maps(weights, "float32")
    signature = [tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)]
    plain = tf.function(lambda x: [tf.reduce_mean(one, (1, 2)) for one in maps(x)], signature, autograph=False)
    pixels = np.random.default_rng(SEED).random((BATCH, SIZE, SIZE, 3), np.float32)
    seconds: dict[object, list[float]] = {plain: [], compile_forward(weights, "float32"): []}
    for _ in range(TIMES + 1):
        for forward, taken in seconds.items():
            start = time.perf_counter()
            forward(pixels)[0].numpy()
            taken.append(time.perf_counter() - start)
    # The first of each compiles.
    without, with_lungs = (min(taken[1:]) for taken in seconds.values())
    return with_lungs / without - 1


if __name__ == "__main__":
    main()
