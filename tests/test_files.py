"""Files that are written whole, and the cache."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import ROOT, refusal, tree

from detector import printable
from detector.storage import files, partial_files
from detector.storage.cache import FILE, Cache, key

# Files


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def nameless(request, monkeypatch):
    """Write files both ways: without a name until they are whole, and under a temporary one."""
    if not request.param:
        monkeypatch.setattr(partial_files, "_has_nameless_files", lambda: False)
    elif not partial_files._has_nameless_files():
        pytest.skip("this system has no files without a name")
    return request.param


def test_a_file_is_written_whole_or_not_at_all(tmp_path, nameless):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.whole(path) as part:
        part.write(b"half")
        assert len(tree(tmp_path)) == (1 if nameless else 2)
        raise RuntimeError
    assert tree(tmp_path).keys() == {"a.txt"}
    assert path.read_text() == "old"
    with files.whole(path) as part:
        part.write(b"new")
    assert path.read_text() == "new"
    (tmp_path / "b.txt").write_text("")
    assert path.stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_files_that_belong_together_are_written_all_or_none(tmp_path, nameless):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").mkdir()
    with refusal(r"c\.txt cannot be written: no such file"):
        files.write_together({tmp_path / "a.txt": b"new", tmp_path / "nowhere" / "c.txt": b"new"})
    assert (tmp_path / "a.txt").read_text() == "old"
    assert tree(tmp_path).keys() == {"a.txt"}
    files.write_together({tmp_path / "a.txt": b"new", tmp_path / "c.txt": b"new"})
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "c.txt").read_text() == "new"


def test_a_file_system_that_gives_nameless_files_no_name(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(partial_files.os, "link", refuse)
    files.write_together({tmp_path / "a.txt": b"a" * 3_000_000, tmp_path / "b.txt": b"b"})
    assert (tmp_path / "a.txt").read_bytes() == b"a" * 3_000_000
    assert tree(tmp_path).keys() == {"a.txt", "b.txt"}


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, nameless):
    path = tmp_path / ("ü" * 120 + ".png")
    files.write_together({path: b"new"})
    assert path.read_bytes() == b"new"
    with refusal("file name too long"):
        files.require_writable(tmp_path / ("x" * 300))


def test_what_a_killed_run_left_is_swept_but_not_what_a_running_one_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(partial_files, "_has_nameless_files", lambda: False)
    orphan, folder = (tmp_path / partial_files.PART.format(name) for name in ("0123", "4567"))
    orphan.write_text("left by a run that was killed")
    folder.mkdir()
    (folder / "a.whl").write_text("left by another")
    with files.whole(tmp_path / "a.txt") as running, partial_files.temporary_folder(tmp_path) as used:
        files.require_writable(tmp_path / "b.txt")
        assert not orphan.exists()
        assert not folder.exists()
        assert used.exists()
        running.write(b"done")
    assert tree(tmp_path).keys() == {"a.txt"}
    assert not used.exists()


def test_a_run_never_waits_for_itself(tmp_path):
    with partial_files.locked_folders([tmp_path]), partial_files.locked_folders([tmp_path, tmp_path]):
        files.write_together({tmp_path / "a.txt": b"a"})
    assert not partial_files._alone_in


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "a.png"):
        with refusal(str(path)):
            files.require_writable(path)
    with refusal("is a file"):
        files.require_folder(tmp_path / "file")
    with refusal("--plot"):
        files.require_outputs({"--plot": tmp_path / "a", "--model": tmp_path / "a"})


def test_printable_is_one_safe_line():
    assert printable("a\nb\x1b[31mé\udcff") == "a\\nb\\x1b[31mé\\udcff"


# Cache


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


def test_the_cache_keeps_what_the_run_still_needs_whatever_its_bound(tmp_path):
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


def test_a_cache_that_cannot_be_used_says_so_and_holds_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    cache = Cache(tmp_path / "file")
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {}
    assert cache.trouble


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


def test_keys_differ_with_everything_that_has_a_say():
    keys = {key(image="a", angle=1.0), key(image="a", angle=2.0), key(image="b", angle=1.0), key(image="a")}
    assert len(keys) == 4


def test_a_cache_without_a_table_is_begun_anew(tmp_path):
    sqlite3.connect(tmp_path / FILE).execute("CREATE TABLE entries (key)").connection.close()
    cache = Cache(tmp_path)
    cache.put({b"a": b"1"})
    assert cache.trouble or cache.get([b"a"]) == {b"a": b"1"}


def test_a_writer_that_is_killed_in_the_middle_loses_nothing_that_was_written(tmp_path):
    code = f"""
from pathlib import Path
from detector.storage.cache import Cache
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
