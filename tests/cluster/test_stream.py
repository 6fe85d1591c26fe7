"""Errors of Ray."""

from __future__ import annotations

from conftest import needs_ray, rejection

from detector.cluster import stream


@needs_ray
def test_an_error_of_ray_is_one_line():
    from ray.exceptions import ActorDiedError, RayTaskError

    text = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'cv2'"
    with (
        rejection("--ray: node 10.0.0.3 could not do it: ModuleNotFoundError: No module named 'cv2'"),
        stream._sentences(),
    ):
        raise RayTaskError("Map", text, ValueError(), ip="10.0.0.3")
    with rejection("--ray: the cluster could not do it: "), stream._sentences():
        raise ActorDiedError()
