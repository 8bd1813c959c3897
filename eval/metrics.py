"""Scores of one ranked list, and intervals for their means. All pure."""

import math
from collections.abc import Sequence

import numpy as np


def hit(ranked: Sequence[str], gold: Sequence[str], k: int) -> float:
    """Return 1 if one of the first `k` is right."""
    return float(any(item in gold for item in ranked[:k]))


def reciprocal_rank(ranked: Sequence[str], gold: Sequence[str], k: int = 10) -> float:
    """Return 1/rank of the first right one among the first `k`, 0 if there is none."""
    return next((1 / rank for rank, item in enumerate(ranked[:k], start=1) if item in gold), 0.0)


def ndcg(ranked: Sequence[str], gold: Sequence[str], k: int = 10) -> float:
    """Return normalised discounted cumulative gain with gains of 0 and 1 (Järvelin & Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], start=1) if item in gold)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(set(gold)), k) + 1))
    return gain / best if best else 0.0


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return how often a positive scores above a negative, ties counting half (Mann & Whitney 1947)."""
    scores = np.concatenate([np.asarray(positives, float), np.asarray(negatives, float)])
    order = scores.argsort(kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for value in np.unique(scores):
        same = scores == value
        ranks[same] = ranks[same].mean()
    n, m = len(positives), len(negatives)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def interval(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean and its 95 % bootstrap interval (percentiles, Efron 1979)."""
    sample = np.asarray(values, float)
    if not len(sample):
        return 0.0, 0.0, 0.0
    draws = np.random.default_rng(seed).integers(0, len(sample), (resamples, len(sample)))
    low, high = np.percentile(sample[draws].mean(axis=1), [2.5, 97.5])
    return float(sample.mean()), float(low), float(high)
