"""What is fuzzed: every reader of untrusted input, and what must hold of its result."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from detector import InputError, printable
from detector.collections import actualmed, boxes, cohen, covidx, figure1, hannover, kermany, nih, record, rsna, siim
from detector.datasets import clinical, manifest, own_folders, sampling, selection
from detector.files import tables, values
from detector.images import dicom_header
from detector.images import read as radiographs
from detector.network import model_file
from tools.fuzzing.dicom_seeds import ATTRIBUTES, EXTREMES, attribute_seeds, radiograph_with
from tools.fuzzing.image_seeds import picture_seeds
from tools.fuzzing.model_seeds import model_seeds, small_network
from tools.fuzzing.table_seeds import box_seeds, challenge_seeds, csv_seeds, list_seeds

NAME = Path("given")


def metadata(data: bytes) -> None:
    """A `metadata.csv`: what is kept of it lies in the local copy, and every row is accounted for."""
    _account_for(cohen.parse_metadata(data, NAME))


def siblings(data: bytes) -> None:
    """The tables of Cohen's sibling collections: whichever has the columns that are there."""
    rejections = 0
    for module, yielding in (
        (actualmed, actualmed.entries),
        (figure1, lambda rows: figure1.entries(rows, lambda name: "1" in name)),
        (hannover, hannover.entries),
    ):
        try:
            rows = tables.parse_table(data, NAME, module.NEEDED, module.SOURCE)
        except InputError:
            rejections += 1
            continue
        _account_for(list(yielding(rows)))
    if rejections == 3:
        raise InputError("a table of none")


def samples(data: bytes) -> None:
    """The tables of NIH and RSNA: what is drawn of them lies in its folder."""
    rejections = 0
    for module, yielding in (
        (nih, lambda rows: nih.entries(rows, NAME, {row["Image Index"]: "images" for row in rows}, "Pneumonia")),
        (rsna, lambda rows: rsna.entries(rows, NAME, "Normal")),
    ):
        try:
            found = yielding(tables.parse_table(data, NAME, module.NEEDED, module.SOURCE))
            drawn = sampling.draw(found, sampling.Draw(min(3, len(found)), 0, False, ["frontal"], True))
        except InputError:
            rejections += 1
            continue
        for entry in drawn.drawn:
            _inside(entry.path)
    if rejections == 2:
        raise InputError("a table of neither")


def challenge(data: bytes) -> None:
    """The tables of SIIM-FISABIO-RSNA, the one behind the other: boxes lie within the image, paths in the folder."""
    first, _, second = data.partition(b"\n\n")
    labels = siim.labels(tables.parse_table(first, NAME, siim.NEEDED_STUDIES, siim.SOURCE), NAME)
    rows = tables.parse_table(second, NAME, siim.NEEDED_IMAGES, siim.SOURCE)
    for entry in siim.entries(rows, NAME, labels, {}):
        inside, _ = boxes.in_fractions(entry.pixel_boxes, 100, 80)
        assert all(0 <= box.x <= box.x + box.width <= 1.0001 for box in inside)
        with suppress(InputError):
            _inside(record.require_inside(entry))


def lists(data: bytes) -> None:
    """A list of COVIDx."""
    for entry in covidx.parse(data, NAME, lambda name: "", "train"):
        assert entry.filename and entry.patient and entry.finding
        with suppress(InputError):
            _inside(record.require_inside(entry))


def drawn_boxes(data: bytes) -> None:
    """Cells of boxes, as collections list them and as a manifest has them."""
    text = data.decode("utf-8", "replace")
    for parse in (boxes.parse_listed, boxes.from_cell):
        try:
            found = parse(text)
        except ValueError as error:
            assert printable(error)
        else:
            assert all(box.width > 0 and box.height > 0 for box in found)


def rsna_boxes(data: bytes) -> None:
    """The table of RSNA's boxes."""
    rows = tables.parse_table(data, NAME, rsna.NEEDED_BOXES, rsna.SOURCE)
    for found in rsna.boxes_of(rows, NAME).values():
        assert all(box.width > 0 for box in found)


def headers(data: bytes) -> None:
    """The header of a DICOM radiograph: the age is a person's, the patient a hash."""
    found = dicom_header.parse(data, NAME)
    assert found.age == "" or 0 <= float(found.age) <= values.OLDEST
    assert found.patient == "" or len(found.patient) == 16
    assert (found.view + found.sex + found.modality).isprintable()


