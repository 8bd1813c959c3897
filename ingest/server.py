"""The index contract (`index.py`) on a Qdrant server: the only file that knows its client.

Points carry `born` and `died`, the generations that added and removed them; a reader's filter chooses those alive in
its own.
"""

import contextlib
import uuid
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ingest.errors import IndexUnavailable
from ingest.index import (
    BATCH,
    BATCH_UP,
    DENSE,
    SPARSE,
    Draft,
    Entry,
    Point,
    Store,
    Terms,
    View,
    batches,
    payload_of,
    terms_of,
    verify,
)

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

SERVER_SECONDS = 60
"""Longest wait for a server's answer."""


class ServerStore(Store):
    """A Qdrant server: a collection for each generation that started from nothing, and those made from it."""

    def __init__(self, client: "QdrantClient", name: str) -> None:
        self._client, self._prefix = client, f"{name}-"

    @classmethod
    def connect(cls, url: str, api_key: str, name: str) -> "ServerStore":
        """Connect and check that the server answers and is of a version that fits.

        Raises:
            IndexUnavailable: One of these is not so.
        """
        from importlib.metadata import version

        from qdrant_client import QdrantClient

        with _server_errors(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            client = QdrantClient(url=url, api_key=api_key or None, timeout=SERVER_SECONDS, check_compatibility=False)
            theirs, ours = client.info().version, version("qdrant-client")
            (major, minor), (our_major, our_minor) = _release(theirs), _release(ours)
        if major != our_major or abs(minor - our_minor) > 1:
            raise IndexUnavailable(
                f"the Qdrant server at {url} is version {theirs}, this program speaks {ours}; "
                f"use a server of version {our_major}.{our_minor}"
            )
        return cls(client, name)

    def view(self, generation: int) -> View:
        start = self._start(generation)
        if not start:
            raise FileNotFoundError(f"{self._prefix}{generation}")
        return _ServerView(self._client, f"{self._prefix}{start}", generation)

    def _starts(self) -> list[int]:
        """Return the generations that have a collection of their own, in order."""
        with _server_errors():
            names = [found.name for found in self._client.get_collections().collections]
        tails = [name.removeprefix(self._prefix) for name in names if name.startswith(self._prefix)]
        return sorted(int(tail) for tail in tails if tail.isdecimal())

    def _start(self, generation: int) -> int:
        return max((start for start in self._starts() if start <= generation), default=0)

    def draft(self, generation: int, base: int, dim: int) -> Draft:
        if base:
            start = self._start(base)
            if not start:
                raise FileNotFoundError(f"{self._prefix}{base}")
        else:
            start = generation
            with _server_errors():
                self._create(f"{self._prefix}{generation}", dim)
        return _ServerDraft(self, self._client, f"{self._prefix}{start}", generation)

    def _create(self, collection: str, dim: int) -> None:
        from qdrant_client import models

        self._client.delete_collection(collection)  # a killed sync may have begun it
        self._client.create_collection(
            collection,
            vectors_config={DENSE: models.VectorParams(size=dim, distance=models.Distance.DOT)},
            sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        for field, kind in (("course", "keyword"), ("id", "keyword"), ("born", "integer"), ("died", "integer")):
            self._client.create_payload_index(collection, field, models.PayloadSchemaType(kind))

    def keep_only(self, generation: int) -> None:
        starts = self._starts()
        current = max((start for start in starts if start <= generation), default=0)
        before = max((start for start in starts if start < generation), default=0)
        with _server_errors():
            for start in starts:
                if start not in (current, before):
                    self._client.delete_collection(f"{self._prefix}{start}")
            if current:
                self._clear(f"{self._prefix}{current}", generation)

    def _clear(self, collection: str, generation: int) -> None:
        """Undo what an unpublished draft did, and forget what died before the last but one generation did."""
        from qdrant_client import models

        later = models.Range(gt=generation)
        for condition in (
            models.FieldCondition(key="born", range=later),
            models.FieldCondition(key="died", range=models.Range(lt=generation)),
        ):
            self._client.delete(collection, models.FilterSelector(filter=models.Filter(must=[condition])))
        undone = models.Filter(must=[models.FieldCondition(key="died", range=later)])
        self._client.delete_payload(collection, ["died"], undone)


def _release(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


@contextlib.contextmanager
def _server_errors() -> Iterator[None]:
    from qdrant_client.http.exceptions import UnexpectedResponse

    try:
        yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise IndexUnavailable("the Qdrant server refused the key; set STUDY_QDRANT_API_KEY") from error
        raise IndexUnavailable(
            f"the Qdrant server answered {error.status_code} ({error.reason_phrase}); look at its log"
        ) from error
    except Exception as error:  # an answer that is not Qdrant's makes its client raise anything
        told = f"{error}".strip().partition("\n")[0] or type(error).__name__
        raise IndexUnavailable(
            f"the Qdrant server does not answer as it should ({told}); "
            "start it, or unset STUDY_QDRANT_URL to use the embedded one"
        ) from error


class _ServerView(View):
    def __init__(self, client: "QdrantClient", collection: str, generation: int) -> None:
        self._client, self._collection, self._generation = client, collection, generation

    def only(self, *more: Any) -> Any:
        """Return the filter for what is alive in this generation."""
        from qdrant_client import models

        dead = models.FieldCondition(key="died", range=models.Range(lte=self._generation))
        born = models.FieldCondition(key="born", range=models.Range(lte=self._generation))
        return models.Filter(must=[born, *more], must_not=[dead])

    def only_ids(self, ids: Sequence[str]) -> Any:
        """Return the filter for these chunks, as far as they are alive in this generation."""
        from qdrant_client import models

        return self.only(models.FieldCondition(key="id", match=models.MatchAny(any=list(ids))))

    def close(self) -> None:
        """Nothing is held: the client is the store's."""

    def count(self) -> int:
        with _server_errors():
            return self._client.count(self._collection, self.only(), exact=True).count

    def _search(
        self, queries: Sequence[Any], using: str, limit: int, course: str = "", *, with_vectors: bool = False
    ) -> list[list[Point]]:
        from qdrant_client import models

        more = [models.FieldCondition(key="course", match=models.MatchValue(value=course))] if course else []
        # IDF is that of this generation, not that of the dead, nor of what a draft has written so far.
        idf = models.SearchParams(idf=models.IdfCorpusParams(corpus=self.only())) if using == SPARSE else None
        requests = [
            models.QueryRequest(
                query=models.SparseVector(indices=query.indices, values=query.values)
                if isinstance(query, Terms)
                else query,
                using=using,
                limit=limit,
                filter=self.only(*more),
                params=idf,
                with_payload=not with_vectors,
                with_vector=[using] if with_vectors else False,
            )
            for query in queries
        ]
        with _server_errors():
            found = self._client.query_batch_points(self._collection, requests)
        return [[Point(point.payload or {}, point.score, point.vector) for point in one.points] for one in found]

    def _retrieve(self, ids: Sequence[str], *, with_vectors: bool) -> Iterator[Point]:
        for batch in batches(ids):
            yield from self._pages(self.only_ids(batch), with_vectors=with_vectors)

    def _every(self) -> Iterator[Point]:
        return self._pages(self.only(), with_vectors=True)

    def _pages(self, only: Any, *, with_vectors: bool) -> Iterator[Point]:
        offset = None
        while True:
            with _server_errors():
                records, offset = self._client.scroll(
                    self._collection, only, limit=BATCH, offset=offset, with_vectors=with_vectors
                )
            for record in records:
                yield Point(record.payload or {}, 0.0, record.vector)
            if offset is None:
                return


class _ServerDraft(Draft):
    def __init__(self, store: ServerStore, client: "QdrantClient", collection: str, generation: int) -> None:
        self._store, self._client, self._collection, self._generation = store, client, collection, generation
        self._alive = _ServerView(client, collection, generation)

    def add(self, entries: Sequence[Entry]) -> None:
        from qdrant_client import models

        for batch in batches(entries, BATCH_UP):
            points = []
            for entry in batch:
                id_, sparse = entry.chunk.id, terms_of(entry.words)
                vector: dict[str, Any] = {
                    DENSE: list(entry.vector),
                    SPARSE: models.SparseVector(indices=sparse.indices, values=sparse.values),
                }
                payload = payload_of(entry) | {"id": id_, "born": self._generation}
                point_id = str(uuid.uuid5(uuid.UUID(id_), str(self._generation)))
                points.append(models.PointStruct(id=point_id, vector=vector, payload=payload))
            with _server_errors():
                self._client.upsert(self._collection, points, wait=True)

    def remove(self, ids: Sequence[str]) -> None:
        for batch in batches(ids):
            with _server_errors():
                self._client.set_payload(
                    self._collection, {"died": self._generation}, points=self._alive.only_ids(batch), wait=True
                )

    def finish(self, expected: int, added: Sequence[str]) -> None:
        verify(self._alive, expected, added)

    def discard(self) -> None:
        self._store.keep_only(self._generation - 1)
