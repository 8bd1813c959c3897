import math

import pytest

from eval.calibrate import fit
from eval.metrics import auroc, hit, interval, ndcg, reciprocal_rank


def test_hit_and_reciprocal_rank_look_at_the_first_right_one() -> None:
    assert hit(["a", "b", "c"], ["b"], 1) == 0.0
    assert hit(["a", "b", "c"], ["b"], 2) == 1.0
    assert reciprocal_rank(["a", "b", "c"], ["c", "b"]) == 0.5
    assert reciprocal_rank(["a"], ["z"]) == 0.0


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    assert ndcg(["a", "b"], ["b"]) == pytest.approx(1 / math.log2(3))
    assert ndcg(["a", "b"], ["a", "b"]) == 1.0
    assert ndcg(["x", "a"], ["a", "b"]) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert ndcg(["a"], []) == 0.0


def test_auroc_counts_pairs_in_the_right_order_and_ties_half() -> None:
    assert auroc([3, 2], [1, 0]) == 1.0
    assert auroc([1, 0], [3, 2]) == 0.0
    assert auroc([1, 1], [1, 1]) == 0.5
    assert auroc([2, 0], [1]) == 0.5


def test_the_interval_holds_the_mean_and_narrows_with_more_rows() -> None:
    mean, low, high = interval([0, 1] * 50)
    assert mean == 0.5
    assert 0.38 < low < 0.5 < high < 0.62
    assert interval([0, 1] * 500)[2] < high
    assert interval([]) == (0.0, 0.0, 0.0)


def test_calibration_takes_the_weight_that_refuses_most_of_the_others() -> None:
    # The score alone can't tell them apart, the cosine can.
    good = [(0.5, 0.8 + i / 1000) for i in range(100)]
    bad = [(0.5, 0.2 + i / 1000) for i in range(100)]
    weight, threshold = fit({"set": (good, bad)})
    assert weight > 0
    refused = sum(score + weight * cosine < threshold for score, cosine in good)
    assert refused <= 5
    assert all(score + weight * cosine < threshold for score, cosine in bad)
