"""Downloads from a real HTTP server on loopback that misbehaves."""

from __future__ import annotations

import http.server
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest
import requests
from conftest import accepted, digest, inside, picture, rejected, tree
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, NameResolutionError

import build_covid_dataset
from detector.datasets import build, download

HEADER = "patientid,finding,view,modality,folder,filename"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; cuts the connection in the middle of files named in `cut`, as often as it says."""

    cut: Counter[str]
    asked: list[str]

    def do_GET(self):
        name = Path(self.path).name
        self.asked.append(name)
        if self.cut[name] > 0:
            self.cut[name] -= 1
            body = Path(self.directory, self.path.lstrip("/")).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.close()
            return
        super().do_GET()

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
def build_from(monkeypatch):
    def run(address: str, folder: Path):
        for module in (build_covid_dataset, build):
            monkeypatch.setattr(module, "BASE_URL", address)
        return inside("build_covid_dataset.py", "--download", "-c", "clone", "-o", "covid", cwd=folder)

    return run


def test_only_selected_images_are_fetched_and_none_twice(server, tmp_path, build_from):
    address, handler, root = server
    said = accepted(build_from(address, tmp_path))
    assert "3 images of 3 patients kept" in said
    assert "gone.png: the server answered 404" in said
    assert "image missing 1" in said
    assert set(tree(tmp_path / "covid")) == {"a.png", "b.png", "c d.png", "manifest.csv"}
    assert digest(tmp_path / "covid" / "c d.png") == digest(root / "images" / "c d.png")
    assert "unwanted.png" not in handler.asked
    handler.asked.clear()
    accepted(build_from(address, tmp_path))
    assert set(handler.asked) == {"gone.png"}


def test_what_arrived_damaged_or_is_a_page_is_fetched_again(server, tmp_path, build_from):
    address, handler, root = server
    handler.cut.update({"a.png": 1, "b.png": 99})
    page = root / "images" / "c d.png"
    whole = page.read_bytes()
    page.write_text("<html>please log in</html>")
    said = accepted(build_from(address, tmp_path))
    assert "1 image of 1 patient kept" in said and "c d.png: " in said
    assert digest(tmp_path / "clone" / "images" / "a.png") == digest(root / "images" / "a.png")
    assert set(tree(tmp_path / "clone")) == {"metadata.csv", "images/a.png"}
    page.write_bytes(whole)
    handler.cut.clear()
    handler.asked.clear()
    assert "3 images of 3 patients kept" in build_from(address, tmp_path).stdout
    assert set(handler.asked) == {"b.png", "c%20d.png", "gone.png"}


def test_a_server_out_of_reach_is_named(tmp_path, build_from):
    done = build_from("http://127.0.0.1:9", tmp_path)
    rejected(done, "metadata.csv cannot be fetched: [Errno 111] Connection refused; get the collection with git clone")


def test_reasons_are_in_words():
    response = requests.Response()
    response.status_code, response.reason = 404, "Not Found"
    unknown = NameResolutionError("nowhere.invalid", HTTPConnection("nowhere.invalid"), socket.gaierror(-2, "unknown"))
    for error, words in (
        (requests.HTTPError(response=response), "the server answered 404 Not Found"),
        (requests.ConnectionError(MaxRetryError(HTTPConnectionPool("nowhere.invalid"), "/", unknown)), "resolve"),
        (requests.ReadTimeout("Read timed out."), "Read timed out."),
        (requests.ConnectionError(), "ConnectionError"),
        (OSError(113, "No route to host"), "No route to host"),
    ):
        assert words in download.reason_of(error)
