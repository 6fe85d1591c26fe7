"""The architecture keeps its rules: folders import downward, are small, and are documented."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, script

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
DETECTOR = ROOT / "detector"
# Names that are a library's own affair and may move with any version: the test beside each module says when.
PRIVATE = {
    "detector/cluster/ray_internals.py": {
        "ray._private.services.get_ray_address_from_environment",
        "ray._private.worker",
        "worker._worker_logs_enabled",
    },
    "detector/images/raster.py": {"PIL._imaging"},
    "detector/cli/arguments.py": {"argparse._ArgumentGroup"},  # in annotations alone: its only name
}
MODULES = sorted(path for path in DETECTOR.rglob("*.py") if path.name != "__init__.py")
FOLDERS = sorted(path for path in DETECTOR.iterdir() if (path / "__init__.py").is_file())
TESTS = ROOT / "tests"
# Test files that test no single module or script, and what they test instead.
OTHER_TESTS = {
    "architecture": "folders, modules and documents",
    "corpus": "inputs that once broke a reader (tests/corpus), by tools/fuzzing",
    "detector": "detector/__init__.py",
    "documents": "words of documents, help, messages, docstrings, comments and names",
    "links": "files, headings and links that documents and code cite",
    "errors": "messages of all modules and scripts",
    "notebook": "tutorial.ipynb, its helpers in tools/ and its rendered copy",
    "package": "the wheel and pyproject.toml",
    "supply_chain": "all source files, and the locked dependencies",
}
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def lint_imports(where):
    program = Path(sys.executable).with_name("lint-imports")
    if not program.is_file():
        pytest.skip("import-linter is not installed beside this Python")
    return subprocess.run(
        [program, "--config", "pyproject.toml", "--no-cache"], cwd=where, capture_output=True, text=True, check=False
    )


def test_a_wrong_import_breaks_the_contract(tmp_path):
    shutil.copytree(DETECTOR, tmp_path / "detector", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert lint_imports(tmp_path).returncode == 0
    module = tmp_path / "detector" / "statistics" / "split.py"
    module.write_text(module.read_text(encoding="utf-8") + "\nfrom detector.network import head\n", encoding="utf-8")
    broken = lint_imports(tmp_path)
    assert broken.returncode == 1
    assert "detector.statistics" in broken.stdout and "not allowed to import detector.network" in broken.stdout


def test_folders_and_modules_stay_small():
    entries = [path for path in DETECTOR.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 13
    for folder in FOLDERS:
        assert len([path for path in MODULES if path.parent == folder]) <= 30, folder
    for path in [*MODULES, *ROOT.glob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 250, path
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


def test_a_folder_has_a_sentence_on_what_it_holds_and_may_import():
    for folder in FOLDERS:
        text = (folder / "__init__.py").read_text(encoding="utf-8").strip()
        assert re.fullmatch(r'"""[^"]+may import[^"]+\."""', text), folder


def test_the_first_line_of_a_module_describes_it():
    for path in MODULES:
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        assert first.endswith((".", "?")) and len(first) > 20, path


def test_below_the_scripts_nothing_sees_an_argparse_namespace():
    for path in MODULES:
        if path.name.endswith("flags.py"):  # declares flags that several scripts share, and turns them into dataclasses
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen = [node.lineno for node in ast.walk(tree) if "Namespace" in (name_of(node), getattr(node, "attr", ""))]
        assert seen == [], (path, seen)


def test_nothing_writes_into_a_namespace():
    for path in [*ROOT.glob("*.py"), *(path for path in MODULES if path.name.endswith("flags.py"))]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        written = [
            node.lineno
            for node in ast.walk(tree)
            if (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)) or name_of(node) == "setattr"
        ]
        assert written == [], (path, written)


def name_of(node):
    return node.id if isinstance(node, ast.Name) else ""


def private_names(path):
    """Return the names beginning with an underscore that a file takes from another module, and those of `keras.src`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            imported |= {alias.asname or alias.name for alias in node.names}
        else:
            continue
        found |= {name for name in names if re.search(r"\b_(?!_)|^keras\.src\b", name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr):
            start = node.value
            while isinstance(start, ast.Attribute):
                start = start.value
            if name_of(start) in imported:
                found.add(ast.unparse(node))
    return found


def test_private_names_of_libraries_are_used_in_one_place_each_with_a_test():
    used = {
        str(path.relative_to(ROOT).as_posix()): names - {"os._exit"}
        for path in [*MODULES, *ROOT.glob("*.py"), *(ROOT / "tools").rglob("*.py")]
        if (names := private_names(path) - {"os._exit"})
    }
    assert used == PRIVATE


def test_a_test_file_stands_where_its_module_or_script_says():
    for path in sorted(TESTS.rglob("test_*.py")):
        folder, subject = path.parent.relative_to(TESTS), path.stem.removeprefix("test_")
        if (DETECTOR / folder / f"{subject}.py").is_file():
            continue
        of_a_script = any(subject.startswith(name.removesuffix(".py")) for name in SCRIPTS)
        assert folder == Path() and (of_a_script or subject in OTHER_TESTS), path
    assert {name for name in OTHER_TESTS if not (TESTS / f"test_{name}.py").is_file()} == set()


def imported_by_tests() -> set[str]:
    """Return the dotted names of modules that a test file imports."""
    found = set()
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
            elif isinstance(node, ast.Import):
                found |= {one.name for one in node.names}
    return found


def test_every_module_has_a_test_file_or_is_imported_by_one():
    met = imported_by_tests()
    missing = set()
    for path in MODULES:
        module = path.relative_to(ROOT).with_suffix("")
        own = TESTS / path.relative_to(DETECTOR).parent / f"test_{path.name}"
        if not own.is_file() and ".".join(module.parts) not in met:
            missing.add(module.as_posix())
    assert missing == set()


def test_the_architecture_names_every_folder_and_no_path_that_is_not_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:detector|tools|tests|requirements)/[a-z0-9_/.]*)`", text))
    assert {f"detector/{folder.name}/" for folder in FOLDERS} <= named
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_what_the_architecture_and_the_guide_say_to_register_is_defined_there():
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([A-Z]+)`(?: or `([A-Z]+)`)?\sin\s`(\S+\.py)`", architecture)
    named += re.findall(r"`([A-Z]+)`(?: or `([A-Z]+)`)?\s(?:in|of)\s\[`\w+\.py`\]\((\S+\.py)\)", guide)
    assert len(named) >= 7
    for *names, path in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert [name for name in names if name and not re.search(rf"^{name}\b", text, re.MULTILINE)] == [], path


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_flag_is_described(name):
    shown = script(name, "--help", cwd=ROOT, COLUMNS="400").stdout
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", shown)) - {"--help", "--version"}
    assert flags
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert {flag for flag in flags if not re.search(re.escape(flag) + r"(?![\w-])", text)} == set()


def test_flags_of_the_documents_exist():
    known = set()
    for name in SCRIPTS:
        known |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", script(name, "--help", cwd=ROOT, COLUMNS="400").stdout))
    for path in (
        ROOT / "README.md",
        ROOT / "docs" / "data.md",
        ROOT / "docs" / "training.md",
        ROOT / "docs" / "interpretation.md",
        ROOT / "docs" / "validation.md",
    ):
        for line in path.read_text(encoding="utf-8").splitlines():
            if any(word in line for word in ("git ", "pip ", "make ")):
                continue
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line):
                assert flag in known, (path.name, line)
