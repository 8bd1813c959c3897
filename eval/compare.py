"""Two runs over the same cases: what became better or worse, and what may be chance.

Each score is paired case by case: the interval of the difference by bootstrap, and a test that is valid for few cases,
too: McNemar's for scores of 0 and 1, else by swapping pairs at random. Where either could be chance the verdict is 'no
difference shown', whatever the means; with fewer than six cases no outcome could convince, and it is 'too few to say'.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval import metrics
from eval.metrics import bootstrap, mcnemar, randomization
from eval.score import DERIVED, LOWER_IS_BETTER, NEITHER, Facts, Row, Statistic, bounds
from ingest.errors import StudyError

BETTER, WORSE, CHANGED = "better", "worse", "changed"
NO_DIFFERENCE, TOO_FEW = "no difference shown", "too few to say"
LEAST_CASES = 6
"""With five, all of them worse, the exact test gives p = 2 / 2^5 = .0625."""
CHANCE = 0.05
"""What chance makes more often than this is no difference shown."""
SWAPS = 1000

LEAST_CHANGE = 0.001
"""A smaller change of a mean is rounding: baselines keep five digits, processors differ in the seventh."""


class NothingInCommon(StudyError):
    """The runs have no case in common."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"the runs {one} and {other} have no case in common; compare runs of the same cases")


@dataclass(frozen=True, slots=True)
class Difference:
    """How a score differs between two runs, over the cases that both have."""

    suite: str
    metric: str
    before: float
    after: float
    low: float
    """Ends of the 95 % interval of after - before."""
    high: float
    p: float
    """That chance alone makes as large a difference: McNemar's for scores of 0 and 1, else by swapping pairs."""
    n: int
    """Cases in common."""
    verdict: str
    """better, worse, changed (where neither way is better), no difference shown, or too few to say."""


def compare(before: Sequence[Row], after: Sequence[Row], only: Collection[str] = ()) -> list[Difference]:
    """Return the difference of every score that both runs have, by suite; `only` those of these names, if any."""

    def wanted(name: str) -> bool:
        return not only or name in only

    found = []
    for suite in dict.fromkeys(row.suite for row in before):
        one, other = _by_case(before, suite), _by_case(after, suite)
        common = [case for case in one if case in other]
        pairs = [(one[case], other[case]) for case in common]
        names = dict.fromkeys(name for a, b in pairs for name in a.values if name in b.values and wanted(name))
        found += [_of_means(suite, name, pairs) for name in names]
        found += [
            difference
            for name in DERIVED.get(suite, {})
            if wanted(name) and pairs and (difference := _of_statistic(suite, name, pairs)) is not None
        ]
    return found


def fallen(before: Sequence[Row], after: Sequence[Row], suite: str, metric: str) -> list[str]:
    """Return the cases that a score became worse of, in their order."""
    one, other = _by_case(before, suite), _by_case(after, suite)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return [
        case
        for case in one
        if case in other
        and metric in one[case].values
        and metric in other[case].values
        and sign * (one[case].values[metric] - other[case].values[metric]) > LEAST_CHANGE
    ]


def require_common(before: Sequence[Row], after: Sequence[Row], one: str, other: str) -> None:
    """Raise NothingInCommon where two runs can't be compared."""
    if not {(row.suite, row.case) for row in before} & {(row.suite, row.case) for row in after}:
        raise NothingInCommon(one, other)


def _by_case(rows: Sequence[Row], suite: str) -> Mapping[str, Row]:
    return {row.case: row for row in rows if row.suite == suite}


def _of_means(suite: str, name: str, pairs: Sequence[tuple[Row, Row]]) -> Difference:
    both = [(a.values[name], b.values[name]) for a, b in pairs if name in a.values and name in b.values]
    before, after = (np.array(values, float) for values in zip(*both, strict=True))
    change = after - before
    drawn = bootstrap(lambda chosen: float(change[chosen].mean()), len(change))
    low, high = metrics.change(float(change.mean()), drawn, len(change), bounds(name))
    binary = set(before.tolist()) | set(after.tolist()) <= {0.0, 1.0}
    p = mcnemar(before.tolist(), after.tolist()) if binary else randomization(change.tolist())
    verdict = _verdict(name, float(change.mean()), drawn, p, len(both))
    return Difference(suite, name, float(before.mean()), float(after.mean()), low, high, p, len(both), verdict)


def _of_statistic(suite: str, name: str, pairs: Sequence[tuple[Row, Row]]) -> Difference | None:
    statistic = DERIVED[suite][name]
    having = [(a, b) for a, b in pairs if statistic.counts(a) and statistic.counts(b)]
    before, after = (statistic.facts([pair[side] for pair in having]) for side in (0, 1))
    whole = (statistic.of(before), statistic.of(after)) if having else (math.nan, math.nan)
    if math.isnan(sum(whole)):
        return None

    def change(drawn: np.ndarray) -> float:
        one, other = ({name: of[drawn] for name, of in facts.items()} for facts in (before, after))
        return statistic.of(other) - statistic.of(one)

    differs = whole[1] - whole[0]
    drawn = bootstrap(change, len(having), resamples=1000)
    rests_on = min(statistic.rests_on(before), statistic.rests_on(after))
    low, high = metrics.change(differs, drawn, rests_on, bounds(name))
    p = _swapped(statistic, before, after, differs)
    verdict = _verdict(name, differs, drawn, p, len(having))
    return Difference(suite, name, *whole, low, high, p, len(having), verdict)


def _swapped(statistic: Statistic, before: Facts, after: Facts, differs: float) -> float:
    """Return the share of random swaps of pairs that differ as much, the one that was seen among them."""
    if not differs:
        return 1.0
    generator, as_much = np.random.default_rng(0), 1
    names = statistic.needs
    for _ in range(SWAPS):
        swap = generator.random(len(before[names[0]])) < 0.5
        one, other = (
            {name: np.where(swap, there[name], here[name]) for name in names}
            for here, there in ((before, after), (after, before))
        )
        as_much += abs(statistic.of(other) - statistic.of(one)) >= abs(differs) * (1 - 1e-9)
    return as_much / (1 + SWAPS)


def _verdict(name: str, change: float, drawn: tuple[float, float], p: float, n: int) -> str:
    low, high = drawn
    if n < LEAST_CASES:
        return TOO_FEW
    if abs(change) < LEAST_CHANGE or low <= 0 <= high or p > CHANCE:
        return NO_DIFFERENCE
    if name in NEITHER:
        return CHANGED
    return BETTER if (low > 0) != (name in LOWER_IS_BETTER) else WORSE


def worst_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """Return the `count` rows of each suite that did worst, worst first; none that did all well."""
    found = []
    for suite in dict.fromkeys(row.suite for row in rows):
        own = [row for row in rows if row.suite == suite and badness(row)]
        found += sorted(own, key=badness, reverse=True)[:count]
    return found


def badness(row: Row) -> float:
    """Return how badly a case did: the mean of its scores that have a better side, each from 0 (best)."""
    judged = {name: value for name, value in row.values.items() if name not in NEITHER}
    bad = [value if name in LOWER_IS_BETTER else 1 - value for name, value in judged.items()]
    return sum(bad) / len(bad) if bad else 0.0
