import math
import random
import warnings
from collections.abc import Sequence

import pytest

from eval.calibrate import fit
from eval.metrics import (
    SHARE,
    area_under_risk,
    auroc,
    bootstrap,
    citation_precision,
    citation_recall,
    estimate,
    exact_match,
    hit,
    interval,
    kappa,
    mcnemar,
    ndcg,
    randomization,
    recall,
    reciprocal_rank,
    risk_coverage,
    token_f1,
)
from eval.metrics import change as difference


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
    weight, threshold, _ = fit({"set": (good, bad)})
    assert weight > 0
    refused = sum(score + weight * cosine < threshold for score, cosine in good)
    assert refused <= 5
    assert all(score + weight * cosine < threshold for score, cosine in bad)


@pytest.mark.parametrize(
    ("ranked", "gold", "k", "expected"),
    [
        (["a", "b", "c"], ["a", "c"], 2, 0.5),
        (["a", "b", "c"], ["a", "c"], 3, 1.0),
        (["a", "a", "c"], ["a"], 2, 1.0),
        (["a"], ["z"], 5, 0.0),
        (["a"], [], 5, 0.0),
    ],
)
def test_recall_is_the_share_of_the_right_ones(
    ranked: Sequence[str], gold: Sequence[str], k: int, expected: float
) -> None:
    assert recall(ranked, gold, k) == expected


def test_rank_metrics_equal_those_of_ir_measures_to_a_millionth() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own code has invalid escapes
        import ir_measures
    names = ("nDCG@10", "RR@10", "R@5", "R@10", "Success@1", "Success@5")
    draw = random.Random(5)
    documents = [f"d{i}" for i in range(40)]
    ranked = {f"q{q}": draw.sample(documents, draw.randint(1, 30)) for q in range(50)}
    gold = {q: draw.sample(documents, draw.randint(1, 15)) for q in ranked}
    judged = {q: dict.fromkeys(found, 1) for q, found in gold.items()}
    scored = {q: {name: float(-rank) for rank, name in enumerate(found)} for q, found in ranked.items()}
    theirs = {
        (str(one.measure), one.query_id): one.value
        for one in ir_measures.iter_calc([ir_measures.parse_measure(name) for name in names], judged, scored)
    }
    for q in ranked:
        ours = {
            "nDCG@10": ndcg(ranked[q], gold[q]),
            "RR@10": reciprocal_rank(ranked[q], gold[q]),
            "R@5": recall(ranked[q], gold[q], 5),
            "R@10": recall(ranked[q], gold[q], 10),
            "Success@1": hit(ranked[q], gold[q], 1),
            "Success@5": hit(ranked[q], gold[q], 5),
        }
        assert ours == pytest.approx({name: theirs[name, q] for name in names}, abs=1e-6)


def test_risk_falls_with_coverage_where_evidence_means_something() -> None:
    assert risk_coverage([0.9, 0.8, 0.1], [0, 0, 1]) == [
        (pytest.approx(1 / 3), 0.0),
        (pytest.approx(2 / 3), 0.0),
        (1.0, pytest.approx(1 / 3)),
    ]
    assert area_under_risk([0.9, 0.8, 0.1], [0, 0, 1]) == pytest.approx(1 / 9)
    assert area_under_risk([0.9, 0.8, 0.1], [1, 0, 0]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert risk_coverage([0.5, 0.5], [1, 0]) == [(1.0, 0.5)]  # equal evidence is answered together
    assert risk_coverage([], []) == []


@pytest.mark.parametrize(
    ("answer", "golds", "f1", "exact"),
    [
        ("The Adam optimizer.", ["Adam optimizer"], 1.0, 1.0),
        ("It is Adam", ["Adam"], 0.5, 0.0),
        ("SGD", ["Adam", "SGD!"], 1.0, 1.0),
        ("two gradients", ["Adam"], 0.0, 0.0),
        ("", ["Adam"], 0.0, 0.0),
    ],
)
def test_answers_are_compared_as_in_squad(answer: str, golds: Sequence[str], f1: float, exact: float) -> None:
    assert token_f1(answer, golds) == pytest.approx(f1)
    assert exact_match(answer, golds) == exact


def says(sentence: str, texts: Sequence[str]) -> bool:
    """Support for tests: every word stands in the texts."""
    return set(sentence.split()) <= set(" ".join(texts).split())


@pytest.mark.parametrize(
    ("claims", "found_recall", "found_precision"),
    [
        ([("a b", ["a b"])], 1.0, 1.0),
        ([("a b", ["a", "b"])], 1.0, 1.0),  # only together
        ([("a b", ["a b", "z"])], 1.0, 0.5),  # the second is irrelevant
        ([("a b", ["a b", "a b c"])], 1.0, 1.0),  # each alone
        ([("a b", ["a"])], 0.0, 0.0),
        ([("a", ["a"]), ("b", [])], 0.5, 1.0),
        ([], 0.0, 0.0),
    ],
)
def test_citations_are_scored_as_in_alce(
    claims: Sequence[tuple[str, Sequence[str]]], found_recall: float, found_precision: float
) -> None:
    assert citation_recall(claims, says) == found_recall
    assert citation_precision(claims, says) == found_precision


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("yyn", "yyn", 1.0),
        ("ynyn", "yynn", 0.0),
        ("yn", "ny", -1.0),
        ("yyyyyyyyyn", "yyyyyyyyny", -1 / 9),  # 80 % agreement, 82 % by chance
    ],
)
def test_kappa_is_agreement_beyond_chance(one: str, other: str, expected: float) -> None:
    assert kappa(one, other) == pytest.approx(expected)


