"""The flags of a Ray cluster, and a connection to one, or to one that is started here."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import detector
from detector import InputError
from detector.cli.arguments import CommonOptions, between, flag
from detector.cluster.stream import Cluster

SECONDS = 5.0  # to wait for a response from a cluster's address
# Cores of an actor on a machine that has more: each keeps a copy of the network, about 1 GiB. That two are best was not
# measured (docs/engineering.md).
CORES = 2
COMPUTING = "computing"


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Where a Ray cluster is, and what each of its actors gets; None is left to the cluster's size."""

    ray: str | None = flag(
        COMPUTING, None, "compute on this Ray cluster: host:port, auto, or local to start one here", metavar="ADDRESS"
    )
    ray_cpus_per_actor: float | None = flag(
        COMPUTING, None, "cores of a process on it", type=between(0, 1e6), metavar="X"
    )
    ray_gpus_per_actor: float | None = flag(
        COMPUTING, None, "GPUs of a process on it", type=between(-1e-9, 1e6), metavar="X"
    )

    def __post_init__(self) -> None:
        """Reject sizes of actors where there is no cluster for them."""
        for name in ("ray_cpus_per_actor", "ray_gpus_per_actor"):
            if getattr(self, name) is not None and not self.ray:
                raise InputError(f"--{name.replace('_', '-')} has no meaning without --ray ADDRESS")


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(RayOptions, CommonOptions):
    """How features are computed and kept."""

    weights: Path | None = flag(
        COMPUTING, None, "VGG16's ImageNet weights, Keras' notop HDF5 (default: found)", type=Path, metavar="FILE"
    )
    cache: Path | None = flag(COMPUTING, None, "where features are kept (default: per user)", type=Path, metavar="DIR")
    no_cache: bool = flag(COMPUTING, False, "neither read nor keep features")


def connect(options: RayOptions) -> Cluster:
    """Connect to a cluster, or start one here."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "--ray needs Ray, which is not installed: python -m pip install --require-hashes --no-deps "
            "-r requirements/ray.lock"
        )
    address = options.ray or ""
    if "://" in address:
        raise InputError(
            f"--ray {address}: give a node's address as host:port, auto or local, and run this on a node of the cluster"
        )
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address not in ("auto", "local"):
        _require_response(address, address)
    _start(address)
    return _shape(options)


def _require_response(address: str, given: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), SECONDS):
            pass
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no answer" if isinstance(error, OSError) else "not host:port"
        raise InputError(
            f"--ray {given}: no Ray cluster there ({reason.lower()}); start one with ray start --head, or say local"
        ) from None


def _start(address: str) -> None:
    # Nothing is sent to Ray's makers, and stderr is ours; both can only be said before the import.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    os.environ |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Nodes get this very code, whatever they have of it; a local cluster finds it as we did.
    code = {"py_modules": [str(Path(detector.__file__).parent)]} if address != "local" else None
    # Ray rejects the argument where the cluster is running already.
    dashboard = False if address == "local" else None
    try:
        with warnings.catch_warnings(), _hushed():
            warnings.simplefilter("ignore")
            import ray
            import ray.data

            if address == "auto":
                address = _running_address()
                _require_response(address, f"auto ({address})")
            quiet = logging.FATAL
            ray.init(address, include_dashboard=dashboard, runtime_env=code, log_to_driver=False, logging_level=quiet)
    except InputError:
        raise
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"--ray {address}: no Ray cluster can be used there ({reason})") from None
    _silence_messages()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    # Of its advice on the size of pools and stores none is for our users.
    warnings.filterwarnings("ignore", module="ray")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.FATAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False


@contextmanager
def _hushed() -> Iterator[None]:
    """Let nothing be written to stderr: Ray's compiled part prints a greeting there, whatever its settings."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _shape(options: RayOptions) -> Cluster:
    """Return how many actors of which size the cluster's nodes hold."""
    import ray

    nodes = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    cores, cards = ([one.get(name, 0.0) for one in nodes] for name in ("CPU", "GPU"))
    gpus = options.ray_gpus_per_actor
    if gpus is None:
        gpus = 1.0 if max(cards) >= 1 else 0.0
    usual = min([float(CORES), *(count for count in cores if count)])
    cpus = options.ray_cpus_per_actor or usual
    actors = sum(
        int(min(count / cpus, card / gpus if gpus else float("inf"))) for count, card in zip(cores, cards, strict=True)
    )
    if not actors:
        raise InputError(
            f"--ray {options.ray}: no node has {cpus:g} cores and {gpus:g} GPUs for an actor; the largest have "
            f"{max(cores):g} and {max(cards):g}: lower --ray-cpus-per-actor or --ray-gpus-per-actor"
        )
    return Cluster(actors, cpus, gpus, max(1, int(sum(cores))))


# What Ray does only by private names.


def _running_address() -> str:
    """Return the address of the cluster of this machine, as ``ray.init("auto")`` finds it, without connecting.

    A cluster that ended badly has left its address behind, at which `ray.init` would ask for minutes. No public
    function says which address it will take.

    Raises
    ------
    ConnectionError
        If there is none.
    """
    from ray._private.services import get_ray_address_from_environment

    return get_ray_address_from_environment("auto", None)


def _silence_messages() -> None:
    """Keep what the cluster's nodes say of themselves, such as that one has died, from being printed among results.

    ``log_to_driver=False`` silences what workers print; for the messages of nodes Ray has no public switch.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False
