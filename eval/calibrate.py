"""How much evidence is enough: chosen from questions that the notes answer and questions that they don't.

python -m eval.calibrate FOLDER…    each with corpus/, queries.jsonl and, if there is one, ood_queries.jsonl
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from assistant.refuse import Calibration, save_calibration
from assistant.retrieve import retrieve
from eval.cases import Case, read_cases, read_others
from eval.command import folder, one_line, parser_of
from eval.metrics import auroc
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync

MOST_REFUSED = 0.05
"""Largest share of answerable questions that may be refused, on every set."""
MOST_WEAK = 0.15
"""Largest share of answerable questions, on every set, whose evidence is weak or none."""
COSINE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

ALIKE = 0.01
"""Mean shares of refused questions that differ by less are not told apart."""
MARGIN = 0.002
"""How far the threshold stays below the next answerable question: processors compute vectors a little otherwise."""

Evidence = tuple[float, float]
"""Best final score, best cosine."""
Sets = Mapping[str, tuple[Sequence[Evidence], Sequence[Evidence]]]
"""Evidence for the answerable and the other questions of each set."""


def gather(shelf: Shelf, cases: Sequence[Case]) -> list[Evidence]:
    """Return the evidence that the notes have for each case."""
    view, found = shelf.view(), []
    for case in cases:
        retrieval = retrieve(case.question, view, shelf.embedder, top_k=1)
        found.append((retrieval.best, max((passage.cosine for passage in retrieval.candidates), default=0.0)))
    return found


def fit(sets: Sets) -> tuple[float, float, float]:
    """Return the weight of the cosine, the threshold, and the evidence below which an answer is called weak.

    For each weight, the threshold is the highest that refuses at most `MOST_REFUSED` of the answerable questions
    of every set. The weight is the one whose threshold refuses most of the others, on average over the sets; among
    those that come within `ALIKE` of it, the one with the best AUROC.

    Args:
        sets: Evidence for (answerable, unanswerable) questions of each set; the latter may be empty.
    """
    found = []
    for weight in COSINE_WEIGHTS:
        scores = [(_mix(good, weight), _mix(bad, weight)) for good, bad in sets.values()]
        threshold, caution = (
            min(_keeping(good, share) for good, _ in scores) - MARGIN for share in (MOST_REFUSED, MOST_WEAK)
        )
        others = [(good, bad) for good, bad in scores if len(bad)]
        refused = [float((bad < threshold).mean()) for _, bad in others]
        areas = [auroc(list(good), list(bad)) for good, bad in others]
        found.append((_mean(refused), _mean(areas), weight, threshold, caution))
    most = max(found)[0]
    return max(one[1:] for one in found if one[0] >= most - ALIKE)[1:]


def _keeping(scores: np.ndarray, share: float) -> float:
    """Return the highest threshold below which at most this share of the scores lies."""
    return float(np.sort(scores)[int(share * len(scores))])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _mix(evidence: Sequence[Evidence], weight: float) -> np.ndarray:
    return np.array([score + weight * cosine for score, cosine in evidence])


def measured(sets: Sets, weight: float, threshold: float, caution: float) -> str:
    """Return one line of rates per set."""
    lines = []
    for name, (answerable, unanswerable) in sets.items():
        good, bad = _mix(answerable, weight), _mix(unanswerable, weight)
        weak = ((good >= threshold) & (good < caution)).mean()
        line = f"{name}: {(good < threshold).mean():.1%} of {len(good)} answerable refused, {weak:.1%} called weak"
        if len(bad):
            weak = ((bad >= threshold) & (bad < caution)).mean()
            refused = f"{(bad < threshold).mean():.1%} of {len(bad)} others refused, {weak:.1%} called weak"
            line += f", {refused}, AUROC {auroc(list(good), list(bad)):.3f}"
        lines.append(line)
    return "; ".join(lines)


def calibrate(settings: IngestSettings, folders: Sequence[Path]) -> Calibration:
    """Index each folder's corpus into a scratch home, gather evidence for its questions, and fit."""
    sets = {}
    embedder = Shelf(settings).embedder
    model = embedder.model
    with tempfile.TemporaryDirectory() as scratch:
        for folder in folders:
            home = Path(scratch) / folder.name
            here = settings.model_copy(update={"home": home, "notes": folder / "corpus", "qdrant_url": ""})
            path = folder / "queries.jsonl"
            cases = [*read_cases(path), *read_others(path)]
            answerable, unanswerable = ([case for case in cases if case.answerable == kind] for kind in (True, False))
            with closing(Shelf(here, embedder=embedder)) as shelf:
                sync(shelf)
                sets[folder.name] = (gather(shelf, answerable), gather(shelf, unanswerable))
    weight, threshold, caution = fit(sets)
    # Rounded down, so that a question on the edge is answered.
    threshold, caution = int(threshold * 1000) / 1000, int(caution * 1000) / 1000
    told = measured(sets, weight, threshold, caution)
    return Calibration(model.name, model.sha256, weight, threshold, told, caution)


def main() -> None:
    """Calibrate the model that is set, on the folders that are named."""
    parser = parser_of("calibrate", __doc__)
    parser.add_argument("folder", nargs="+", type=folder)
    settings = IngestSettings()
    found = calibrate(settings, parser.parse_args().folder)
    print(found.measured.replace("; ", "\n"))
    print(save_calibration(found, settings.home.expanduser() / "calibration"))


if __name__ == "__main__":
    with one_line():
        main()
