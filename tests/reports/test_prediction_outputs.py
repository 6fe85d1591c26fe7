"""Names of Grad-CAM images: in their folder, and none twice."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.reports.prediction_report import overlay_names


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
