"""Connecting to Ray: what is installed, and actors that fit a node."""

from __future__ import annotations

import importlib
import importlib.util
import io

import pytest
from conftest import needs_ray, rejection

from detector.cluster import connection, stream
from detector.cluster.connection import RayOptions


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

    assert of((1, 0), (1, 0)) == stream.Cluster(2, 1, 0, 2)
    assert of((64, 0)).actors == 64 // connection.CORES
    assert of((0, 0), (64, 8), cpus=4) == stream.Cluster(8, 4, 1, 64)
    assert of((64, 8), cpus=4, gpus=0.5).actors == 16
    with rejection("no node has 4 cores and 0 GPUs for an actor; the largest have 2 and 0"):
        of((2, 0), (1, 0), cpus=4)


MOVED = "this version of Ray has moved {}: change detector/cluster/connection.py, or keep Ray's old version"


@needs_ray
@pytest.mark.parametrize("name", ["services.get_ray_address_from_environment", "worker._worker_logs_enabled"])
def test_ray_has_the_private_names(name):
    module, attribute = name.split(".")
    try:
        found = hasattr(importlib.import_module(f"ray._private.{module}"), attribute)
    except ImportError:
        found = False
    assert found, MOVED.format(f"ray._private.{name}")


@needs_ray
def test_the_address_is_the_one_that_ray_would_take(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.1.2.3:6379")
    assert connection._running_address() == "10.1.2.3:6379"


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
