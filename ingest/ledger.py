"""The ledger: what every file of the folder came to, the text that was read of it, and what each sync did.

One SQLite file beside the index. It also holds the pointer to the published generation, so that the notes and
the vectors that belong to them change in one transaction.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from ingest.errors import DiskFull, StudyError

SCHEMA = 1
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (
    path TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, version TEXT NOT NULL, seen TEXT NOT NULL,
    title TEXT NOT NULL, chunks INTEGER NOT NULL, lost TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL, read_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE texts (version TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, started REAL NOT NULL, seconds REAL NOT NULL, generation INTEGER NOT NULL,
    report TEXT NOT NULL, error TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger knows of one file."""

    path: str
    """Relative to the notes folder, with slashes."""
    state: str
    """indexed, empty, no text layer, encrypted, failed or skipped."""
    reason: str
    """Why it is not indexed, or a remark on how it was read; often empty."""
    version: str
    """The version that answers; empty where none does. A failed note keeps its last good one."""
    seen: str
    """The version of the bytes last looked at, readable or not."""
    title: str
    chunks: int
    """How many chunks of `version` are in the index."""
    lost: tuple[str, ...]
    """Parts that could not be read."""
    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    read_ns: int
    """When it was last read, by the same clock as mtime_ns."""


@dataclass(frozen=True, slots=True)
class Run:
    """One sync."""

    id: int
    started: float
    """Seconds since the epoch."""
    seconds: float
    generation: int
    """The generation that it left published."""
    report: dict[str, Any]
    error: str
    """The message of what stopped it; empty if nothing did."""


class Ledger:
    """Reads and writes `ledger.db`; one object per thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "ledger.db", timeout=30, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._create()

    def _create(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            with self.transaction():
                if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _TABLES.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {SCHEMA}")
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found != SCHEMA:
            raise StudyError(
                f"{self._folder / 'ledger.db'} was written by a newer version of this program; update the program"
            )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside happens, or nothing does.

        Raises:
            DiskFull: There was no room; nothing happened.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "disk is full" in str(error):
                raise DiskFull(self._folder) from error
            raise

    @property
    def generation(self) -> int:
        """The published generation; 0 where there is none."""
        return int(self._meta("generation") or 0)

    @property
    def built_with(self) -> str:
        """The settings that the published generation was built with, in words; empty where there is none."""
        return self._meta("built_with")

    def _meta(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def notes(self) -> dict[str, Note]:
        """Return every known note by its path, in order."""
        rows = self._db.execute("SELECT * FROM notes ORDER BY path")
        return {row[0]: _note(row) for row in rows}

    def note(self, path: str) -> Note | None:
        """Return one note, or None."""
        row = self._db.execute("SELECT * FROM notes WHERE path = ?", (path,)).fetchone()
        return _note(row) if row else None

    def text(self, version: str) -> str | None:
        """Return the text that was read of a version, or None where it is not kept any more."""
        row = self._db.execute("SELECT text FROM texts WHERE version = ?", (version,)).fetchone()
        return str(row[0]) if row else None

    def runs(self, limit: int) -> list[Run]:
        """Return the last syncs, newest first."""
        rows = self._db.execute("SELECT * FROM runs ORDER BY id DESC LIMIT ?", (limit,))
        return [Run(*row[:4], json.loads(row[4]), row[5]) for row in rows]

    def keep_texts(self, texts: Iterable[tuple[str, str]]) -> None:
        """Store (version, text) pairs ahead of `publish`; those that no note comes to use are dropped later."""
        with self.transaction():
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)

    def publish(
        self, generation: int, built_with: str, changed: Sequence[Note], removed: Sequence[str], run: Run
    ) -> None:
        """Move the pointer, the notes and the run in one transaction."""
        with self.transaction():
            for key, value in (("generation", str(generation)), ("built_with", built_with)):
                if self._meta(key) != value:
                    self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            self._db.executemany("DELETE FROM notes WHERE path = ?", [(path,) for path in removed])
            marks = ", ".join("?" for _ in fields(Note))
            self._db.executemany(f"INSERT OR REPLACE INTO notes VALUES ({marks})", map(_row, changed))
            self._add(run)

    def add_run(self, run: Run) -> None:
        """Note a sync that changed nothing, or failed."""
        with self.transaction():
            self._add(run)

    def _add(self, run: Run) -> None:
        self._db.execute(
            "INSERT INTO runs (started, seconds, generation, report, error) VALUES (?, ?, ?, ?, ?)",
            (run.started, run.seconds, run.generation, json.dumps(run.report), run.error),
        )

    def drop_unused_texts(self) -> None:
        """Delete the texts of versions that no note has."""
        unused = "FROM texts WHERE version NOT IN (SELECT version FROM notes)"
        if self._db.execute(f"SELECT 1 {unused} LIMIT 1").fetchone():
            with self.transaction():
                self._db.execute(f"DELETE {unused}")


def _note(row: Sequence[Any]) -> Note:
    return Note(*row[:7], tuple(json.loads(row[7])), *row[8:])


def _row(note: Note) -> tuple[Any, ...]:
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in astuple(note))


def new_run(started: float, generation: int, report: dict[str, Any], error: str = "") -> Run:
    """Return a run that ends now; its id is given when it is stored."""
    return Run(0, started, time.time() - started, generation, report, error)
