"""The collections: to add one, write its module with a `Collection` and name it here."""

from __future__ import annotations

from pathlib import Path

from detector import InputError
from detector.collections.cohen import Actualmed, Cohen, Figure1
from detector.collections.covidx import Covidx
from detector.collections.hannover import Hannover
from detector.collections.kermany import Kermany
from detector.collections.nih import Nih
from detector.collections.radiography import Radiography
from detector.collections.record import Collection
from detector.collections.rsna import Rsna
from detector.collections.siim import Siim

# Of build_covid_dataset.py and of sample_kaggle_dataset.py, in the order in which a folder is tried.
BUILT: tuple[Collection, ...] = (Siim(), Cohen(), Actualmed(), Hannover(), Figure1(), Covidx(), Radiography())
SAMPLED: tuple[Collection, ...] = (Kermany(), Nih(), Rsna())
SOURCES = frozenset(collection.source for collection in (*BUILT, *SAMPLED))


def recognise(folder: Path, among: tuple[Collection, ...], flag: str) -> Collection:
    """Return the collection that a folder holds; `flag` named the folder, for errors."""
    if not folder.is_dir():
        raise InputError(f"{flag} {folder} is not a folder")
    for collection in among:
        if collection.is_here(folder):
            return collection
    looked_for = "; ".join(f"{collection.looked_for} ({collection.source})" for collection in among)
    raise InputError(
        f"{flag} {folder}: no known collection found. Expected one of: {looked_for}. Class folders of your own need no "
        "builder; build_covid_dataset.py --write-manifests describes them"
    )
