"""Is our retrieval better than the usual ways, beyond chance? Paired, question by question.

    python -m eval.baselines FOLDER…      each with corpus/, queries.jsonl and, if there is one, docs.jsonl

On the same chunks, each question is searched by meaning alone, by BM25 alone and by their reciprocal rank fusion
(k 60, Cormack et al. 2009); a file counts by its best chunk. Ours is held against the best of the three of each set,
chosen by its nDCG@10. The last line is the mean of the sets' differences, questions drawn within each set.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from assistant.retrieve import DEPTH
from assistant.settings import AssistantSettings
from eval import retrieval
from eval.cases import Case, read_cases, read_units
from eval.command import folder, one_line, parser_of
from eval.compare import compare
from eval.metrics import bootstrap, ndcg, reciprocal_rank
from eval.score import RETRIEVAL, Row
from eval.scratch import open_index
from ingest.chunk import Chunk
from ingest.shelf import Shelf

RRF_K = 60
METRICS = ("ndcg@10", "mrr@10")


def usual(shelf: Shelf, cases: Sequence[Case], units: Mapping[str, str]) -> dict[str, list[Row]]:
    """Return the rows of the three usual ways, by name."""
    view = shelf.view()
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for case in cases:
        dense = [hit.chunk for hit in view.nearest(shelf.embedder.encode_query(case.question)[0].tolist(), DEPTH)]
        words = [hit.chunk for hit in view.matching(case.question, DEPTH)]
        for name, chunks in (("dense", dense), ("BM25", words), ("RRF", fused(dense, words))):
            ranked = list(dict.fromkeys(units.get(chunk.path, chunk.path) for chunk in chunks))
            scores = ndcg(ranked, case.gold_units), reciprocal_rank(ranked, case.gold_units)
            found[name].append(Row(RETRIEVAL, case.id, case.question, (), dict(zip(METRICS, scores, strict=True))))
    return found


def fused(*lists: Sequence[Chunk]) -> list[Chunk]:
    """Return the chunks by the sum of 1 / (60 + rank), best first."""
    scores: defaultdict[str, float] = defaultdict(float)
    chunks: dict[str, Chunk] = {}
    for ranked in lists:
        for rank, chunk in enumerate(ranked, start=1):
            scores[chunk.id] += 1 / (RRF_K + rank)
            chunks[chunk.id] = chunk
    return [chunks[one] for one in sorted(scores, key=lambda one: -scores[one])]


def best_of(found: Mapping[str, Sequence[Row]]) -> str:
    """Return the way whose nDCG@10 is highest."""
    return max(found, key=lambda name: sum(row.values["ndcg@10"] for row in found[name]))


def mean_gain(gains: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return the mean over sets of their mean gain, with its interval, questions drawn within each set."""
    generator = np.random.default_rng(0)

    def draw(_: np.ndarray) -> float:
        return float(np.mean([gain[generator.integers(0, len(gain), len(gain))].mean() for gain in gains]))

    low, high = bootstrap(draw, 1)
    return float(np.mean([gain.mean() for gain in gains])), low, high


def main() -> None:
    """Print a line for each set and score, and the means."""
    parser = parser_of("baselines", __doc__)
    parser.add_argument("folder", nargs="+", type=folder)
    settings = AssistantSettings()
    gains: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for place in parser.parse_args().folder:
        units = read_units(place / "docs.jsonl")
        cases = [case for case in read_cases(place / "queries.jsonl") if case.answerable and case.gold_units]
        shelf, _ = open_index(settings, place / "corpus")
        theirs = usual(shelf, cases, units)
        ours = list(retrieval.rows(shelf, cases, units, retrieval.searcher(shelf, top_k=settings.top_k)))
        best = best_of(theirs)
        for one in compare(theirs[best], ours):
            change = f"{one.after - one.before:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
            values = f"{best} {one.before:.3f}, ours {one.after:.3f}"
            print(f"{place.name:<10}{one.metric:<10}{values:<28}{change}  n {one.n}  {one.verdict}")
        for metric in METRICS:
            pairs = zip(theirs[best], ours, strict=True)
            gains[metric].append(np.array([b.values[metric] - a.values[metric] for a, b in pairs]))
        shelf.close()
    for metric, found in gains.items():
        mean, low, high = mean_gain(found)
        print(f"{'mean':<10}{metric:<10}{mean:+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    with one_line():
        main()
