"""A case becomes a row, rows become scores.

    {"suite": "refusal", "case": "clapnq-17", "question": "…", "tags": ["open"], "values": {"false_refusal": 0.0},
     "facts": {"evidence": 0.61, "answerable": 1.0}, "detail": {"best": "notes/a.md"}, "ms": 8.1}

is a row. A score is the mean of a value over the rows that have it, or a statistic of their facts (`DERIVED`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.metrics import SHARE, Bounds, Estimate, area_under_risk, auroc, bootstrap, estimate, honest

RETRIEVAL, REFUSAL, ANSWER, MCQ, QUIZ = "retrieval", "refusal", "answer", "mcq", "quiz"
SUITES = (RETRIEVAL, REFUSAL, ANSWER, MCQ, QUIZ)

LOWER_IS_BETTER = frozenset(
    "false_answer false_refusal aurc failed unparsed judge_unparsed judge_order_matters duplicate key_bias".split()
)
NEITHER = frozenset(
    "words words_shown prompt_tokens answer_tokens without_notes answered judge_length_r guessed "
    "longest_is_key longest_by_chance".split()
)
"""Told, and no reason to prefer one run to another."""
COUNTS = frozenset("words words_shown prompt_tokens answer_tokens".split())
"""Scores without an upper bound."""
SIGNED = frozenset("gain judge_length_r".split())
"""Scores from -1 to 1; all others are from 0 to 1."""
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
    trace: str = ""
    """Id of the answer's trace; empty where none was made."""


Facts = Mapping[str, np.ndarray]
"""Numbers of many rows, by name."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A score that is no mean."""

    needs: tuple[str, ...]
    """Facts that a row must have to count."""
    of: Callable[[Facts], float]
    """The score; not a number where these rows can't give one."""
    rests_on: Callable[[Facts], float] = lambda facts: len(next(iter(facts.values())))
    """How many cases it varies like a share of."""

    def facts(self, rows: Sequence[Row]) -> Facts:
        """Return the facts that it needs of rows that have them."""
        return {name: np.array([row.facts[name] for row in rows], float) for name in self.needs}

    def counts(self, row: Row) -> bool:
        """Return whether a row has what it needs."""
        return all(name in row.facts for name in self.needs)


def _auroc(facts: Facts) -> float:
    good, bad = _split(facts)
    return auroc(good.tolist(), bad.tolist()) if len(good) and len(bad) else math.nan


def _refused_at_95(facts: Facts) -> float:
    """Return the share of the unanswerable that a threshold refuses which keeps 95 % of the answerable."""
    good, bad = _split(facts)
    return float((bad < np.quantile(good, 1 - KEPT, method="lower")).mean()) if len(good) and len(bad) else math.nan


def _split(facts: Facts) -> tuple[np.ndarray, np.ndarray]:
    """Return the evidence of the answerable and of the others."""
    return facts["evidence"][facts["answerable"] > 0], facts["evidence"][facts["answerable"] == 0]


def _fewer(facts: Facts) -> float:
    """Return how many there are of the rarer kind: the AUROC varies at most like a share of these (Birnbaum 1957)."""
    return min(map(len, _split(facts)))


def _aurc(facts: Facts) -> float:
    return area_under_risk(facts["evidence"].tolist(), facts["wrong"].tolist())


def _length_r(facts: Facts) -> float:
    """Return how far longer answers are judged better (Pearson): near 0 where length does not count."""
    words, judged = facts["words"], facts["judged"]
    if len(words) < 3 or not (words.std() and judged.std()):
        return math.nan
    return float(np.corrcoef(words, judged)[0, 1])


def _key_bias(facts: Facts) -> float:
    """Return how far the keys' positions are from uniform: half the sum of differences, 0 to 1 (total variation)."""
    options = int(facts["options"].max())
    shares = np.bincount(facts["key"].astype(int), minlength=options) / len(facts["key"])
    return float(np.abs(shares - 1 / options).sum() / 2)


DERIVED: Mapping[str, Mapping[str, Statistic]] = {
    REFUSAL: {
        "auroc": Statistic(("evidence", "answerable"), _auroc, _fewer),
        "refused_at_95": Statistic(("evidence", "answerable"), _refused_at_95, _fewer),
        "aurc": Statistic(("evidence", "wrong"), _aurc),
    },
    QUIZ: {"key_bias": Statistic(("key", "options"), _key_bias)},
    ANSWER: {"judge_length_r": Statistic(("words", "judged"), _length_r)},
}
"""Scores of a suite that are no means."""


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, Estimate]]:
    """Return every score of every suite that has rows."""
    found: dict[str, dict[str, Estimate]] = {}
    for suite in SUITES:
        own = [row for row in rows if row.suite == suite]
        names = dict.fromkeys(name for row in own for name in row.values)
        scores = {name: mean(name, own) for name in names}
        for name, statistic in DERIVED.get(suite, {}).items():
            if one := derived(name, own, statistic):
                scores[name] = one
        if scores:
            found[suite] = scores
    return found


def bounds(name: str) -> Bounds | None:
    """Return between what a score lies."""
    return None if name in COUNTS else (-1.0, 1.0) if name in SIGNED else SHARE


def mean(name: str, rows: Sequence[Row]) -> Estimate:
    """Return the mean of a value over the rows that have it."""
    return estimate([row.values[name] for row in rows if name in row.values], bounds(name))


def derived(name: str, rows: Sequence[Row], statistic: Statistic) -> Estimate | None:
    """Return a statistic of the rows with its interval; None where they can't give it."""
    having = [row for row in rows if statistic.counts(row)]
    facts = statistic.facts(having)
    value = statistic.of(facts) if having else math.nan
    if math.isnan(value):
        return None
    drawn = bootstrap(
        lambda chosen: statistic.of({name: of[chosen] for name, of in facts.items()}), len(having), resamples=1000
    )
    return honest(value, drawn, statistic.rests_on(facts), bounds(name))._replace(n=len(having))
