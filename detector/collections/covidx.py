"""COVIDx, the data set of COVID-Net: lists of images from several collections, published in parts.

Reference: L. Wang, Z. Q. Lin, A. Wong, "COVID-Net: a tailored deep convolutional neural network design for detection of
COVID-19 cases from chest X-ray images", Scientific Reports 10 (2020).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from detector import InputError
from detector.collections.record import COVID, Collection, ImageRecord
from detector.files.tables import file_bytes, head_of, require_text

PARTS = ("train", "val", "test")
# The class in a list → the finding in a manifest.
FINDINGS = {
    "positive": COVID,
    "negative": "Negative",
    "covid-19": COVID,
    "covid": COVID,
    "normal": "Normal",
    "pneumonia": "Pneumonia",
}
# Old lists have file names, and patients, with spaces: where both are the same, it is seen where one ends.
LINE = re.compile(
    r"(?:(?P<same>\S.*) (?P<copy>(?P=same)\.\w+)|(?P<patient>\S+) (?P<file>\S.*)) "
    rf"(?P<label>{'|'.join(FINDINGS)})(?: (?P<source>\S+).*)?",
    re.IGNORECASE,
)
LONGEST = 500  # of a line


class Covidx(Collection):
    """Lists of images: ``train.txt``, ``test_COVIDx8B.txt``, also in ``labels``."""

    source = "covidx"
    url = "https://github.com/lindawangg/COVID-Net"
    licence = "that of each source"
    looked_for = "train.txt, val.txt or test.txt with PATIENT FILE CLASS SOURCE in each line"
    parts = PARTS

    def is_here(self, folder: Path) -> bool:
        """Return whether the first line of a list is one of an image."""
        for _, path in lists(folder):
            with suppress(InputError, OSError):
                if fields(head_of(path).strip().partition("\n")[0]):
                    return True
        return False

    def read(self, folder: Path, part: str = "") -> list[ImageRecord]:
        """Return the images of every part, or of one."""
        known = lists(folder)
        wanted = [one for one in known if part in ("", one[0])]
        if not wanted:
            names = ", ".join(path.name for _, path in known)
            raise InputError(f"--split {part}: {folder} has no list of this split; it has {names}")
        found = []
        for one in dict.fromkeys(one for one, _ in wanted):
            paths = [path for other, path in wanted if other == one]
            paths = [path for path in paths if path.name == f"{one}.txt"] or paths
            if len(paths) > 1:
                names = ", ".join(path.name for path in paths)
                raise InputError(f"{folder} has several lists of {one}: {names}; keep one version")
            found += self.parse(file_bytes(paths[0]), paths[0], files_of(folder, one), one)
        return found

    def parse(self, data: bytes, path: Path, where: Mapping[str, str], part: str) -> list[ImageRecord]:
        """Return the images of a list's bytes, given the folder of each file that is there."""
        found = []
        for number, line in enumerate(require_text(data, path).splitlines(), 1):
            if not line.strip():
                continue
            cells = fields(line)
            if not cells:
                raise InputError(
                    f"{path}, line {number}: expected PATIENT FILE CLASS SOURCE with the class positive, negative, "
                    f"normal, pneumonia or COVID-19, not {line.strip()[:80]!r}"
                )
            patient, name, label, source = cells
            found.append(
                ImageRecord(
                    f"{path.name}, line {number}",
                    where.get(name, part),
                    name,
                    patient,
                    "",
                    FINDINGS[label.lower()],
                    self.source,
                    source or f"unknown ({label})",
                    self.licence,
                    self.url,
                )
            )
        if not found:
            raise InputError(f"{path} lists no images")
        return found


def lists(folder: Path) -> list[tuple[str, Path]]:
    """Return the lists of a folder, each with its part."""
    return [
        (part, path)
        for part in PARTS
        for where in (folder, folder / "labels")
        for path in sorted(where.glob(f"{part}*.txt"))
        if re.fullmatch(rf"{part}(?:[_-].*)?\.txt", path.name)
    ]


def files_of(folder: Path, part: str) -> dict[str, str]:
    """Return the folder of each file that a list of a part may name, the likeliest where several have it."""
    where: dict[str, str] = {}
    for name in reversed([part, f"data/{part}", *PARTS, "images", "data", "."]):
        if (folder / name).is_dir():
            where |= {file.name: name for file in (folder / name).iterdir()}
    return where


def fields(line: str) -> tuple[str, str, str, str] | None:
    """Return patient, file, class and source of a line; None where it has too few fields or no known class.

    The source is empty where the line has none.
    """
    match = LINE.fullmatch(" ".join(line.split())[:LONGEST])
    if not match:
        return None
    found = match.groupdict(default="")
    return found["same"] or found["patient"], found["copy"] or found["file"], found["label"], found["source"]
