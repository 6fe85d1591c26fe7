"""A Ray cluster: its flags, a connection to one or to one that is started here, and work that streams through it.

Ray Data schedules, retries, spills and holds back.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import re
import signal
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import detector
from detector import InputError
from detector.cli.arguments import CommonOptions, between, flag

if TYPE_CHECKING:
    import ray
    import ray.data

SECONDS = 5.0  # to wait for a response from a cluster's address
# Cores of an actor on a machine that has more: each keeps a copy of the network, about 1 GiB. That two are best was not
# measured (docs/engineering.md).
CORES = 2
COMPUTING = "computing"
# Items that go from stage to stage together. Few: what a node that dies, or a run that is ended, had in hand is lost.
# More where there are many: each block costs Ray some milliseconds.
LEAST_ITEMS, MOST_ITEMS, BLOCKS = 8, 64, 1000
BATCH = 8  # values that are computed at a time

Row = dict[str, Any]
Item = tuple[Sequence[int], Any]  # positions, and what the values at these are read from
Read = Callable[[Any], Sequence[object]]  # from that to a value, or an `InputError`, for each position
Make = Callable[[Any], Callable[[list[Any]], list[Any]]]  # from a shared value to a function of some values read


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
class CacheOptions(CommonOptions):
    """Whose weights compute features, and where these are kept."""

    weights: Path | None = flag(
        COMPUTING, None, "VGG16's ImageNet weights, Keras' notop HDF5 (default: found)", type=Path, metavar="FILE"
    )
    cache: Path | None = flag(COMPUTING, None, "where features are kept (default: per user)", type=Path, metavar="DIR")
    no_cache: bool = flag(COMPUTING, False, "neither read nor keep features")


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(RayOptions, CacheOptions):
    """How features are computed and kept."""


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
        socket.create_connection((host, int(port)), SECONDS).close()
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
    # Ray rejects the other argument where the cluster is running already.
    code = {"py_modules": [str(Path(detector.__file__).parent)]}
    settings: dict[str, Any] = {"include_dashboard": False} if address == "local" else {"runtime_env": code}
    try:
        with warnings.catch_warnings(), _hushed():
            warnings.simplefilter("ignore")
            import ray
            import ray.data

            if address == "auto":
                address = _running_address()
                _require_response(address, f"auto ({address})")
            ray.init(address, log_to_driver=False, logging_level=logging.FATAL, **settings)
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
    context.enable_progress_bars = context.print_on_execution_start = False


@contextmanager
def _hushed() -> Iterator[None]:
    """Let nothing be written to stderr: Ray's compiled part prints a greeting there, whatever its settings."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _shape(options: RayOptions) -> Cluster:
    """Return how many actors of which size the cluster's nodes hold."""
    import ray

    nodes = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    cores, cards = ([one.get(name, 0.0) for one in nodes] for name in ("CPU", "GPU"))
    gpus = options.ray_gpus_per_actor
    if gpus is None:
        gpus = 1.0 if max(cards) >= 1 else 0.0
    cpus = options.ray_cpus_per_actor or min([float(CORES), *filter(None, cores)])
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
    function says which address it will take. Raises ConnectionError where there is none.
    """
    from ray._private.services import get_ray_address_from_environment

    return get_ray_address_from_environment("auto", None)


def _silence_messages() -> None:
    """Keep what the cluster's nodes say of themselves, such as that one has died, from being printed among results.

    ``log_to_driver=False`` silences what workers print; for the messages of nodes Ray has no public switch.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False


# Work.


