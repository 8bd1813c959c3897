"""One folder of notes, with everything that belongs to it: ledger, index and embedder."""

import hashlib
import threading
from functools import cached_property
from pathlib import Path

from ingest import chunk, embed, index
from ingest.embed import Embedder
from ingest.errors import IndexMismatch, NotIndexed, PathOutsideNotes
from ingest.index import EdgeStore, ServerStore, Store, View
from ingest.ledger import Ledger
from ingest.settings import IngestSettings

SPECIAL_TOKENS = 2
"""What a BERT-like model adds to each text."""
BEST_TOKENS = 190
"""Chunk size that retrieved best on four courses with a model that reads 256 tokens (docs/LOG.md)."""


class Shelf:
    """Opens things when they are first asked for. Reading is safe from several threads."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.notes = settings.notes.expanduser().resolve()
        """The folder of the notes."""
        name = hashlib.sha256(str(self.notes).encode()).hexdigest()[:12]
        self.folder = settings.home.expanduser().resolve() / f"index-{name}"
        """Where index and ledger of these notes are kept."""
        self._threads = threading.local()
        self._opening = threading.Lock()
        self._view: tuple[int, View] | None = None

    @property
    def ledger(self) -> Ledger:
        """This thread's connection to the ledger."""
        if not hasattr(self._threads, "ledger"):
            self._threads.ledger = Ledger(self.folder)
        found: Ledger = self._threads.ledger
        return found

    @cached_property
    def embedder(self) -> Embedder:
        """The embedding model; the first use on a machine prepares it, which takes some ten seconds."""
        return embed.load(self.settings.home.expanduser().resolve(), self.settings.embed_model)

    @cached_property
    def store(self) -> Store:
        """Where the generations are."""
        if self.settings.qdrant_url:
            key = self.settings.qdrant_api_key.get_secret_value()
            return ServerStore.connect(self.settings.qdrant_url, key, f"study-{self.folder.name}")
        return EdgeStore(self.folder)

    @property
    def chunk_tokens(self) -> int:
        """Most tokens of a chunk's own text."""
        room = max(16, self.embedder.model.max_tokens - SPECIAL_TOKENS)
        return min(self.settings.chunk_tokens or BEST_TOKENS, room)

    @property
    def built_with(self) -> str:
        """The settings that decide what an index looks like, in words."""
        model = self.embedder.model
        return (
            f"{model.name} ({model.sha256[:8]}), chunks of {self.chunk_tokens} tokens, "
            f"format {index.FORMAT}.{chunk.VERSION}"
        )

    def view(self) -> View:
        """Return the published generation, reopened if a sync has published another since.

        Raises:
            NotIndexed: There is none.
            IndexMismatch: It was built with other settings.
        """
        with self._opening:
            while True:
                generation = self.ledger.generation
                if not generation:
                    raise NotIndexed(self.notes)
                if self._view and self._view[0] == generation:
                    return self._view[1]
                built = self.ledger.built_with
                if built != self.built_with:
                    raise IndexMismatch(built=built, wanted=self.built_with)
                try:
                    view = self.store.view(generation)
                except FileNotFoundError:
                    if self.ledger.generation == generation:
                        raise NotIndexed(self.notes) from None
                    continue  # a sync published another and removed this one between the two lines above
                self._view = (generation, view)  # threads that still read the old one keep it open
                return view

    def relative(self, path: Path) -> str:
        """Return a path as notes are named: relative to the notes folder, with slashes.

        Raises:
            PathOutsideNotes: It is not in the notes folder.
        """
        for candidate in (Path.cwd() / path, self.notes / path):
            if candidate.resolve().is_relative_to(self.notes):
                return candidate.resolve().relative_to(self.notes).as_posix()
        raise PathOutsideNotes(path, self.notes)
