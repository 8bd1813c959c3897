"""The index contract: what is stored for a chunk, and how it is found again, and the embedded store.

The only file that knows Qdrant Edge; `server.py` keeps the same contract on a Qdrant server.

A point has two named vectors, `dense` (unit length, compared by dot product) and `bm25` (sparse; the store
applies IDF), and this payload:

    {"path": "infra/ddp.md", "course": "infra", "version": "9f2c…", "ordinal": 3, "start": 812, "end": 1604,
     "title": "Distributed training", "places": [[812, "§ DDP", ["DDP"]]], "key": "51aa…", "text": "DDP keeps …"}

so that it can always answer which file, which place in it, which exact characters, from which version.

Generations. A reader sees one published generation, whole. On the embedded store (Qdrant Edge) a generation is a
folder `gen-N` that is never written again once published, so that any number of processes can read it while the
next one is made from a copy; a point's id is the chunk's. On a server, points carry the generation in which they
were born and the one in which they died, and a reader's filter chooses; nothing that a reader may still see is
changed, so a chunk that comes back is a new point: its id is made of the chunk's and of `born`. A generation that
starts from nothing gets a collection of its own. Which generation is published is not decided here.
"""

import contextlib
import math
import os
import shutil
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import qdrant_edge as edge

from ingest import clone
from ingest.chunk import Chunk, Place, key_of
from ingest.errors import IndexDamaged, StudyError

DENSE, SPARSE = "dense", "bm25"
FORMAT = 2
"""Raise it when payload, vectors or ids change."""
BM25_K = 1.2
"""Term saturation of BM25."""
BM25 = edge.Bm25Config(k=BM25_K, b=0.75, avg_len=70.0, language="english")
"""Qdrant's own defaults but for avg_len, which is that of our chunks: stems without stop words."""
BATCH = 1000
"""Points that are read or deleted in one request."""
BATCH_UP = 256
"""Points that are written in one request: a server takes 32 MB."""
POINT_BYTES = 16 << 10
"""Room that a new point may take on the disk."""
_NO_INDEX = 1 << 30
"""KiB of vectors above which HNSW is built: never. Exact search takes 15 ms at 100,000 chunks."""

Vector = Sequence[float]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that one of the two searches found."""

    chunk: Chunk
    score: float
    """Cosine, or BM25."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A chunk with its vector, on its way into the index."""

    chunk: Chunk
    words: str
    """`chunk.words`, which takes a while to make."""
    vector: Vector


class Terms(NamedTuple):
    """A sparse vector."""

    indices: list[int]
    values: list[float]


class Point(NamedTuple):
    """What a store found."""

    payload: Mapping[str, Any]
    score: float
    vectors: Any
    """By name; None where they were not asked for."""


_bm25 = edge.Bm25(BM25)


