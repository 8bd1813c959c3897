"""How fast and how well answers came, from the journal: percentiles for people, counters for Prometheus.

Nothing is measured here: every answer brought its timings along (`Answer.timings_ms`), and the journal kept them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.errors import STOPPED
from assistant.journal import Journal, Measured

_FOUND = ("open", "rewrite", "retrieve")
_ASKED = (*_FOUND, "find_model", "prompt", "first_token")
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms. Seconds."""
SPEEDS = (1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
"""Upper bounds of the histogram of tokens per second."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where most of some values lie."""

    p50: float
    p95: float
    n: int
    """How many values there were."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What some answers took, and how they ended. A spread is None where there is no value."""

    answers: int
    outcomes: dict[str, int]
    """How many were answered, quoted, not in the notes."""
    failures: dict[str, int]
    """How many met which failure of the model server, by the error's name."""
    first_passage_ms: Spread | None
    """From the question to its passages."""
    first_token_ms: Spread | None
    """From the question to the model's first token."""
    total_ms: Spread | None
    tokens_per_s: Spread | None
    """Of the model's answer, after the first token."""
    cached: float | None
    """Share of the prompts' tokens that the server had in its cache; None where it counts none."""

    def as_json(self) -> dict[str, Any]:
        """Return what `ask status --json` has under `answers`."""
        return asdict(self)


def first_passage_ms(one: Measured) -> float | None:
    """Return the milliseconds until the passages were there; None where they never were."""
    return sum(one.timings_ms.get(step, 0) for step in _FOUND) if "retrieve" in one.timings_ms else None


def first_token_ms(one: Measured) -> float | None:
    """Return the milliseconds until the model's first token; None where none came."""
    return sum(one.timings_ms.get(step, 0) for step in _ASKED) if "first_token" in one.timings_ms else None


def total_ms(one: Measured) -> float | None:
    """Return the milliseconds until the checked answer was there; None where it was stopped."""
    return one.timings_ms.get("total")


def tokens_per_s(one: Measured) -> float | None:
    """Return how fast the model wrote after its first token; None where it is not known."""
    tokens, took = one.usage.get("answer_tokens", 0), one.timings_ms.get("write", 0)
    return (tokens - 1) * 1000 / took if tokens > 1 and took > 0 and "first_token" in one.timings_ms else None


def figures(measured: Sequence[Measured]) -> Figures:
    """Return the figures of some answers."""
    prompts = sum(one.usage.get("prompt_tokens", 0) for one in measured)
    return Figures(
        answers=len(measured),
        outcomes=dict(sorted(Counter(one.outcome for one in measured).items())),
        failures=_failures(measured),
        first_passage_ms=_spread(map(first_passage_ms, measured)),
        first_token_ms=_spread(map(first_token_ms, measured)),
        total_ms=_spread(map(total_ms, measured)),
        tokens_per_s=_spread(map(tokens_per_s, measured)),
        cached=sum(one.usage.get("cached_tokens", 0) for one in measured) / prompts if prompts else None,
    )


def _failures(measured: Iterable[Measured]) -> dict[str, int]:
    found = Counter(one.failure for one in measured)
    return {kind: found[kind] for kind in sorted(found) if kind not in ("", STOPPED)}


def _spread(values: Iterable[float | None]) -> Spread | None:
    known = sorted(value for value in values if value is not None)
    return Spread(_percentile(known, 0.5), _percentile(known, 0.95), len(known)) if known else None


def _percentile(known: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values, between neighbours in proportion."""
    at = (len(known) - 1) * share
    low = int(at)
    high = min(low + 1, len(known) - 1)
    return round(known[low] + (known[high] - known[low]) * (at - low), 2)


def exposition(journals: Iterable[Journal]) -> tuple[bytes, str]:
    """Return all answers of some journals as Prometheus reads them, and the content type of that.

    No learner, course, question or note is in it.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    every = [one for journal in journals for one in journal.figures(0)]

    class Answers:
        def collect(self) -> Iterable[Any]:
            answers = CounterMetricFamily("study_answers", "Questions by what came of them.", labels=["outcome"])
            for outcome, count in sorted(Counter(one.outcome for one in every).items()):
                answers.add_metric([outcome], count)
            yield answers
            failures = CounterMetricFamily("study_failures", "Failures of the model server.", labels=["kind"])
            for kind, count in _failures(every).items():
                failures.add_metric([kind], count)
            yield failures
            tokens = CounterMetricFamily("study_tokens", "Tokens, as the model server counts.", labels=["kind"])
            for kind in ("prompt", "cached", "answer"):
                tokens.add_metric([kind], sum(one.usage.get(f"{kind}_tokens", 0) for one in every))
            yield tokens
            for name, told, of, unit, bounds in (
                ("first_passage_seconds", "From a question to its passages.", first_passage_ms, 1000, BUCKETS),
                ("first_token_seconds", "From a question to the model's first token.", first_token_ms, 1000, BUCKETS),
                ("answer_seconds", "From a question to its checked answer.", total_ms, 1000, BUCKETS),
                ("tokens_per_second", "How fast the model wrote, after its first token.", tokens_per_s, 1, SPEEDS),
            ):
                values = [value / unit for one in every if (value := of(one)) is not None]
                buckets = [(str(bound), sum(value <= bound for value in values)) for bound in bounds]
                family = HistogramMetricFamily(f"study_{name}", told)
                family.add_metric([], [*buckets, ("+Inf", len(values))], sum(values))
                yield family

    registry = CollectorRegistry()
    registry.register(Answers())
    return generate_latest(registry), CONTENT_TYPE_LATEST
