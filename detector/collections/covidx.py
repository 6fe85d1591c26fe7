"""COVIDx, the data set of COVID-Net: lists of images from several collections, published in parts.

Reference: L. Wang, Z. Q. Lin, A. Wong, "COVID-Net: a tailored deep convolutional neural network design for detection of
COVID-19 cases from chest X-ray images", Scientific Reports 10 (2020).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from detector import InputError
from detector.collections.record import COVID, Collection, ImageRecord, locate
from detector.files.tables import SUFFIX, file_bytes, head_of, require_text

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
    rf"(?P<patient>(?P<same>\S.*)(?= (?P=same)\.\w+ )|\S+) (?P<file>\S.*) (?P<label>{'|'.join(FINDINGS)})"
    r"(?: (?P<source>\S+).*)?",
    re.IGNORECASE,
)
LONGEST = 500  # of a line


class Covidx(Collection):
    """Lists of images: ``train.txt``, ``test_COVIDx8B.txt``, also in ``labels``."""

    source = "covidx"
    url = "https://github.com/lindawangg/COVID-Net"
    licence = "that of each source"
    looked_for = "train.txt, val.txt or test.txt with PATIENT FILE CLASS SOURCE in each line"
    parts = ("train", "val", "test")

    def is_here(self, folder: Path) -> bool:
        """Return whether the first line of a list is one of an image."""
        for paths in lists(folder).values():
            with suppress(InputError, OSError):
                if matched(head_of(paths[0]).strip().partition("\n")[0]):
                    return True
        return False

    def read(self, folder: Path, part: str = "") -> Iterator[ImageRecord]:
        """Yield the images of every part, or of one."""
        known = lists(folder)
        if part and part not in known:
            names = ", ".join(path.name for paths in known.values() for path in paths)
            raise InputError(f"--split {part}: {folder} has no list of this split; it has {names}")
        for one in [part] if part else known:
            if len(known[one]) > 1:
                names = ", ".join(path.name for path in known[one])
                raise InputError(f"{folder} has several lists of {one}: {names}; keep one version")
            inner = next((name for name in (one, f"data/{one}") if (folder / name).is_dir()), ".")
            where = {name: PurePosixPath(inner) / path for name, path in locate(folder / inner).items()}
            yield from self.parse(file_bytes(known[one][0]), known[one][0], where, one)

    def parse(self, data: bytes, path: Path, where: Mapping[str, PurePosixPath], part: str) -> list[ImageRecord]:
        """Return the images of a list's bytes, given where each file that is there lies, by its name without suffix."""
        found = []
        for number, line in enumerate(require_text(data, path).splitlines(), 1):
            if match := matched(line):
                file = where.get(SUFFIX.sub("", match["file"]), PurePosixPath(part, match["file"]))
                found.append(
                    ImageRecord(
                        f"{path.name}, line {number}",
                        file.parent.as_posix(),
                        file.name,
                        match["patient"],
                        "",
                        FINDINGS[match["label"].lower()],
                        match["source"] or f"unknown ({match['label']})",
                    )
                )
            elif line.strip():
                raise InputError(
                    f"{path}, line {number}: expected PATIENT FILE CLASS SOURCE with the class positive, negative, "
                    f"normal, pneumonia or COVID-19, not {line.strip()[:80]!r}"
                )
        if not found:
            raise InputError(f"{path} lists no images")
        return found


def lists(folder: Path) -> dict[str, list[Path]]:
    """Return the lists of each part that a folder has: those without a version in their name, or else all."""
    found = {}
    for part in Covidx.parts:
        where = (folder, folder / "labels")
        plain = [inner / f"{part}.txt" for inner in where if (inner / f"{part}.txt").is_file()]
        if paths := plain or [path for inner in where for path in sorted(inner.glob(f"{part}[_-]*.txt"))]:
            found[part] = paths
    return found


def matched(line: str) -> re.Match[str] | None:
    """Return patient, file, class and source of a line, or None where it has too few fields or no known class."""
    return LINE.fullmatch(" ".join(line.split())[:LONGEST])
