"""A stand-in that does real work: an embedder that needs no model."""

import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.chunk import Chunk, Place
from ingest.embed import Embedder, Model
from ingest.index import Entry

if TYPE_CHECKING:
    from ingest.encode import Vectors


class HashedEmbedder(Embedder):
    """A bag of hashed words: texts with the same words have the same unit vector; keeps what it was given."""

    def __init__(self, name: str = "hashed", dim: int = 16) -> None:
        model = Model(name, "0" * 64, dim, 66, "", "", "", "", "")
        super().__init__(model, Path("/nowhere"))
        self.embedded: list[str] = []
        """Every text of `encode_documents`."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """One for each word."""
        return [len(text.split()) for text in texts]

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """One unit vector a text."""
        rows = np.zeros((len(texts), self.model.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                row[zlib.crc32(word.encode()) % len(row)] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    def encode_query(self, question: str) -> "Vectors":
        """As if it were a text."""
        return self.encode([question])

    def encode_documents(self, texts: Sequence[str]) -> "Vectors":
        """As `encode`, noting them."""
        self.embedded += texts
        return self.encode(texts)


def entry(path: str, text: str, *, ordinal: int = 0, version: str = "v1", dim: int = 16) -> Entry:
    """Return a chunk on its way into an index."""
    chunk = Chunk(path, version, ordinal, 0, len(text), text, "", (Place(0, "line 1", ()),))
    return Entry(chunk, chunk.words, HashedEmbedder(dim=dim).encode([chunk.words])[0].tolist())


def entries(texts: dict[str, str]) -> Iterator[Entry]:
    """Return one chunk per path."""
    return (entry(path, text) for path, text in texts.items())
