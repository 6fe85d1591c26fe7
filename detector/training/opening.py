"""Open a data set: everything read and checked, patients identified, weights and precision chosen."""

from __future__ import annotations

import functools

import numpy as np

from detector.cli.output import Log, named_notes
from detector.cluster import features
from detector.cluster.connection import connect
from detector.cluster.flags import ComputeOptions
from detector.datasets.dataset import Dataset
from detector.datasets.identity import merged, patients, require_one_class, require_own_rows
from detector.files.cache import Cache, default_folder
from detector.images.inspection import inspect
from detector.images.pixel_store import PixelStore
from detector.network import runtime, weight_sources
from detector.network.backbone import Backbone
from detector.network.kept_maps import KeptMaps
from detector.network.poolings import COLUMNS
from detector.training.extraction import FeatureExtractor
from detector.training.near_duplicates import find_near_duplicates, of_different_patients
from detector.training.recipes import Recipe, precision_for

HERE = ComputeOptions()


def open_dataset(dataset: Dataset, log: Log, recipe: Recipe, compute: ComputeOptions = HERE) -> FeatureExtractor:
    """Open a data set: read every image while TensorFlow is imported, find the weights, choose the precision.

    A probe on images that are all known to the cache mostly needs no TensorFlow: what does need it then imports it.

    Parameters
    ----------
    dataset : Dataset
    log : Log
    recipe : TutorialRecipe or ProbeRecipe
        Decides which features are read, and in which precision (`precision_for`).
    compute : ComputeOptions, optional

    Returns
    -------
    FeatureExtractor

    Raises
    ------
    InputError
        If an image, the weights or the cluster cannot be used.
    """
    cluster = connect(compute.ray) if compute.ray else None
    if compute.weights is not None:
        weight_sources.require_readable(compute.weights)
    counts = ", ".join(f"{count} {name}" for name, count in dataset.counts().items())
    log.info(f"loading images: {counts}...")
    runtime.configure(compute.verbose)
    if cluster or recipe.name != "probe":
        runtime.start()
    home = compute.cache or default_folder()
    cache = Cache(None if compute.no_cache else home)
    pixel_store = PixelStore()
    with log.timed("read"):
        inspected = functools.partial(features.properties, cluster) if cluster else None
        paths = [image.path for image in dataset.images]
        properties = inspect(paths, cache, pixel_store, log.quiet, inspected, runtime.start)
        found, _ = weight_sources.load(compute.weights, home, log.info)
    with log.timed("import TensorFlow (what reading did not hide)"):
        runtime.finish()
    with log.timed("choose precision"):
        chosen = precision_for(recipe, compute.precision, cache)
    digests = [image_properties.digest for image_properties in properties]
    require_one_class(dataset.images, digests)
    require_own_rows(dataset.images, digests)
    for note in dataset.notes:
        log.info(note)
    for note in named_notes(
        [
            (image.file, image_properties.note)
            for image, image_properties in zip(dataset.images, properties, strict=True)
        ]
    ):
        log.info(note)
    if cache.trouble:
        log.info(f"features are not kept: {home} cannot be used ({cache.trouble})")

    def pixels(row: int) -> np.ndarray:
        return pixel_store.pixels(dataset.images[row].path, properties[row].digest)

    near_duplicates = find_near_duplicates(dataset, properties, cache, pixels)
    known = patients(dataset.images, [image_properties.digest for image_properties in properties])
    joined_patients = of_different_patients(known, properties, near_duplicates)
    backbone = Backbone(found, cache, functools.partial(features.compute, cluster) if cluster else None)
    # Grad-CAM of the probe, and inside the lungs, reads other maps.
    if recipe.name == "tutorial" and recipe.pooling != "lungs":
        backbone.kept_maps = KeptMaps()
    return FeatureExtractor(
        dataset,
        properties,
        merged(known, joined_patients),
        near_duplicates,
        joined_patients,
        backbone,
        COLUMNS[recipe.name, recipe.pooling],
        chosen,
        pixel_store,
        log,
    )
