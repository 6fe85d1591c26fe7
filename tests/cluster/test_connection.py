"""Connecting to Ray: what is installed, and actors that fit a node."""

from __future__ import annotations

import importlib.util

import pytest
from conftest import rejection

from detector.cluster import connection, stream
from detector.cluster.flags import RayOptions

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: requirements/ray.lock"
)


def test_without_ray_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with rejection("--ray needs Ray, which is not installed: .* requirements/ray.lock"):
        connection.connect(RayOptions("local", None, None))


@needs_ray
def test_an_actor_that_fits_no_node_is_rejected(monkeypatch):
    import ray

    def of(*sizes: tuple[float, float], **wanted: float):
        found = [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}} for cpus, gpus in sizes]
        monkeypatch.setattr(ray, "nodes", lambda: [*found, {"Alive": False, "Resources": {"CPU": 99.0}}])
        return connection._shape(RayOptions("auto", wanted.get("cpus"), wanted.get("gpus")))

    assert of((1, 0), (1, 0)) == stream.Cluster(2, 1, 0, 2)
    assert of((64, 0)).actors == 64 // connection.CORES
    assert of((0, 0), (64, 8), cpus=4) == stream.Cluster(8, 4, 1, 64)
    assert of((64, 8), cpus=4, gpus=0.5).actors == 16
    with rejection("no node has 4 cores and 0 GPUs for an actor; the largest have 2 and 0"):
        of((2, 0), (1, 0), cpus=4)
