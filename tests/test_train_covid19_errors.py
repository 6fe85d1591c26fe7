"""train_covid19.py with bad input, without permission, and interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, classes, inside, picture, rejected, script, tree


def test_data_sets_that_cannot_be_trained_on_are_rejected(tmp_path):
    def run(*arguments):
        return inside("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path)

    rejected(run(), "data set data does not exist")
    (tmp_path / "data").write_text("x")
    rejected(run(), "data set data is a file")
    (tmp_path / "data").unlink()
    (tmp_path / "data").mkdir()
    rejected(run(), "holds no images")
    classes(tmp_path / "data", covid=3)
    rejected(run(), "one class only, covid")
    classes(tmp_path / "data", sick=2)
    rejected(run("--positive-class", "normal"), "no class normal", "covid, sick")
    picture(tmp_path / "data" / "stray.png", 1)
    rejected(run(), "stray.png", "outside of its class folders")
    assert set(tree(tmp_path)) == {name for name in tree(tmp_path) if name.startswith("data/")}


def test_all_bad_files_are_named_at_once(tmp_path):
    from image_helpers import bad_files

    classes(tmp_path / "data", covid=3, normal=3)
    names = bad_files(tmp_path / "data" / "covid")
    done = inside("train_covid19.py", "-d", "data", cwd=tmp_path)
    rejected(done, f"{len(names)} of {len(names) + 6} images cannot be used; correct or remove them:", *names)
    assert len(done.stderr.splitlines()) == 1 + len(names)
    assert "training" not in done.stdout
    assert not (tmp_path / "plot.png").exists()


def test_phantoms_and_real_radiographs_are_not_mixed(phantoms_of, tmp_path):
    data = phantoms_of.write(tmp_path / "data", 2)
    picture(data / "covid" / "real.png", 1)
    rejected(inside("train_covid19.py", "-d", "data", cwd=tmp_path), "mixes 4 phantoms", "covid/real.png")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "0"),
        ("--plot", "."),
        ("--model", "data/covid/covid-000.png/m.h5", "-p", "p.png", "--json", "j.json", "--no-report"),
        ("--plot", "same.png", "--evaluation-plot", "same.png"),
    ],
)
def test_bad_arguments_are_rejected_before_anything_is_read(tmp_path, arguments):
    classes(tmp_path / "data", covid=2, normal=2)
    before = tree(tmp_path)
    rejected(inside("train_covid19.py", "-d", "data", *arguments, cwd=tmp_path), arguments[0])
    assert tree(tmp_path) == before


def test_an_error_of_the_program_is_one_line_with_status_70_and_bad_arguments_wait_for_no_tensorflow(tmp_path):
    classes(tmp_path / "data", covid=3, normal=3)
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "tensorflow.py").write_text("raise SystemError('half installed')\n")
    broken = {"PYTHONPATH": str(tmp_path / "fake"), "PYTHONDONTWRITEBYTECODE": "1"}
    rejected(script("train_covid19.py", "-d", "data", "--plot", ".", cwd=tmp_path, **broken), "--plot")
    done = script("train_covid19.py", "-d", "data", cwd=tmp_path, **broken)
    assert (done.returncode, done.stderr.count("\n")) == (70, 1)
    assert "half installed" in done.stderr and "--verbose" in done.stderr


@pytest.mark.parametrize("after", ["loading", "training the head"])
def test_ctrl_c_leaves_nothing_half_written(tmp_path, after):
    classes(tmp_path / "data", covid=4, normal=4)
    (tmp_path / "plot.png").write_text("the old plot")
    command = [sys.executable, ROOT / "train_covid19.py", "-d", "data", "--no-cache", "--rotations", "1"]
    command += ["--epochs", "100000"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if after in line.lower():
                break
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        said = running.stderr.read()
        assert running.wait(60) == 130
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert (tmp_path / "plot.png").read_text() == "the old plot"
    assert {name for name in tree(tmp_path) if not name.startswith("data/")} == {"plot.png"}


def test_names_of_classes_and_files_may_hold_any_character(tmp_path):
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
