"""Recognise which collection a folder holds.

A collection is a module with ``SOURCE``, ``LOOKED_FOR``, ``is_here(folder)`` and ``read(folder)``, which returns
entries: to add one, write it and name it here.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from detector import InputError
from detector.collections import actualmed, cohen, covidx, figure1, hannover, kermany, nih, radiography, rsna, siim
from detector.files.tables import require_table

# BUILT: read whole by build_covid_dataset.py. SAMPLED: sampled by sample_kaggle_dataset.py.
BUILT: tuple[ModuleType, ...] = (siim, cohen, actualmed, hannover, figure1, covidx, radiography)
SAMPLED: tuple[ModuleType, ...] = (kermany, nih, rsna)
SOURCES = frozenset(collection.SOURCE for collection in (*BUILT, *SAMPLED))


def recognise(folder: Path, among: tuple[ModuleType, ...], flag: str) -> ModuleType:
    """Return the collection that a folder holds.

    Parameters
    ----------
    folder : Path
    among : tuple of modules
    flag : str
        That named the folder, for errors.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it holds none of them; the sentence names what was looked for.
    """
    if not folder.is_dir():
        raise InputError(f"{flag} {folder} is not a folder")
    for collection in among:
        if collection.is_here(folder):
            return collection
    # A web page or a Git LFS pointer under the name of a table is the commonest reason.
    for table in sorted(folder.glob("*.csv")) + sorted(folder.glob("*.txt")):
        require_table(table)
    looked_for = "; ".join(f"{collection.LOOKED_FOR} ({collection.SOURCE})" for collection in among)
    raise InputError(f"{flag} {folder}: no known collection found. Expected one of: {looked_for}")
