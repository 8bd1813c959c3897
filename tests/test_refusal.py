import pytest

from eval.refusal import curve
from eval.score import summarise
from tests.scored import row


def test_the_threshold_curve_has_both_error_rates() -> None:
    rows = [
        row("a", 1, "refusal", evidence=0.9, answerable=1, wrong=0),
        row("b", 1, "refusal", evidence=0.4, answerable=1, wrong=0),
        row("c", 1, "refusal", evidence=0.5, answerable=0, wrong=1),
    ]
    assert curve(rows) == [(0.4, 1.0, 0.0), (0.5, 1.0, 0.5), (0.9, 0.0, 0.5)]
    scores = summarise(rows)["refusal"]
    assert scores["auroc"].value == 0.5
    assert scores["aurc"].value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
