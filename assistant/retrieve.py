"""A question becomes passages: the chunks nearest in meaning and in words, fused, with their files' weight.

    score(chunk) = .5 · cosine + .5 · BM25 / ideal,   ideal = (k + 1) · Σ IDF of the question's stems
    final(chunk) = .6 · score + .4 · mean of the three best scores of its file

`ideal` is what BM25 would give a chunk that is full of every word of the question, so both halves are absolute,
0 to 1, and mean the same in a folder of twenty notes and of twenty thousand. Weights, depth and the share of
the file were chosen on three courses and checked on a fourth, each in turn (docs/LOG.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from assistant.stopwatch import Stopwatch
from assistant.words import jaccard
from ingest.chunk import Chunk
from ingest.embed import Embedder
from ingest.index import BM25_K, Hit, View

DEPTH = 100
"""Chunks that each of the two searches hands to the fusion."""
DENSE_WEIGHT = 0.5
FILE_WEIGHT = 0.4
FILE_CHUNKS = 3
"""How many of a file's best chunks speak for it; a missing one counts as half of the last."""
ALIKE = 0.9
"""Share of common words (Jaccard) above which two chunks say the same."""
RERANKED = 30
"""How many of the best chunks a cross-encoder reads, where one is set."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved stretch of a note, and how near it is to the question."""

    chunk: Chunk
    """One chunk, or neighbours joined."""
    score: float
    """Final score, 0 to 1; higher is nearer."""
    cosine: float
    bm25: float
    """0 where no word of the question stands in it."""
    dense_rank: int | None
    """Position among the nearest in meaning, from 1; None below `DEPTH`."""
    sparse_rank: int | None
    """Position among the best by words, from 1; None below `DEPTH`."""
    same_as: tuple[str, ...] = ()
    """Paths of other notes that say the same."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """All that a search found, before and after choosing."""

    candidates: tuple[Passage, ...]
    """Every fused chunk, best first, at most 2 · DEPTH."""
    passages: tuple[Passage, ...]
    """What is shown and answered from: the best, collapsed, joined."""
    best: float
    """Highest fused score, whatever a reranker made of it; 0 where nothing was found."""
    vector: Sequence[float]
    """Of the question: unit length, as long as the model's."""
    ideal: float
    """BM25 of a perfect chunk; 0 if the question has no word that counts."""
    timings_ms: dict[str, float]
    """Milliseconds of each step."""


class Reranker(Protocol):
    """Scores pairs of question and text, higher is better."""

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score per text, 0 to 1."""
        ...


TextOf = Callable[[str], str | None]
"""Gives the text of a note's version."""


def retrieve(
    question: str,
    view: View,
    embedder: Embedder,
    *,
    top_k: int,
    course: str = "",
    reranker: Reranker | None = None,
    text_of: TextOf | None = None,
) -> Retrieval:
    """Return the passages nearest to `question`, best first.

    An empty list means that there are no notes (of that course); it is not an error.

    Args:
        question: Plain text.
        view: The index to look in.
        embedder: The model that the index was built with.
        top_k: Most passages to return, at least 1.
        course: Sub-folder of the notes to stay in; empty: all.
        reranker: Reads the best candidates again, where one is set.
        text_of: Gives a note's text, so that neighbours can be joined; without it they stay apart.

    Raises:
        IndexUnavailable: Qdrant did not answer.
    """
    watch = Stopwatch()
    vector = embedder.encode_query(question)[0].tolist()
    watch.lap("embed")
    dense = view.nearest(vector, DEPTH, course)
    watch.lap("dense")
    sparse = view.matching(question, DEPTH, course)
    ideal = (BM25_K + 1) * sum(view.rarity(question))
    watch.lap("sparse")
    candidates = fuse(dense, sparse, ideal)
    best = candidates[0].score if candidates else 0.0
    watch.lap("fuse")
    if reranker and candidates:
        head = candidates[:RERANKED]
        scores = reranker.score(question, [f"{passage.chunk.heading_line}\n{passage.chunk.words}" for passage in head])
        head = [replace(passage, score=score) for passage, score in zip(head, scores, strict=True)]
        candidates = sorted(head, key=lambda passage: -passage.score) + candidates[RERANKED:]
        watch.lap("rerank")
    passages = _joined(collapse(candidates, top_k), text_of)
    watch.lap("choose")
    return Retrieval(tuple(candidates), tuple(passages), best, vector, ideal, watch.laps)


