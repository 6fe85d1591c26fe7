"""The cache returns what it was given, undamaged, or nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from conftest import ROOT, tree

from detector.files import cache as cache_file
from detector.files.cache import FILE, Cache


def test_the_cache_returns_what_it_was_given(tmp_path):
    cache = Cache(tmp_path)
    cache.put({b"a": b"1", b"b": b"2"})
    assert Cache(tmp_path).get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    assert Cache(None).get([b"a"]) == {}


def test_the_cache_is_bounded_and_drops_the_least_recently_used(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_file, "MAX_BYTES", 300_000)
    Cache(tmp_path).put({b"kept": b"k"})
    for i in range(100):
        cache = Cache(tmp_path)  # a run
        cache.put({f"{i}-{j}".encode(): bytes(2048) for j in range(4)})
        cache.get([b"kept"])
    assert (tmp_path / FILE).stat().st_size < 600_000
    assert cache.get([b"kept", b"0-0", b"99-0"]).keys() == {b"kept", b"99-0"}


def test_the_cache_keeps_what_the_run_needs_whatever_its_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_file, "MAX_BYTES", 100_000)
    Cache(tmp_path).put({b"old": bytes(2048), b"wanted": bytes(2048)})
    cache = Cache(tmp_path)
    names = [b"wanted", *(f"{i}".encode() for i in range(200))]
    assert cache.get([b"wanted"])
    for name in names[1:]:
        cache.put({name: bytes(2048)})
    assert cache.get(names).keys() == set(names)
    assert not cache.get([b"old"])


def test_flipped_bits_are_never_returned(tmp_path):
    values = {f"{i}".encode(): bytes([i]) * 2048 for i in range(50)}
    generator = np.random.default_rng(0)
    for _ in range(20):
        Cache(tmp_path).put(values)
        data = bytearray((tmp_path / FILE).read_bytes())
        for at in generator.integers(0, len(data), 30):
            data[at] ^= 1 << int(generator.integers(0, 8))
        (tmp_path / FILE).write_bytes(data)
        damaged = Cache(tmp_path)
        assert damaged.get(values).items() <= values.items()
        damaged.put(values)
        assert damaged.get(values) == values


def test_a_cache_that_cannot_be_used_has_a_reason_and_one_without_its_table_is_begun_anew(tmp_path):
    (tmp_path / "file").write_text("x")
    sqlite3.connect(tmp_path / FILE).execute("CREATE TABLE entries (key)").connection.close()
    for folder in (tmp_path / "file", tmp_path):
        cache = Cache(folder)
        cache.put({b"a": b"1"})
        assert cache.get([b"a"]) == {b"a": b"1"} and bool(cache.trouble) == (folder.name == "file")
    assert Cache(tmp_path / "file").get([b"a"]) == {}


def test_several_threads_and_connections_share_a_cache(tmp_path):
    def work(i: int) -> bool:
        cache, name = Cache(tmp_path), f"{i}".encode()
        cache.put({name: name})
        return cache.get([name]) == {name: name} and cache.trouble is None

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(100)))
    assert len(Cache(tmp_path).get(f"{i}".encode() for i in range(100))) == 100


def test_a_writer_that_is_killed_in_the_middle_loses_nothing_that_was_written(tmp_path):
    code = f"""
from pathlib import Path
from detector.files.cache import Cache
cache, i = Cache(Path({str(tmp_path)!r})), 0
while True:
    cache.put({{f"{{i}}-{{j}}".encode(): f"{{i}}-{{j}}".encode() * 300 for j in range(8)}})
    print(i, flush=True)
    i += 1
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            done = [int(writer.stdout.readline()) for _ in range(6)]
            writer.kill()
        cache, names = Cache(tmp_path), [f"{i}-{j}".encode() for i in done for j in range(8)]
        assert cache.get(names) == {name: name * 300 for name in names} and cache.trouble is None
    assert set(tree(tmp_path)) <= {FILE, f"{FILE}-journal"}
