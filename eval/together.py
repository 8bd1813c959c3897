"""Several scores are tested at once: could chance alone make any of them differ as much as this?

Ten scores at 5 % each stop one in nine changes that change nothing (docs/LOG.md). So each is held against the largest
difference of all of them under random swaps of whole cases (Westfall & Young 1993, max T). Scores that rise and fall
together, as those of one ranking do, count as little more than one; Holm's correction would count each in full, and
never be convinced by the few cases that a learner has.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.compare import SWAPS, Difference
from eval.score import DERIVED, Row, Statistic


def together(before: Sequence[Row], after: Sequence[Row], found: Sequence[Difference]) -> list[float]:
    """Return for each difference how often chance makes any of them as large; each is measured in its own spread.

    Args:
        before: Rows of one run.
        after: Rows of the other.
        found: Differences between them, by `eval.compare.compare`.
    """
    numbers = {case: n for n, case in enumerate(dict.fromkeys(row.case for row in before))}
    swapped = np.random.default_rng(0).random((SWAPS, len(numbers))) < 0.5
    largest, seen = np.zeros(SWAPS), []
    for one in found:
        drawn = _drawn(one, _pairs(before, after, one), numbers, swapped)
        spread = float(drawn.std())
        largest = np.maximum(largest, abs(drawn) / spread if spread else 0.0)
        seen.append(abs(one.after - one.before) / spread if spread else 0.0)
    return [float((1 + (largest >= strength * (1 - 1e-9)).sum()) / (1 + SWAPS)) for strength in seen]


Pairs = list[tuple[Row, Row]]
"""Rows of one case, before and after."""


def _pairs(before: Sequence[Row], after: Sequence[Row], one: Difference) -> Pairs:
    """Return the rows that a difference is made from."""
    statistic, others = _statistic(one), {row.case: row for row in after if row.suite == one.suite}
    both = [(row, others[row.case]) for row in before if row.suite == one.suite and row.case in others]
    return [
        pair for pair in both if all(statistic.counts(row) if statistic else one.metric in row.values for row in pair)
    ]


def _statistic(one: Difference) -> Statistic | None:
    return DERIVED.get(one.suite, {}).get(one.metric)


def _drawn(one: Difference, pairs: Pairs, numbers: Mapping[str, int], swapped: np.ndarray) -> np.ndarray:
    """Return the difference under each of the swaps."""
    swap, statistic = swapped[:, [numbers[row.case] for row, _ in pairs]], _statistic(one)
    if not statistic:
        change = np.array([other.values[one.metric] - row.values[one.metric] for row, other in pairs])
        return np.asarray((1.0 - 2.0 * swap) @ change / len(pairs))
    here, there = (statistic.facts([pair[side] for pair in pairs]) for side in (0, 1))
    found = [
        statistic.of({name: np.where(other_way, here[name], there[name]) for name in here})
        - statistic.of({name: np.where(other_way, there[name], here[name]) for name in here})
        for other_way in swap
    ]
    return np.asarray(np.nan_to_num(found))
