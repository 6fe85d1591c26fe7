"""The COVID-19 Radiography Database of Kaggle: COVID, Normal, Viral Pneumonia, Lung_Opacity, from several sources.

Reference: M. E. H. Chowdhury, T. Rahman, A. Khandakar et al., "Can AI help in screening viral and COVID-19 pneumonia?",
IEEE Access 8 (2020); T. Rahman et al., Computers in Biology and Medicine 132 (2021).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from detector.collections import kermany, rsna
from detector.collections.record import COVID, Convention, ImageRecord
from detector.files.tables import columns_of, read_table
from detector.images.listing import list_images

SOURCE = "covid19-radiography-database"
LOOKED_FOR = "COVID/images and Normal/images"
NESTED = ("", "COVID-19_Radiography_Dataset", "COVID-19 Radiography Database", "COVID-19_Radiography_Database")
# The folder of a class → the finding.
CLASSES = {
    "COVID": COVID,
    "COVID-19": COVID,
    "Normal": "Normal",
    "NORMAL": "Normal",
    "Viral Pneumonia": "Viral Pneumonia",
    "Lung_Opacity": "Lung Opacity",
}
LICENCE = "see the sources"
URL = "https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database"
CONVENTION = Convention(
    views=(),
    remark="The classes come from different sites, and no patient is given: see the column site.",
)


def root_of(folder: Path) -> Path | None:
    """Return the folder that holds the class folders, or None."""
    for name in NESTED:
        root = folder / name
        if any((root / one).is_dir() for one in ("COVID", "COVID-19")) and any(
            (root / one).is_dir() for one in ("Normal", "NORMAL")
        ):
            return root
    return None


def is_here(folder: Path) -> bool:
    """Return whether a folder is the database, unpacked."""
    return root_of(folder) is not None


def read(folder: Path) -> list[ImageRecord]:
    """Return the images of every class; masks are left out.

    Raises
    ------
    InputError
        If a table of metadata cannot be read.
    """
    root = root_of(folder)
    if root is None:
        return []
    found = []
    present = {path.name for path in root.iterdir()}
    for label, finding in CLASSES.items():
        if label not in present:  # a file system without case has COVID and Covid as one
            continue
        sites = sites_of(root, label)
        for path in list_images(root / label).images:
            below = path.relative_to(folder)
            url = sites.get(path.stem.casefold(), "")
            found.append(
                ImageRecord(
                    below.as_posix(),
                    below.parent.as_posix(),
                    path.name,
                    "",
                    "",
                    finding,
                    SOURCE,
                    site(url) or f"unknown ({label})",
                    LICENCE,
                    url or URL,
                )
            )
    return found


def sites_of(root: Path, label: str) -> dict[str, str]:
    """Return the address that each image comes from, by its name without suffix and case, from ``LABEL.metadata``.

    A CSV file is read; a workbook only where the library openpyxl is installed.
    """
    table = next((path for path in root.glob("*.csv") if path.name.lower() == f"{label.lower()}.metadata.csv"), None)
    if table and {"filename", "url"} <= columns_of(table):
        rows = read_table(table, ("FILE NAME", "URL"), SOURCE)
        return {row["FILE NAME"].casefold(): row["URL"] for row in rows}
    book = next((path for path in root.glob("*.xlsx") if path.name.lower() == f"{label.lower()}.metadata.xlsx"), None)
    if book and importlib.util.find_spec("openpyxl"):
        return _from_workbook(book)
    return {}


def _from_workbook(path: Path) -> dict[str, str]:
    import openpyxl

    try:
        sheet = openpyxl.load_workbook(path, read_only=True, data_only=True).worksheets[0]
        rows = [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    # A damaged workbook raises nearly anything; without it the sites are not known, which is said.
    except Exception:
        return {}
    heading = [name.strip().upper() for name in rows[0]] if rows else []
    if not {"FILE NAME", "URL"} <= set(heading):
        return {}
    name, url = heading.index("FILE NAME"), heading.index("URL")
    return {row[name].strip().casefold(): row[url].strip() for row in rows[1:]}


def site(url: str) -> str:
    """Return the publisher of an address: its host; on Kaggle and GitHub the data set as well."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return ""
    path = parts.path.strip("/")
    for source in (rsna.SOURCE, kermany.SOURCE):
        if source in path:
            return source
    names = [name for name in path.split("/") if name not in ("c", "datasets", "data", "")]
    return "/".join([host, *names[:2]]) if host in ("kaggle.com", "github.com") else host


def notes(folder: Path, listed: Sequence[ImageRecord]) -> list[str]:
    """Return what to say of the sites: for how many images they are not known, and how to know them."""
    unknown = sum(entry.site.startswith("unknown (") for entry in listed)
    if not unknown:
        return []
    return [
        f"the site of {unknown} images is not known: save LABEL.metadata.xlsx as CSV beside it, or install openpyxl"
    ]
