"""Ray's private names are where this version of it has them, and do what they are used for."""

from __future__ import annotations

import importlib
import io

import pytest

from detector.cluster import ray_internals

pytest.importorskip("ray", reason="Ray is not installed: requirements/ray.lock")
MOVED = "this version of Ray has moved {}: change detector/cluster/ray_internals.py, or keep Ray's old version"


@pytest.mark.parametrize("name", ["services.get_ray_address_from_environment", "worker._worker_logs_enabled"])
def test_ray_has_the_private_names(name):
    module, attribute = name.split(".")
    try:
        found = hasattr(importlib.import_module(f"ray._private.{module}"), attribute)
    except ImportError:
        found = False
    assert found, MOVED.format(f"ray._private.{name}")


def test_the_address_is_the_one_that_ray_would_take(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.1.2.3:6379")
    assert ray_internals.running_address() == "10.1.2.3:6379"


def test_messages_of_nodes_are_printed_until_they_are_silenced(monkeypatch):
    from ray._private import worker

    monkeypatch.setattr(worker, "_worker_logs_enabled", True)
    message = {"lines": ["a node has died"], "pid": "raylet", "ip": "10.1.2.3", "is_err": False}
    before, after = io.StringIO(), io.StringIO()
    worker.print_worker_logs(message, before)
    ray_internals.silence_messages()
    worker.print_worker_logs(message, after)
    assert "a node has died" in before.getvalue() and after.getvalue() == "", MOVED.format("_worker_logs_enabled")