def attributes(data: bytes) -> None:
    """A DICOM radiograph whose attributes are extreme, empty, text or missing: three bytes of the input choose each."""
    chosen = {}
    for i in range(0, len(data) - 2, 3):
        name = ATTRIBUTES[data[i] % len(ATTRIBUTES)]
        chosen[name] = EXTREMES[data[i + 1] % len(EXTREMES)] or data[i + 2 : i + 2 + data[i + 2] % 16]
    radiograph = radiograph_with(chosen)
    found = dicom_header.parse_attributes(radiograph, NAME, ("PatientAge", "PatientSex", "ViewPosition"))
    assert all(text.isprintable() for text in found.values())
    pictures(radiograph)


def patients(data: bytes) -> None:
    """A user's table of patients."""
    assert all(own_folders.parse_patients(data, NAME))


def _account_for(entries: list[record.ImageRecord]) -> None:
    chosen = selection.select(entries, lambda finding: record.names_finding(finding, "COVID-19"), ["PA"])
    assert len(entries) == len(chosen.kept) + sum(chosen.dropped.values())
    for name, entry in zip(selection.file_names(chosen.kept), chosen.kept, strict=True):
        _inside(entry.path)
        row = record.manifest_row(entry, name, "covid", "0" * 64)
        assert manifest.parse(manifest.as_file([row], record.CLINICAL), NAME) == {name: row}


def manifests(data: bytes) -> None:
    """A manifest: it is written as it was read."""
    rows = manifest.parse(data, NAME)
    extra = [name for name in next(iter(rows.values()), {}) if name not in manifest.COLUMNS]
    assert manifest.parse(manifest.as_file(rows.values(), extra), NAME) == rows


def clinical_values(data: bytes) -> None:
    """A table of clinical values."""
    for cells in clinical.parse(data, NAME, ["age", "sex"]).values():
        assert cells.keys() == {"age", "sex"}


def names(data: bytes) -> None:
    """File names and findings: nothing leads out, drives a terminal, or is a formula."""
    text = data.decode("utf-8", "surrogateescape")
    folder, _, name = text.partition("/")
    entry = record.ImageRecord("line 1", folder, name, text, "PA", text, "source", "site")
    assert tables.unescaped(tables.escaped(text)) == text
    assert printable(text).isprintable()
    kermany.patient(text)
    assert text.startswith(figure1.person(text))
    assert cohen.site(text)
    assert values.age_cell(text) == "" or float(values.age_cell(text)) <= 120
    if record.names_finding(text, "COVID-19"):
        assert not record.is_control(text, "COVID-19")
    _inside(record.require_inside(entry))


def pictures(data: bytes) -> None:
    """The bytes of an image file of any format."""
    radiograph = radiographs.from_bytes(data, NAME)
    assert radiograph.pixels.shape == (224, 224, 3)
    assert radiograph.pixels.dtype == np.uint8


def models(data: bytes) -> None:
    """The bytes of a model file, of a network that is smaller than the real one."""
    with small_network():
        found = model_file.parse(data)
    assert all(np.isfinite(array).all() for pair in found.weights.values() for array in pair)
    assert all(np.isfinite(array).all() for array in found.head)


def _inside(path: PurePosixPath) -> None:
    assert not path.is_absolute()
    assert ".." not in path.parts


def message_of(reader: Callable[[bytes], None], data: bytes) -> str | None:
    """Give bytes to a reader; return its error message, if it rejects them."""
    try:
        reader(data)
    except InputError as error:
        assert printable(error)
        return str(error)
    return None


# Reader → what it is given first, and its share of all inputs.
READERS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]], float]] = {
    "metadata rows": (metadata, csv_seeds, 0.08),
    "sibling collections": (siblings, csv_seeds, 0.08),
    "NIH and RSNA tables": (samples, csv_seeds, 0.08),
    "SIIM tables": (challenge, challenge_seeds, 0.06),
    "COVIDx lists": (lists, list_seeds, 0.05),
    "boxes": (drawn_boxes, box_seeds, 0.03),
    "RSNA boxes": (rsna_boxes, box_seeds, 0.02),
    "patients": (patients, csv_seeds, 0.05),
    "manifests": (manifests, csv_seeds, 0.12),
    "clinical tables": (clinical_values, csv_seeds, 0.05),
    "file names": (names, csv_seeds, 0.08),
    "DICOM headers": (headers, lambda: picture_seeds("DICOM"), 0.02),
    "DICOM attributes": (attributes, attribute_seeds, 0.03),
    **{
        f"{kind} images": (pictures, functools.partial(picture_seeds, kind), 0.035)
        for kind in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")
    },
    "DICOM images": (pictures, lambda: picture_seeds("DICOM"), 0.035),
    "model files": (models, model_seeds, 0.04),
}
