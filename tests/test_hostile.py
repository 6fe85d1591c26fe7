"""Input that was made to do harm: it is refused in a sentence, or does nothing."""

from __future__ import annotations

import ast
import gzip
import hashlib
import http.server
import io
import re
import subprocess
import sys
import threading
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from builder_helpers import HEADER, rows, write_clone
from conftest import ROOT, SAID, classes, inside, picture, refusal, refused, script, tree
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import bomb
from PIL import Image

from detector.datasets import download, manifest
from detector.images.radiographs import MAX_PIXELS, from_bytes, read
from detector.reports.prediction_outputs import overlay_names
from detector.storage import temporary
from detector.storage.files import write_together
from tools.fuzzing.readers import dicom

# Bombs


def test_a_png_of_60000_by_60000_in_100_kb(tmp_path):
    data = bomb(60000, 60000)
    (tmp_path / "a.png").write_bytes(data + bytes(100_000 - len(data)))
    with refusal("a.png: 3600000000 pixels, more than 30000000"):
        read(tmp_path / "a.png")


def test_a_jpeg_that_goes_over_its_pixels_a_thousand_times():
    data = io.BytesIO()
    Image.linear_gradient("L").resize((5000, 5000)).save(data, "JPEG", progressive=True)
    whole = data.getvalue()
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    assert from_bytes(whole, "a.jpg").width == 5000
    with refusal("scans of 5000 x 5000"):
        from_bytes(whole[:-2] + 1000 * scan + whole[-2:], "a.jpg")


def test_a_dicom_whose_picture_is_larger_than_it_says():
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    inner = io.BytesIO()
    Image.new("L", (8, 8)).save(inner, "JPEG")
    data = bytearray(inner.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xea\x60\xea\x60"
    dataset = dicom(JPEGBaseline8Bit, 8, 8, bits=8)
    dataset.PixelData = encapsulate([bytes(data)])
    outer = io.BytesIO()
    dataset.save_as(outer, enforce_file_format=True)
    with refusal(r"a\.dcm: "):
        from_bytes(outer.getvalue(), "a.dcm")
    # The same, deflated a thousandfold.
    head = outer.getvalue()[:132] + b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    with refusal("deflated DICOM"):
        from_bytes(head + zlib.compress(bytes(10**6)), "b.dcm")


@pytest.mark.parametrize("mode", ["RGBA", "CMYK", "F", "I;16"])
def test_the_largest_image_that_is_read_stays_below_a_gigabyte(tmp_path, mode):
    side = int(MAX_PIXELS**0.5)
    path = tmp_path / {"RGBA": "a.png", "CMYK": "a.jpg", "F": "a.tif", "I;16": "b.png"}[mode]
    grey = Image.linear_gradient("L").resize((side, side))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    image.save(path, **({"compression": "tiff_adobe_deflate"} if mode == "F" else {}))
    # Not ru_maxrss where it can be had otherwise: a child begins with its parent's.
    code = (
        "import resource, sys; from pathlib import Path; from detector.images.radiographs import read;"
        "read(Path(sys.argv[1])); status = Path('/proc/self/status');"
        "lines = status.read_text().splitlines() if status.exists() else [];"
        "peaks = [int(line.split()[1]) >> 10 for line in lines if line.startswith('VmHWM')];"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10;"
        "peaks += [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit];"
        "print(peaks[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1000


# Paths and links


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["..", "/", "a", "b.png", "-", "\n", "~"]), min_size=1, max_size=5))
def test_an_overlay_never_leaves_its_folder(parts):
    path = Path(*parts) / "x.png"
    for paths in ([path], [path, Path("x.png")]):
        assert all(PurePosixPath(name).name == name for name in overlay_names(paths))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["x", "../x", "x-y", "x/y", "y"]), min_size=1, unique=True), st.data())
def test_no_overlay_is_written_over_another(folders, data):
    names = [f"{data.draw(st.sampled_from(['', 'y-', 'x-y-']))}a.png" for _ in folders]
    paths = [Path(folder, name) for folder, name in zip(folders, names, strict=True)]
    paths = list(dict.fromkeys([*paths, Path("x-a.png"), Path("a.png")]))
    assert len(set(overlay_names(paths))) == len(paths)


