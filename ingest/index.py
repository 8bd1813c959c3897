"""The index contract: what is stored for a chunk, and how it is found again. The only file that knows Qdrant.

A point has two named vectors, `dense` (unit length, compared by dot product) and `bm25` (sparse; the store
applies IDF), an id that depends only on path, version and ordinal, and this payload:

    {"path": "infra/ddp.md", "course": "infra", "version": "9f2c…", "ordinal": 3, "start": 812, "end": 1604,
     "title": "Distributed training", "places": [[812, "§ DDP", ["DDP"]]], "key": "51aa…", "text": "DDP keeps …"}

so that it can always answer which file, which place in it, which exact characters, from which version.

Generations. A reader sees one published generation, whole. On the embedded store (Qdrant Edge) a generation is a
folder `gen-N` that is never written again once published, so that any number of processes can read it while
the next one is made from a copy. On a server, points carry the generation that added them (`born`) and the one
that removed them (`died`), and a reader's filter chooses. Which generation is published is not decided here.
"""

import contextlib
import errno
import fcntl
import math
import os
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import qdrant_edge as edge

from ingest.chunk import Chunk, Place
from ingest.errors import DiskFull, IndexDamaged, IndexUnavailable

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

DENSE, SPARSE = "dense", "bm25"
FORMAT = 1
"""Raise it when payload, vectors or ids change."""
BM25_K = 1.2
"""Term saturation of BM25."""
BM25 = edge.Bm25Config(k=BM25_K, b=0.75, avg_len=70.0, language="english")
"""Qdrant's own defaults but for avg_len, which is that of our chunks: stems without stop words."""
BATCH = 1000
"""Points in one request."""
ROOM = 64 << 20
"""Bytes that stay free on the disk, so that memory-mapped files never meet a full one."""
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
    vector: Vector


class View(Protocol):
    """One published generation, for reading. Safe to use from several threads."""

    def nearest(self, vector: Vector, limit: int, course: str = "") -> list[Hit]:
        """Return the chunks whose vectors are nearest, best first."""
        ...

    def matching(self, words: str, limit: int, course: str = "") -> list[Hit]:
        """Return the chunks that share words with `words`, best BM25 first; none if no word is shared."""
        ...

    def rarity(self, words: str) -> list[float]:
        """Return the IDF of each stem that BM25 sees in `words`, in no order.

        It is ln(1 + (N - n + .5) / (n + .5)), where n of N chunks have the stem (Robertson & Zaragoza 2009,
        "The Probabilistic Relevance Framework", as Qdrant computes it).
        """
        ...

    def fetch(self, ids: Sequence[str]) -> list[Chunk]:
        """Return the chunks with these ids, in any order; unknown ids are left out."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return `chunk.key` → dense vector of the chunks with these ids."""
        ...

    def scroll(self) -> Iterator[tuple[Chunk, Vector]]:
        """Yield every chunk with its dense vector."""
        ...

    def count(self) -> int:
        """Return how many chunks there are."""
        ...

    def close(self) -> None:
        """Let go of the generation."""
        ...


class Draft(Protocol):
    """The next generation while it is written: nobody sees it until it is published."""

    def add(self, entries: Sequence[Entry]) -> None:
        """Write chunks."""
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Take chunks out."""
        ...

    def finish(self, expected: int, added: Sequence[str]) -> None:
        """Make it durable and check that it holds `expected` chunks, all of `added` among them.

        Raises:
            IndexDamaged: It does not.
        """
        ...

    def discard(self) -> None:
        """Give it up."""
        ...


class Store(Protocol):
    """Where generations live."""

    def view(self, generation: int) -> View:
        """Open a published generation.

        Raises:
            FileNotFoundError: It is gone: a newer one was published.
            IndexUnavailable: The store does not answer.
        """
        ...

    def draft(self, generation: int, base: int, dim: int) -> Draft:
        """Start `generation` as a copy of `base` (0: empty), with dense vectors of length `dim`."""
        ...

    def keep_only(self, generation: int) -> None:
        """Remove what no reader needs: unpublished drafts, and generations before the last but one."""
        ...


_bm25 = edge.Bm25(BM25)


def _term(sparse_vector: Any, term: int) -> Any:
    return sparse_vector(indices=[term], values=[1.0])


def _rarity(terms: Sequence[int], best: Sequence[tuple[float, Any] | None], count: int) -> list[float]:
    """Divide what the store scored for one term by the term's weight in that chunk: the IDF is left."""
    found = []
    for term, hit in zip(terms, best, strict=True):
        if hit is None:
            found.append(math.log(1 + (count + 0.5) / 0.5))
        else:
            score, vector = hit
            found.append(score / vector.values[list(vector.indices).index(term)])
    return found


