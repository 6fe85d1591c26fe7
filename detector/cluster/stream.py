"""Rows that stream through a cluster: Ray Data schedules, retries, spills and holds back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from detector import InputError

# Items that go from stage to stage together. Few: what a node that dies, or a run that is ended, had in hand is lost.
# More where there are many: each block costs Ray some milliseconds.
LEAST_ITEMS, MOST_ITEMS, BLOCKS = 8, 64, 1000

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
