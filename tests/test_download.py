"""Downloads from a real HTTP server on loopback that misbehaves."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from pathlib import Path

import pytest
from conftest import digest, picture, refused, script, tree

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


def build(address: str, folder: Path):
    return script(
        "build_covid_dataset.py", "--download", "-c", "clone", "--base-url", address, "-o", "covid", cwd=folder
    )


def test_only_what_matches_is_fetched_and_nothing_twice(server, tmp_path):
    address, handler, root = server
    done = build(address, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 images of 3 patients kept" in done.stdout
    assert "gone.png: the server answered 404" in done.stdout
    assert "image not fetched 1" in done.stdout
    assert set(tree(tmp_path / "covid")) == {"a.png", "b.png", "c d.png", "manifest.csv"}
    assert digest(tmp_path / "covid" / "c d.png") == digest(root / "images" / "c d.png")
    assert "unwanted.png" not in handler.asked
    handler.asked.clear()
    assert build(address, tmp_path).returncode == 0
    assert set(handler.asked) == {"gone.png"}


def test_a_connection_cut_in_the_middle_of_a_file(server, tmp_path):
    address, handler, root = server
    handler.cut.update({"a.png": 1, "b.png": 99})
    done = build(address, tmp_path)
    assert "2 images of 2 patients kept" in done.stdout, done.stderr
    assert digest(tmp_path / "clone" / "images" / "a.png") == digest(root / "images" / "a.png")
    assert set(tree(tmp_path / "clone")) == {"metadata.csv", "images/a.png", "images/c d.png"}
    handler.cut.clear()
    handler.asked.clear()
    assert "3 images of 3 patients kept" in build(address, tmp_path).stdout
    assert set(handler.asked) == {"b.png", "gone.png"}


def test_what_is_no_image_or_leads_elsewhere_does_not_count(server, tmp_path):
    address, handler, root = server
    (root / "images" / "a.png").write_text("<html>please log in</html>")
    handler.redirects.add("b.png")
    done = build(address, tmp_path)
    assert "1 image of 1 patient kept" in done.stdout, done.stderr
    assert "a.png: " in done.stdout
    assert "status 302" in done.stdout
    assert set(tree(tmp_path / "clone")) == {"metadata.csv", "images/c d.png"}


def test_no_server(tmp_path):
    refused(build("http://127.0.0.1:9", tmp_path), "metadata.csv cannot be fetched")
