"""The scripts on a Ray cluster on this machine: the same numbers, even if a node dies."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, inside, needs_ray, rejected, script, tree

from detector.files.cache import FILE
from detector.network.backbone import WIDTH

NODES = """
import os, sys
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
from ray.cluster_utils import Cluster
size = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=size | {"include_dashboard": False})
nodes = [cluster.add_node(**size)]
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def nodes():
    """Start two nodes of a core each in a process of their own; a line of input kills one."""
    with subprocess.Popen(
        [sys.executable, "-c", NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        process.address = process.stdout.readline().strip()
        yield process
        process.stdin.close()


@pytest.fixture(scope="module")
def data(phantoms_of, tmp_path_factory):
    return phantoms_of.write(tmp_path_factory.mktemp("cluster") / "data", 12)


def arguments(data: Path, cache: Path, *more: object) -> list[object]:
    return ["-d", data, "--recipe", "probe", "--cache", cache, "--no-report", "--quiet", *more]


def held(cache: Path) -> dict[bytes, np.ndarray]:
    """Return the features in a cache."""
    if not (cache / FILE).exists():
        return {}
    with closing(sqlite3.connect(cache / FILE, timeout=30)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
            return {}  # the run has just created the file
        rows = database.execute(f"SELECT key, value FROM entries WHERE length(value) = {4 * WIDTH}")
        return {name: np.frombuffer(value, "<f4") for name, value in rows}


@pytest.fixture(scope="module")
def plain(data, tmp_path_factory):
    """Train here."""
    folder = tmp_path_factory.mktemp("plain")
    done = inside("train_covid19.py", *arguments(data, folder / "cache"), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def same(folder: Path, cache: Path, other: Path) -> None:
    """Assert that a run had the features, metrics and model of another."""
    ours, theirs = held(cache), held(other / "cache")
    assert ours.keys() == theirs.keys() and len(ours) == 24
    assert all(np.allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-5) for name in ours)
    one, two = (json.loads((where / "covid19.json").read_text()) for where in (folder, other))
    assert one["metrics"]["roc_auc"] == two["metrics"]["roc_auc"]
    for a, b in zip(one["held_out"], two["held_out"], strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-5)


def results(output: str) -> list[str]:
    """Return what a run printed but for its advice, which is its own command."""
    kept = [line for line in output.splitlines() if not line.startswith(" " * 28)]
    assert "Validity checks" in kept
    return kept


def running_in(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text:
            found.append(text)
    return found


@needs_ray
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "no Ray cluster there (connection refused)"),
        ("nowhere", "no Ray cluster there (not host:port)"),
        ("ray://127.0.0.1:10001", "give a node's address as host:port"),
    ],
)
def test_a_cluster_out_of_reach_is_named(data, tmp_path, monkeypatch, address, words):
    rejected(inside("train_covid19.py", "-d", data, "--ray", address, cwd=tmp_path), f"--ray {address}", words)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    rejected(inside("audit_covid19.py", "-d", data, "--ray", "auto", cwd=tmp_path), "--ray 127.0.0.1:1: no Ray cluster")


@needs_ray
def test_the_address_that_a_killed_cluster_left_behind_is_named(data, tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    auto = ("train_covid19.py", "-d", data, "--ray", "auto")
    done = script(*auto, cwd=tmp_path, RAY_ADDRESS="", RAY_TMPDIR=str(tmp_path))
    if not running_in(Path("gcs_server")):
        rejected(done, "error: --ray auto (127.0.0.1:1): no Ray cluster there (connection refused)")


@needs_ray
def test_an_interrupted_run_continues_and_a_dead_node_changes_nothing(data, plain, tmp_path, request):
    """Ended on a cluster of its own, of which nothing is left running; gone on with on one of which a node dies."""
    cache = tmp_path / "cache"
    command = [sys.executable, ROOT / "train_covid19.py", *arguments(data, cache)]
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as name:  # a socket's path has to be short
        environment = os.environ | {"RAY_TMPDIR": name}
        with subprocess.Popen(
            [*command, "--ray", "local"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment
        ) as running:
            while running.poll() is None and len(held(cache)) < 8:
                time.sleep(0.1)
            running.send_signal(signal.SIGINT)
            said = running.stderr.read()
            assert running.wait(60) == 130, said
        assert said == "train_covid19.py: error: interrupted. No incomplete output was written\n"
        until = time.monotonic() + 60
        while (left := running_in(Path(name))) and time.monotonic() < until:
            time.sleep(0.2)
        assert not left
    assert {path.partition("/")[0] for path in tree(tmp_path)} == {"cache"}
    kept = held(cache)
    assert 8 <= len(kept) < 24
    nodes = request.getfixturevalue("nodes")
    with subprocess.Popen(
        [*command, "--ray", nodes.address], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while running.poll() is None and len(held(cache)) <= len(kept):
            time.sleep(0.1)
        nodes.stdin.write("\n")
        nodes.stdin.flush()
        assert nodes.stdout.readline() == "killed\n"
        output, said = running.communicate(timeout=200)
        assert running.returncode == 0, said
    assert said == ""
    assert results(output) == results(plain[1].stdout)
    same(tmp_path, cache, plain[0])


@needs_ray
def test_predictions_on_a_cluster_are_those_of_one_machine(nodes, data, plain, tmp_path):
    radiographs = sorted((data / "covid").glob("*.png"))[:3]
    (tmp_path / "broken.png").write_text("no image")
    command = (
        "predict_covid19.py",
        "-m",
        plain[0] / "covid19.model.h5",
        *radiographs,
        "broken.png",
        "none.png",
        "--force",
    )
    outputs = ("--json", "p.json", "--gradcam", "cam", "--no-report")
    done = script(*command, *outputs, "--ray", nodes.address, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert "broken.png: not a readable image (supported: DICOM, PNG, JPEG, BMP, TIFF, WEBP) (on node " in done.stderr
    assert "none.png: No such file or directory (on node " in done.stderr
    assert len(list((tmp_path / "cam").iterdir())) == 3
    there = json.loads((tmp_path / "p.json").read_text())["predictions"]
    assert inside(*command, "--json", "p.json", "--no-report", cwd=tmp_path).returncode == 1
    here = json.loads((tmp_path / "p.json").read_text())["predictions"]
    assert (
        [one["file"] for one in there]
        == [one["file"] for one in here]
        == [str(radiograph) for radiograph in radiographs]
    )
    for one, other in zip(there, here, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
