"""Do the notes answer it? One number against one threshold, calibrated for each embedding model.

    evidence = fused score of the best chunk + cosine_weight · best cosine

The fused score counts how much of the question's words, weighted by rarity, one chunk and its file hold; the
cosine counts meaning. `ask calibrate` chooses weight and threshold so that at most one in twenty questions that
the notes answer is refused, on every set of cases it is given. Where the model has no calibration, nothing is
refused and the answer says so. Just above the threshold the evidence is weak, and the answer says that. A reranker
changes none of it.
"""

import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from assistant.retrieve import Retrieval


@dataclass(frozen=True, slots=True)
class Calibration:
    """What `ask calibrate` found for one embedding model."""

    model: str
    """Its name, for people."""
    sha256: str
    """Of its weights: whose calibration this is."""
    cosine_weight: float
    threshold: float
    """Evidence below it is not enough."""
    measured: str
    """On which cases, with which rates."""
    caution: float = 0.0
    """Evidence below it is enough, and weak: an answer says so."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the notes answer a question."""

    answerable: bool
    evidence: float
    threshold: float
    """0 where there is no calibration."""
    calibrated: bool
    weak: bool = False
    """Whether it is just above the threshold, where most of what is answered wrongly lies."""


def evidence(retrieval: Retrieval, cosine_weight: float) -> float:
    """Return how strongly the notes speak to the question, about 0 to 1.5; 0 where nothing was found."""
    if not retrieval.candidates:
        return 0.0
    cosine = max(passage.cosine for passage in retrieval.candidates)
    return retrieval.best + cosine_weight * cosine


def judge(retrieval: Retrieval, calibration: Calibration | None) -> Verdict:
    """Return whether the notes answer the question that was retrieved for."""
    if calibration is None:
        return Verdict(bool(retrieval.candidates), evidence(retrieval, 0.0), 0.0, False)
    found = evidence(retrieval, calibration.cosine_weight)
    enough = found >= calibration.threshold
    return Verdict(enough, found, calibration.threshold, True, weak=enough and found < calibration.caution)


def load_calibration(sha256: str, home: Path) -> Calibration | None:
    """Return the user's own calibration of the model with these weights, else the one that is shipped, else None."""
    name = f"{sha256[:16]}.json"
    for place in (
        home.expanduser() / "calibration" / name,
        resources.files("assistant") / "calibration" / name,
    ):
        if place.is_file():
            return Calibration(**json.loads(place.read_text(encoding="utf-8")))
    return None


def save_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write a calibration where `load_calibration` looks; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{calibration.sha256[:16]}.json"
    path.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")
    return path
