"""The installed package: its commands run outside the checkout, and it has a single version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import ROOT

from detector import __version__

COMMANDS = ("audit", "build", "evaluate", "lungs", "phantoms", "predict", "sample", "train")
SOURCES = ("detector", "LICENSE", "README.md", "pyproject.toml", "requirements.txt")


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess:
    """Run a command without this test's own PYTHONPATH, and fail with what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it into a fresh environment, and return the folder of its commands."""
    base = tmp_path_factory.mktemp("package")
    source = base / "source"
    source.mkdir()
    for name in [*SOURCES, *(path.name for path in ROOT.glob("*.py"))]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", base, source, cwd=base)
    environment = base / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=base)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = next(scripts.glob("python*"))
    (wheel,) = base.glob("*.whl")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=base)
    # The libraries are those that the tests run with: the checkout is not among them.
    (target,) = environment.rglob("site-packages")
    (target / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return scripts


def test_phantoms_are_drawn_outside_the_checkout(installed, tmp_path):
    run(installed / "covid19-phantoms", "-o", "dataset", "-n", "2", "--quiet", cwd=tmp_path)
    assert len(list(tmp_path.glob("dataset/*/*.png"))) == 4


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_help(installed, tmp_path, name):
    command = f"covid19-{name}"
    assert f"usage: {command} " in run(installed / command, "--help", cwd=tmp_path).stdout


def test_the_wheel_contains_templates_and_the_lung_decoder(installed):
    (package,) = installed.parent.rglob("site-packages/detector")
    for name in ("network/lung_decoder.npy", "network/lung_decoder.md", "reports/templates/page.html.j2"):
        assert (package / name).read_bytes() == (ROOT / "detector" / name).read_bytes()
    templates = ROOT / "detector" / "reports" / "templates"
    assert {path.name for path in templates.iterdir()} == {path.name for path in package.glob("reports/templates/*")}


def test_there_is_one_version(installed):
    (metadata,) = installed.parent.rglob("covid19_detector-*.dist-info/METADATA")
    assert f"\nVersion: {__version__}\n" in metadata.read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("extra", ["dicom", "ray"])
def test_an_extra_has_the_versions_that_were_tested(installed, extra):
    (metadata,) = installed.parent.rglob("covid19_detector-*.dist-info/METADATA")
    given = re.findall(
        rf'^Requires-Dist: (.+); extra == "{extra}"$', metadata.read_text(encoding="utf-8"), re.MULTILINE
    )
    lines = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(given) == sorted(line for line in lines if line and not line.startswith(("#", "-r")))
