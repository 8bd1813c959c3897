"""The ledger: what every file of the folder came to, the text that was read of it, and what each sync did.

One SQLite file beside the index. It also holds the pointer to the published generation, so that the notes and
the vectors that belong to them change in one transaction. It keeps a rollback journal and no write-ahead log,
since who reads a log must write, which a full disk forbids.
"""

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from ingest.errors import DiskFull, LedgerUnavailable

SCHEMA = 2
PATIENCE = 30.0
"""Seconds to wait for another process that writes: a sync does so for some milliseconds at a time."""
RUNS = 1000
"""How many syncs are remembered."""
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
    report TEXT NOT NULL, error TEXT NOT NULL, whole INTEGER NOT NULL
);
"""

_COURSES = """
SELECT DISTINCT substr(path, 1, instr(path, '/') - 1) FROM notes WHERE version != '' AND instr(path, '/') ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger knows of one file."""

    path: str
    """Relative to the notes folder, with slashes."""
    state: str
    """indexed, empty, no text layer, encrypted, failed or skipped."""
    reason: str = ""
    """Why it is not indexed, or a remark on how it was read; often empty."""
    version: str = ""
    """The version that answers; empty where none does. A failed note keeps its last good one."""
    seen: str = ""
    """Reader and digest of the bytes that were last looked at; empty where they must be looked at again."""
    title: str = ""
    chunks: int = 0
    """How many chunks of `version` are in the index."""
    lost: tuple[str, ...] = ()
    """Parts that could not be read."""
    size: int = 0
    """Bytes."""
    mtime_ns: int = 0
    ctime_ns: int = 0
    read_ns: int = 0
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
    whole: bool
    """Whether it looked at every file of the folder."""


class Published(NamedTuple):
    """The pointer that readers follow."""

    generation: int
    """0 where there is none."""
    built_with: str
    """The settings that it was built with, in words."""
    asked: str
    """What was set, from which `built_with` followed."""


class Ledger:
    """Reads and writes `ledger.db`; one object per thread.

    Every method may raise LedgerUnavailable: another program holds the file, or it can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.db"
        folder.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._db = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = TRUNCATE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._create()

    def _create(self) -> None:
        if self._schema() == SCHEMA:
            return
        with self.transaction():
            found = self._schema()
            if found > SCHEMA:
                raise LedgerUnavailable(
                    f"{self._path} was written by a newer version of this program; update the program"
                )
            if found < SCHEMA:  # nothing in it that the notes don't give again
                for name in ("meta", "notes", "texts", "runs"):
                    self._db.execute(f"DROP TABLE IF EXISTS {name}")
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute("INSERT INTO meta VALUES ('identity', ?)", (uuid.uuid4().hex,))
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    def _schema(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise DiskFull(self._path.parent) from error
            if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                told = "another program has locked it; close that one and try again"
            elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                told = f"it is damaged ({error}); delete the folder {self._path.parent} and run: ask ingest"
            else:
                told = f"{error}; check the file and its folder, or set STUDY_HOME to another one"
            raise LedgerUnavailable(f"{self._path} can't be used: {told}") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside happens, or nothing does.

        Raises:
            DiskFull: There was no room; nothing happened.
        """
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite ends it by itself where the disk is full
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._errors():
            return self._db.execute(query, values).fetchall()

    @property
    def published(self) -> Published:
        """The published generation and its settings, of one moment."""
        found = dict(self._rows("SELECT key, value FROM meta"))
        return Published(int(found.get("generation", 0)), found.get("built_with", ""), found.get("asked", ""))

    @property
    def generation(self) -> int:
        """The published generation; 0 where there is none."""
        return self.published.generation

    @property
    def built_with(self) -> str:
        """The settings that the published generation was built with, in words; empty where there is none."""
        return self.published.built_with

    @property
    def identity(self) -> str:
        """A random name, given when the ledger was made: what a server keeps under it belongs to this ledger."""
        return str(self._rows("SELECT value FROM meta WHERE key = 'identity'")[0][0])

    def notes(self) -> dict[str, Note]:
        """Return every known note by its path, in order."""
        return {row[0]: _note(row) for row in self._rows("SELECT * FROM notes ORDER BY path")}

    def courses(self) -> list[str]:
        """Return the sub-folders of the notes folder that hold a note that answers, in order."""
        return [str(name) for (name,) in self._rows(_COURSES)]

    def stamps(self, limit: int) -> dict[str, tuple[int, int]]:
        """Return size and mtime_ns of each known note by its path, at most `limit` of them."""
        rows = self._rows("SELECT path, size, mtime_ns FROM notes LIMIT ?", limit)
        return {path: (size, mtime_ns) for path, size, mtime_ns in rows}

    def note(self, path: str) -> Note | None:
        """Return one note, or None."""
        return next(map(_note, self._rows("SELECT * FROM notes WHERE path = ?", path)), None)

    def text(self, version: str) -> str | None:
        """Return the text that was read of a version, or None where it is not kept any more."""
        return next((str(row[0]) for row in self._rows("SELECT text FROM texts WHERE version = ?", version)), None)

    def runs(self, limit: int) -> list[Run]:
        """Return the last syncs, newest first."""
        rows = self._rows("SELECT * FROM runs ORDER BY id DESC LIMIT ?", limit)
        return [
            Run(id_, started, seconds, generation, json.loads(report), error, bool(whole))
            for id_, started, seconds, generation, report, error, whole in rows
        ]

    @property
    def last_whole(self) -> float:
        """When the last sync began that looked at every file and ended well: seconds since the epoch, or 0."""
        return float(self._rows("SELECT max(started) FROM runs WHERE whole AND error = ''")[0][0] or 0)

    def keep_texts(self, texts: Iterable[tuple[str, str]]) -> None:
        """Store (version, text) pairs ahead of `publish`; those that no note comes to use are dropped later."""
        with self.transaction():
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)

    def publish(self, pointer: Published, changed: Sequence[Note], removed: Sequence[str], run: Run) -> None:
        """Move the pointer, the notes and the run in one transaction."""
        with self.transaction():
            before = dict(self._db.execute("SELECT key, value FROM meta"))
            for key, value in pointer._asdict().items():
                if before.get(key) != str(value):
                    self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(value)))
            self._db.executemany("DELETE FROM notes WHERE path = ?", [(path,) for path in removed])
            marks = ", ".join("?" for _ in fields(Note))
            self._db.executemany(f"INSERT OR REPLACE INTO notes VALUES ({marks})", map(_row, changed))
            self._add(run)

    def add_run(self, run: Run) -> None:
        """Note a sync that changed nothing, or failed."""
        with self.transaction():
            self._add(run)

    def _add(self, run: Run) -> None:
        values = (run.started, run.seconds, run.generation, json.dumps(run.report), run.error, run.whole)
        self._db.execute(
            "INSERT INTO runs (started, seconds, generation, report, error, whole) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        self._db.execute("DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ?", (RUNS,))

    def drop_unused_texts(self) -> None:
        """Delete the texts of versions that no note has."""
        unused = "FROM texts WHERE version NOT IN (SELECT version FROM notes)"
        if self._rows(f"SELECT 1 {unused} LIMIT 1"):
            with self.transaction():
                self._db.execute(f"DELETE {unused}")


def _note(row: Sequence[Any]) -> Note:
    values = list(row)
    values[7] = () if values[7] == "[]" else tuple(json.loads(values[7]))
    return Note(*values)


def _row(note: Note) -> tuple[Any, ...]:
    return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in astuple(note))


def new_run(started: float, generation: int, report: dict[str, Any], *, whole: bool, error: str = "") -> Run:
    """Return a run that ends now; its id is given when it is stored."""
    return Run(0, started, time.time() - started, generation, report, error, whole)
