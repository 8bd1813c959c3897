"""A folder of notes with its shelf, and what the tests of a sync look at."""

import contextlib
import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingest import walk
from ingest.chunk import Chunk
from ingest.errors import Unreadable
from ingest.ledger import Ledger
from ingest.read import Document
from ingest.report import Report
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from tests.fakes import HashedEmbedder

LONG = "\n\n".join(
    f"Paragraph {number} says something of its own, in words enough for a chunk." for number in range(16)
)
"""Some chunks of notes."""


class Folder:
    """Notes in a folder of their own, and how they are indexed."""

    def __init__(self, place: Path, **settings: object) -> None:
        self.path = place / "notes"
        self.path.mkdir(parents=True, exist_ok=True)
        self.embedder = HashedEmbedder()
        self.settings = IngestSettings(home=place / "home", notes=self.path, **settings)  # type: ignore[arg-type]
        self.shelf = self.opened()

    def opened(self) -> Shelf:
        """Return the shelf as another process would open it."""
        return Shelf(self.settings, embedder=self.embedder)

    def write(self, **notes: str) -> None:
        """Write notes: `a="text"` becomes a.md; two underscores are a slash."""
        for name, text in notes.items():
            path = self.path / f"{name.replace('__', '/')}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def indexed(self) -> dict[str, str]:
        """Return what a reader finds now: path → the texts of its chunks, in order."""
        found: dict[str, list[Chunk]] = {}
        for chunk, _ in self.shelf.view().scroll():
            found.setdefault(chunk.path, []).append(chunk)
        return {
            path: "|".join(chunk.text for chunk in sorted(chunks, key=lambda chunk: chunk.ordinal))
            for path, chunks in sorted(found.items())
        }


def broken(path: Path, data: bytes, **options: object) -> Document:
    """A reader that fails."""
    raise Unreadable("failed", "a bad stream")


def states(report: Report) -> dict[str, str]:
    return {note.path: note.state for note in report.notes}


def reasons(report: Report) -> dict[str, str]:
    return {note.path: note.reason for note in report.notes}


def age(folder: Folder, seconds: float = 10.0) -> None:
    """Make the files and the last sync older than a change can hide in."""
    for path in folder.path.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - int(seconds * 1e9)))


def rows(folder: Folder) -> dict[str, list[Any]]:
    """Everything in the ledger but the runs."""
    with contextlib.closing(sqlite3.connect(folder.shelf.folder / "ledger.db")) as db:
        return {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in ("meta", "notes", "texts")}


def check(folder: Folder) -> None:
    """The index holds what the ledger says, chunk for chunk, and every chunk is its note's text at its place."""
    ledger = folder.shelf.ledger
    notes = {path: note for path, note in ledger.notes().items() if note.version}
    found: dict[str, int] = {}
    if ledger.generation:
        for chunk, vector in folder.shelf.view().scroll():
            text = ledger.text(chunk.version)
            assert text is not None
            assert text[chunk.start : chunk.end] == chunk.text
            assert chunk.version == notes[chunk.path].version
            assert vector == pytest.approx(HashedEmbedder().encode([chunk.words])[0], abs=1e-6)
            found[chunk.path] = found.get(chunk.path, 0) + 1
    assert found == {path: note.chunks for path, note in notes.items() if note.chunks}
    on_disk = {file.path for file in walk.walk(folder.path).files}
    assert set(ledger.notes()) == on_disk


def whole(folder: Folder) -> dict[str, str]:
    """Return what a reader finds now, after a check that index, ledger and texts agree, chunk for chunk."""
    ledger = Ledger(folder.shelf.folder)
    with contextlib.closing(ledger):
        if not ledger.generation:
            return {}
        notes = {path: note for path, note in ledger.notes().items() if note.version}
        shelf = folder.opened()
        chunks = list(shelf.view().scroll())
        count = Counter(chunk.path for chunk, _ in chunks)
        assert len({chunk.id for chunk, _ in chunks}) == len(chunks)
        assert count == {path: note.chunks for path, note in notes.items()}
        for chunk, vector in chunks:
            text = ledger.text(chunk.version)
            assert text is not None
            assert chunk.version == notes[chunk.path].version
            assert text[chunk.start : chunk.end] == chunk.text
            assert vector == pytest.approx(folder.embedder.encode([chunk.words])[0], abs=1e-6)
        shelf.close()
    return folder_texts(chunks)


def folder_texts(chunks: list[Any]) -> dict[str, str]:
    found: dict[str, list[Any]] = {}
    for chunk, _ in chunks:
        found.setdefault(chunk.path, []).append(chunk)
    return {
        path: "|".join(chunk.text for chunk in sorted(those, key=lambda chunk: chunk.ordinal))
        for path, those in found.items()
    }


def tidy(folder: Folder) -> None:
    """Nothing is left of what was killed."""
    home, ledger = folder.shelf.folder, folder.shelf.ledger
    generation = ledger.generation
    names = {path.name for path in home.iterdir()}
    assert names <= {"ledger.db", "ledger.db-journal", "sync.lock", f"gen-{generation - 1}", f"gen-{generation}"}
    assert (home / "sync.lock").read_text().strip() == ""
