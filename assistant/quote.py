"""Without a model: the sentences of the notes that answer best, word for word."""

from collections.abc import Sequence

import numpy as np

from assistant.cite import Citation, Cited, Sentence, cite, is_statement
from assistant.retrieve import Passage, Retrieval
from assistant.words import stems
from ingest import sentences
from ingest.embed import Embedder
from ingest.sentences import Span

PASSAGES = 4
"""How many of the best passages are looked at."""
CANDIDATES = 12
"""Most sentences that are compared with the question; each costs about two milliseconds."""
QUOTES = 3
"""Most sentences that are quoted."""
LEAST_OF_BEST = 0.75
"""A further sentence must score this share of the best one."""
ALIKE = 0.85
"""Cosine above which two sentences say the same."""
LEAST_STEMS = 3
"""A sentence of fewer content words is a label, not a statement."""


def quote(question: str, retrieval: Retrieval, embedder: Embedder) -> Cited:
    """Return the sentences that stand nearest to the question, each with its citation, best passage first."""
    found = _candidates(question, retrieval.passages[:PASSAGES])
    if not found:
        return Cited("", "", (), ())
    texts = [passage.chunk.text[start:end] for passage, (start, end), _ in found]
    vectors = embedder.encode(texts)
    scores = _scores(vectors @ np.asarray(retrieval.vector), found)
    chosen: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if len(chosen) == QUOTES or scores[i] < LEAST_OF_BEST * scores.max():
            break
        if all(float(vectors[i] @ vectors[j]) < ALIKE for j in chosen):
            chosen.append(int(i))
    chosen.sort()  # as the passages rank, and as their sentences stand
    citations = tuple(cite(n, found[i][0], found[i][1]) for n, i in enumerate(chosen, start=1))
    text = "\n\n".join(f"{citation.quote} [{citation.n}]" for citation in citations)
    return Cited(text, text, tuple(_sentence(citation) for citation in citations), citations)


def _sentence(citation: Citation) -> Sentence:
    return Sentence(citation.quote, (citation.n,), supported=True)


def _candidates(question: str, passages: Sequence[Passage]) -> list[tuple[Passage, Span, float]]:
    """Return sentences with their share of the question's words, at most `CANDIDATES`, in reading order."""
    wanted = stems(question)
    found: list[tuple[Passage, Span, float]] = []
    others: list[tuple[Passage, Span, float]] = []
    for passage in passages:
        text = passage.chunk.text
        for start, end in sentences.spans(text):
            own = stems(text[start:end])
            told = passage, (start, end), len(wanted & own) / max(1, len(wanted))
            whole = is_statement(text, start, end) and _is_whole(text[start:end], len(own))
            (found if whole else others).append(told)
    found = found or others  # a note of nothing but labels still has something to show
    best = sorted(range(len(found)), key=lambda i: (-found[i][2], i))[:CANDIDATES]
    return [found[i] for i in sorted(best)]


def _is_whole(sentence: str, content_words: int) -> bool:
    """Return whether a sentence says something by itself: a table row, or enough words up to a full stop."""
    if sentence.startswith("|"):
        return content_words > 1
    return content_words >= LEAST_STEMS and sentence.rstrip("\"'”’»)*_`").endswith(
        (".", "!", "?", "…", "。", "।", "؟", ";")
    )


def _scores(cosine: np.ndarray, found: Sequence[tuple[Passage, Span, float]]) -> np.ndarray:
    words = np.array([share for _, _, share in found])
    near = np.array([passage.score for passage, _, _ in found])
    return np.asarray(0.5 * cosine + 0.25 * words + 0.25 * near)
