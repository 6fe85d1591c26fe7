"""What a model file keeps of the images that the model was trained on: enough to know one again, no image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detector.images.duplicates import BYTES

DIGEST_BYTES, HASH_BYTES = 8, BYTES
RECORD = DIGEST_BYTES + HASH_BYTES  # bytes of an image: 26 MB for 100,000
MARK = b"images 2"  # what the bytes begin with
EARLIER = 40  # bytes of an image in files without the mark, whose hashes are of another kind
MOST = 200_000  # images of a file; of a larger training set the first are kept
LARGEST = len(MARK) + MOST * RECORD  # bytes
UNKNOWN = bytes(HASH_BYTES).hex()


@dataclass(frozen=True)
class TrainingImages:
    """The images that a model was trained on.

    Attributes
    ----------
    digests : tuple of str
        The first 16 hexadecimal digits of each file's SHA-256.
    hashes : tuple of str
        As `duplicates.perceptual_hash` returns them; of no use where they are not known.
    """

    digests: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> TrainingImages:
        """Return them from pairs of a file's SHA-256 and its perceptual hash, which may be empty."""
        kept = [(shortened(digest), text or UNKNOWN) for digest, text in pairs][:MOST]
        return cls(tuple(digest for digest, _ in kept), tuple(text for _, text in kept))

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainingImages:
        """Return them from what `as_bytes` wrote, now or in an earlier version: then hashes are not known.

        Raises
        ------
        ValueError
            If it is not what `as_bytes` writes.
        """
        marked = data.startswith(MARK)
        size, data = (RECORD, data[len(MARK) :]) if marked else (EARLIER, data)
        if len(data) % size or len(data) > MOST * size:
            raise ValueError("training images")
        records = [data[start : start + size].hex() for start in range(0, len(data), size)]
        return cls.of((one[: 2 * DIGEST_BYTES], one[2 * DIGEST_BYTES :] if marked else "") for one in records)

    def as_bytes(self) -> bytes:
        """Return them as a model file keeps them, `RECORD` bytes each after the mark."""
        return MARK + bytes.fromhex("".join(map("".join, zip(self.digests, self.hashes, strict=True))))

    @property
    def known_hashes(self) -> list[str]:
        """The perceptual hashes that are known."""
        return [text for text in self.hashes if text != UNKNOWN]


def shortened(digest: str) -> str:
    """Return as much of a SHA-256 as is kept."""
    return digest[: 2 * DIGEST_BYTES]
