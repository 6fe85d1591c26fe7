"""What the arguments of all scripts share."""

from __future__ import annotations

import pytest
from conftest import script


@pytest.mark.parametrize(
    "name", ["build_covid_dataset", "sample_kaggle_dataset", "make_phantom_dataset", "train_covid19"]
)
def test_help_has_an_example_and_states_that_nothing_is_a_diagnosis(tmp_path, name):
    (tmp_path / "tensorflow.py").write_text("raise SystemError('imported')\n")
    done = script(f"{name}.py", "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0
    assert f"example: python {name}.py" in done.stdout
    assert "never a diagnosis" in " ".join(done.stdout.split())
