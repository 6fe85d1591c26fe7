"""Rows that stream through a cluster: Ray Data schedules, retries, spills and holds back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector import InputError

if TYPE_CHECKING:
    import ray
    import ray.data

# Items that go from stage to stage together. Few: what a node that dies, or a run that is ended, had in hand is lost.
# More where there are many: each block costs Ray some milliseconds.
LEAST_ITEMS, MOST_ITEMS, BLOCKS = 8, 64, 1000

Row = dict[str, Any]  # Ray takes any value that can be pickled, and arrays


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
        Processes that read properties, and decode where GPUs compute.
    """

    actors: int
    cpus: float
    gpus: float
    readers: int

    def flat_map(self, items: Sequence[Row], read: Callable[[Row], list[Row]]) -> Iterator[list[Row]]:
        """Yield the rows that a function of this project makes of each item, some at a time and in any order."""
        yield from _streamed(self._read(items, read))

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
        # What asks for the same, Ray Data joins: an actor then reads what it computes, and nothing goes from process to
        # process. A GPU must not wait for that.
        if self.gpus:
            rows = self._read(items, read)
        else:
            rows = _dataset(items).flat_map(read, num_cpus=self.cpus, num_gpus=self.gpus)
        computed = rows.map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=None,
            batch_format="numpy",
            compute=_pool(self.actors, items),
            num_cpus=self.cpus,
            num_gpus=self.gpus,
        )
        yield from _streamed(computed)

    def _read(self, items: Sequence[Row], read: Callable[[Row], list[Row]]) -> ray.data.Dataset:
        """Return a stream of what processes that only read make of items.

        They take no core of their own, or a worker that has all of them would never be fed. They are actors: where no
        core is left, a task's process ends with it, and importing takes longer than reading.
        """
        return _dataset(items).flat_map(
            Reader,
            fn_constructor_args=(read,),
            compute=_pool(self.readers, items),
            num_cpus=0,
            scheduling_strategy="SPREAD",
        )


class Reader:
    """Applies a function of this project, in a process that stays."""

    def __init__(self, read: Callable[[Row], list[Row]]) -> None:
        self.read = read

    def __call__(self, item: Row) -> list[Row]:
        """Return the rows that the function makes of an item."""
        return self.read(item)


def _dataset(items: Sequence[Row]) -> ray.data.Dataset:
    import ray.data

    return ray.data.from_items(list(items), override_num_blocks=_count_blocks(items))


def _count_blocks(items: Sequence[Row]) -> int:
    return -(-len(items) // min(MOST_ITEMS, max(LEAST_ITEMS, len(items) // BLOCKS)))


def _pool(most: int, items: Sequence[Row]) -> ray.data.ActorPoolStrategy:
    """Return a pool of so many actors, or fewer where there is not a block for each."""
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(size=min(most, _count_blocks(items)))


def shared(value: object) -> ray.ObjectRef:
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


def _streamed(rows: ray.data.Dataset) -> Iterator[list[Row]]:
    with _sentences():
        for batch in rows.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            names = list(batch)
            yield [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]