def test_raters_who_always_say_the_same_one_thing_agree_no_more_than_by_chance() -> None:
    assert math.isnan(kappa("yy", "yy"))
    assert math.isnan(kappa("", ""))
    assert kappa("yy", "nn") == 0.0


@pytest.mark.parametrize(
    ("better", "worse", "expected"), [(0, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (9, 1, 22 / 1024), (3, 3, 1.0)]
)
def test_mcnemar_looks_at_the_pairs_that_differ(better: int, worse: int, expected: float) -> None:
    one = [0.0] * better + [1.0] * worse + [1.0] * 50
    other = [1.0] * better + [0.0] * worse + [1.0] * 50
    assert mcnemar(one, other) == pytest.approx(expected)


def test_mcnemar_counts_thousands_of_pairs_that_differ() -> None:
    assert mcnemar([0.0, 1.0] * 1000, [1.0, 0.0] * 1000) == 1.0
    assert mcnemar([0.0] * 2000, [1.0] * 2000) == 0.0  # 2^-1999 is below what a float holds


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ([], 1.0),
        ([0.0, 0.0], 1.0),
        ([0.3], 1.0),
        ([0.1] * 5, 0.0625),
        ([0.1] * 6, 0.03125),
        ([0.1, 0.2, 0.3, -0.6], 1.0),
        ([-0.1, -0.2, -0.4], 0.25),
    ],
)
def test_the_randomization_test_is_exact_for_few_pairs(change: Sequence[float], expected: float) -> None:
    assert randomization(change) == expected
    assert randomization([-one for one in change]) == expected


def test_the_randomization_test_draws_swaps_of_many_pairs() -> None:
    assert randomization([0.1] * 40) == 1 / 5000
    assert randomization([0.1, -0.1] * 40) > 0.9
    ones = [1.0] * 30 + [-1.0] * 15
    assert randomization(ones) == pytest.approx(mcnemar([0.0] * 30 + [1.0] * 15, [1.0] * 30 + [0.0] * 15), abs=0.01)


@pytest.mark.parametrize(
    ("values", "bounds", "low", "high"),
    [
        ([1.0] * 3, SHARE, 0.439, 1.0),  # Wilson's interval for 3 of 3
        ([0.0] * 3, SHARE, 0.0, 0.561),
        ([1.0] * 300, SHARE, 0.987, 1.0),
        ([0.5] * 4, SHARE, 0.150, 0.850),
        ([0.0] * 4, (-1.0, 1.0), -0.700, 0.700),
        ([7.0] * 3, None, 7.0, 7.0),  # a number of words can't be bounded
    ],
)
def test_cases_that_are_all_alike_claim_no_certainty(
    values: Sequence[float], bounds: tuple[float, float] | None, low: float, high: float
) -> None:
    found = estimate(values, bounds)
    assert (found.value, found.n) == (values[0], len(values))
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-3)


def test_cases_that_differ_have_the_interval_of_the_bootstrap() -> None:
    found = estimate([0.0, 1.0] * 50, SHARE)
    assert (found.value, found.low, found.high) == interval([0.0, 1.0] * 50)


def test_no_change_of_few_cases_may_hide_one() -> None:
    assert difference(0.0, (0.0, 0.0), 3, SHARE) == pytest.approx((-0.561, 0.561), abs=1e-3)
    assert difference(0.0, (0.0, 0.0), 300, SHARE) == pytest.approx((-0.0126, 0.0126), abs=1e-4)
    assert difference(-1.0, (-1.0, -1.0), 8, SHARE) == pytest.approx((-1.0, -0.541), abs=1e-3)
    assert difference(0.2, (0.1, 0.3), 3, SHARE) == (0.1, 0.3)


def test_the_bootstrap_leaves_out_draws_that_give_no_number() -> None:
    low, high = bootstrap(lambda drawn: float("nan") if 0 in drawn else 1.0, 3)
    assert (low, high) == (1.0, 1.0)
    assert all(map(math.isnan, bootstrap(lambda drawn: math.nan, 3)))
