"""Ray: connecting, actors that fit a node, work whose errors name the node and the file."""

from __future__ import annotations

import functools
import importlib.util
import io

from conftest import needs_ray, picture, rejection

from detector.cluster import connection, features
from detector.cluster.connection import Cluster, RayOptions
from detector.files.cache import Cache
from detector.images.inspect import PixelStore, inspect
from detector.images.masks import NetworkInput

MOVED = "this version of Ray has moved {}: change detector/cluster/connection.py, or keep Ray's old version"


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with rejection("--ray needs Ray, which is not installed: .* requirements/ray.lock"):
        connection.connect(RayOptions(ray="local"))


@needs_ray
def test_an_actor_that_fits_no_node_is_rejected(monkeypatch):
    import ray

    def of(*sizes: tuple[float, float], **wanted: float):
        found = [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in sizes]
        monkeypatch.setattr(ray, "nodes", lambda: [*found, {"Alive": False, "Resources": {"CPU": 99.0}}])
        return connection._shape(
            RayOptions(ray="auto", **{f"ray_{name}_per_actor": value for name, value in wanted.items()})
        )

    assert of((1, 0), (1, 0)) == Cluster(2, 1, 0, 2)
    assert of((64, 0)).actors == 64 // connection.CORES
    assert of((0, 0), (64, 8), cpus=4) == Cluster(8, 4, 1, 64)
    assert of((64, 8), cpus=4, gpus=0.5).actors == 16
    with rejection("no node has 4 cores and 0 GPUs for an actor; the largest have 2 and 0"):
        of((2, 0), (1, 0), cpus=4)


@needs_ray
def test_the_address_is_the_one_that_ray_would_take(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.1.2.3:6379")
    assert connection._running_address() == "10.1.2.3:6379", MOVED.format("get_ray_address_from_environment")


@needs_ray
def test_messages_of_nodes_are_printed_until_they_are_silenced(monkeypatch):
    from ray._private import worker

    monkeypatch.setattr(worker, "_worker_logs_enabled", True)
    message = {"lines": ["a node has died"], "pid": "raylet", "ip": "10.1.2.3", "is_err": False}
    before, after = io.StringIO(), io.StringIO()
    worker.print_worker_logs(message, before)
    connection._silence_messages()
    worker.print_worker_logs(message, after)
    assert "a node has died" in before.getvalue() and after.getvalue() == "", MOVED.format("_worker_logs_enabled")


@needs_ray
def test_an_error_of_ray_is_one_line():
    from ray.exceptions import ActorDiedError, RayTaskError

    for last, said in (
        ("ModuleNotFoundError: No module named 'cv2'", "ModuleNotFoundError: No module named 'cv2'"),
        ("detector.InputError: a.png: empty", "a.png: empty"),
    ):
        error = RayTaskError(
            "Map", f"Traceback (most recent call last):\n  File x\n{last}", ValueError(), ip="10.0.0.3"
        )
        assert connection.sentence(error) == f"--ray: node 10.0.0.3 could not do it: {said}"
    assert connection.sentence(ActorDiedError()).startswith("--ray: the cluster could not do it: ")


class Here:
    """A cluster of this process."""

    def read(self, items, read):
        yield [pair for positions, given in items for pair in zip(positions, read(given), strict=True)]


def test_a_node_that_does_not_see_a_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(features, "on_node", lambda error: type(error)(f"{error} (on node 10.0.0.7)"))
    path = tmp_path / "none.png"
    with rejection("1 of 1 image cannot be used; correct or remove them:") as caught:
        inspect([path], Cache(None), PixelStore(), True, functools.partial(features.properties, Here()))
    assert caught.value.details == (f"{path}: No such file or directory (on node 10.0.0.7)",)
    picture(path, 1)
    with rejection("none.png is not the file that was read before"):
        features.read_views([NetworkInput(path, "0" * 64)])
