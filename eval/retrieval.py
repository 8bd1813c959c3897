"""Are the right notes found? Each question of a set against the index of its notes, scored by unit.

python -m eval.retrieval FOLDER…      each with corpus/, queries.jsonl and, if there is one, docs.jsonl
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.retrieve import retrieve
from eval.cases import read_cases, read_units
from eval.metrics import hit, interval, ndcg, reciprocal_rank
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync

Interval = tuple[float, float, float]
"""Mean, and the ends of its 95 % bootstrap interval."""


def score(shelf: Shelf, folder: Path) -> Mapping[str, Interval]:
    """Return nDCG@10, MRR@10, hit@1 and hit@5 of the questions that the notes answer.

    A unit ranks where its best chunk ranks.

    Args:
        shelf: The set's corpus/, synced.
        folder: The set.
    """
    units = read_units(folder / "docs.jsonl")
    rows: list[tuple[float, float, float, float]] = []
    view = shelf.view()
    for case in read_cases(folder / "queries.jsonl"):
        if not case.answerable:
            continue
        found = retrieve(case.question, view, shelf.embedder, top_k=1).candidates
        ranked = _distinct([units.get(passage.chunk.path, passage.chunk.path) for passage in found])
        gold = case.gold_units
        rows.append((ndcg(ranked, gold), reciprocal_rank(ranked, gold), hit(ranked, gold, 1), hit(ranked, gold, 5)))
    names = ("nDCG@10", "MRR@10", "hit@1", "hit@5")
    return {name: interval(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _distinct(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(items))


def main() -> None:
    """Print a table row per set. The index of each corpus is kept in STUDY_HOME."""
    settings = IngestSettings()
    for name in sys.argv[1:]:
        shelf = Shelf(settings.model_copy(update={"notes": Path(name) / "corpus"}))
        sync(shelf)
        scores = score(shelf, Path(name))
        cells = [f"{metric} {mean:.3f} [{low:.3f}, {high:.3f}]" for metric, (mean, low, high) in scores.items()]
        print(f"{Path(name).name:<10}", "  ".join(cells))


if __name__ == "__main__":
    main()
