import pytest

from eval.compare import NO_DIFFERENCE, TOO_FEW, WORSE, NothingInCommon, compare, require_common
from eval.score import Row, summarise
from tests.scored import row


def test_a_difference_is_claimed_only_where_the_interval_leaves_zero() -> None:
    before = [row(str(i), 1.0) for i in range(100)]
    slightly = [row(str(i), float(i > 0)) for i in range(100)]
    clearly = [row(str(i), float(i > 20)) for i in range(100)]
    assert compare(before, before)[0].verdict == NO_DIFFERENCE
    assert compare(before, slightly)[0].verdict == NO_DIFFERENCE
    found = compare(before, clearly)[0]
    assert found.verdict == WORSE
    assert (found.before, found.after, found.n) == (1.0, 0.79, 100)
    assert found.p < 1e-5
    assert -0.3 < found.low < -0.21 < found.high < -0.12


def test_of_fewer_than_six_cases_nothing_is_claimed() -> None:
    def verdict(n: int) -> str:
        return compare([row(str(i), 1.0) for i in range(n)], [row(str(i), 0.0) for i in range(n)])[0].verdict

    assert [verdict(n) for n in (1, 3, 5, 6)] == [TOO_FEW, TOO_FEW, TOO_FEW, WORSE]


def test_a_score_that_is_no_mean_is_tested_by_swapping_pairs() -> None:
    def refusals(good: float, n: int) -> list[Row]:
        facts = [{"evidence": good + i / 100, "answerable": 1.0, "wrong": 0.0} for i in range(n)]
        facts += [{"evidence": 0.5 + i / 100, "answerable": 0.0, "wrong": 1.0} for i in range(n)]
        return [Row("refusal", str(i), "?", (), {}, fact) for i, fact in enumerate(facts)]

    def found(n: int) -> tuple[float, float, str]:
        both = compare(refusals(0.9, n), refusals(0.4, n))
        auroc = next(one for one in both if one.metric == "auroc")
        return auroc.before, auroc.after, auroc.verdict

    assert found(2) == (1.0, 0.0, TOO_FEW)
    assert found(10) == (1.0, 0.0, WORSE)
    scores = summarise(refusals(0.9, 3))["refusal"]
    assert scores["auroc"] == pytest.approx((1.0, 0.4385, 1.0, 6), abs=1e-4)  # rests on the three of the rarer kind


def test_runs_without_a_common_case_are_not_compared() -> None:
    with pytest.raises(NothingInCommon):
        require_common([row("a", 1.0)], [row("b", 1.0)], "x", "y")
