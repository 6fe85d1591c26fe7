"""The snippets of docs/use-the-model.md run as they stand, where what they import is installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from detector.network.model_file import Description, SavedModel, as_file

PAGE = (ROOT / "docs" / "use-the-model.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FETCHES = "torchxrayvision"  # its weights
# What the snippets have to agree with: `load_model`, as predict_covid19.py reads and predicts.
AGREE = """
import sys
expected = np.array([*result.probabilities.values()])
assert result.label and not result.reason, result
assert np.abs(probabilities - expected).max() < 1e-4, (probabilities, expected)
assert about["threshold"] == result.threshold == 0.4 and about["classes"] == [*result.probabilities]
found = load_model("clinical.model.h5", force=True)("radiograph.png", {"age": 63, "sex": "F"})
assert np.abs(with_values - np.array([*found.probabilities.values()])).max() < 1e-4
assert np.abs(of_lite - expected).max() < 1e-3
if "of_onnx" in globals():
    assert np.abs(of_onnx - expected).max() < 1e-3
if "app" in globals():
    answer = app.test_client().post("/predict", data={"image": open("radiograph.png", "rb")})
    assert answer.json["class"] == result.label
    assert app.test_client().post("/predict", data={"image": (open("m.py", "rb"), "m.py")}).status_code == 422
"""


def installed(snippet: str) -> bool:
    """Return whether all that a snippet imports is there, and it fetches nothing."""
    names = set(re.findall(r"^(?:import|from) (\w+)", snippet, re.MULTILINE))
    return FETCHES not in names and all(importlib.util.find_spec(name) for name in names)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, weights, phantoms_of):
    """Return a folder with a radiograph and two models, of which the heads are drawn."""
    folder = tmp_path_factory.mktemp("use")
    (image,) = phantoms_of.write(folder / "d", 1).glob("covid/*.png")
    shutil.copy(image, folder / "radiograph.png")
    columns = [{"name": "age", "mean": 50.0, "deviation": 10.0}, {"name": "sex", "categories": ["f", "m"]}]
    for name, clinical in (("covid19", []), ("clinical", columns)):
        about = Description(["covid", "normal"], "covid", "tutorial", "global", 0.4, clinical)
        shapes = [one for kernel in about.head_sizes.values() for one in (kernel, kernel[-1:])]
        head = [np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32) for shape in shapes]
        (folder / f"{name}.model.h5").write_bytes(as_file(SavedModel(weights, head, about)))
    return folder


def test_every_snippet_agrees_with_the_command_line(folder):
    code = "\n\n".join([*filter(installed, SNIPPETS), AGREE])
    (folder / "m.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "m.py"]
    environment = {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(folder), "PATH": ""}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_snippets_are_python_and_the_page_is_short():
    assert len(SNIPPETS) == 8
    for snippet in SNIPPETS:
        compile(snippet, "use-the-model.md", "exec")
    assert len(PAGE.split()) <= 700
