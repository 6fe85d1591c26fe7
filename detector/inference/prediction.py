"""Predictions for files and folders."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector import InputError
from detector.cluster.stream import Cluster
from detector.images.listing import list_images as listing_of
from detector.inference import cluster_prediction, predictor
from detector.inference.predictor import Prediction, PredictionRequest
from detector.network.model_file import SavedModel

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/")


def list_images(given: Sequence[Path], failures: list[InputError], left_out: Counter[str] | None = None) -> list[Path]:
    """Return the files to predict: those given, and those below the folders given, each once.

    Parameters
    ----------
    given : sequence of Path
        Files, folders, or patterns such as ``*.png`` that the shell did not expand.
    failures : list of InputError
        Gets what is no file and no folder with images.
    left_out : Counter, optional
        Gets the number of other files in the folders, by reason.

    Raises
    ------
    InputError
        If there is no file at all.
    """
    paths: list[Path] = []
    for path in (one for each in given for one in _expanded(each)):
        if _URL.match(str(path)):
            url = str(path).replace(":/", "://", 1)
            failures.append(InputError(f"{url} is a URL; download the file and give its path"))
        elif not path.is_dir():
            paths.append(path)
        else:
            listing = listing_of(path)
            if left_out is not None:
                left_out += listing.left_out
            paths += listing.images
            if not listing.images:
                failures.append(InputError(f"{path} holds no images{f' ({listing.note})' if listing.note else ''}"))
    if not paths and failures:
        raise failures[0]
    return list(dict.fromkeys(paths))


def _expanded(path: Path) -> list[Path]:
    """Return what a pattern matches, or the path itself."""
    if not glob.has_magic(str(path)) or path.exists():
        return [path]
    root = Path(path.anchor)
    return sorted(root.glob(str(path.relative_to(path.anchor)))) or [path]


def predict_all(
    saved: SavedModel, requests: Sequence[PredictionRequest], cluster: Cluster | None = None, force: bool = False
) -> Iterator[Prediction | InputError]:
    """Yield the prediction of each image, in order, or why there is none.

    Parameters
    ----------
    saved : SavedModel
    requests : sequence of PredictionRequest
    cluster : Cluster, optional
        Reads and predicts; by default that is done here.
    force : bool, default=False
        Predict a class for images that are no frontal chest radiographs, too.
    """
    if cluster is None:
        return predictor.predict(saved, requests, force)
    return cluster_prediction.on_cluster(cluster, saved, requests, force)
