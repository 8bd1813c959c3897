"""Which chunks hold the gold sentences of a case.

Sentences are looked for by their letters and digits alone: sets write 'one - year' where the note has 'one-year'.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from eval.cases import Case
from ingest.chunk import Chunk
from ingest.index import View
from ingest.ledger import Ledger
from ingest.sentences import Span

LEAST_SHARE = 0.5
"""A chunk holds a gold stretch if it has this much of it, or lies with so much of itself in it."""


def find(quote: str, text: str) -> Span | None:
    """Return where a quote stands in a text, whatever its blanks, case and punctuation; None: nowhere."""
    wanted, _ = _squeeze(quote)
    squeezed, places = _squeeze(text)
    first = squeezed.find(wanted) if wanted else -1
    return (places[first], places[first + len(wanted) - 1] + 1) if first >= 0 else None


@lru_cache(maxsize=256)
def _squeeze(text: str) -> tuple[str, Sequence[int]]:
    """Return the letters and digits of a text, and where each stands in it."""
    folded = [(letter, at) for at, whole in enumerate(text) if whole.isalnum() for letter in whole.casefold()]
    return "".join(letter for letter, _ in folded), [at for _, at in folded]


def gold_chunks(
    cases: Sequence[Case], view: View, text_of: Callable[[str], str | None], version_of: Callable[[str], str]
) -> dict[str, tuple[str, ...]]:
    """Return the ids of the chunks that hold each case's gold sentences, by the case's id.

    A case whose notes hold none of its sentences, or that has none, is left out.

    Args:
        cases: The cases.
        view: The index.
        text_of: Gives the text of a note's version.
        version_of: Gives the version of the note at a path; empty where there is none.
    """
    wanted = {path for case in cases for path, _ in quotes(case)}
    chunks: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk, _ in view.scroll() if wanted else ():
        if chunk.path in wanted:
            chunks[chunk.path].append(chunk)
    texts = {path: text_of(version_of(path)) or "" for path in wanted}
    found = {}
    for case in cases:
        ids: dict[str, None] = {}
        for path, quote in quotes(case):
            span = find(quote, texts[path])
            ids |= dict.fromkeys(chunk.id for chunk in chunks[path] if span and holds(chunk, span))
        if ids:
            found[case.id] = tuple(ids)
    return found


def quotes(case: Case) -> Iterable[tuple[str, str]]:
    """Yield each gold sentence of a case with each note that it may stand in."""
    yield from case.gold_passages
    if not case.gold_passages:
        yield from ((path, sentence) for sentence in case.gold_sentences for path in case.gold_docs)


def holds(chunk: Chunk, span: Span) -> bool:
    """Return whether a chunk has at least half of a stretch of its note, or lies half within it."""
    common = min(chunk.end, span[1]) - max(chunk.start, span[0])
    return common >= LEAST_SHARE * min(span[1] - span[0], chunk.end - chunk.start)


def reader(ledger: Ledger) -> Callable[[str], str]:
    """Return what gives a note's version."""
    notes = ledger.notes()
    return lambda path: notes[path].version if path in notes else ""
