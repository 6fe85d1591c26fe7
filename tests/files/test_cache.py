"""The cache returns what it was given, undamaged, or nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import numpy as np
from conftest import ROOT, tree

from detector.files.cache import FILE, Cache, key


def test_the_cache_returns_what_it_was_given(tmp_path):
    cache = Cache(tmp_path)
    cache.put({b"a": b"1", b"b": b"2"})
    assert Cache(tmp_path).get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b"2"}
    assert Cache(None).get([b"a"]) == {}


def test_the_cache_is_bounded_and_drops_the_least_recently_used(tmp_path):
    Cache(tmp_path).put({b"kept": b"k"})
    for i in range(100):
        cache = Cache(tmp_path, max_bytes=300_000)  # a run
        cache.put({f"{i}-{j}".encode(): bytes(2048) for j in range(4)})
        cache.get([b"kept"])
    assert (tmp_path / FILE).stat().st_size < 600_000
    assert cache.get([b"kept", b"0-0", b"99-0"]).keys() == {b"kept", b"99-0"}


def test_the_cache_keeps_what_the_run_needs_whatever_its_bound(tmp_path):
    Cache(tmp_path).put({b"old": bytes(2048), b"wanted": bytes(2048)})
    cache = Cache(tmp_path, max_bytes=100_000)
    names = [b"wanted", *(f"{i}".encode() for i in range(200))]
    assert cache.get([b"wanted"])
    for name in names[1:]:
        cache.put({name: bytes(2048)})
    assert cache.get(names).keys() == set(names)
    assert not cache.get([b"old"])


def test_flipped_bits_are_never_returned(tmp_path):
    values = {f"{i}".encode(): bytes([i]) * 2048 for i in range(50)}
    generator = np.random.default_rng(0)
    for _ in range(40):
        cache = Cache(tmp_path)
        cache.put(values)
        data = bytearray((tmp_path / FILE).read_bytes())
        for at in generator.integers(0, len(data), 30):
            data[at] ^= 1 << int(generator.integers(0, 8))
        (tmp_path / FILE).write_bytes(data)
        damaged = Cache(tmp_path)
        assert damaged.get(values).items() <= values.items()
        damaged.put(values)
        assert damaged.trouble or damaged.get(values) == values


def test_a_cache_that_cannot_be_used_has_a_reason_and_one_without_its_table_is_begun_anew(tmp_path):
    (tmp_path / "file").write_text("x")
    sqlite3.connect(tmp_path / FILE).execute("CREATE TABLE entries (key)").connection.close()
    for folder in (tmp_path / "file", tmp_path):
        cache = Cache(folder)
        cache.put({b"a": b"1"})
        assert bool(cache.trouble) == (cache.get([b"a"]) == {})
    assert Cache(tmp_path / "file").get([b"a"]) == {}


def test_several_threads_and_connections_share_a_cache(tmp_path):
    def work(start: int) -> None:
        cache = Cache(tmp_path)
        for i in range(start, start + 25):
            cache.put({f"{i}".encode(): f"{i}".encode()})
            assert cache.get([f"{i}".encode()])
        troubles.append(cache.trouble)

    troubles: list[str | None] = []
    threads = [threading.Thread(target=work, args=(start,)) for start in range(0, 100, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == [None] * 4
    assert len(Cache(tmp_path).get(f"{i}".encode() for i in range(100))) == 100


def test_keys_differ_with_everything_that_affects_the_value():
    keys = {key(image="a", angle=1.0), key(image="a", angle=2.0), key(image="b", angle=1.0), key(image="a")}
    assert len(keys) == 4


def test_a_writer_that_is_killed_in_the_middle_loses_nothing_that_was_written(tmp_path):
    code = f"""
from detector.files.cache import Cache
cache, i = Cache(Path({str(tmp_path)!r})), 0
while True:
    cache.put({{f"{{i}}-{{j}}".encode(): f"{{i}}-{{j}}".encode() * 300 for j in range(8)}})
    print(i, flush=True)
    i += 1
"""
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            last = -1
            for line in writer.stdout:
                last = int(line)
                if last >= 5:
                    break
            writer.kill()
        cache = Cache(tmp_path)
        for i in range(last + 1):
            names = [f"{i}-{j}".encode() for j in range(8)]
            assert cache.get(names) == {name: name * 300 for name in names}
        assert cache.trouble is None
    assert set(tree(tmp_path)) <= {FILE, f"{FILE}-journal"}
