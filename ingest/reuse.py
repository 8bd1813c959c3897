"""What the last generation still has for the next: vectors of text that comes again, chunks of what can't be read."""

import contextlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ingest import parse
from ingest.chunk import Chunk, chunk_id
from ingest.errors import StudyError
from ingest.index import Vector, View
from ingest.ledger import Note
from ingest.shelf import Shelf, gone


class Old:
    """The last generation."""

    def __init__(self, shelf: Shelf, generation: int, notes: Iterable[Note], *, fresh: bool) -> None:
        self._shelf, self._generation, self._fresh = shelf, generation, fresh
        self._by_version = {note.version: note for note in notes if note.version}
        self._opened: View | None = None
        self.gone: list[Note] = []
        """Notes that are not in the folder any more: their text may have moved to others."""
        self._moved: dict[str, Vector] | None = None

    @property
    def _view(self) -> View:
        if self._opened is None:
            try:
                self._opened = self._shelf.store.view(self._generation)
            except FileNotFoundError as error:
                raise gone(self._generation) from error
        return self._opened

    def close(self) -> None:
        """Let go of the generation."""
        if self._opened:
            self._opened.close()

    def vectors(self, note: Note, old: Note | None) -> Mapping[str, Vector]:
        """Return vectors that a note's chunks may have, by their keys."""
        if self._fresh or not self._generation:
            return {}
        twin = self._by_version.get(note.version)
        sources = [source for source in (old, twin) if source and source.version]
        if sources:
            return self._view.vectors([id_ for source in sources for id_ in ids_of(source)])
        if self._moved is None:
            self._moved = {
                key: array("f", vector)  # an eighth of a list
                for source in self.gone
                for key, vector in self._view.vectors(ids_of(source)).items()
            }
        return self._moved

    def carried(self, note: Note) -> tuple[Note, list[Chunk]]:
        """Return the chunks of a note that can't be read now, for an index that is made afresh."""
        with contextlib.suppress(StudyError, LookupError):  # another format, or what --fresh shall mend
            chunks = sorted(self._view.fetch(ids_of(note)), key=lambda one: one.ordinal)
            if chunks and len(chunks) == note.chunks:
                return note, chunks
        reason = note.reason.removesuffix(f"; {parse.KEPT}")
        return replace(note, version="", chunks=0, reason=reason), []


def ids_of(note: Note) -> list[str]:
    """Return the ids of a note's chunks."""
    return [chunk_id(note.path, note.version, i) for i in range(note.chunks)] if note.version else []
