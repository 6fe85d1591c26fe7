"""The COVID-19 Radiography Database of Kaggle: COVID, Normal, Viral Pneumonia, Lung_Opacity, from several sources.

Reference: M. E. H. Chowdhury, T. Rahman, A. Khandakar et al., "Can AI help in screening viral and COVID-19 pneumonia?",
IEEE Access 8 (2020); T. Rahman et al., Computers in Biology and Medicine 132 (2021).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.collections.kermany import Kermany
from detector.collections.record import COVID, DOCUMENTED, OTHER_NAME, Collection, ImageRecord, host_and_path
from detector.collections.rsna import Rsna
from detector.files.tables import read_table, stem
from detector.images.listing import list_images

NESTED = ("", "COVID-19_Radiography_Dataset", "COVID-19 Radiography Database", "COVID-19_Radiography_Database")
# The folder of a class → the finding. A folder's files are named after it: COVID-12.png, "NORMAL (3).png".
CLASSES = {
    "COVID": COVID,
    "COVID-19": COVID,
    "Normal": "Normal",
    "NORMAL": "Normal",
    "Viral Pneumonia": "Viral Pneumonia",
    "Lung_Opacity": "Lung Opacity",
}


class Radiography(Collection):
    """Known by its tables or file names: four classes of these names are those of many data sets."""

    source = "covid19-radiography-database"
    url = "https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database"
    licence = "see the sources"
    looked_for = "COVID.metadata.csv beside COVID and Normal, or files such as COVID/images/COVID-1.png"

    def is_here(self, folder: Path) -> bool:
        """Return whether a folder is the database, unpacked."""
        return root_of(folder) is not None

    def read(self, folder: Path, part: str = "") -> Iterator[ImageRecord]:
        """Yield the images of every class; masks are left out."""
        for label in classes_of(root_of(folder) or folder):
            addresses = addresses_of(label)
            for path in list_images(label).images:
                below = path.relative_to(folder)
                url = addresses.get(stem(path.name), "")
                yield ImageRecord(
                    below.as_posix(),
                    below.parent.as_posix(),
                    path.name,
                    "",
                    "",
                    CLASSES[label.name],
                    site(url) or f"unknown ({label.name})",
                    url=url,
                    unknown="" if url or is_documented(path, label) else OTHER_NAME,
                )

    def notes(self, folder: Path, entries: Sequence[ImageRecord]) -> list[str]:
        """Return for how many images the site is not known, and how to know it."""
        said = ["the classes come from different sites, and no patient is given: see the column site"]
        if unknown := sum(entry.site.startswith("unknown (") for entry in entries):
            how = "save each LABEL.metadata.xlsx as LABEL.metadata.csv beside it"
            said.append(f"the site of {unknown} images is not known: {how}")
        return said


def root_of(folder: Path) -> Path | None:
    """Return the folder that holds the class folders, or None."""
    for root in (folder / name for name in NESTED):
        labels = classes_of(root)
        known = [is_documented(path, label) for label in labels for path in list_images(label).images]
        if any(map(addresses_of, labels)) or sum(known) >= max(1.0, DOCUMENTED * len(known)):
            return root
    return None


def classes_of(root: Path) -> list[Path]:
    """Return the class folders; a file system without case has COVID and Covid as one."""
    return [path for path in sorted(root.iterdir()) if path.name in CLASSES and path.is_dir()] if root.is_dir() else []


def is_documented(path: Path, label: Path) -> bool:
    """Return whether an image is named after its class."""
    return re.fullmatch(rf"{label.name}[ -]?\(?\d+\)?\.\w+", path.name, re.IGNORECASE) is not None


def addresses_of(label: Path) -> dict[str, str]:
    """Return the address that each image of a class comes from, by its name without suffix and case."""
    table = label.with_name(f"{label.name}.metadata.csv")
    rows = read_table(table, ("FILE NAME", "URL")) if table.exists() else []
    return {stem(row["FILE NAME"]): row["URL"] for row in rows}


def site(url: str) -> str:
    """Return the publisher of an address: its host; on Kaggle and GitHub the data set as well."""
    host, path = host_and_path(url)
    known = next((source for source in (Rsna.source, Kermany.source) if source in path), "")
    names = [host, *[name for name in path.split("/") if name not in ("c", "datasets", "data", "")][:2]]
    return known or ("/".join(names) if host in ("kaggle.com", "github.com") else host)
