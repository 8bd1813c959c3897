"""How much evidence is enough: chosen from questions that the notes answer and questions that they don't.

python -m eval.calibrate FOLDER…    each with corpus/, queries.jsonl and, if there is one, ood_queries.jsonl
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from assistant.refuse import Calibration, save_calibration
from assistant.retrieve import retrieve
from eval.cases import Case, read_cases
from eval.metrics import auroc
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync

MOST_REFUSED = 0.05
"""Largest share of answerable questions that may be refused, on every set."""
COSINE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)

Evidence = tuple[float, float]
"""Best final score, best cosine."""


def gather(shelf: Shelf, cases: Sequence[Case]) -> list[Evidence]:
    """Return the evidence that the notes have for each case."""
    view, found = shelf.view(), []
    for case in cases:
        retrieval = retrieve(case.question, view, shelf.embedder, top_k=1)
        found.append((retrieval.best, max((passage.cosine for passage in retrieval.candidates), default=0.0)))
    return found


def fit(sets: Mapping[str, tuple[Sequence[Evidence], Sequence[Evidence]]]) -> tuple[float, float]:
    """Return the weight of the cosine and the threshold.

    For each weight, the threshold is the highest that refuses at most `MOST_REFUSED` of the answerable questions
    of every set; the weight is the one whose threshold refuses most of the others, on average over the sets.

    Args:
        sets: Evidence for (answerable, unanswerable) questions of each set; the latter may be empty.
    """
    best = (-1.0, 0.0, 0.0)
    for weight in COSINE_WEIGHTS:
        scores = {name: (_mix(good, weight), _mix(bad, weight)) for name, (good, bad) in sets.items()}
        threshold = min(float(np.quantile(good, MOST_REFUSED, method="lower")) for good, _ in scores.values())
        refused = [float((bad < threshold).mean()) for _, bad in scores.values() if len(bad)]
        best = max(best, (float(np.mean(refused)) if refused else 0.0, weight, threshold))
    return best[1], best[2]


def _mix(evidence: Sequence[Evidence], weight: float) -> np.ndarray:
    return np.array([score + weight * cosine for score, cosine in evidence])


def measured(sets: Mapping[str, tuple[Sequence[Evidence], Sequence[Evidence]]], weight: float, threshold: float) -> str:
    """Return one line of rates per set."""
    lines = []
    for name, (answerable, unanswerable) in sets.items():
        good, bad = _mix(answerable, weight), _mix(unanswerable, weight)
        line = f"{name}: {(good < threshold).mean():.1%} of {len(good)} answerable refused"
        if len(bad):
            refused = f"{(bad < threshold).mean():.1%} of {len(bad)} others refused"
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
            cases = read_cases(folder / "queries.jsonl")
            others = folder / "ood_queries.jsonl"
            unanswerable = [case for case in cases if not case.answerable]
            unanswerable += read_cases(others, answerable=False) if others.is_file() else []
            answerable = [case for case in cases if case.answerable]
            with closing(Shelf(here, embedder=embedder)) as shelf:
                sync(shelf)
                sets[folder.name] = (gather(shelf, answerable), gather(shelf, unanswerable))
    weight, threshold = fit(sets)
    # Rounded down, so that a question on the edge is answered.
    threshold = int(threshold * 1000) / 1000
    return Calibration(model.name, model.sha256, weight, threshold, measured(sets, weight, threshold))


def main() -> None:
    """Calibrate the model that is set, on the folders that are named."""
    settings = IngestSettings()
    found = calibrate(settings, [Path(name) for name in sys.argv[1:]])
    print(found.measured.replace("; ", "\n"))
    print(save_calibration(found, settings.home.expanduser() / "calibration"))


if __name__ == "__main__":
    main()
