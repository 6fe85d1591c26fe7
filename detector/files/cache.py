"""Features that were computed once, kept on disk by what they were computed from.

SQLite keeps them: a run that is killed in the middle of a write loses that write and nothing else, and several runs may
share the file.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

FILE = "features.sqlite3"
MAX_BYTES = 2048 * 2**20  # 270,000 features; the least recently used go first, but none that this run has used
BUSY_SECONDS = 30.0

# What SQLite reports where the file is intact, and its surroundings are at fault.
TROUBLES = ("database is locked", "disk is full", "readonly database", "unable to open", "disk I/O error")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, checksum BLOB NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
"""


def default_folder() -> Path:
    """Return the folder of the user's caches for this project; the environment variable COVID19_CACHE overrides it."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("COVID19_CACHE") or user_cache_path("covid19-detector", appauthor=False))


def key(**what: object) -> bytes:
    """Return the key of something that is determined by `what`: digests, settings, versions."""
    return hashlib.sha256(repr(sorted(what.items())).encode()).digest()


class Cache:
    """Values of bytes by keys of bytes, bounded in size, checked when they are read.

    A cache never stops a run: where its file cannot be read or written, `trouble` says why, and memory holds what this
    run puts; so it does without a `folder`. A file that is damaged is thrown away and begun anew. `MAX_BYTES` bounds
    the values' size in all; a run that needs more has it exceeded until another makes room.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.trouble: str | None = None
        self._since = time.time()
        self._memory: dict[bytes, bytes] = {}

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the values of those `keys` that are there, whole and undamaged."""
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, bytes] = {}

        def read(database: sqlite3.Connection) -> None:
            found.clear()
            for name in wanted:
                row = database.execute("SELECT value, checksum FROM entries WHERE key = ?", (name,)).fetchone()
                if row and _checksum(name, row[0]) == row[1]:
                    found[name] = row[0]
            now = time.time()
            database.executemany("UPDATE entries SET used = ? WHERE key = ?", [(now, name) for name in found])

        self._transact(read)
        return found | {name: self._memory[name] for name in wanted if name in self._memory}

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep `values`: all of them or, if that fails, none."""
        now = time.time()
        rows = [(name, value, _checksum(name, value), now) for name, value in values.items()]

        def write(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", rows)
            self._shrink(database)

        self._transact(write)
        if self.folder is None or self.trouble:
            self._memory |= values

    def _shrink(self, database: sqlite3.Connection) -> None:
        pages, free, size = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        # What this run has read or written it may want again: it stays, whatever the bound.
        if (pages - free) * size > MAX_BYTES:
            # A tenth at once, so that not every further write has to make room.
            database.execute(
                "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE used < ? ORDER BY used "
                "LIMIT (SELECT 1 + count(*) / 10 FROM entries))",
                (self._since,),
            )

    def _transact(self, action: Callable[[sqlite3.Connection], None]) -> None:
        if self.folder is None or self.trouble:
            return
        for attempt in range(2):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                # IMMEDIATE: a reader that turns writer could otherwise deadlock with another run.
                opened = sqlite3.connect(self.folder / FILE, timeout=BUSY_SECONDS, isolation_level="IMMEDIATE")
                with closing(opened) as database, database:
                    database.executescript(_SCHEMA)
                    action(database)
                return
            except OSError as error:
                self.trouble = error.strerror or str(error)
            # Damage shows in any way, also as a column that is gone, a value of another type, or a message that is no
            # text; what is not damage is known.
            except (sqlite3.Error, TypeError, ValueError, OverflowError) as error:
                if attempt or any(trouble in str(error) for trouble in TROUBLES):
                    self.trouble = str(error)
                for suffix in ("", "-journal") if not self.trouble else ():
                    with suppress(OSError):
                        (self.folder / f"{FILE}{suffix}").unlink()


def _checksum(name: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(name + value, digest_size=16).digest()
