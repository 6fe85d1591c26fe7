"""The documents, modules and templates whose words and links tests check."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import ROOT

NOTEBOOK = ROOT / "tutorial.ipynb"
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "dataset/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "detector" / "network" / "lung_decoder.md",
    NOTEBOOK,
]
MODULES = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "detector").rglob("*.py"))]
TOOLS = sorted((ROOT / "tools").rglob("*.py"))
TEMPLATES = sorted((ROOT / "detector" / "reports" / "templates").glob("*.j2"))


def markdown_cells() -> list[dict]:
    """Return the notebook's cells of text."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "markdown"]


def source(path: Path) -> str:
    """Return a document as it is written; of the notebook, its text."""
    if path == NOTEBOOK:
        return "\n\n".join("".join(cell["source"]) for cell in markdown_cells())
    return path.read_text(encoding="utf-8")
