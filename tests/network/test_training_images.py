"""What a model file keeps of its training images: written, read, bounded, and rejected where it is damaged."""

import functools
import hashlib
import io
import zipfile

import pytest

from detector import InputError
from detector.files.cache import Cache
from detector.network import model_file
from detector.network import model_file as model
from detector.network.model_file import (
    EARLIER,
    LARGEST,
    MARK,
    RECORD,
    UNKNOWN,
    Description,
    TrainingImages,
    as_file,
    shortened,
)
from detector.network.model_file import MOST_IMAGES as MOST


def images_of(count: int) -> TrainingImages:
    """Return as many different images."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    return TrainingImages.of((digest, digest[::-1] * 8) for digest in digests)


def test_bytes_and_back():
    images = images_of(5)
    assert len(images.as_bytes()) == len(MARK) + 5 * RECORD
    assert TrainingImages.from_bytes(images.as_bytes()) == images
    assert TrainingImages.from_bytes(b"") == TrainingImages()
    assert images.digests[0] == shortened(hashlib.sha256(b"0").hexdigest())
    one = TrainingImages.of([("a" * 64, "")])
    assert one.hashes == (UNKNOWN,) and one.known_hashes == []


def test_damaged_and_unbounded_records_are_rejected():
    for data in (b"x", MARK + bytes(RECORD + 1), MARK + bytes((MOST + 1) * RECORD), bytes((MOST + 1) * EARLIER)):
        with pytest.raises(ValueError, match="training images"):
            TrainingImages.from_bytes(data)
    assert len(TrainingImages.of([("a" * 64, "b" * 512)] * (MOST + 1)).digests) == MOST


def test_files_of_an_earlier_version_keep_their_digests_only():
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(3)]
    found = TrainingImages.from_bytes(b"".join(digest[:8] + digest for digest in digests))
    assert found.digests == tuple(shortened(digest.hex()) for digest in digests)
    assert found.known_hashes == []
    assert TrainingImages.from_bytes(found.as_bytes()) == found


@pytest.fixture(scope="module")
def files():
    """Return the bytes of one and the same model of 100,000 training images in both formats."""
    import numpy as np

    from detector.network.backbone import CHANNELS, LAYERS

    shapes = [(3, 3, CHANNELS[i], CHANNELS[i + 1]) for i in range(len(LAYERS))]
    weights = {
        name: (np.zeros(shape, np.float32), np.zeros(shape[-1], np.float32))
        for name, shape in zip(LAYERS, shapes, strict=True)
    }
    head = [np.zeros(shape, np.float32) for shape in ((1408, 2), (2,))]
    description = Description(["a", "b"], "a", "probe", "global", training_images=images_of(100_000))
    saved = model_file.SavedModel(weights, head, description, None)
    joined = functools.cache(saved.joined)
    return {suffix: as_file(saved, joined, suffix, Cache(None)) for suffix in (".h5", ".keras")}, description


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_model_file_keeps_a_hundred_thousand(files, suffix):
    contents, description = files
    assert model_file.parse(contents[suffix]).description == description


def test_a_file_without_training_images_is_read_and_a_foreign_record_rejected(files):
    import h5py
    import numpy as np

    def changed(data: object) -> bytes:
        copy = io.BytesIO(files[0][".h5"])
        with h5py.File(copy, "r+") as file:
            del file[model.IMAGES]
            if data is not None:
                file.create_dataset(model.IMAGES, **data)
        return copy.getvalue()

    assert model_file.parse(changed(None)).description.training_images == TrainingImages()
    rejected = {
        "float32": {"data": np.zeros(RECORD, np.float32)},
        "compressed": {"data": np.zeros(RECORD, np.uint8), "chunks": (RECORD,), "compression": "gzip"},
        "not up to": {"shape": (LARGEST + 1,), "dtype": np.uint8},
        "training images": {"data": np.zeros(RECORD + 1, np.uint8)},
        "outside": {"shape": (10,), "dtype": np.uint8, "external": [("/etc/hostname", 0, 10)]},
    }
    for reason, data in rejected.items():
        with pytest.raises(InputError, match=reason):
            model_file.parse(changed(data))
    copy = io.BytesIO(files[0][".keras"])
    source = zipfile.ZipFile(copy)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in source.infolist():
            data = bytes(LARGEST + 1) if item.filename == model.IMAGES else source.read(item)
            archive.writestr(item.filename, data)
    with pytest.raises(InputError, match="MiB"):
        model_file.parse(bomb.getvalue())
