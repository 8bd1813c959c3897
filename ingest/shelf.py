"""One folder of notes, with everything that belongs to it: ledger, index and embedder."""

import hashlib
import os
import re
import shutil
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ingest import chunk, index
from ingest.errors import IndexDamaged, IndexMismatch, NotIndexed, PathOutsideNotes
from ingest.index import EdgeStore, Store, View
from ingest.ledger import Ledger
from ingest.server import ServerStore
from ingest.settings import IngestSettings

if TYPE_CHECKING:
    from ingest.embed import Embedder

SPECIAL_TOKENS = 2
"""What a BERT-like model adds to each text."""
BEST_TOKENS = 190
"""Chunk size that retrieved best on four courses with a model that reads 256 tokens (docs/LOG.md)."""


class Shelf:
    """Opens things when they are first asked for. Reading is safe from several threads."""

    def __init__(self, settings: IngestSettings, *, embedder: "Embedder | None" = None) -> None:
        self.settings = settings
        self.notes = settings.notes.expanduser().resolve()
        """The folder of the notes."""
        self.place = settings.home.expanduser().resolve() / f"index-{_digest(os.fsencode(self.notes))}"
        """Where everything about these notes is kept."""
        self.folder = self.place / f"server-{_digest(self._server.encode())}" if self._server else self.place
        """Where the ledger is, and the embedded index: a ledger tells what is in one store, so each has its own."""
        self._threads = threading.local()
        self._opening = threading.Lock()
        self._view: tuple[int, View] | None = None
        if embedder:
            self.embedder = embedder

    @property
    def ledger(self) -> Ledger:
        """This thread's connection to the ledger."""
        if not hasattr(self._threads, "ledger"):
            self._threads.ledger = Ledger(self.folder)
        found: Ledger = self._threads.ledger
        return found

    @cached_property
    def embedder(self) -> "Embedder":
        """The embedding model; the first use on a machine prepares it, which takes some ten seconds."""
        from ingest import embed

        return embed.load(self.settings.home.expanduser().resolve(), self.settings.embed_model)

    @property
    def model_sha256(self) -> str:
        """Of the embedding model's weights; nothing is prepared or loaded for it, so it may be empty: not known yet."""
        if "embedder" in self.__dict__:
            return self.embedder.model.sha256
        from ingest import embed

        return embed.sha256_of(self.settings.home.expanduser().resolve(), self.settings.embed_model)

    @cached_property
    def ocr(self) -> str:
        """The languages in which scanned pages are read; empty if they aren't."""
        return self.settings.ocr_lang if self.settings.ocr and shutil.which("tesseract") else ""

    @cached_property
    def store(self) -> Store:
        """Where the generations are."""
        if self.settings.qdrant_url:
            key = self.settings.qdrant_api_key.get_secret_value()
            return ServerStore.connect(self.settings.qdrant_url, key, f"study-{self.ledger.identity}")
        return EdgeStore(self.folder)

    @property
    def chunk_tokens(self) -> int:
        """Most tokens of a chunk's own text."""
        room = max(16, self.embedder.model.max_tokens - SPECIAL_TOKENS)
        return min(self.settings.chunk_tokens or BEST_TOKENS, room)

    @property
    def asked(self) -> str:
        """What is set: while it stays the same, so does `built_with`, unless the model's files changed."""
        settings = self.settings
        return f"{settings.embed_model}, {settings.chunk_tokens}, {self._where}, {self._format}"

    @property
    def built_with(self) -> str:
        """The settings that decide what an index looks like, in words."""
        model = self.embedder.model
        return f"{model.name} ({model.sha256[:8]}), chunks of {self.chunk_tokens} tokens, {self._where}, {self._format}"

    @property
    def _server(self) -> str:
        return re.sub(r"//[^/@]*@", "//", self.settings.qdrant_url).rstrip("/")  # without a password

    @property
    def _where(self) -> str:
        return f"kept at {self._server}" if self._server else "kept here"

    @property
    def _format(self) -> str:
        return f"format {index.FORMAT}.{chunk.VERSION}"

    def view(self) -> View:
        """Return the published generation, reopened if a sync has published another since.

        Raises:
            NotIndexed: There is none.
            IndexMismatch: It was built with other settings.
            IndexDamaged: It is gone, or can't be opened.
        """
        with self._opening:
            while True:
                generation, built, _ = published = self.ledger.published
                if not generation:
                    raise NotIndexed(self.notes)
                if self._view and self._view[0] == generation:
                    return self._view[1]
                if built != self.built_with:
                    raise IndexMismatch(built=built, wanted=self.built_with)
                try:
                    view = self.store.view(generation)
                except FileNotFoundError as error:
                    if self.ledger.published == published:
                        raise gone(generation) from error
                    continue  # a sync published others and removed this one between the lines above
                if self.ledger.generation == generation:
                    view.generation = generation
                    self._view = (generation, view)  # threads that still read the old one keep it open
                    return view

    def relative(self, path: Path) -> str:
        """Return a path as notes are named: relative to the notes folder, with slashes.

        Raises:
            PathOutsideNotes: It is not in the notes folder.
        """
        for candidate in (Path.cwd() / path, self.notes / path):
            candidate = Path(os.path.normpath(candidate))
            # A link in the folder is a note of its own; a link to the folder is not.
            for found in (Path(os.path.realpath(candidate.parent), candidate.name), Path(os.path.realpath(candidate))):
                if found.is_relative_to(self.notes):
                    return found.relative_to(self.notes).as_posix()
        raise PathOutsideNotes(path, self.notes)

    def close(self) -> None:
        """Let go of what was opened, in this thread."""
        if hasattr(self._threads, "ledger"):
            self._threads.ledger.close()
            del self._threads.ledger
        if self._view:
            self._view[1].close()
            self._view = None


def _digest(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()[:12]


def gone(generation: int) -> IndexDamaged:
    """Return the error to raise where the published generation is not there."""
    return IndexDamaged(f"generation {generation} of the index is gone; rebuild it with: ask ingest --fresh")
