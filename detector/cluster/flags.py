"""The flags that let many machines do the work, the same in every script that has them."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from detector import InputError
from detector.command_line import Parser, between


class RayOptions(NamedTuple):
    """Where a Ray cluster is, and what each of its actors gets; None is left to the cluster's size."""

    address: str
    cpus_per_actor: float | None
    gpus_per_actor: float | None


def add_ray(parser: Parser) -> None:
    """Add the flags of a cluster."""
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="compute on this Ray cluster: host:port, auto, or local to start one here"
    )
    parser.add_argument("--ray-cpus-per-actor", type=between(0, 1e6), metavar="X", help="cores of a process on it")
    parser.add_argument("--ray-gpus-per-actor", type=between(-1e-9, 1e6), metavar="X", help="GPUs of a process on it")


def ray_options(options: argparse.Namespace) -> RayOptions | None:
    """Return what the flags of `add_ray` say, or None where the work is done here.

    Raises
    ------
    InputError
        If there are actors, and no cluster for them.
    """
    sizes = options.ray_cpus_per_actor, options.ray_gpus_per_actor
    if options.ray:
        return RayOptions(options.ray, *sizes)
    for flag, value in zip(("--ray-cpus-per-actor", "--ray-gpus-per-actor"), sizes, strict=True):
        if value is not None:
            raise InputError(f"{flag} has no meaning without --ray ADDRESS")
    return None
