"""How a class folder is built from a collection where the user says nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from detector.collections.findings import COVID


@dataclass(frozen=True)
class Convention:
    """What a builder takes from a collection by default.

    Attributes
    ----------
    positive : str
        The finding that is meant by COVID-19.
    controls : tuple of str
        The findings of controls; empty for every other one that is known.
    views : tuple of str
        Views to keep; empty for any.
    one_per_patient : bool
    remark : str
        What a user must know of the labels, printed at the end of a build.
    """

    positive: str = COVID
    controls: tuple[str, ...] = ()
    views: tuple[str, ...] = ("PA",)
    one_per_patient: bool = False
    remark: str = ""


def convention_of(collection: ModuleType) -> Convention:
    """Return the convention of a collection: its ``CONVENTION``, or the usual one."""
    return getattr(collection, "CONVENTION", Convention())
