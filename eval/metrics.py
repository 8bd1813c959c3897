"""Scores of one ranked list, and intervals for their means. All pure."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from assistant.interval import wilson

Supports = Callable[[str, Sequence[str]], bool]
"""Whether passages say what a sentence says: `assistant.support.supports`."""


class Estimate(NamedTuple):
    """A score with its 95 % interval: the bootstrap's, or Wilson's where all cases came to the same."""

    value: float
    low: float
    high: float
    n: int
    """How many cases it is made from."""


def hit(ranked: Sequence[str], gold: Sequence[str], k: int) -> float:
    """Return 1 if one of the first `k` is right."""
    return float(any(item in gold for item in ranked[:k]))


def reciprocal_rank(ranked: Sequence[str], gold: Sequence[str], k: int = 10) -> float:
    """Return 1/rank of the first right one among the first `k`, 0 if there is none."""
    return next((1 / rank for rank, item in enumerate(ranked[:k], start=1) if item in gold), 0.0)


def recall(ranked: Sequence[str], gold: Sequence[str], k: int) -> float:
    """Return the share of the right ones that are among the first `k`."""
    return len(set(ranked[:k]) & set(gold)) / len(set(gold)) if gold else 0.0


def ndcg(ranked: Sequence[str], gold: Sequence[str], k: int = 10) -> float:
    """Return normalised discounted cumulative gain with gains of 0 and 1 (Järvelin & Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], start=1) if item in gold)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(set(gold)), k) + 1))
    return gain / best if best else 0.0


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how often a positive scores above a negative, ties counting half (Mann & Whitney 1947)."""
    scores = np.concatenate([np.asarray(positives, float), np.asarray(negatives, float)])
    _, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    n, m = len(positives), len(negatives)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def risk_coverage(evidence: Sequence[float], wrong: Sequence[float]) -> list[tuple[float, float]]:
    """Return (coverage, risk) for every threshold, strictest first (El-Yaniv & Wiener 2010).

    Coverage is the share of questions that are answered, risk the share of the answered that are wrong. Questions
    of equal evidence are answered together.
    """
    coverage, risk = _curve(evidence, wrong)
    return list(zip(coverage.tolist(), risk.tolist(), strict=True))


def area_under_risk(evidence: Sequence[float], wrong: Sequence[float]) -> float:
    """Return the mean risk over all coverages (AURC, Geifman et al. 2019); lower is better."""
    coverage, risk = _curve(evidence, wrong)
    return float((np.diff(coverage, prepend=0.0) * risk).sum())


def _curve(evidence: Sequence[float], wrong: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-np.asarray(evidence, float), kind="stable")
    strictest_first = np.asarray(evidence, float)[order]
    last = np.flatnonzero(np.append(strictest_first[1:] != strictest_first[:-1], True)[: len(order)])
    answered = last + 1
    return answered / max(1, len(order)), np.cumsum(np.asarray(wrong, float)[order])[last] / answered


_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normal(text: str) -> list[str]:
    """Return the words of an answer without case, punctuation and articles (Rajpurkar et al. 2016)."""
    return _ARTICLES.sub(" ", re.sub(r"[^\w\s]", "", text.lower())).split()


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """Return 1 if the answer is one of the right ones, word for word."""
    return float(any(normal(answer) == normal(gold) for gold in golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """Return the harmonic mean of word precision and recall against the nearest right answer."""
    return max((_f1(normal(answer), normal(gold)) for gold in golds), default=0.0)


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold)) if common else 0.0


def citation_recall(claims: Sequence[tuple[str, Sequence[str]]], supports: Supports) -> float:
    """Return the share of sentences that all the passages they cite, taken together, support (ALCE, Gao et al. 2023).

    Args:
        claims: Each sentence with the texts of the passages that it cites.
        supports: The check.
    """
    return _mean([float(bool(cited) and supports(sentence, cited)) for sentence, cited in claims])


def citation_precision(claims: Sequence[tuple[str, Sequence[str]]], supports: Supports) -> float:
    """Return the share of citations that their sentence needs or that support it alone (ALCE).

    A citation of a sentence that its citations don't support counts as wrong; one that does not support it while
    the others do without it is irrelevant, and wrong too. An answer without citations has none right: 0.
    """
    right = []
    for sentence, cited in claims:
        whole = bool(cited) and supports(sentence, cited)
        for i, text in enumerate(cited):
            others = [*cited[:i], *cited[i + 1 :]]
            irrelevant = not supports(sentence, [text]) and bool(others) and supports(sentence, others)
            right.append(float(whole and not irrelevant))
    return _mean(right)


def kappa(one: Sequence[object], other: Sequence[object]) -> float:
    """Return how far two raters agree beyond chance (Cohen 1960): 1 is always, 0 is as by chance.

    Not a number where both give one and the same label throughout: chance alone would agree as well.
    """
    n = len(one)
    if not n:
        return math.nan
    agreed = sum(a == b for a, b in zip(one, other, strict=True)) / n
    mine, theirs = Counter(one), Counter(other)
    chance = sum(mine[label] * theirs[label] for label in mine) / n**2
    return (agreed - chance) / (1 - chance) if chance < 1 else math.nan


def mcnemar(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the exact two-sided p-value that two paired series of 0 and 1 differ (McNemar 1947)."""
    only_one = sum(a > b for a, b in zip(one, other, strict=True))
    only_other = sum(a < b for a, b in zip(one, other, strict=True))
    n, fewer = only_one + only_other, min(only_one, only_other)
    return min(1.0, float(Fraction(2 * sum(math.comb(n, k) for k in range(fewer + 1)), 2**n)))


