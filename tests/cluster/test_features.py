"""Work on a node: its errors name the node and the file."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

import numpy as np
from conftest import needs_ray, picture, rejection

from detector.files.cache import Cache
from detector.images.inspect import PixelStore, inspect
from detector.images.masks import NetworkInput


@needs_ray
def test_a_node_that_does_not_see_a_file_is_named(monkeypatch, tmp_path):
    from detector.cluster import features
    from detector.inference import predict as cluster_prediction

    for module in (features, cluster_prediction):
        monkeypatch.setattr(module, "node", lambda: "node 10.0.0.7")
    path = tmp_path / "none.png"
    wanted = f"{path}: No such file or directory (on node 10.0.0.7)"
    (row,) = features._properties_rows({"index": 3, "path": str(path)})
    assert row == {"index": 3, "properties": "", "error": wanted}
    one = {"path": str(path), "digest": "0" * 64, "occlusion": "", "part": "", "mask": b"", "indices": [3, 4]}
    (row,) = features._pixel_rows(one | {"angles": [0.0, 1.0]})
    assert (row["index"], row["error"]) == (3, wanted)
    picture(path, 1)
    (row,) = features._pixel_rows(one | {"angles": [0.0, 1.0]})
    assert row["error"] == f"{path} is not the file that was read before (on node 10.0.0.7)"

    class Elsewhere:
        cpus = 1.0

        def map_batches(self, *arguments):
            yield [row | {"features": b"", "mask": b""}]

        def flat_map(self, items, read):
            yield [row for item in items for row in read(item)]

    monkeypatch.setattr(features, "shared", lambda value: value)
    with rejection("is not the file that was read before"):
        list(features.compute(Elsewhere(), {}, [NetworkInput(path, "0" * 64)]))
    path.unlink()
    with rejection("1 of 1 image cannot be read; fix or remove them:") as caught:
        inspect([path], Cache(None), PixelStore(), True, functools.partial(features.properties, Elsewhere()))
    assert caught.value.details == (f"{path}: No such file or directory (on node 10.0.0.7)",)


@needs_ray
def test_an_error_of_a_worker_names_its_node(monkeypatch, weights):
    import ray

    from detector.cluster import features
    from detector.inference import predict as cluster_prediction
    from detector.network.model_file import Description, SavedModel

    monkeypatch.setattr(features, "node", lambda: "node 10.0.0.7")
    monkeypatch.setattr(ray, "get", lambda ref: {name: (k + 1, b) for name, (k, b) in weights.items()})
    pixels, region = np.zeros((2, 224, 224, 3), np.uint8), np.full((2, 224, 224), -1, np.int8)
    block = {"index": np.arange(2), "pixels": pixels, "region": region, "error": np.array(["", ""], object)}
    said = features.FeatureWorker(None, 1)(block)
    assert set(said["error"]) == {"node 10.0.0.7 cannot compute features: InputError: VGG16's weights arrived damaged"}
    saved = SavedModel(weights, [], Description(["covid", "normal"], "covid", "tutorial", "tutorial"), None)
    monkeypatch.setattr(cluster_prediction, "node", lambda: "node 10.0.0.7")
    monkeypatch.setattr(ray, "get", lambda ref: tuple(saved))
    request = cluster_prediction.PredictionRequest(Path("none.png"), {})
    item = {"index": 0, "path": "none.png", "request": pickle.dumps(request)}
    (row,) = cluster_prediction.image_rows(item)
    worker = cluster_prediction.PredictionWorker(None, "another", False, False, 1)
    (error,) = worker({name: np.array([value], object) for name, value in row.items()})["error"]
    assert error == "node 10.0.0.7 cannot predict: InputError: the model's weights arrived damaged"
