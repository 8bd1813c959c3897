"""Does it say 'your notes don't say' where they don't, and only there? By the evidence that was retrieved.

A question counts as wrongly answered if the notes don't answer it, or if none of the passages that an answer
would be made from is of a gold unit. `curve` gives the rates for every threshold, the one in force among them.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from assistant.refuse import Calibration, judge
from eval.cases import Case
from eval.metrics import risk_coverage
from eval.retrieval import Search
from eval.score import REFUSAL, Row


class Point(NamedTuple):
    """What one threshold does."""

    threshold: float
    false_answer: float
    """Share of the unanswerable that are answered."""
    false_refusal: float
    """Share of the answerable that are refused."""


def rows(
    cases: Sequence[Case], units: Mapping[str, str], calibration: Calibration | None, search: Search
) -> Iterator[Row]:
    """Yield a row for each case: answerable or not, refused or not."""
    for case in cases:
        started = time.perf_counter()
        found = search(case)
        verdict = judge(found, calibration)
        ms = (time.perf_counter() - started) * 1000
        of = {units.get(passage.chunk.path, passage.chunk.path) for passage in found.passages}
        wrong = not case.answerable or bool(case.gold_units and not of & set(case.gold_units))
        value = {"false_refusal": not verdict.answerable} if case.answerable else {"false_answer": verdict.answerable}
        facts = {"evidence": verdict.evidence, "answerable": float(case.answerable), "wrong": float(wrong)}
        best = found.passages[0].chunk.path if found.passages else ""
        detail = {"answered": verdict.answerable, "threshold": verdict.threshold, "best": best}
        values = {name: float(flag) for name, flag in value.items()}
        yield Row(REFUSAL, case.id, case.question, case.kinds, values, facts, detail, ms)


def curve(rows: Sequence[Row]) -> list[Point]:
    """Return both error rates at every threshold that tells two cases apart, lowest first."""
    good, bad = (
        np.array([row.facts["evidence"] for row in rows if row.facts["answerable"] == answerable])
        for answerable in (1.0, 0.0)
    )
    return [
        Point(threshold, float((bad >= threshold).mean()) if len(bad) else 0.0, float((good < threshold).mean()))
        for threshold in sorted({*good.tolist(), *bad.tolist()})
        if len(good)
    ]


def coverage(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return (coverage, risk) at every threshold, strictest first."""
    return risk_coverage([row.facts["evidence"] for row in rows], [row.facts["wrong"] for row in rows])