@dataclass(frozen=True)
class Cluster:
    """What a cluster has for this run."""

    actors: int  # processes that keep the network loaded
    cpus: float  # of each
    gpus: float
    readers: int  # processes that only read, where that is all, or where GPUs compute

    def read(self, items: Sequence[Item], read: Read) -> Iterator[list[tuple[int, Any]]]:
        """Yield the positions and values that are read of items, some at a time and in any order.

        Processes that only read take no core of their own, or a worker that has all of them would never be fed. They
        are actors: where no core is left, a task's process ends with it, and importing takes longer than reading.
        """
        yield from _streamed(self._read(items, read))

    def compute(self, items: Sequence[Item], read: Read, make: Make, value: object) -> Iterator[list[tuple[int, Any]]]:
        """Yield the positions and what actors make of the values that are read of items, in any order.

        `make` is called once in each actor, with a value that each node takes once.
        """
        import ray

        # What asks for the same, Ray Data joins: an actor then reads what it computes, and nothing goes from process to
        # process. A GPU must not wait for that.
        if self.gpus:
            rows = self._read(items, read)
        else:
            rows = _dataset(items).flat_map(partial(_rows, read), num_cpus=self.cpus, num_gpus=self.gpus)
        computed = rows.map_batches(
            Worker,
            fn_constructor_args=(make, ray.put(value), max(1, int(self.cpus))),
            batch_size=None,
            batch_format="numpy",
            compute=_pool(self.actors, items),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        yield from _streamed(computed)

    def _read(self, items: Sequence[Item], read: Read) -> ray.data.Dataset:
        return _dataset(items).flat_map(
            Reader,
            fn_constructor_args=(read,),
            compute=_pool(self.readers, items),
            num_cpus=0,
            scheduling_strategy="SPREAD",
        )


def _rows(read: Read, row: Row) -> list[Row]:
    """Return a row for each value that is read of an item."""
    positions, given = pickle.loads(row["item"])
    return [{"index": i, "value": pickle.dumps(one)} for i, one in zip(positions, read(given), strict=True)]


class Reader:
    """Reads items, in a process that stays."""

    def __init__(self, read: Read) -> None:
        self.read = read

    def __call__(self, row: Row) -> list[Row]:
        """Return a row for each value."""
        return _rows(self.read, row)


class Worker:
    """Keeps what `make` returns, such as a network, in a process of its own that has so many cores."""

    def __init__(self, make: Make, value: ray.ObjectRef, cores: int) -> None:
        # TensorFlow uses all cores unless this is set before it is imported.
        os.environ |= {"TF_NUM_INTRAOP_THREADS": str(cores), "TF_NUM_INTEROP_THREADS": "1"}
        self.make, self.value = make, value
        self.function: Callable[[list[Any]], list[Any]] | None = None

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the results of some rows."""
        if self.function is None:
            import ray

            self.function = self.make(ray.get(self.value))
        results: list[bytes] = []
        for start in range(0, len(block["value"]), BATCH):
            values = [pickle.loads(one) for one in block["value"][start : start + BATCH]]
            results += map(pickle.dumps, self.function(values))
        return {"index": block["index"], "value": np.array(results, object)}


def _dataset(items: Sequence[Item]) -> ray.data.Dataset:
    import ray.data

    return ray.data.from_items([{"item": pickle.dumps(one)} for one in items], override_num_blocks=_count_blocks(items))


def _count_blocks(items: Sequence[Item]) -> int:
    return -(-len(items) // min(MOST_ITEMS, max(LEAST_ITEMS, len(items) // BLOCKS)))


def _pool(most: int, items: Sequence[Item]) -> ray.data.ActorPoolStrategy:
    """Return a pool of so many actors, or fewer where there is not a block for each."""
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(size=min(most, _count_blocks(items)))


def on_node(message: object) -> InputError:
    """Return an error with the address of the node that this runs on."""
    import ray

    return InputError(f"{message} (on node {ray.util.get_node_ip_address()})")


def _streamed(rows: ray.data.Dataset) -> Iterator[list[tuple[int, Any]]]:
    """Yield the positions and values of rows as they come; what Ray raises becomes a sentence that names the node."""
    import ray.exceptions

    try:
        for batch in rows.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            yield [(int(i), pickle.loads(one)) for i, one in zip(batch["index"], batch["value"], strict=True)]
    except ray.exceptions.RayError as error:
        raise InputError(sentence(error)) from None


def sentence(error: Exception) -> str:
    """Return what Ray raises as a sentence; a node can lack a package, or memory: it has an address."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line] or lines or [type(error).__name__]
    at = re.search(r"\bip=([0-9a-f.:]+)", str(error))
    reason = named[-1].removeprefix("detector.InputError: ")[:200]
    return f"--ray: {f'node {at[1]}' if at else 'the cluster'} could not do it: {reason}"
