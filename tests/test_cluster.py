"""The same command on a Ray cluster on this machine: the same numbers, whatever dies."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SAID, inside, picture, refusal, refused, script, tree

from detector.cluster import connection, stream
from detector.cluster.flags import RayOptions
from detector.images.inspection import inspect
from detector.images.network_input import NetworkInput
from detector.images.occlusion import LUNGS_ONLY
from detector.images.pixel_store import PixelStore
from detector.network.backbone import WIDTH
from detector.storage.cache import FILE, Cache

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: requirements/ray.lock"
)
NODES = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
size = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=size | {"include_dashboard": False})
nodes = [cluster.add_node(**size)]
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def nodes():
    """Start two nodes of a core each in a process of their own; a line of input kills one."""
    with subprocess.Popen(
        [sys.executable, "-c", NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        process.address = process.stdout.readline().strip()
        yield process
        process.stdin.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    assert inside("make_phantom_dataset.py", "-o", "data", "-n", 12, "--quiet", cwd=folder).returncode == 0
    return folder / "data"


def arguments(data: Path, cache: Path, *more: object) -> list[object]:
    return ["-d", data, "--recipe", "probe", "--cache", cache, "--no-report", "--quiet", *more]


def held(cache: Path) -> dict[bytes, np.ndarray]:
    """Return the features in a cache."""
    if not (cache / FILE).exists():
        return {}
    with closing(sqlite3.connect(cache / FILE, timeout=30)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            return {}  # the run has just created the file
        rows = database.execute(f"SELECT key, value FROM entries WHERE length(value) = {4 * WIDTH}")
        return {name: np.frombuffer(value, "<f4") for name, value in rows}


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    """Train here."""
    folder = tmp_path_factory.mktemp("plain")
    done = inside("train_covid19.py", *arguments(data, folder / "cache"), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def same(folder: Path, cache: Path, other: Path) -> None:
    """Assert that a run had the features, metrics and model of another."""
    ours, theirs = held(cache), held(other / "cache")
    assert ours.keys() == theirs.keys() and len(ours) == 24
    assert all(np.allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5) for name in ours)
    one, two = (json.loads((where / "covid19.json").read_text()) for where in (folder, other))
    assert one["metrics"]["roc_auc"] == two["metrics"]["roc_auc"]
    for a, b in zip(one["held_out"], two["held_out"], strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-5)


def running_in(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text:
            found.append(text)
    return found


@needs_ray
def test_a_cluster_that_is_not_there(data, tmp_path):
    for address, word in (
        ("127.0.0.1:1", "no Ray cluster there (connection refused)"),
        ("nowhere", "no Ray cluster there (not host:port)"),
        ("ray://127.0.0.1:10001", "give a node's address as host:port"),
    ):
        done = script("train_covid19.py", "-d", data, "--ray", address, cwd=tmp_path)
        refused(done, f"--ray {address}", word)
    if not running_in(Path("gcs_server")):
        auto = ("train_covid19.py", "-d", data, "--ray", "auto")
        refused(script(*auto, cwd=tmp_path, RAY_ADDRESS="", RAY_TMPDIR=str(tmp_path)), "no Ray cluster can be used")
        # What a cluster leaves behind that was killed.
        (tmp_path / "ray").mkdir(exist_ok=True)
        (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
        done = script(*auto, cwd=tmp_path, RAY_ADDRESS="", RAY_TMPDIR=str(tmp_path))
        refused(done, "error: --ray auto (127.0.0.1:1): no Ray cluster there (connection refused)")
    done = script("audit_covid19.py", "-d", data, "--ray", "auto", cwd=tmp_path, RAY_ADDRESS="127.0.0.1:1")
    refused(done, "--ray 127.0.0.1:1: no Ray cluster there")


@needs_ray
def test_a_run_that_is_ended_goes_on_where_it_was_and_a_node_that_dies_costs_nothing(data, plain, tmp_path, request):
    """Ended on a cluster of its own, of which nothing is left running; gone on with on one of which a node dies."""
    cache = tmp_path / "cache"
    command = [sys.executable, ROOT / "train_covid19.py", *arguments(data, cache)]
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as name:  # a socket's path has to be short
        environment = os.environ | {"RAY_TMPDIR": name}
        with subprocess.Popen(
            [*command, "--ray", "local"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment
        ) as running:
            while running.poll() is None and len(held(cache)) < 8:
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            said = running.stderr.read()
            assert running.wait(60) == 130, said
        assert said == "train_covid19.py: error: interrupted. No incomplete output was written\n"
        until = time.monotonic() + 60
        while (left := running_in(Path(name))) and time.monotonic() < until:
            time.sleep(0.2)
        assert not left
    assert {path.partition("/")[0] for path in tree(tmp_path)} == {"cache"}
    kept = held(cache)
    assert 8 <= len(kept) < 24
    nodes = request.getfixturevalue("nodes")
    with subprocess.Popen(
        [*command, "--ray", nodes.address], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while running.poll() is None and len(held(cache)) <= len(kept):
            time.sleep(0.1)
        nodes.stdin.write("\n")
        nodes.stdin.flush()
        assert nodes.stdout.readline() == "killed\n"
        output, said = running.communicate(timeout=200)
        assert running.returncode == 0, said
    assert said == ""
    assert output == plain[1].stdout
    same(tmp_path, cache, plain[0])


@needs_ray
def test_predictions_on_a_cluster_are_those_made_here(nodes, data, plain, tmp_path):
    films = sorted((data / "covid").glob("*.png"))[:3]
    (tmp_path / "broken.png").write_text("no image")
    command = ("predict_covid19.py", "-m", plain[0] / "covid19.model.h5", *films, "broken.png", "none.png", "--force")
    outputs = ("--json", "p.json", "--gradcam", "cam", "--no-report")
    done = script(*command, *outputs, "--ray", nodes.address, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert "broken.png: not a readable image (supported: DICOM, PNG, JPEG, BMP, TIFF, WEBP) (on node " in done.stderr
    assert "none.png: No such file or directory (on node " in done.stderr
    assert len(list((tmp_path / "cam").iterdir())) == 3
    there = json.loads((tmp_path / "p.json").read_text())["predictions"]
    assert inside(*command, "--json", "p.json", "--no-report", cwd=tmp_path).returncode == 1
    here = json.loads((tmp_path / "p.json").read_text())["predictions"]
    assert [one["file"] for one in there] == [one["file"] for one in here] == [str(film) for film in films]
    for one, other in zip(there, here, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


@needs_ray
def test_a_node_that_does_not_see_a_file_is_named(monkeypatch, tmp_path):
    from detector.cluster import features
    from detector.inference import cluster_prediction

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
    with refusal("is not the file that was read before"):
        list(features.compute(Elsewhere(), {}, [NetworkInput(path, "0" * 64)], "float32"))
    path.unlink()
    with refusal("1 of 1 images cannot be used: .*none.png: No such file or directory .on node 10.0.0.7"):
        inspect([path], Cache(None), PixelStore(), True, functools.partial(features.properties, Elsewhere()))


def test_actors_without_a_cluster(data, tmp_path):
    for script_name in ("train_covid19.py", "audit_covid19.py"):
        for flag in ("--ray-cpus-per-actor", "--ray-gpus-per-actor"):
            done = script(script_name, "-d", data, flag, 1, cwd=tmp_path)
            refused(done, f"{flag} has no meaning without --ray ADDRESS")
    refused(
        script("train_covid19.py", "--ray", "auto", "--ray-cpus-per-actor", -1, cwd=tmp_path), "--ray-cpus-per-actor"
    )


def test_without_ray_the_flag_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refusal("--ray needs Ray, which is not installed: .* requirements/ray.lock"):
        connection.connect(RayOptions("local", None, None))


@needs_ray
def test_a_group_of_cores_that_no_node_has(monkeypatch):
    import ray

    def of(*sizes: tuple[float, float], **wanted: float):
        found = [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in sizes]
        monkeypatch.setattr(ray, "nodes", lambda: [*found, {"Alive": False, "Resources": {"CPU": 99.0}}])
        return connection._shape(RayOptions("auto", wanted.get("cpus"), wanted.get("gpus")))

    assert of((1, 0), (1, 0)) == stream.Cluster(2, 1, 0, 2)
    assert of((64, 0)).actors == 64 // connection.CORES
    assert of((0, 0), (64, 8), cpus=4) == stream.Cluster(8, 4, 1, 64)
    assert of((64, 8), cpus=4, gpus=0.5).actors == 16
    with refusal("no node has 4 cores and 0 GPUs for an actor; the largest have 2 and 0"):
        of((2, 0), (1, 0), cpus=4)


@needs_ray
def test_what_a_worker_cannot_do_it_says(monkeypatch, weights):
    import ray

    from detector.cluster import features
    from detector.inference import cluster_prediction
    from detector.network.model import Description
    from detector.network.model_file import SavedModel

    monkeypatch.setattr(features, "node", lambda: "node 10.0.0.7")
    monkeypatch.setattr(ray, "get", lambda ref: {name: (k + 1, b) for name, (k, b) in weights.items()})
    pixels, region = np.zeros((2, 224, 224, 3), np.uint8), np.full((2, 224, 224), -1, np.int8)
    block = {"index": np.arange(2), "pixels": pixels, "region": region, "error": np.array(["", ""], object)}
    said = features.FeatureWorker(None, "float32", 1)(block)
    assert set(said["error"]) == {
        "node 10.0.0.7 cannot compute float32 features: InputError: VGG16's weights arrived damaged"
    }
    SAID.append(("", said["error"][0]))
    saved = SavedModel(weights, [], Description(["covid", "normal"], "covid", "tutorial", "tutorial"), None)
    monkeypatch.setattr(cluster_prediction, "node", lambda: "node 10.0.0.7")
    monkeypatch.setattr(ray, "get", lambda ref: tuple(saved))
    item = {"index": 0, "path": "none.png", "given": "none.png", "values": "{}", "with_images": False}
    (row,) = cluster_prediction.image_rows(item)
    worker = cluster_prediction.PredictionWorker(None, "another", False, False, 1)
    (error,) = worker({name: np.array([value], object) for name, value in row.items()})["error"]
    assert error == "node 10.0.0.7 cannot predict: InputError: the model's weights arrived damaged"
    SAID.append(("", error))


@needs_ray
def test_what_ray_raises_is_a_sentence():
    from ray.exceptions import ActorDiedError, RayTaskError

    text = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'cv2'"
    with (
        refusal("--ray: node 10.0.0.3 could not do it: ModuleNotFoundError: No module named 'cv2'"),
        stream._sentences(),
    ):
        raise RayTaskError("Map", text, ValueError(), ip="10.0.0.3")
    with refusal("--ray: the cluster could not do it: "), stream._sentences():
        raise ActorDiedError()


def test_an_input_is_made_the_same_anywhere(tmp_path):
    from detector.images.lungs import packed
    from detector.images.occlusion import Occlusion
    from detector.images.rotation import rotate

    generator = np.random.default_rng(0)
    mask = np.zeros((224, 224), bool)
    mask[60:160, 30:90] = mask[60:160, 130:190] = True
    pixels = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    one = NetworkInput(tmp_path / "a.png", "0" * 64, 5.0, "lungs only, found", LUNGS_ONLY, packed(mask))
    wanted = rotate(Occlusion(LUNGS_ONLY).apply(pixels, mask), 5.0)
    assert np.array_equal(NetworkInput(**asdict(one)).shown(pixels), wanted)
    assert not one.whole and NetworkInput(tmp_path / "a.png", "0" * 64).whole