def fuse(dense: Sequence[Hit], sparse: Sequence[Hit], ideal: float) -> list[Passage]:
    """Join two result lists, each best first, into one, best first.

    A chunk that is missing from a full list gets that list's lowest score: it can be no better. One that is
    missing from a list that is not full has no word in common with the question, or there are no vectors.
    """
    least_cosine = dense[-1].score if len(dense) >= DEPTH else 0.0
    least_bm25 = sparse[-1].score if len(sparse) >= DEPTH else 0.0
    dense_ranks = {hit.chunk.id: (rank, hit.score) for rank, hit in enumerate(dense, start=1)}
    sparse_ranks = {hit.chunk.id: (rank, hit.score) for rank, hit in enumerate(sparse, start=1)}
    chunks = {hit.chunk.id: hit.chunk for hit in (*dense, *sparse)}
    found = []
    for id_, chunk in chunks.items():
        dense_rank, cosine = dense_ranks.get(id_, (None, least_cosine))
        sparse_rank, bm25 = sparse_ranks.get(id_, (None, least_bm25))
        words = min(1.0, bm25 / ideal) if ideal else 0.0
        score = DENSE_WEIGHT * cosine + (1 - DENSE_WEIGHT) * words
        found.append(Passage(chunk, score, cosine, bm25, dense_rank, sparse_rank))
    return _with_files(found)


def _with_files(passages: list[Passage]) -> list[Passage]:
    scores: dict[str, list[float]] = {}
    for passage in passages:
        scores.setdefault(passage.chunk.path, []).append(passage.score)
    weight = {}
    for path, of_file in scores.items():
        best = sorted(of_file, reverse=True)[:FILE_CHUNKS]
        while len(best) < FILE_CHUNKS:
            best.append(best[-1] / 2)
        weight[path] = sum(best) / FILE_CHUNKS
    mixed = [
        replace(passage, score=(1 - FILE_WEIGHT) * passage.score + FILE_WEIGHT * weight[passage.chunk.path])
        for passage in passages
    ]
    return sorted(mixed, key=lambda passage: (-passage.score, passage.chunk.path, passage.chunk.ordinal))


def collapse(candidates: Sequence[Passage], top_k: int) -> list[Passage]:
    """Return the best `top_k` that do not say the same; those left out lend their paths to the one that stays."""
    kept: list[Passage] = []
    words: list[frozenset[str]] = []
    for passage in candidates:
        if len(kept) == top_k:
            break
        own = frozenset(passage.chunk.words.lower().split())
        twin = next((i for i, other in enumerate(words) if jaccard(own, other) >= ALIKE), None)
        if twin is None:
            kept.append(passage)
            words.append(own)
        elif passage.chunk.path not in (kept[twin].chunk.path, *kept[twin].same_as):
            kept[twin] = replace(kept[twin], same_as=(*kept[twin].same_as, passage.chunk.path))
    return kept


def _joined(passages: list[Passage], text_of: TextOf | None) -> list[Passage]:
    """Join passages that follow each other in their note; the join stands where the better one stood."""
    if text_of is None:
        return passages
    groups: list[list[Passage]] = []
    for passage in passages:
        near = next((group for group in groups if any(_adjacent(passage, other) for other in group)), None)
        if near is None:
            groups.append([passage])
        else:
            near.append(passage)
    return [_join(group, text_of) if len(group) > 1 else group[0] for group in groups]


def _adjacent(one: Passage, other: Passage) -> bool:
    a, b = one.chunk, other.chunk
    return a.path == b.path and a.version == b.version and abs(a.ordinal - b.ordinal) == 1


def _join(group: list[Passage], text_of: TextOf) -> Passage:
    parts = sorted((passage.chunk for passage in group), key=lambda chunk: chunk.ordinal)
    text = text_of(parts[0].version)
    if text is None:
        return group[0]
    start, end = parts[0].start, parts[-1].end
    places = tuple(place for part in parts for place in part.places)
    whole = replace(parts[0], end=end, text=text[start:end], places=places)
    return replace(group[0], chunk=whole)
