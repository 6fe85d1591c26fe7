"""Downloads from a real HTTP server on loopback that misbehaves."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest
from conftest import digest, picture, rejected, script, tree

from detector.datasets import download

HEADER = "patientid,finding,view,modality,folder,filename"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; cuts the connection in the middle of files named in `cut`, as often as it says."""

    cut: Counter[str]
    asked: list[str]
    redirects: set[str]

    def do_GET(self):
        name = Path(self.path).name
        self.asked.append(name)
        if name in self.redirects:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere.png")
            self.end_headers()
            return
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
    handler = type("Served", (Handler,), {"cut": Counter(), "asked": [], "redirects": set()})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: handler(*arguments, directory=str(root))
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", handler, root
        running.shutdown()


def build_from(address: str, folder: Path):
    return script(
        "build_covid_dataset.py", "--download", "-c", "clone", "--base-url", address, "-o", "covid", cwd=folder
    )


def test_only_selected_images_are_fetched_and_none_twice(server, tmp_path):
    address, handler, root = server
    done = build_from(address, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 images of 3 patients kept" in done.stdout
    assert "gone.png: the server answered 404" in done.stdout
    assert "image not fetched 1" in done.stdout
    assert set(tree(tmp_path / "covid")) == {"a.png", "b.png", "c d.png", "manifest.csv"}
    assert digest(tmp_path / "covid" / "c d.png") == digest(root / "images" / "c d.png")
    assert "unwanted.png" not in handler.asked
    handler.asked.clear()
    assert build_from(address, tmp_path).returncode == 0
    assert set(handler.asked) == {"gone.png"}


def test_a_file_is_fetched_again_after_a_cut_connection(server, tmp_path):
    address, handler, root = server
    handler.cut.update({"a.png": 1, "b.png": 99})
    done = build_from(address, tmp_path)
    assert "2 images of 2 patients kept" in done.stdout, done.stderr
    assert digest(tmp_path / "clone" / "images" / "a.png") == digest(root / "images" / "a.png")
    assert set(tree(tmp_path / "clone")) == {"metadata.csv", "images/a.png", "images/c d.png"}
    handler.cut.clear()
    handler.asked.clear()
    assert "3 images of 3 patients kept" in build_from(address, tmp_path).stdout
    assert set(handler.asked) == {"b.png", "gone.png"}


def test_a_page_and_a_redirection_are_no_images(server, tmp_path):
    address, handler, root = server
    (root / "images" / "a.png").write_text("<html>please log in</html>")
    handler.redirects.add("b.png")
    done = build_from(address, tmp_path)
    assert "1 image of 1 patient kept" in done.stdout, done.stderr
    assert "a.png: " in done.stdout
    assert "status 302" in done.stdout
    assert set(tree(tmp_path / "clone")) == {"metadata.csv", "images/c d.png"}


def test_a_server_out_of_reach_is_named(tmp_path):
    done = build_from("http://127.0.0.1:9", tmp_path)
    rejected(done, "metadata.csv cannot be fetched: no connection to the server (connection refused); get the")


def test_reasons_are_in_words():
    import requests
    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool
    from urllib3.exceptions import MaxRetryError, NameResolutionError

    pool = HTTPConnectionPool("nowhere.invalid")
    unknown = NameResolutionError("nowhere.invalid", HTTPConnection("nowhere.invalid"), socket.gaierror(-2, "unknown"))
    for error, words in (
        (requests.ConnectionError(MaxRetryError(pool, "/", unknown)), "no server of this name is known"),
        (requests.ReadTimeout(), "did not respond in 30 s"),
        (requests.exceptions.SSLError(), "certificate"),
        (requests.ConnectionError("aborted"), "broke off"),
    ):
        assert words in download._reason(error)


class Hostile(http.server.BaseHTTPRequestHandler):
    """Drips for ever, sends without end, sends little that expands, or leads elsewhere."""

    def do_GET(self):
        self.send_response(302 if "leads" in self.path else 200)
        if "expands" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            if "leads" in self.path:
                return
            if "expands" in self.path:
                self.wfile.write(gzip.compress(bytes(3 * 2**20)))
            else:
                piece, pause = (b"x", 0.05) if "drips" in self.path else (bytes(2**16), 0.0)
                while not self.server.stopped.wait(pause):
                    self.wfile.write(piece)
                    self.wfile.flush()
        except OSError:
            pass  # the client has had enough, as it should

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize(
    ("path", "reason"),
    [("leads", "status 302"), ("drips", "not whole after 1 s"), ("floods", "larger than"), ("expands", "larger than")],
)
def test_a_download_that_leads_elsewhere_or_never_ends_is_given_up(tmp_path, monkeypatch, path, reason):
    monkeypatch.setattr(download, "MAX_SECONDS", 1)
    monkeypatch.setattr(download, "MAX_BYTES", 2**20)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        server.stopped = threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base, wanted = f"http://127.0.0.1:{server.server_port}", PurePosixPath(f"{path}.png")
        failures = download.fetch_all(base, [wanted], tmp_path, lambda data, name: None, quiet=True)
        server.stopped.set()
        server.shutdown()
    assert reason in failures[wanted]
    assert tree(tmp_path) == {}
