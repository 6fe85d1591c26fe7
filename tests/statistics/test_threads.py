"""Numerical libraries use one thread inside of a block."""

from __future__ import annotations

import pytest

from detector.statistics.strata import one_thread


def test_one_thread_is_used_inside_of_the_block():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    import sklearn.linear_model  # noqa: F401 (what is limited has to be loaded)

    with threadpoolctl.threadpool_limits(2):
        before = {one["filepath"]: one["num_threads"] for one in threadpoolctl.threadpool_info()}
        assert set(before.values()) == {2}
        with one_thread():
            assert {one["num_threads"] for one in threadpoolctl.threadpool_info()} == {1}
        assert {one["filepath"]: one["num_threads"] for one in threadpoolctl.threadpool_info()} == before
