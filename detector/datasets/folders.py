"""Folders → classes and views: the first level below a data set at which folders differ is that of its classes."""

from __future__ import annotations

import argparse
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from detector import InputError, first_names
from detector.files.tables import folded
from detector.files.values import view_group
from detector.images.listing import SUFFIXES, SYSTEM
from detector.images.read import read

SPLITS = frozenset({"train", "val", "validation", "test"})
# A folder of this name, or a word of a file's name; BIMCV writes vp-pa, vp-ap, vp-ll into the names of its files.
VIEWS = frozenset({"pa", "ap", "frontal", "lateral"})
VIEW = re.compile(r"(?:^|[ _-])(?:(lateral|lat|frontal)|vp-(pa|ap|ll))(?=[ _.-]|$)", re.ASCII | re.IGNORECASE)
# Help of a flag.
PATIENT_FROM = r"patients in paths, where no manifest names them: a regular expression such as 'sub-(\w+)'"
MOST_NAMES = 10
MOST_KINDS = 20  # of folders within a class that may hold masks; where there are more, they are of patients or studies
GREYS = (16, 239)  # of a mask, hardly a pixel lies between


def class_level(folder: Path, paths: Sequence[Path], flag: str) -> int:
    """Return how many folders lie between a data set's folder and those of its classes.

    Classes are the first level at which folders differ; a chain of single folders is passed through. Whatever lies
    deeper belongs to its class. `paths` are those of the images; `flag` named the folder, for errors.
    """
    folders = [path.relative_to(folder).parts[:-1] for path in paths]
    if loose := [path.name for path, names in zip(paths, folders, strict=True) if not names]:
        # Most images of a class lie in its folder; most of a data set do not.
        asked = question(folder, flag) if 2 * len(loose) > len(paths) or len({*filter(None, folders)}) < 2 else ""
        raise InputError(
            f"data set {folder} holds {first_names(loose)} outside of its class folders; move them into one{asked}"
        )
    level = 0
    while all(len(names) > level + 1 and names[level] == folders[0][level] for names in folders):
        level += 1
    where, found = folder.joinpath(*folders[0][:level]), {names[level] for names in folders}
    parts = sorted(
        (name for name in found if name.casefold() in SPLITS), key=lambda name: (name.casefold() != "train", name)
    )
    if not parts or len(found) == 1:
        return level
    if len(parts) < len(found):
        raise InputError(
            f"data set {folder} holds {where / parts[0]} beside other folders: {parts[0]} is a part of a data set, not "
            f"a class; move it out of {where}, and test on it with audit_covid19.py -d {folder} --external {parts[0]}"
        )
    raise InputError(
        f"data set {folder} holds {', '.join(parts)}, the parts of a data set that is split already; train with "
        f"-d {where / parts[0]}, and test on the other part with audit_covid19.py -d {where / parts[0]} --external "
        f"{where / parts[1]}"
    )


def question(folder: Path, flag: str, pattern: str = "*") -> str:
    """Ask for the folder above where others beside this one, which may be that of one class, hold images so, too."""
    above = Path(os.path.normpath(folder / ".."))
    beside = (one for one in above.iterdir() if one.is_dir() and not one.samefile(folder))
    is_one = any(path.suffix.lower() in SUFFIXES for one in beside for path in one.glob(pattern))
    return f"; did you mean {flag} {above}?" if is_one else ""


def empty_classes(folder: Path, paths: Sequence[Path], level: int) -> list[str]:
    """Return the folders beside those of the classes that hold no image, such as masks only."""
    parts = [path.relative_to(folder).parts for path in paths]
    where, labels = folder.joinpath(*parts[0][:level]), {names[level] for names in parts}
    others = [one.name for one in where.iterdir() if one.is_dir() and one.name not in labels]
    return sorted(name for name in others if not name.startswith(".") and name.lower() not in SYSTEM)


def masks_among(folder: Path, paths: Sequence[Path], level: int) -> set[Path]:
    """Return which images of a data set are masks of others.

    They lie in a folder within their class of which every file has a namesake in another folder of the class, and are
    black and white: one is looked at for each name of such folders.
    """
    found: set[Path] = set()
    classes: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        classes[path.relative_to(folder).parts[level]][path.parent.name].append(path)
    for kinds in classes.values():
        if not 1 < len(kinds) <= MOST_KINDS:
            continue
        stems = {kind: {path.stem for path in inside} for kind, inside in kinds.items()}
        masks = [
            kind
            for kind, inside in kinds.items()
            if stems[kind] <= set().union(*(names for other, names in stems.items() if other != kind))
            and _is_black_and_white(inside[0])
        ]
        if len(masks) < len(kinds):
            found.update(path for kind in masks for path in kinds[kind])
    return found


def _is_black_and_white(path: Path) -> bool:
    try:
        pixels = read(path).pixels
    except InputError:
        return False
    return bool(np.mean((pixels > GREYS[0]) & (pixels < GREYS[1])) < 0.1)


def class_named(classes: Sequence[str], wanted: str, where: Path) -> str:
    """Return the class of a name, in any letter case."""
    if found := next((name for name in classes if folded(name) == folded(wanted)), ""):
        return found
    there = f"data set {where} has no class {wanted}; its classes are {first_names(list(classes), MOST_NAMES)}"
    deeper = sorted(path.parent for path in where.rglob("*") if folded(path.name) == folded(wanted) and path.is_dir())
    if deeper and deeper[0] != where:
        raise InputError(f"{there}; give a folder that holds {wanted} with -d, such as {deeper[0]}")
    asked = question(where, "-d", "*/*") if folded(where.resolve().name) == folded(wanted) else ""
    raise InputError(f"{there}: choose the positive one with --positive-class{asked}")


def view_of(path: Path) -> str:
    """Return the view that a path names, such as ``view1_frontal.jpg`` or ``PA/1.png``; empty where it names none."""
    if match := VIEW.search(path.stem):
        return view_group(match[1] or match[2])
    return next((view_group(name) for name in reversed(path.parts[:-1]) if name.lower() in VIEWS), "")


def patient_pattern(text: str) -> re.Pattern[str]:
    """Parse what ``--patient-from`` is given, for `argparse`: a regular expression with a group around the patient."""
    with suppress(re.error):
        pattern = re.compile(text)
        if pattern.groups:
            return pattern
    raise argparse.ArgumentTypeError(
        rf"{text!r} is no regular expression with a group in parentheses around the patient, as 'sub-(\w+)' is"
    )
