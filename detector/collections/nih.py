"""NIH ChestX-ray14: adults and children of one hospital, with and without findings, in full or as Kaggle's sample.

Reference: X. Wang, Y. Peng, L. Lu et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from detector.collections.record import Collection, ImageRecord, locate
from detector.files.tables import SUFFIX, columns_of, read_table
from detector.files.values import age_cell

TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv", "sample_labels.csv")


class Nih(Collection):
    """Images of any folder below that of the table, in any format: resized copies are common."""

    source = "nih-chest-xrays"
    url = "https://nihcc.app.box.com/v/ChestXray-NIHCC"
    licence = "free to use, cite Wang et al. 2017"
    looked_for = " or ".join(TABLES)
    words = (("normal", "No Finding"),)
    one_per_patient = True
    columns = ()

    def is_here(self, folder: Path) -> bool:
        """Return whether a folder holds the data set's table, or that of Kaggle's sample of it."""
        return any("imageindex" in columns_of(folder / name) for name in TABLES)

    def read(self, folder: Path, part: str = "") -> Iterator[ImageRecord]:
        """Yield the image of each row; it may have several findings, separated by ``|``."""
        table = next(folder / name for name in TABLES if (folder / name).exists())
        where = locate(folder)
        for row in read_table(table, ("Image Index", "Finding Labels", "Patient ID")):
            name = row["Image Index"]
            path = where.get(SUFFIX.sub("", name), PurePosixPath("images", name))
            yield ImageRecord(
                row.where,
                path.parent.as_posix(),
                path.name,
                row["Patient ID"],
                row["View Position"],
                row["Finding Labels"],
                clinical={"age": age_cell(row["Patient Age"]), "sex": row["Patient Gender"].upper()},
            )
