"""COVIDx, the data set of COVID-Net: lists of images from several collections, published in parts.

Reference: L. Wang, Z. Q. Lin, A. Wong, "COVID-Net: a tailored deep convolutional neural network design for detection of
COVID-19 cases from chest X-ray images", Scientific Reports 10 (2020).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

from detector import InputError, counted, first_names
from detector.collections.record import COVID, Convention, ImageRecord
from detector.files.recognise import instead
from detector.files.tables import MAX_BYTES, decode

SOURCE = "covidx"
PARTS = ("train", "val", "test")
LOOKED_FOR = "train.txt, val.txt or test.txt with PATIENT FILE CLASS SOURCE in each line"
# The class in a list → the finding in a manifest.
FINDINGS = {
    "positive": COVID,
    "negative": "Negative",
    "covid-19": COVID,
    "covid": COVID,
    "normal": "Normal",
    "pneumonia": "Pneumonia",
}
LICENCE = "that of each source"
URL = "https://github.com/lindawangg/COVID-Net"
CONVENTION = Convention(views=())
HEAD_BYTES = 1 << 14


def is_here(folder: Path) -> bool:
    """Return whether a folder holds a list of the data set."""
    for _, path in lists(folder):
        try:
            with open(path, "rb") as file:
                first = decode(file.read(HEAD_BYTES)).strip().partition("\n")[0]
        except OSError:
            continue
        if fields(first, lambda name: False):
            return True
    return False


def lists(folder: Path) -> list[tuple[str, Path]]:
    """Return the lists of a folder, each with its part: ``train.txt``, ``test_COVIDx8B.txt``, also in ``labels``."""
    return [
        (part, path)
        for part in PARTS
        for where in (folder, folder / "labels")
        for path in sorted(where.glob(f"{part}*.txt"))
        if re.fullmatch(rf"{part}(?:[_-].*)?\.txt", path.name)
    ]


def read(folder: Path, split: str = "") -> list[ImageRecord]:
    """Return the images of the data set, or of one part of it.

    Parameters
    ----------
    folder : Path
    split : str
        ``train``, ``val`` or ``test``; empty for all.

    Raises
    ------
    InputError
        If there is no such part, or a part has several lists, or a line has too few fields.
    """
    known = lists(folder)
    wanted = [one for one in known if split in ("", one[0])]
    if not wanted:
        raise InputError(
            f"--split {split}: {folder} has no list of this split; it has {', '.join(path.name for _, path in known)}"
        )
    found = []
    for part in dict.fromkeys(part for part, _ in wanted):
        paths = [path for one, path in wanted if one == part]
        plain = [path for path in paths if path.name == f"{part}.txt"]
        if len(plain or paths) > 1:
            raise InputError(
                f"{folder} has several lists of {part}: {', '.join(path.name for path in paths)}; keep one version"
            )
        found += _read_list((plain or paths)[0], part, folder)
    return found


def _read_list(path: Path, part: str, folder: Path) -> list[ImageRecord]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    inner = [part, f"data/{part}", *PARTS, "images", "data", "."]
    where: dict[str, str] = {}
    for name in reversed(inner):
        if (folder / name).is_dir():
            where |= {file.name: name for file in (folder / name).iterdir()}
    return parse(data, path, lambda name: where.get(name, part if name in where else ""), part)


def parse(data: bytes, path: Path, locate: Callable[[str], str], part: str) -> list[ImageRecord]:
    """Return the images of a list's bytes.

    Parameters
    ----------
    data : bytes
    path : Path
        What errors call the list.
    locate : callable
        From the name of a file to its folder; empty where it is not there.
    part : str
        ``train``, ``val`` or ``test``.

    Raises
    ------
    InputError
        If a line has too few fields, or no class that is known.
    """
    if what := instead(data):
        raise InputError(f"{path} {what}")
    found = []
    for number, line in enumerate(decode(data).splitlines(), 1):
        if not line.strip():
            continue
        found_fields = fields(line, lambda name: bool(locate(name)))
        if not found_fields:
            raise InputError(
                f"{path}, line {number}: expected PATIENT FILE CLASS SOURCE with the class positive, negative, normal, "
                f"pneumonia or COVID-19, not {line.strip()[:80]!r}"
            )
        patient, name, label, source = found_fields
        found.append(
            ImageRecord(
                f"{path.name}, line {number}",
                locate(name) or part,
                name,
                patient,
                "",
                FINDINGS[label.lower()],
                SOURCE,
                source or f"unknown ({label})",
                LICENCE,
                URL,
                part=part,
            )
        )
    if not found:
        raise InputError(f"{path} lists no images")
    return found


def fields(line: str, is_there: Callable[[str], bool]) -> tuple[str, str, str, str] | None:
    """Return patient, file, class and source of a line; None where it has too few fields or no known class.

    Old lists have file names, and patients, with spaces: the split between the two is where a file is there, or where
    both are the same, or after the first field.

    Parameters
    ----------
    line : str
    is_there : callable
        Whether a file of a name is there.

    Returns
    -------
    tuple of str or None
        The source is empty where the line has none.
    """
    cells = line.split()
    at = next((i for i in range(len(cells) - 1, 1, -1) if cells[i].lower() in FINDINGS), 0)
    if not at:
        return None
    label, source = cells[at], " ".join(cells[at + 1 : at + 2])
    splits = range(1, at)
    names = {i: " ".join(cells[i:at]) for i in splits}
    there = next((i for i in splits if is_there(names[i])), 0)
    same = next((i for i in splits if names[i].rpartition(".")[0] == " ".join(cells[:i])), 0)
    chosen = there or same or 1
    return " ".join(cells[:chosen]), names[chosen], label, source


def notes(folder: Path, listed: Sequence[ImageRecord]) -> list[str]:
    """Return what to say of the parts: patients who are in two of them."""
    who: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in read(folder):
        who[entry.part].add((entry.site, entry.patient))
    said = []
    for one, other in combinations(who, 2):
        both = sorted(patient for _, patient in who[one] & who[other])
        if both:
            who_both = f"{counted(len(both), 'patient')} in both {one} and {other}: {first_names(both, 10)}"
            said.append(f"{who_both}; the parts are not independent")
        else:
            said.append(f"no patient is in both {one} and {other}")
    return said
