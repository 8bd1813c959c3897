"""Which chunks hold the gold sentences of a case.

Sentences are looked for by their letters and digits alone: sets write 'one - year' where the note has 'one-year'.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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


Spans = list[tuple[str, Span]]
"""Stretches of notes: path, and first and last code point."""


def gold_spans(cases: Sequence[Case], ledger: Ledger) -> dict[str, Spans]:
    """Return where each case's gold sentences stand, by the case's id; a case of which none is found is left out."""
    notes, texts = ledger.notes(), dict[str, str]()
    found: dict[str, Spans] = {}
    for case in cases:
        for path, quote in quotes(case):
            if path not in texts:
                texts[path] = (ledger.text(notes[path].version) if path in notes else None) or ""
            if span := find(quote, texts[path]):
                found.setdefault(case.id, []).append((path, span))
    return found


def gold_chunks(spans: Mapping[str, Spans], view: View) -> dict[str, tuple[str, ...]]:
    """Return the ids of the chunks that hold each case's gold sentences, by the case's id."""
    wanted = {path for found in spans.values() for path, _ in found}
    chunks: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk, _ in view.scroll() if wanted else ():
        if chunk.path in wanted:
            chunks[chunk.path].append(chunk)
    return {
        case: tuple(dict.fromkeys(one.id for path, span in found for one in chunks[path] if holds(one, span)))
        for case, found in spans.items()
    }


def quotes(case: Case) -> Iterable[tuple[str, str]]:
    """Yield each gold sentence of a case with each note that it may stand in."""
    yield from case.gold_passages
    if not case.gold_passages:
        yield from ((path, sentence) for sentence in case.gold_sentences for path in case.gold_docs)


def holds(chunk: Chunk, span: Span) -> bool:
    """Return whether a chunk has at least half of a stretch of its note, or lies half within it."""
    common = min(chunk.end, span[1]) - max(chunk.start, span[0])
    return common >= LEAST_SHARE * min(span[1] - span[0], chunk.end - chunk.start)
