"""One SQLite file of the user's own: made, brought up to date, read and written, with its errors as ours.

WAL, so that readers never wait; synchronous FULL, so that what was acknowledged is on the disk; and a busy timeout,
so that processes write in turns. Before a newer version of the program changes a file, a copy is kept beside it.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ingest.errors import StudyError

PATIENCE = 5.0
"""Seconds to wait for another process that writes: it does so for some milliseconds at a time."""


class Database:
    """A file and one connection to it; safe to use from several threads, and beside other processes."""

    unavailable: ClassVar[type[StudyError]]
    """What can't be read or written; takes a message."""
    full: ClassVar[Callable[..., StudyError]]
    """A full disk; takes the folder on it."""

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        """Open the file, or make it.

        Args:
            path: Where it is.
            migrations: SQL that leads from each version of the file to the next, the first from nothing.
        """
        self.path = path
        self._migrations = migrations
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise type(self).unavailable(
                f"{path.parent} can't be made: {error.strerror}; set STUDY_HOME to another folder"
            ) from error
        with self._errors():
            self._db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            try:
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA foreign_keys = ON")
                self._migrate()
            except BaseException:
                self._db.close()
                raise

    def _migrate(self) -> None:
        if self._version() == len(self._migrations):
            return
        self._db.execute("PRAGMA journal_mode = WAL")  # kept in the file; only the first to open it may set it
        with self.transaction():
            found = self._version()
            if found > len(self._migrations):
                raise type(self).unavailable(
                    f"{self.path} was written by a newer version of this program; update the program"
                )
            if found:
                self.backup(self.path.with_name(f"{self.path.name}.version-{found}"))
            for script in self._migrations[found:]:
                for statement in _statements(script):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {len(self._migrations)}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise type(self).full(self.path.parent) from error
            if code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                told = "another program has locked it; close that one and try again"
            elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                told = f"it is damaged ({error}); move it away, or put a backup in its place"
            else:
                told = f"{error}; check the file and its folder, or set STUDY_HOME to another one"
            raise type(self).unavailable(f"{self.path} can't be used: {told}") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything written inside by the connection that is given happens, or nothing does.

        Raises:
            StudyError: `full`: there was no room; nothing happened.
        """
        with self._lock, self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite ends it by itself where the disk is full
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return what a query finds."""
        with self._lock, self._errors():
            return self._db.execute(query, values).fetchall()

    def backup(self, to: Path) -> None:
        """Write a copy, whole and of one moment, to a file, while others go on writing; it is there whole, or not.

        Raises:
            StudyError: `unavailable`: it can't be written there.
        """
        draft = to.with_name(f".{to.name}.{os.getpid()}")
        try:
            draft.touch(mode=0o600)
            # By a connection of its own: SQLite waits for ever for a copy of what the same connection is writing.
            with (
                self._errors(),
                contextlib.closing(sqlite3.connect(self.path)) as own,
                contextlib.closing(sqlite3.connect(draft)) as copy,
            ):
                own.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which needs no other beside it
            draft.replace(to)
        except OSError as error:
            raise type(self).unavailable(f"{to} can't be written: {error.strerror}; name another place") from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def dump(self) -> dict[str, Any]:
        """Return everything in the file, ready for JSON: {"version": 2, "tables": {name: {"columns", "rows"}}}."""
        with self._lock, self._errors():
            tables: dict[str, Any] = {}
            self._db.execute("BEGIN")  # all of one moment
            try:
                for name in self._tables():
                    found = self._db.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
                    tables[name] = {"columns": [column[0] for column in found.description], "rows": found.fetchall()}
            finally:
                self._db.execute("COMMIT")
            return {"version": self._version(), "tables": tables}

    def load(self, dumped: Mapping[str, Any]) -> int:
        """Write what `dump` returned into an empty file; return how many rows there were.

        Raises:
            StudyError: `unavailable`: there is something in it, or what is given is no dump of this version or before.
        """
        tables = dumped.get("tables")
        known = self._tables()
        if not isinstance(tables, dict) or not set(tables) <= set(known):
            raise type(self).unavailable("the file is no export of this program, or of a newer version of it")
        if any(self.rows(f'SELECT 1 FROM "{name}" LIMIT 1') for name in known):
            raise type(self).unavailable(f"{self.path} is not empty; import into another learner (STUDY_LEARNER)")
        count = 0
        with self.transaction() as db:
            for name in known:
                told = tables.get(name, {"columns": [], "rows": []})
                there = {row[1] for row in db.execute(f'PRAGMA table_info("{name}")')}
                if not set(told["columns"]) <= there:
                    raise type(self).unavailable(f"the table {name} has columns that are not known here")
                names = ", ".join(f'"{column}"' for column in told["columns"])
                marks = ", ".join("?" for _ in told["columns"])
                if told["rows"]:
                    db.executemany(f'INSERT INTO "{name}" ({names}) VALUES ({marks})', told["rows"])
                    count += len(told["rows"])
        return count

    def _tables(self) -> list[str]:
        """Return the tables in the order in which they were made, without those that an index of words keeps."""
        kept = {name for _, name, kind, *_ in self.rows("PRAGMA table_list") if kind == "table"}
        made = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        return [name for (name,) in made if name in kept and not name.startswith("sqlite_")]

    def check(self) -> str:
        """Return what is wrong with the file; empty where nothing is."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check")]
        return "" if found == ["ok"] else "; ".join(found)


def storable(text: str) -> str:
    """Return text without lone surrogates, which models can send and SQLite refuses."""
    return text.encode(errors="replace").decode()


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: `executescript` would commit what was begun."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a new file that somebody else will read, and write all of it at the end."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()
