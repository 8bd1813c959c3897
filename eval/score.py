"""A case becomes a row, rows become scores.

    {"suite": "refusal", "case": "clapnq-17", "question": "…", "tags": ["open"], "values": {"false_refusal": 0.0},
     "facts": {"evidence": 0.61, "answerable": 1.0}, "detail": {"best": "notes/a.md"}, "ms": 8.1}

is a row. A score is the mean of a value over the rows that have it, or a statistic of their facts (`DERIVED`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.metrics import Estimate, area_under_risk, auroc, bootstrap, estimate

RETRIEVAL, REFUSAL, ANSWER, MCQ = "retrieval", "refusal", "answer", "mcq"
SUITES = (RETRIEVAL, REFUSAL, ANSWER, MCQ)

LOWER_IS_BETTER = frozenset(
    "false_answer false_refusal aurc unparsed duplicates longest_is_key_excess key_position_bias".split()
)
NEITHER = frozenset("words words_shown ms prompt_tokens answer_tokens guessed without_notes answered".split())
"""Told, and no reason to prefer one run to another."""
KEPT = 0.95
"""Share of the answerable questions that `refused_at_95` lets through."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one case came to in one suite."""

    suite: str
    case: str
    """The case's id."""
    question: str
    tags: tuple[str, ...]
    values: dict[str, float]
    """One number for each score that is a mean."""
    facts: dict[str, float] = field(default_factory=dict)
    """Numbers that other scores are made from."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What a person wants to see who asks why: answer, passages, citations."""
    ms: float = 0.0
    """How long it took."""


Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""Of the rows' evidence, answerable (0 or 1) and wrong (0 or 1)."""


def refused_at_95(evidence: np.ndarray, answerable: np.ndarray) -> float:
    """Return the share of the unanswerable that a threshold refuses which keeps 95 % of the answerable."""
    good, bad = evidence[answerable > 0], evidence[answerable == 0]
    return float((bad < np.quantile(good, 1 - KEPT, method="lower")).mean())


def _both(of: Callable[[np.ndarray, np.ndarray], float]) -> Statistic:
    """Answer 'not a number' where a draw has no answerable or no unanswerable question."""

    def statistic(evidence: np.ndarray, answerable: np.ndarray, wrong: np.ndarray) -> float:
        return of(evidence, answerable) if 0 < answerable.sum() < len(answerable) else float("nan")

    return statistic


def _auroc(evidence: np.ndarray, answerable: np.ndarray) -> float:
    return auroc(evidence[answerable > 0].tolist(), evidence[answerable == 0].tolist())


def _aurc(evidence: np.ndarray, answerable: np.ndarray, wrong: np.ndarray) -> float:
    return area_under_risk(evidence.tolist(), wrong.tolist())


DERIVED: Mapping[str, Mapping[str, Statistic]] = {
    REFUSAL: {"auroc": _both(_auroc), "refused_at_95": _both(refused_at_95), "aurc": _aurc}
}
"""Scores of a suite that are no means."""


def facts_of(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows' evidence, answerable and wrong."""
    names = ("evidence", "answerable", "wrong")
    evidence, answerable, wrong = (np.array([row.facts[name] for row in rows], float) for name in names)
    return evidence, answerable, wrong


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, Estimate]]:
    """Return every score of every suite that has rows."""
    found: dict[str, dict[str, Estimate]] = {}
    for suite in SUITES:
        own = [row for row in rows if row.suite == suite]
        if not own:
            continue
        names = dict.fromkeys(name for row in own for name in row.values)
        found[suite] = {name: estimate([row.values[name] for row in own if name in row.values]) for name in names}
        found[suite] |= {name: derived(own, of) for name, of in DERIVED.get(suite, {}).items() if _has_both(own)}
    return found


def _has_both(rows: Sequence[Row]) -> bool:
    return len({row.facts.get("answerable") for row in rows}) == 2


def derived(rows: Sequence[Row], of: Statistic) -> Estimate:
    """Return a statistic of the rows with its interval."""
    evidence, answerable, wrong = facts_of(rows)
    low, high = bootstrap(lambda drawn: of(evidence[drawn], answerable[drawn], wrong[drawn]), len(rows), resamples=1000)
    return Estimate(of(evidence, answerable, wrong), low, high, len(rows))