def test_a_manifest_that_names_a_file_elsewhere(tmp_path):
    row = dict.fromkeys(manifest.COLUMNS, "") | {"file": "../secret.png"}
    (tmp_path / "secret.png").write_text("secret")
    (tmp_path / "covid").mkdir()
    (tmp_path / "covid" / "manifest.csv").write_bytes(manifest.as_file([row]))
    with refusal("not a valid file name"):
        manifest.replace(tmp_path / "covid", [], "elsewhere", lambda row, target: None)
    assert (tmp_path / "secret.png").exists()


def test_an_output_that_is_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out" / "covid").mkdir(parents=True)
    (tmp_path / "out" / "covid" / "manifest.csv").symlink_to(tmp_path / "nowhere")
    for name in ("plot.png", "p.csv"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    assert script("make_phantom_dataset.py", "-o", "out", "-n", 1, "--quiet", cwd=tmp_path).returncode == 0
    assert not (tmp_path / "nowhere").exists()
    write_together({tmp_path / "plot.png": b"new", tmp_path / "p.csv": b"new"})
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "plot.png").is_symlink()


def test_links_in_a_circle(tmp_path):
    write_clone(tmp_path / "clone", HEADER, "1,COVID-19,PA,X-ray,images,a.png,,,")
    (tmp_path / "clone" / "images").mkdir()
    (tmp_path / "clone" / "images" / "a.png").symlink_to("a.png")
    refused(script("build_covid_dataset.py", "-c", "clone", "-o", "covid", cwd=tmp_path), "no image is left")
    (tmp_path / "loop").symlink_to("loop")
    refused(script("make_phantom_dataset.py", "-o", "loop", cwd=tmp_path), "loop")
    refused(script("predict_covid19.py", "-m", "loop", "a.png", cwd=tmp_path), "loop is not a file")


# Names and cells that end in terminals and spreadsheets


