"""Small linear algebra on one thread, which is as fast alone, and much faster beside other programs."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager:
    """Limit the threads of the numerical libraries that are imported, while a block runs.

    A fit of some hundred images is thousands of products of small matrices. For each of them a pool of threads is woken
    that spins while it waits; where the cores are busy, as with two training runs at once, it mostly waits.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