def payload_of(chunk: Chunk) -> dict[str, Any]:
    """Return what is stored with a chunk."""
    return {
        "path": chunk.path,
        "course": chunk.course,
        "version": chunk.version,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "title": chunk.title,
        "places": [[place.start, place.locator, list(place.heading)] for place in chunk.places],
        "key": chunk.key,
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


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]


# ---------------------------------------------------------------------------------------------------- embedded


class EdgeStore:
    """Qdrant's engine in this process; generations are folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def _path(self, generation: int) -> Path:
        return self._folder / f"gen-{generation}"

    def view(self, generation: int) -> View:
        return _EdgeView(self._path(generation))

    def draft(self, generation: int, base: int, dim: int) -> Draft:
        return _EdgeDraft(self._path(generation), self._path(base) if base else None, dim)

    def keep_only(self, generation: int) -> None:
        for path in self._folder.glob("gen-*[0-9]"):
            number = int(path.name.removeprefix("gen-"))
            if generation - 1 <= number <= generation:
                continue
            with _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
                if held:
                    shutil.rmtree(path, ignore_errors=True)
                    _lock_file(path).unlink(missing_ok=True)


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


@contextlib.contextmanager
def _lock(path: Path, how: int) -> Iterator[bool]:
    with _lock_file(path).open("w") as file:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield False
        else:
            yield True


class _EdgeView:
    def __init__(self, path: Path) -> None:
        # The shared lock tells `keep_only` that somebody reads here; it is taken before looking for the folder.
        # It is let go with the view, or at the latest when nobody refers to the view any more.
        lock = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._unlock = weakref.finalize(self, os.close, lock)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not path.is_dir():
            self._unlock()
            raise FileNotFoundError(path)
        try:
            self._shard = edge.EdgeShard.load(str(path))
        except Exception as error:  # the engine raises bare exceptions, with its reason as text
            self._unlock()
            raise IndexDamaged(f"the index in {path} can't be opened ({error}); run: ask ingest --fresh") from error

    def nearest(self, vector: Vector, limit: int, course: str = "") -> list[Hit]:
        return self._query(edge.Query.Nearest(list(vector), using=DENSE), limit, course)

    def matching(self, words: str, limit: int, course: str = "") -> list[Hit]:
        query = _bm25.embed_query(words)
        return self._query(edge.Query.Nearest(query, using=SPARSE), limit, course) if query.indices else []

    def _query(self, query: Any, limit: int, course: str) -> list[Hit]:
        only = None
        if course:
            only = edge.Filter(must=[edge.FieldCondition("course", match=edge.MatchValue(course))])
        request = edge.QueryRequest(limit=limit, query=query, filter=only, with_payload=True)
        return [Hit(chunk_from(point.payload), point.score) for point in self._shard.query(request)]

    def rarity(self, words: str) -> list[float]:
        terms = _bm25.embed_query(words).indices
        requests = [
            edge.QueryRequest(
                limit=1, query=edge.Query.Nearest(_term(edge.SparseVector, term), using=SPARSE), with_vector=[SPARSE]
            )
            for term in terms
        ]
        found = self._shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        best = [(points[0].score, points[0].vector[SPARSE]) if points else None for points in found]
        return _rarity(terms, best, self._count)

    @cached_property
    def _count(self) -> int:
        return self.count()

    def fetch(self, ids: Sequence[str]) -> list[Chunk]:
        found = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        return [chunk_from(record.payload) for record in found]

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for batch in _batches(ids):
            for record in self._shard.retrieve(list(batch), with_payload=True, with_vector=True):
                found[record.payload["key"]] = record.vector[DENSE]
        return found

    def scroll(self) -> Iterator[tuple[Chunk, Vector]]:
        offset = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=BATCH, with_payload=True, with_vector=True)
            records, offset = self._shard.scroll(request)
            for record in records:
                yield chunk_from(record.payload), record.vector[DENSE]
            if offset is None:
                return

    def count(self) -> int:
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def close(self) -> None:
        self._shard.close()
        self._unlock()


class _EdgeDraft:
    def __init__(self, path: Path, base: Path | None, dim: int) -> None:
        self._path = path
        shutil.rmtree(path, ignore_errors=True)
        with _disk_errors(path.parent):
            if base:
                _need(path.parent, _size(base))
                _copy_folder(base, path)
                self._shard = edge.EdgeShard.load(str(path))
            else:
                path.mkdir(parents=True)
                self._shard = edge.EdgeShard.create(str(path), _edge_config(dim))

    def add(self, entries: Sequence[Entry]) -> None:
        with _disk_errors(self._path.parent):
            for batch in _batches(entries):
                points = [_edge_point(entry) for entry in batch]
                _need(self._path.parent, len(points) * 8192)
                self._shard.update(edge.UpdateOperation.upsert_points(points))

    def remove(self, ids: Sequence[str]) -> None:
        with _disk_errors(self._path.parent):
            for batch in _batches(ids):
                self._shard.update(edge.UpdateOperation.delete_points(list(batch)))

    def finish(self, expected: int, added: Sequence[str]) -> None:
        with _disk_errors(self._path.parent):
            self._shard.flush()
            self._shard.optimize()  # drops what was removed, once that is a fifth of a segment
            self._shard.flush()
            self._shard.close()
            for file in self._path.rglob("*"):
                if file.is_file():
                    _sync_to_disk(file)
        with contextlib.closing(_EdgeView(self._path)) as view:
            _verify(view, expected, added)

    def discard(self) -> None:
        with contextlib.suppress(Exception):  # it may be closed already; the folder goes either way
            self._shard.close()
        shutil.rmtree(self._path, ignore_errors=True)


def _verify(view: "_EdgeView | _ServerView", expected: int, added: Sequence[str]) -> None:
    count = view.count()
    there = sum(len(view.fetch(batch)) for batch in _batches(added))
    if count != expected or there != len(added):
        raise IndexDamaged(
            f"the new index holds {count} chunks of {expected}, and {there} of {len(added)} new ones; "
            "the old one stays; run: ask ingest --fresh"
        )


def _edge_config(dim: int) -> edge.EdgeConfig:
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Dot)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=_NO_INDEX),
        wal_enabled=False,
    )


def _edge_point(entry: Entry) -> edge.Point:
    sparse = _bm25.embed_document(entry.chunk.words)
    vector = {DENSE: list(map(float, entry.vector)), SPARSE: sparse}
    return edge.Point(entry.chunk.id, vector, payload_of(entry.chunk))


def _size(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _need(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size + ROOM:
        raise DiskFull(folder)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(folder) from error
        raise
    except Exception as error:  # the engine raises bare exceptions, with its reason as text
        if "No space left" in str(error):
            raise DiskFull(folder) from error
        raise


def _copy_folder(source: Path, target: Path) -> None:
    """Copy with copy-on-write where the file system can, else without the holes: files are preallocated."""
    shutil.copytree(source, target, copy_function=_copy_file, ignore=shutil.ignore_patterns(".atomicwrite*"))


_FICLONE = 0x40049409
"""ioctl that makes a copy-on-write copy (linux/fs.h)."""


def _copy_file(source: str, target: str) -> None:
    with Path(source).open("rb") as read, Path(target).open("wb") as write:
        with contextlib.suppress(OSError):
            fcntl.ioctl(write, _FICLONE, read.fileno())
            return
        size, at = os.fstat(read.fileno()).st_size, 0
        while at < size:
            try:
                start = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                break
            at = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            read.seek(start)
            write.seek(start)
            while start < at and (part := read.read(min(at - start, 1 << 20))):
                write.write(part)
                start += len(part)
        write.truncate(size)


def _sync_to_disk(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------------------ server


class ServerStore:
    """A Qdrant server; one collection, generations by payload."""

    def __init__(self, client: "QdrantClient", collection: str) -> None:
        self._client, self._collection = client, collection

    @classmethod
    def connect(cls, url: str, api_key: str, collection: str) -> "ServerStore":
        """Connect and check that the server answers, takes the key and is of a version that fits.

        Raises:
            IndexUnavailable: One of these is not so.
        """
        from importlib.metadata import version

        from qdrant_client import QdrantClient

        client = QdrantClient(url=url, api_key=api_key or None, timeout=30, check_compatibility=False)
        with _server_errors():
            theirs = client.info().version
        ours = version("qdrant-client")
        if abs(_minor(theirs) - _minor(ours)) > 1 or _major(theirs) != _major(ours):
            raise IndexUnavailable(
                f"the Qdrant server at {url} is version {theirs}, this program speaks {ours}; "
                f"use a server of version {_major(ours)}.{_minor(ours)}"
            )
        return cls(client, collection)

    def view(self, generation: int) -> View:
        return _ServerView(self._client, self._collection, generation)

    def draft(self, generation: int, base: int, dim: int) -> Draft:
        with _server_errors():
            self._prepare(dim)
        return _ServerDraft(self._client, self._collection, generation, base)

    def _prepare(self, dim: int) -> None:
        from qdrant_client import models

        if self._client.collection_exists(self._collection):
            found = self._client.get_collection(self._collection).config.params.vectors
            if isinstance(found, dict) and found[DENSE].size == dim:
                return
            self._client.delete_collection(self._collection)  # of another model: only --fresh comes here
        self._client.create_collection(
            self._collection,
            vectors_config={DENSE: models.VectorParams(size=dim, distance=models.Distance.DOT)},
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for field, kind in (("course", "keyword"), ("born", "integer"), ("died", "integer")):
            self._client.create_payload_index(self._collection, field, models.PayloadSchemaType(kind))

    def keep_only(self, generation: int) -> None:
        """Remove what unpublished drafts added, take back their removals, and drop what is dead for all."""
        from qdrant_client import models

        later = models.Range(gt=generation)
        with _server_errors():
            if not self._client.collection_exists(self._collection):
                return
            for condition in (
                models.FieldCondition(key="born", range=later),
                models.FieldCondition(key="died", range=models.Range(lt=generation)),
            ):
                self._client.delete(self._collection, models.FilterSelector(filter=models.Filter(must=[condition])))
            undone = models.Filter(must=[models.FieldCondition(key="died", range=later)])
            self._client.delete_payload(self._collection, ["died"], undone)


def _major(version: str) -> int:
    return int(version.split(".")[0])


def _minor(version: str) -> int:
    return int(version.split(".")[1])


@contextlib.contextmanager
def _server_errors() -> Iterator[None]:
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise IndexUnavailable("the Qdrant server refused the key; set STUDY_QDRANT_API_KEY") from error
        raise IndexUnavailable(
            f"the Qdrant server answered {error.status_code} ({error.reason_phrase}); look at its log"
        ) from error
    except (ApiException, OSError, ValueError) as error:
        raise IndexUnavailable(
            f"the Qdrant server does not answer ({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
            "start it, or unset STUDY_QDRANT_URL to use the embedded one"
        ) from error


class _ServerView:
    def __init__(self, client: "QdrantClient", collection: str, generation: int) -> None:
        self._client, self._collection, self._generation = client, collection, generation

    @cached_property
    def _alive(self) -> list[Any]:
        from qdrant_client import models

        dead = models.FieldCondition(key="died", range=models.Range(lte=self._generation))
        born = models.FieldCondition(key="born", range=models.Range(lte=self._generation))
        return [born, models.Filter(must_not=[dead])]

    def _filter(self, *more: Any) -> Any:
        from qdrant_client import models

        return models.Filter(must=[*self._alive, *more])

    def nearest(self, vector: Vector, limit: int, course: str = "") -> list[Hit]:
        return self._query(list(vector), DENSE, limit, course)

    def matching(self, words: str, limit: int, course: str = "") -> list[Hit]:
        from qdrant_client import models

        query = _bm25.embed_query(words)
        if not query.indices:
            return []
        return self._query(models.SparseVector(indices=query.indices, values=query.values), SPARSE, limit, course)

    def _query(self, query: Any, using: str, limit: int, course: str) -> list[Hit]:
        from qdrant_client import models

        more = [models.FieldCondition(key="course", match=models.MatchValue(value=course))] if course else []
        with _server_errors():
            found = self._client.query_points(
                self._collection, query, using=using, limit=limit, query_filter=self._filter(*more)
            )
        return [Hit(chunk_from(point.payload), point.score) for point in found.points if point.payload]

    def rarity(self, words: str) -> list[float]:
        from qdrant_client import models

        terms = _bm25.embed_query(words).indices
        requests = [
            models.QueryRequest(query=_term(models.SparseVector, term), using=SPARSE, limit=1, with_vector=[SPARSE])
            for term in terms
        ]
        with _server_errors():
            found = self._client.query_batch_points(self._collection, requests) if requests else []
        best = [(one.points[0].score, one.points[0].vector[SPARSE]) if one.points else None for one in found]
        return _rarity(terms, best, self._count)

    @cached_property
    def _count(self) -> int:
        return self.count()

    def fetch(self, ids: Sequence[str]) -> list[Chunk]:
        return [chunk for chunk, _ in self._retrieve(ids, with_vectors=False)]

    def vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = {}
        for batch in _batches(ids):
            found |= {chunk.key: vector for chunk, vector in self._retrieve(batch, with_vectors=True)}
        return found

    def _retrieve(self, ids: Sequence[str], *, with_vectors: bool) -> Iterator[tuple[Chunk, Vector]]:
        with _server_errors():
            records = self._client.retrieve(self._collection, list(ids), with_vectors=with_vectors)
        for record in records:
            payload = record.payload or {}
            if payload["born"] <= self._generation < payload.get("died", self._generation + 1):
                yield chunk_from(payload), _dense(record)

    def scroll(self) -> Iterator[tuple[Chunk, Vector]]:
        offset = None
        while True:
            with _server_errors():
                records, offset = self._client.scroll(
                    self._collection, self._filter(), limit=BATCH, offset=offset, with_vectors=True
                )
            for record in records:
                yield chunk_from(record.payload or {}), _dense(record)
            if offset is None:
                return

    def count(self) -> int:
        with _server_errors():
            return self._client.count(self._collection, self._filter(), exact=True).count

    def close(self) -> None:
        """Nothing is held."""


def _dense(record: Any) -> Vector:
    return record.vector[DENSE] if record.vector else ()


class _ServerDraft:
    def __init__(self, client: "QdrantClient", collection: str, generation: int, base: int) -> None:
        self._client, self._collection, self._generation = client, collection, generation
        if not base:
            self._bury_all()

    def _bury_all(self) -> None:
        old = _ServerView(self._client, self._collection, self._generation - 1)
        self.remove([chunk.id for chunk, _ in old.scroll()])

    def add(self, entries: Sequence[Entry]) -> None:
        from qdrant_client import models

        for batch in _batches(entries):
            points = []
            for entry in batch:
                sparse = _bm25.embed_document(entry.chunk.words)
                vector: dict[str, Any] = {
                    DENSE: list(map(float, entry.vector)),
                    SPARSE: models.SparseVector(indices=sparse.indices, values=sparse.values),
                }
                payload = payload_of(entry.chunk) | {"born": self._generation}
                points.append(models.PointStruct(id=entry.chunk.id, vector=vector, payload=payload))
            with _server_errors():
                self._client.upsert(self._collection, points, wait=True)

    def remove(self, ids: Sequence[str]) -> None:
        for batch in _batches(ids):
            with _server_errors():
                self._client.set_payload(self._collection, {"died": self._generation}, points=list(batch), wait=True)

    def finish(self, expected: int, added: Sequence[str]) -> None:
        _verify(_ServerView(self._client, self._collection, self._generation), expected, added)

    def discard(self) -> None:
        ServerStore(self._client, self._collection).keep_only(self._generation - 1)