def test_formulas_escape_codes_and_markup_in_metadata(tmp_path):
    clone = tmp_path / "clone"
    for i, name in enumerate(("a.png", "=cmd()!A1.png", "c.png")):
        picture(clone / "images" / name, i)
    notes = (
        '<?xml version=""1.0""?><!DOCTYPE x [<!ENTITY e SYSTEM ""file:///etc/passwd"">]><script>alert(1)</script>&e;'
    )
    write_clone(
        clone,
        HEADER,
        f'=1+1,COVID-19,PA,X-ray,images,a.png,=HYPERLINK("http://evil"),@SUM(A1),"{notes}"',
        '-2,"COVID-19, \x1b[2J",PA,X-ray,images,=cmd()!A1.png,CC0,,',
        '3,"COVID-19,\nfoo",PA,X-ray,images,c.png,CC0,"+cmd|x",',
    )
    done = script("build_covid_dataset.py", "-c", clone, "-o", "covid", "--verbose", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    built = rows(tmp_path / "covid")
    assert len(built) == 3
    for row in built:
        assert not any(cell.startswith(("=", "@", "+")) for cell in row.values())
        assert not any("<" in cell or "passwd" in cell for cell in row.values())
    assert {row["patient"] for row in manifest.read(tmp_path / "covid").values()} == {"=1+1", "-2", "3"}
    assert "=cmd()!A1.png" in manifest.read(tmp_path / "covid")


def test_classes_and_files_with_names_of_every_sort(tmp_path):
    odd = "$\\frac{1}{0}$ \x1b[31m🫁\n=1+1"
    data = classes(tmp_path / "data", covid=4, normal=4)
    (data / "normal").rename(data / odd)
    (data / "covid" / "covid-000.png").rename(data / "covid" / "=HYPERLINK(1)\n\x1b[2J.png")
    arguments = ("--epochs", 1, "--rotations", 0, "--no-report")
    done = inside("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    for name in ("covid/covid-001.png", "covid/covid-002.png", f"{odd}/normal-001.png", f"{odd}/normal-002.png"):
        (data / name).unlink()
    done = inside("predict_covid19.py", "data", "--force", "--csv", "p.csv", "--gradcam", "cam", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout + (tmp_path / "p.csv").read_text()
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 5
    assert len(list((tmp_path / "cam").iterdir())) == 4


# Servers


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
def test_a_download_that_leads_elsewhere_or_never_ends(tmp_path, monkeypatch, path, reason):
    monkeypatch.setattr(download, "MAX_SECONDS", 1)
    monkeypatch.setattr(download, "MAX_BYTES", 2**20)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        server.stopped = threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base, wanted = f"http://127.0.0.1:{server.server_port}", PurePosixPath(f"{path}.png")
        failures = download.fetch_all(base, [wanted], tmp_path, lambda data, name: None, quiet=True)
        server.stopped.set()
        server.shutdown()
    SAID.append(("", failures[wanted]))
    assert reason in failures[wanted]
    assert tree(tmp_path) == {}


# Interrupted builds


def test_a_build_that_was_killed_leaves_nothing_that_the_next_would_take_for_a_persons(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID19_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "covid"

    def listed(*names):
        return [
            dict.fromkeys(manifest.COLUMNS, "")
            | {"file": name, "source": "somewhere", "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for name, text in (name.split(":") for name in names)
        ]

    def build(*names, dies_at=None):
        texts = dict(name.split(":") for name in names)

        def copy(row, target):
            if row["file"] == dies_at:
                raise SystemExit
            target.write_text(texts[row["file"]])

        return manifest.replace(folder, listed(*names), "somewhere", copy)

    build("a:1", "b:1", "c:1")
    before = (folder / "manifest.csv").read_bytes()
    with pytest.raises(SystemExit):
        build("a:2", "d:2", "e:2", dies_at="e")
    assert (folder / "manifest.csv").read_bytes() == before
    with pytest.raises(SystemExit):
        build("a:3", "f:3", "g:3", dies_at="g")
    (folder / "person").write_text("x")
    assert build("a:4", "b:4") == ["person"]
    assert set(tree(folder)) == {"a", "b", "person", "manifest.csv"}
    # What a person puts there under such a name later is a person's.
    (folder / "d").write_text("2")
    assert build("a:5") == ["d", "person"]
    assert not temporary._unfinished


# Supply chain


def sources():
    return [*ROOT.glob("*.py"), *ROOT.glob("detector/**/*.py"), *ROOT.glob("tools/**/*.py")]


def test_nothing_is_unpickled_evaluated_or_given_to_a_shell():
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"} & set(names), path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "os.system", "os.popen", "keras.models.load_model"), (
                    path
                )
                assert not any(keyword.arg in ("shell", "allow_pickle") for keyword in node.keywords), path


def test_addresses_are_https():
    for path in sources():
        for address in re.findall(r"http://[^\s\"']+", path.read_text(encoding="utf-8")):
            assert address in ("http://",) or "tools" in path.parts, (path, address)


LOCKED = ["requirements", *sorted(f"requirements/{path.stem}" for path in (ROOT / "requirements").glob("*.txt"))]


@pytest.mark.parametrize("name", LOCKED)
def test_every_dependency_is_pinned_down_to_the_last_and_has_a_digest(name):
    wanted = [line for line in (ROOT / f"{name}.txt").read_text().splitlines() if line and line[0] not in "#-"]
    locked = re.sub(r"\\\n", " ", (ROOT / f"{name}.lock").read_text())
    pins = [line for line in locked.splitlines() if line and not line.strip().startswith("#")]
    assert pins
    for line in pins:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+.* --hash=sha256:[0-9a-f]{64}", line), line
    for line in wanted:
        package, _, version = line.partition(" ")[0].partition("==")
        assert version, line
        name = re.escape(package.partition("[")[0].lower())
        assert re.search(rf"^{name}(\[[a-z,]+\])?=={re.escape(version)} ", locked, re.MULTILINE), line
