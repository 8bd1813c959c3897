import numpy as np
import pytest

from eval.compare import NO_DIFFERENCE, WORSE, compare
from eval.score import Row
from eval.together import together


def rows(**values: list[float]) -> list[Row]:
    """Rows of retrieval, one for each number of the lists."""
    each = [dict(zip(values, of, strict=True)) for of in zip(*values.values(), strict=True)]
    return [Row("retrieval", str(n), "?", (), one) for n, one in enumerate(each)]


def test_scores_that_are_the_same_are_tested_as_one() -> None:
    def chances(*names: str) -> list[float]:
        before, after = (rows(**dict.fromkeys(names, [value] * 8)) for value in (1.0, 0.0))
        return together(before, after, compare(before, after))

    alone = chances("hit@1")
    assert alone == pytest.approx([2 / 2**8], abs=0.005)  # all of eight swapped, or none
    assert chances("hit@1", "hit@5", "mrr@10") == alone * 3


def test_one_of_many_scores_that_differs_a_little_may_be_chance() -> None:
    generator = np.random.default_rng(3)
    before = {f"s{n}": generator.random(60).tolist() for n in range(12)}
    after = {name: generator.permutation(values).tolist() for name, values in before.items()}
    after["s0"] = [value - 0.04 * (n % 10 == 0) for n, value in enumerate(before["s0"])]
    pair = rows(**before), rows(**after)
    found = compare(*pair)
    assert (found[0].verdict, found[0].p) == (WORSE, 2 / 2**6)  # by itself
    assert together(*pair, found)[0] > 0.1  # as one of twelve


def test_what_does_not_differ_is_chance() -> None:
    same = rows(**{"hit@1": [1.0, 0.0] * 4})
    assert together(same, same, compare(same, same)) == [1.0]
    assert compare(same, same)[0].verdict == NO_DIFFERENCE
    assert together(same, same, []) == []


def test_a_score_that_is_no_mean_is_swapped_by_case() -> None:
    def refusals(good: float) -> list[Row]:
        evidence = [*[good] * 10, *[0.5] * 10]
        facts = [{"evidence": one, "answerable": float(n < 10)} for n, one in enumerate(evidence)]
        return [Row("refusal", str(n), "?", (), {}, fact) for n, fact in enumerate(facts)]

    pair = refusals(0.9), refusals(0.1)
    found = compare(*pair, only=["auroc"])
    assert (found[0].before, found[0].after) == (1.0, 0.0)
    assert together(*pair, found)[0] <= 0.01
