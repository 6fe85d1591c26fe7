"""The COVID-19 image repository of the Hannover Medical School.

Reference: H. B. Winther et al., "COVID-19 Image Repository", figshare (2020), CC BY 3.0. Part of it stands in J. P.
Cohen's collection, too, as JPEG, under the same image ids.
"""

from __future__ import annotations

from pathlib import Path

from detector.collections.record import COVID, ImageRecord, TableCollection
from detector.files.tables import Row, columns_of
from detector.files.values import number

REPOSITORY = "covid-19-image-repository"  # part of the address under which other collections name it
SITE = "hannover"
# Its authors' rule (their issue 4), in days from the image to the patient's admission.
NOT_YET, SURELY = 14.0, 7.0
NOT_YET_POSITIVE = "No COVID-19 yet"


class Hannover(TableCollection):
    """Images of patients who were, or were to be, admitted."""

    source = "covid-19-image-repository"
    url = "https://github.com/ml-workgroup/covid-19-image-repository"
    licence = "CC BY 3.0"
    table = "data.csv"
    looked_for = "data.csv with the columns image_id and admission_offset"
    needed = ("patient_id", "image_id", "projection", "admission_offset")
    views = ("PA",)

    def is_here(self, folder: Path) -> bool:
        """Return whether the table has the columns that tell this collection from others."""
        return {"imageid", "admissionoffset"} <= columns_of(folder / self.table)

    def record(self, row: Row, folder: Path) -> ImageRecord:
        """Return the image of a row, its values under the names of J. P. Cohen's collection, in its units.

        Cell counts are thousands per microlitre in both; the partial pressure of oxygen is not a saturation, so it is
        left out.
        """
        days = number(row["admission_offset"])
        finding, unknown = finding_of(days)
        return ImageRecord(
            row.where,
            "png",
            f"{row['image_id']}.png" if row["image_id"] else "",
            row["patient_id"],
            row["projection"].upper(),
            finding,
            SITE,
            unknown=unknown,
            clinical={
                "offset": f"{0 - days:g}" if days is not None else "",
                "sex": {"m": "M", "f": "F", "w": "F"}.get(row["sex"].lower(), ""),
                "age": row["age"],
                "survival": "N" if number(row["death_offset"]) is not None else "Y",
                "went_icu": "Y" if number(row["icu_admission_offset"]) is not None else "N",
                "neutrophil_count": _of_the_day(row, "neutrophils"),
                "lymphocyte_count": _of_the_day(row, "lymphocytes"),
            },
        )


def finding_of(days: float | None) -> tuple[str, str]:
    """Return whether an image shows COVID-19, by its authors' rule, and why it is unknown, where it is.

    The days are those from the image to the admission: positive where the image came first.
    """
    if days is None or days < SURELY:
        return COVID, ""
    if days > NOT_YET:
        return NOT_YET_POSITIVE, ""
    return "", f"taken {SURELY:g} to {NOT_YET:g} days before admission"


def _of_the_day(row: Row, name: str) -> str:
    """Return a count of the image's day; ``inf`` and ``-inf`` are beyond what could be measured, no number."""
    value = number(row[f"{name}_val"])
    return f"{value:g}" if value is not None and number(row[f"{name}_offset"]) == 0 else ""
