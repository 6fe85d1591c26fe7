"""The flags that let many machines do the work, the same in every script that has them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from detector import InputError
from detector.cli.arguments import Parser, between


@dataclass(frozen=True)
class ComputeOptions:
    """How features are computed and kept.

    Attributes
    ----------
    weights : Path, optional
        VGG16's ImageNet weights; by default they are located.
    cache : Path, optional
        Folder of cached features; by default the user's.
    no_cache : bool
    verbose : bool
    ray : RayOptions, optional
        The cluster that computes; by default this machine does.
    """

    weights: Path | None = None
    cache: Path | None = None
    no_cache: bool = False
    verbose: bool = False
    ray: RayOptions | None = None


def compute_options(options: argparse.Namespace) -> ComputeOptions:
    """Return what the flags of `add_common` and `add_ray` say.

    Raises
    ------
    InputError
        If there are actors, and no cluster for them.
    """
    given = options.weights, options.cache, options.no_cache, options.verbose
    return ComputeOptions(*given, ray_options(options))


class RayOptions(NamedTuple):
    """Where a Ray cluster is, and what each of its actors gets; None is left to the cluster's size."""

    address: str
    cpus_per_actor: float | None
    gpus_per_actor: float | None


def add_ray(parser: Parser) -> None:
    """Add the flags of a cluster."""
    computing = parser.group("computing")
    computing.add_argument(
        "--ray", metavar="ADDRESS", help="compute on this Ray cluster: host:port, auto, or local to start one here"
    )
    computing.add_argument("--ray-cpus-per-actor", type=between(0, 1e6), metavar="X", help="cores of a process on it")
    computing.add_argument(
        "--ray-gpus-per-actor", type=between(-1e-9, 1e6), metavar="X", help="GPUs of a process on it"
    )


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