class View(ABC):
    """One published generation, for reading. Safe to use from several threads."""

    generation = 0
    """Its number."""

    def nearest(self, vector: Vector, limit: int, course: str = "") -> list[Hit]:
        """Return the chunks whose vectors are nearest, best first."""
        return _hits(self._search([list(vector)], DENSE, limit, course)[0])

    def matching(self, words: str, limit: int, course: str = "") -> list[Hit]:
        """Return the chunks that share words with `words`, best BM25 first; none if no word is shared."""
        query = _bm25.embed_query(words)
        if not query.indices:
            return []
        return _hits(self._search([Terms(query.indices, query.values)], SPARSE, limit, course)[0])

    def rarity(self, words: str) -> list[float]:
        """Return the IDF of each stem that BM25 sees in `words`, in no order.

        It is ln(1 + (N - n + .5) / (n + .5)), where n of N chunks have the stem (Robertson & Zaragoza 2009,
        "The Probabilistic Relevance Framework", as Qdrant computes it). What the store scored for one term,
        divided by the term's weight in the chunk that it found, leaves it.
        """
        terms = _bm25.embed_query(words).indices
        if not terms:
            return []
        best = self._search([Terms([term], [1.0]) for term in terms], SPARSE, 1, with_vectors=True)
        return [self._idf(term, points) for term, points in zip(terms, best, strict=True)]

    def _idf(self, term: int, points: Sequence[Point]) -> float:
        if not points:
            return math.log(1 + (self._count + 0.5) / 0.5)
        found = points[0].vectors[SPARSE]
        return float(points[0].score / found.values[list(found.indices).index(term)])

    @cached_property
    def _count(self) -> int:
        return self.count()

    def fetch(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks with these ids, in any order; unknown ids are left out."""
        return [chunk_from(point.payload) for point in self._retrieve(ids, with_vectors=False)]

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return `chunk.key` → dense vector of the chunks with these ids."""
        return {point.payload["key"]: point.vectors[DENSE] for point in self._retrieve(ids, with_vectors=True)}

    def scroll(self) -> Iterator[tuple[Chunk, Vector]]:
        """Yield every chunk with its dense vector."""
        for point in self._every():
            yield chunk_from(point.payload), point.vectors[DENSE]

    @abstractmethod
    def count(self) -> int:
        """Return how many chunks there are."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the generation; where nobody does, it is let go with the view."""

    @abstractmethod
    def _search(
        self, queries: Sequence[Any], using: str, limit: int, course: str = "", *, with_vectors: bool = False
    ) -> list[list[Point]]: ...

    @abstractmethod
    def _retrieve(self, ids: Sequence[str], *, with_vectors: bool) -> Iterator[Point]: ...

    @abstractmethod
    def _every(self) -> Iterator[Point]: ...


class Draft(ABC):
    """The next generation while it is written: nobody sees it until it is published."""

    @abstractmethod
    def add(self, entries: Sequence[Entry]) -> None:
        """Write chunks whose ids are not in it, or are those of chunks that it removed."""

    @abstractmethod
    def remove(self, ids: Sequence[str]) -> None:
        """Take chunks out."""

    @abstractmethod
    def finish(self, expected: int, added: Sequence[str]) -> None:
        """Make it durable and check that it holds `expected` chunks, all of `added` among them.

        Raises:
            IndexDamaged: It does not.
        """

    @abstractmethod
    def discard(self) -> None:
        """Give it up."""


class Store(ABC):
    """Where generations live."""

    @abstractmethod
    def view(self, generation: int) -> View:
        """Open a published generation.

        Raises:
            FileNotFoundError: It is gone: a newer one was published, or somebody removed it.
            IndexUnavailable: The store does not answer.
            IndexDamaged: It can't be opened.
        """

    @abstractmethod
    def draft(self, generation: int, base: int, dim: int) -> Draft:
        """Start `generation` as a copy of `base` (0: empty), with dense vectors of length `dim`.

        Raises:
            FileNotFoundError: There is no `base`.
        """

    @abstractmethod
    def keep_only(self, generation: int) -> None:
        """Remove what no reader needs: unpublished drafts, and generations before the last but one."""


def payload_of(entry: Entry) -> dict[str, Any]:
    """Return what is stored with a chunk."""
    chunk = entry.chunk
    return {
        "path": chunk.path,
        "course": chunk.course,
        "version": chunk.version,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "title": chunk.title,
        "places": [[place.start, place.locator, list(place.heading)] for place in chunk.places],
        "key": key_of(entry.words),
        "text": chunk.text,
    }


def chunk_from(payload: Mapping[str, Any]) -> Chunk:
    """Return the chunk that `payload_of` stored."""
    return Chunk(
        payload["path"],
        payload["version"],
        payload["ordinal"],
        payload["start"],
        payload["end"],
        payload["text"],
        payload["title"],
        tuple(Place(start, locator, tuple(heading)) for start, locator, heading in payload["places"]),
    )


def _hits(points: Sequence[Point]) -> list[Hit]:
    return [Hit(chunk_from(point.payload), point.score) for point in points]


def terms_of(words: str) -> Terms:
    """Return the sparse vector of what a chunk says."""
    sparse = _bm25.embed_document(words)
    return Terms(sparse.indices, sparse.values)


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """Yield the items in order, at most `size` at a time."""
    for first in range(0, len(items), size):
        yield items[first : first + size]


def verify(view: View, expected: int, added: Sequence[str]) -> None:
    """Check that a view holds `expected` chunks, all of `added` among them.

    Raises:
        IndexDamaged: It does not.
    """
    count, there = view.count(), len(view.fetch(added))
    if count != expected or there != len(added):
        raise IndexDamaged(
            f"the new index holds {count} chunks of {expected}, and {there} of {len(added)} new ones; "
            "the old one stays; run: ask ingest --fresh"
        )


class EdgeStore(Store):
    """Qdrant's engine in this process; generations are folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def _path(self, generation: int) -> Path:
        return self._folder / f"gen-{generation}"

    def view(self, generation: int) -> View:
        path = self._path(generation)
        with contextlib.ExitStack() as held:
            held.callback(os.close, clone.hold(path))
            # The engine writes edge_config.json when it loads, and segment.json of each segment when it closes.
            mirror = clone.mirror(path, (path / "segments").iterdir(), ".json")
            held.callback(shutil.rmtree, mirror, ignore_errors=True)
            held.callback(os.close, clone.hold(mirror))
            return _EdgeView(_load(mirror), held.pop_all())

    def draft(self, generation: int, base: int, dim: int) -> Draft:
        return _EdgeDraft(self._path(generation), self._path(base) if base else None, dim)

    def keep_only(self, generation: int) -> None:
        clone.sweep(self._folder)
        kept = {self._path(generation), self._path(generation - 1)}
        for path in set(self._folder.glob("gen-[0-9]*")) - kept:
            clone.drop(path)


class _EdgeView(View):
    def __init__(self, shard: edge.EdgeShard, let_go: contextlib.ExitStack) -> None:
        self._shard = shard
        let_go.callback(shard.close)
        # When the last thread that reads from it is done, even if nobody calls `close`.
        self._end = weakref.finalize(self, let_go.close)

    def close(self) -> None:
        self._end()

    def count(self) -> int:
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def _search(
        self, queries: Sequence[Any], using: str, limit: int, course: str = "", *, with_vectors: bool = False
    ) -> list[list[Point]]:
        only = edge.Filter(must=[edge.FieldCondition("course", match=edge.MatchValue(course))]) if course else None
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(edge.SparseVector(*query) if isinstance(query, Terms) else query, using=using),
                filter=only,
                with_payload=not with_vectors,
                with_vector=[using] if with_vectors else False,
            )
            for query in queries
        ]
        found = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[Point(point.payload or {}, point.score, point.vector) for point in points] for points in found]

    def _retrieve(self, ids: Sequence[str], *, with_vectors: bool) -> Iterator[Point]:
        for batch in batches(ids):
            for record in self._shard.retrieve(list(batch), with_payload=True, with_vector=with_vectors):
                yield Point(record.payload or {}, 0.0, record.vector)

    def _every(self) -> Iterator[Point]:
        offset = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=BATCH, with_payload=True, with_vector=True)
            records, offset = self._shard.scroll(request)
            for record in records:
                yield Point(record.payload or {}, 0.0, record.vector)
            if offset is None:
                return


@contextlib.contextmanager
def _engine_errors(folder: Path) -> Iterator[None]:
    try:
        with clone.disk_errors(folder):
            yield
    except (StudyError, OSError):
        raise
    except Exception as error:  # the engine raises bare exceptions, with its reason as text
        raise IndexDamaged(
            f"the index in {folder} can't be read or written ({error}); rebuild it with: ask ingest --fresh"
        ) from error


def _load(folder: Path) -> edge.EdgeShard:
    with _engine_errors(folder):
        return edge.EdgeShard.load(str(folder))


class _EdgeDraft(Draft):
    def __init__(self, path: Path, base: Path | None, dim: int) -> None:
        self._path = path
        clone.drop(path)
        with contextlib.ExitStack() as undo:
            undo.callback(clone.drop, path)
            if base:
                clone.copy(base, path)
                self._shard = _load(path)
            else:
                clone.need(path.parent, 0)
                path.mkdir(parents=True)
                with _engine_errors(path):
                    self._shard = edge.EdgeShard.create(str(path), _edge_config(dim))
            undo.pop_all()

    def add(self, entries: Sequence[Entry]) -> None:
        for batch in batches(entries, BATCH_UP):
            clone.need(self._path, len(batch) * POINT_BYTES)
            self._update(edge.UpdateOperation.upsert_points([_edge_point(entry) for entry in batch]))

    def remove(self, ids: Sequence[str]) -> None:
        for batch in batches(ids):
            self._update(edge.UpdateOperation.delete_points(list(batch)))

    def _update(self, operation: edge.UpdateOperation) -> None:
        with _engine_errors(self._path):
            self._shard.update(operation)

    def finish(self, expected: int, added: Sequence[str]) -> None:
        clone.need(self._path, 0)
        with _engine_errors(self._path):
            self._shard.flush()
            self._shard.optimize()  # drops what was removed, once that is a fifth of a segment
            self._shard.close()
        # Loaded in place: what the engine still has to put in order after it wrote is put in order here.
        with contextlib.closing(_EdgeView(_load(self._path), contextlib.ExitStack())) as view:
            verify(view, expected, added)
        clone.settle(self._path)

    def discard(self) -> None:
        with contextlib.suppress(Exception):  # it may be closed already; the folder goes either way
            self._shard.close()
        clone.drop(self._path)


def _edge_config(dim: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Dot)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=_NO_INDEX),
        wal_enabled=False,
    )


def _edge_point(entry: Entry) -> edge.Point:
    vectors: dict[str, Any] = {DENSE: list(entry.vector), SPARSE: edge.SparseVector(*terms_of(entry.words))}
    return edge.Point(entry.chunk.id, vectors, payload_of(entry))
