"""Are the right notes found? Each question against the index of its notes, scored by unit and by passage.

    python -m eval.retrieval FOLDER…      each with corpus/, queries.jsonl and, if there is one, docs.jsonl

prints nDCG@10 and the rest of each set; `ask eval --suite retrieval` does the same for one set and keeps the run.
A unit (a file, or the lesson that docs.jsonl puts it in) ranks where its best chunk ranks. Scores whose names
begin with `passage_` look at chunks: right is one that holds a gold sentence.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from assistant.retrieve import Passage, Reranker, Retrieval, retrieve
from eval.cases import Case, read_cases, read_units
from eval.command import folder, one_line, parser_of
from eval.metrics import Estimate, hit, ndcg, recall, reciprocal_rank
from eval.passages import Spans, gold_chunks, gold_spans, holds
from eval.score import RETRIEVAL, Row, summarise
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync

SHOWN = 10
"""How many of the best places a row remembers."""


Search = Callable[[Case], Retrieval]
"""Finds passages for a case."""


def searcher(
    shelf: Shelf,
    *,
    top_k: int,
    reranker: Reranker | None = None,
    ask: Callable[[Case], str] = lambda case: case.question,
) -> Search:
    """Return what searches the notes, as they are published now.

    Args:
        shelf: The notes, synced.
        top_k: Most passages that an answer would be made from.
        reranker: Where one is set.
        ask: Gives what is searched for: the question, or what a follow-up becomes.
    """
    view = shelf.view()
    return lambda case: retrieve(
        ask(case), view, shelf.embedder, top_k=top_k, reranker=reranker, text_of=shelf.ledger.text
    )


def rows(shelf: Shelf, cases: Sequence[Case], units: Mapping[str, str], search: Search) -> Iterator[Row]:
    """Yield a row for each case that the notes answer and that says where.

    Args:
        shelf: The notes, synced.
        cases: The questions.
        units: The unit of each file; a file that is not in it is its own.
        search: Finds the passages.
    """
    wanted = [case for case in cases if case.answerable and case.gold_units]
    spans = gold_spans(wanted, shelf.ledger)
    gold = gold_chunks(spans, shelf.view())
    for case in wanted:
        started = time.perf_counter()
        found = search(case)
        ms = (time.perf_counter() - started) * 1000
        ranked = list(dict.fromkeys(units.get(passage.chunk.path, passage.chunk.path) for passage in found.candidates))
        values = _scores("", ranked, case.gold_units)
        if case.id in gold:
            values |= _scores("passage_", [passage.chunk.id for passage in found.candidates], gold[case.id])
        values["shown"] = shown(found.passages, spans.get(case.id, []), case.gold_units, units)
        values["words_shown"] = float(sum(len(passage.chunk.text.split()) for passage in found.passages))
        detail = {"gold": list(case.gold_units), "found": ranked[:SHOWN], "passages": _places(found.passages)}
        yield Row(RETRIEVAL, case.id, case.question, case.kinds, values, {}, detail, ms)


def shown(passages: Sequence[Passage], spans: Spans, gold: Sequence[str], units: Mapping[str, str]) -> float:
    """Return the share of the gold sentences that an answer would be made from; of the gold units where none is known.

    Args:
        passages: What an answer would be made from.
        spans: Where the gold sentences stand.
        gold: The gold units.
        units: The unit of each file.
    """
    if not spans:
        return recall([units.get(passage.chunk.path, passage.chunk.path) for passage in passages], gold, len(passages))
    return sum(
        any(passage.chunk.path == path and holds(passage.chunk, span) for passage in passages) for path, span in spans
    ) / len(spans)


def _scores(name: str, ranked: Sequence[str], gold: Sequence[str]) -> dict[str, float]:
    return {
        f"{name}ndcg@10": ndcg(ranked, gold),
        f"{name}mrr@10": reciprocal_rank(ranked, gold),
        f"{name}hit@1": hit(ranked, gold, 1),
        f"{name}hit@5": hit(ranked, gold, 5),
        f"{name}hit@10": hit(ranked, gold, 10),
        f"{name}recall@5": recall(ranked, gold, 5),
        f"{name}recall@10": recall(ranked, gold, 10),
    }


def _places(passages: Sequence[Passage]) -> list[str]:
    return [
        f"{passage.chunk.path}, {passage.chunk.place_at(passage.chunk.start).locator} ({passage.score:.3f})"
        for passage in passages
    ]


def score(shelf: Shelf, folder: Path) -> Mapping[str, Estimate]:
    """Return the scores of a set: a folder with corpus/ (which `shelf` has synced) and queries.jsonl."""
    cases, units = read_cases(folder / "queries.jsonl"), read_units(folder / "docs.jsonl")
    found = rows(shelf, cases, units, searcher(shelf, top_k=1))
    return summarise(list(found))[RETRIEVAL]


def main() -> None:
    """Print a table row per set. The index of each corpus is kept in STUDY_HOME."""
    parser = parser_of("retrieval", __doc__)
    parser.add_argument("folder", nargs="+", type=folder)
    settings = IngestSettings()
    for place in parser.parse_args().folder:
        with closing(Shelf(settings.model_copy(update={"notes": place / "corpus"}))) as shelf:
            sync(shelf)
            scores = score(shelf, place)
        named = {metric: scores[metric] for metric in ("ndcg@10", "mrr@10", "hit@1", "hit@5")}
        cells = [f"{metric} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for metric, one in named.items()]
        print(f"{place.name:<10}", "  ".join(cells))


if __name__ == "__main__":
    with one_line():
        main()
