"""Downloads from a real HTTP server on loopback that misbehaves."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from pathlib import Path

import pytest
from conftest import accepted, digest, inside, picture, rejected, tree

import build_covid_dataset
from detector.datasets import build

HEADER = "patientid,finding,view,modality,folder,filename"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; promises more of files named in `cut` than it sends, as often as it says."""

    cut: Counter[str]
    asked: list[str]

    def do_GET(self):
        name = Path(self.path).name
        self.asked.append(name)
        if self.cut[name] <= 0:
            return super().do_GET()
        self.cut[name] -= 1
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        return self.wfile.write(b"\x89PNG")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    for i, name in enumerate(("a.png", "b.png", "c d.png", "unwanted.png")):
        picture(root / "images" / name, i)
    lines = [f"{i},COVID-19,PA,X-ray,images,{name}" for i, name in enumerate(("a.png", "b.png", "c d.png", "gone.png"))]
    (root / "metadata.csv").write_text("\n".join([HEADER, *lines, "9,SARS,PA,X-ray,images,unwanted.png", ""]))
    handler = type("Served", (Handler,), {"cut": Counter(), "asked": []})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: handler(*arguments, directory=str(root))
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", handler, root
        running.shutdown()


@pytest.fixture
def build_from(monkeypatch, tmp_path):
    def run(address: str):
        for module in (build_covid_dataset, build):
            monkeypatch.setattr(module, "BASE_URL", address)
        return inside("build_covid_dataset.py", "--download", "-c", "clone", "-o", "covid", cwd=tmp_path)

    return run


def test_only_selected_images_are_fetched_and_none_twice(server, tmp_path, build_from):
    address, handler, root = server
    said = accepted(build_from(address))
    for words in ("3 images of 3 patients kept", "gone.png: the server answered 404", "image missing 1"):
        assert words in said
    assert set(tree(tmp_path / "covid")) == {"a.png", "b.png", "c d.png", "manifest.csv"}
    assert digest(tmp_path / "covid" / "c d.png") == digest(root / "images" / "c d.png")
    assert "unwanted.png" not in handler.asked
    handler.asked.clear()
    accepted(build_from(address))
    assert set(handler.asked) == {"gone.png"}


def test_what_arrived_damaged_or_is_a_page_is_fetched_again(server, tmp_path, build_from):
    address, handler, root = server
    handler.cut.update({"a.png": 1, "b.png": 99})
    page = root / "images" / "c d.png"
    whole = page.read_bytes()
    page.write_text("<html>please log in</html>")
    said = accepted(build_from(address))
    assert "1 image of 1 patient kept" in said and "c d.png: " in said
    kept = digest(root / "images" / "a.png")
    assert tree(tmp_path / "clone") == {"metadata.csv": digest(root / "metadata.csv"), "images/a.png": kept}
    page.write_bytes(whole)
    handler.cut.clear()
    assert "3 images of 3 patients kept" in build_from(address).stdout


def test_a_server_out_of_reach_is_named(build_from):
    done = build_from("http://127.0.0.1:9")
    rejected(done, "metadata.csv cannot be fetched: [Errno 111] Connection refused; get the collection with git clone")
