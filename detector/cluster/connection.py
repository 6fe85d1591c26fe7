"""A connection to a Ray cluster, and rows that stream through it: Ray schedules, retries, spills and holds back."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import detector
from detector import InputError
from detector.cluster.flags import RayOptions

SECONDS = 5.0  # for a cluster's address to answer
# Items that go from stage to stage together. Few: what a node that dies, or a run that is ended, had in hand is lost.
# More where there are many: each block costs Ray some milliseconds.
LEAST_ITEMS, MOST_ITEMS, BLOCKS = 8, 64, 1000
# Cores of an actor on a machine that has more; two use them better than one does four (docs/cluster.md).
CORES = 2
CORES_A_READER = 4

Row = dict[str, object]


@dataclass(frozen=True)
class Cluster:
    """What a cluster has for this run.

    Attributes
    ----------
    actors : int
        Processes that keep the network loaded.
    cpus, gpus : float
        Of each.
    readers : int
        Processes that read and decode for them.
    """

    actors: int
    cpus: float
    gpus: float
    readers: int

    def map(self, items: Sequence[Row], function: Callable[[Row], Row]) -> Iterator[list[Row]]:
        """Yield what a function of this project makes of each item, some rows at a time and in any order."""
        yield from _streamed(_blocks(items).map(function))

    def map_batches(
        self,
        items: Sequence[Row],
        read: Callable[[Row], list[Row]],
        worker: type,
        arguments: tuple[object, ...],
    ) -> Iterator[list[Row]]:
        """Yield what actors make of what is read.

        Parameters
        ----------
        items : sequence of dict
        read : callable
            From an item to rows.
        worker : type
            Called with `arguments` once in each actor, then with a dict of columns for the rows of some items.
        arguments : tuple

        Yields
        ------
        list of dict
            Rows, in any order.
        """
        from ray.data import ActorPoolStrategy

        blocks = _blocks(items)
        count = -(-len(items) // _items_in_a_block(items))
        # Readers take no core of their own, or a worker that has all of them would never be fed. They are actors: where
        # no core is left, a task's process ends with it, and importing takes longer than reading.
        pools = (ActorPoolStrategy(size=min(most, count)) for most in (self.readers, self.actors))
        rows = blocks.flat_map(
            Reader, fn_constructor_args=(read,), compute=next(pools), num_cpus=0, scheduling_strategy="SPREAD"
        )
        computed = rows.map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=None,
            batch_format="numpy",
            compute=next(pools),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        yield from _streamed(computed)


class Reader:
    """Applies a function of this project, in a process that stays."""

    def __init__(self, read: Callable[[Row], list[Row]]) -> None:
        self.read = read

    def __call__(self, item: Row) -> list[Row]:
        """Return the rows that the function makes of an item."""
        return self.read(item)


def _items_in_a_block(items: Sequence[Row]) -> int:
    return min(MOST_ITEMS, max(LEAST_ITEMS, len(items) // BLOCKS))


def _blocks(items: Sequence[Row]) -> object:
    import ray.data

    return ray.data.from_items(list(items), override_num_blocks=-(-len(items) // _items_in_a_block(items)))


def shared(value: object) -> object:
    """Put a value into Ray's object store, from which each node takes it once; returns what stands for it."""
    import ray

    return ray.put(value)


def node() -> str:
    """Return the address of the node that this runs on."""
    import ray

    return f"node {ray.util.get_node_ip_address()}"


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what Ray raises into a sentence."""
    import ray.exceptions

    try:
        yield
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        named = [line for line in lines if "Error" in line] or lines or [type(error).__name__]
        at = re.search(r"\bip=([0-9a-f.:]+)", str(error))
        where = f"node {at[1]}" if at else "the cluster"
        raise InputError(f"--ray: {where} could not do it: {named[-1][:200]}") from None


def _streamed(rows: object) -> Iterator[list[Row]]:
    with _sentences():
        for batch in rows.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            names = list(batch)
            yield [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]


def connect(options: RayOptions) -> Cluster:
    """Connect to a cluster, or start one here.

    Parameters
    ----------
    options : RayOptions

    Returns
    -------
    Cluster

    Raises
    ------
    InputError
        If Ray is not installed, nobody answers, or no node is large enough for an actor.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            "--ray needs Ray, which is not installed: python -m pip install --require-hashes -r requirements/ray.lock"
        )
    address = options.address
    if "://" in address:
        raise InputError(
            f"--ray {address}: give a node's address as host:port, auto or local, and run this on a node of the cluster"
        )
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    if address not in ("auto", "local"):
        _require_answer(address)
    _start(address)
    return _shape(options)


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), SECONDS):
            pass
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no answer" if isinstance(error, OSError) else "not host:port"
        raise InputError(
            f"--ray {address}: no Ray cluster there ({reason.lower()}); start one with ray start --head, or say local"
        ) from None


def _start(address: str) -> None:
    # Nothing is sent to Ray's makers, and stderr is ours; both can only be said before the import.
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    os.environ |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Nodes get this very code, whatever they have of it; a local cluster finds it as we did.
    code = {"py_modules": [str(Path(detector.__file__).parent)]} if address != "local" else None
    here = {"include_dashboard": False} if address == "local" else {}
    try:
        with warnings.catch_warnings(), _hushed():
            warnings.simplefilter("ignore")
            import ray
            import ray.data

            ray.init(address, runtime_env=code, log_to_driver=False, logging_level=logging.FATAL, **here)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"--ray {address}: no Ray cluster can be used there ({reason})") from None
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
    """Let nothing be written to stderr: Ray's compiled part greets there, whatever it is told."""
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
    gpus = options.gpus_per_actor
    if gpus is None:
        gpus = 1.0 if max(cards) >= 1 else 0.0
    usual = min([float(CORES), *(count for count in cores if count)])
    cpus = options.cpus_per_actor or usual
    actors = sum(
        int(min(count / cpus, card / gpus if gpus else float("inf"))) for count, card in zip(cores, cards, strict=True)
    )
    if not actors:
        raise InputError(
            f"--ray {options.address}: no node has {cpus:g} cores and {gpus:g} GPUs for an actor; the largest have "
            f"{max(cores):g} and {max(cards):g}: lower --ray-cpus-per-actor or --ray-gpus-per-actor"
        )
    # A core decodes some dozen films in the time of one forward pass on it; a GPU wants all that the cores can read.
    return Cluster(actors, cpus, gpus, max(1, int(sum(cores) / (1 if gpus else CORES_A_READER))))