def randomization(change: Sequence[float], *, draws: int = 4999, seed: int = 0) -> float:
    """Return the two-sided p-value that paired series differ in their mean (Fisher 1935).

    Without a difference each case's change could as well be the other way round: the share of such swaps that
    change the mean as much. All swaps up to 12 cases that differ, `draws` of them beyond (Smucker et al. 2007; the one
    that was seen counts as one of them, Phipson & Smyth 2010).
    """
    differing = np.asarray(change, float)
    differing = differing[differing != 0]
    count, seen = len(differing), abs(differing.sum()) - 1e-9 * abs(differing).sum()
    if count <= 12:
        signs = 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
        return float((abs(signs @ differing) >= seen).mean())
    signs = 2 * np.random.default_rng(seed).integers(0, 2, (draws, count), dtype=np.int8) - 1
    return float((1 + (abs(signs @ differing) >= seen).sum()) / (1 + draws))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, *, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of `n` cases, drawn with replacement (percentiles, Efron 1979).

    Args:
        statistic: Takes the indices of the cases drawn; not a number where the draw has none to offer.
        n: How many cases there are.
    """
    generator = np.random.default_rng(seed)
    found = np.array([statistic(generator.integers(0, n, n)) for _ in range(resamples)])
    if np.isnan(found).all():
        return math.nan, math.nan
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


Bounds = tuple[float, float]
"""What a score can be at least, and at most."""
SHARE: Bounds = (0.0, 1.0)
_SAME = 1e-5
"""Narrower intervals are rounding: baselines keep five digits."""


def honest(value: float, drawn: tuple[float, float], n: float, bounds: Bounds | None) -> Estimate:
    """Return a score with its bootstrap interval, or with Wilson's where the bootstrap has nothing to draw from.

    Where all cases came to the same, every draw does, and the bootstrap claims to be certain: for three hits of three
    as for three hundred. Wilson's interval (JASA 1927) knows how many there were: [.44, 1] and [.99, 1]. It is for
    shares; nothing that lies within `bounds` varies more than a share of the same mean, so it holds for these, too.

    Args:
        value: The score.
        drawn: Ends of its bootstrap interval; not numbers where there is none.
        n: How many cases it rests on.
        bounds: Of the score; None: it has none, and the bootstrap's interval stays.
    """
    low, high = drawn
    if bounds and not high - low > _SAME:
        least, span = bounds[0], bounds[1] - bounds[0]
        low, high = (least + span * end for end in wilson((value - least) / span * n, n))
    return Estimate(value, low, high, int(n))


def change(value: float, drawn: tuple[float, float], n: float, bounds: Bounds | None) -> tuple[float, float]:
    """Return the interval of a paired difference, under the rule of `honest`.

    What rose and what fell are two shares then, each with Wilson's interval, and the ends of their difference follow
    by squares (Newcombe 1998; Zou & Donner 2008).

    Args:
        value: The difference.
        drawn: Ends of its bootstrap interval.
        n: How many pairs it rests on.
        bounds: Of the score that differs.
    """
    if not bounds or drawn[1] - drawn[0] > _SAME:
        return drawn
    span = bounds[1] - bounds[0]
    rose, fell = (honest(max(0.0, side * value) / span, (math.nan, math.nan), n, SHARE) for side in (1, -1))
    low = math.hypot(rose.value - rose.low, fell.high - fell.value)
    high = math.hypot(rose.high - rose.value, fell.value - fell.low)
    return value - span * low, value + span * high


def estimate(values: Sequence[float], bounds: Bounds | None = None) -> Estimate:
    """Return the mean of one value a case, with its interval; `bounds` are those of a value, if it has any."""
    mean, low, high = interval(values)
    return honest(mean, (low, high), len(values), bounds if values else None)


def interval(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean and its 95 % bootstrap interval (percentiles, Efron 1979)."""
    sample = np.asarray(values, float)
    if not len(sample):
        return 0.0, 0.0, 0.0
    draws = np.random.default_rng(seed).integers(0, len(sample), (resamples, len(sample)))
    low, high = np.percentile(sample[draws].mean(axis=1), [2.5, 97.5])
    return float(sample.mean()), float(low), float(high)
