"""Mastery comes of graded answers, and says little on little evidence."""

import datetime

import pytest

from assistant.interval import Z_LOWER_90, wilson
from tests.planned import TODAY, World, day
from tests.test_review import DAY


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [(0, 0, 0.0, 1.0), (8, 10, 0.4902, 0.9433), (0, 5, 0.0, 0.4345), (50, 50, 0.92865, 1)],
)
def test_the_interval_of_a_share_is_wilsons(right: int, asked: int, low: float, high: float) -> None:
    assert list(wilson(right, asked)) == pytest.approx([low, high], abs=5e-5)


def test_mastery_says_little_on_little_evidence() -> None:
    assert [round(wilson(n, n, Z_LOWER_90)[0], 2) for n in (1, 3, 7, 20)] == [0.38, 0.65, 0.81, 0.92]


def test_mastery_grows_with_right_answers_falls_with_wrong_ones_and_fades(world: World) -> None:
    assert world.stand().objectives[0].state == "new"
    for number in range(3):
        world.answer(number, right=True)
    assert world.stand().objectives[0].mastery == pytest.approx(0.646, abs=0.001)
    world.answer(0, right=False)
    found = world.stand().objectives[0]
    assert (found.right, found.answered, found.state) == (2, 3, "learning")
    assert found.mastery == pytest.approx(wilson(2, 3, Z_LOWER_90)[0], abs=0.001)
    world.answer(0, right=True)  # the last answer counts
    fresh = world.stand().objectives[0].mastery
    world.clock.now += 30 * DAY
    assert world.stand().objectives[0].mastery < fresh - 0.1


def test_seven_of_seven_are_mastered_and_the_whole_is_weighted(world: World) -> None:
    for number in range(7):
        world.answer(number, right=True)
    plan = world.stand()
    assert plan.objectives[0].state == "mastered"
    assert plan.mastery == pytest.approx(0.6 * plan.objectives[0].mastery)
    assert [(one.id, one.mastered, one.covered) for one in plan.domains] == [("networks", 1, 1), ("storage", 0, 1)]


def test_recall_on_the_exam_day_is_py_fsrss_own_and_what_was_never_asked_counts_nothing(world: World) -> None:
    world.answer(0, right=True)
    world.decisions.start("my-exam", TODAY)
    world.decisions.exam("my-exam", day(21))
    plan = world.stand()
    moment = datetime.datetime(2026, 12, 11, 9).timestamp()
    chance = world.reviews.recall([world.items[0].id], moment)[world.items[0].id]
    assert plan.objectives[0].recall == pytest.approx(chance)
    assert plan.recall == pytest.approx(0.6 * chance)
    assert plan.objectives[1].recall is None
    world.answer(1, right=False)
    assert world.stand().objectives[0].recall == pytest.approx(chance / 2)  # what is wrong is not recalled


def test_after_an_exam_what_was_missed_is_not_foreseen_as_recalled(world: World) -> None:
    world.decisions.start("my-exam", TODAY)
    world.decisions.exam("my-exam", day(28))
    for number in range(10):
        world.answer(number, right=number < 4, source="exam")
    missed = world.stand()
    assert (missed.objectives[0].right, missed.objectives[0].answered) == (4, 10)
    chance = missed.objectives[0].recall
    assert chance is not None
    assert 0.2 < chance < 0.4  # four of ten, and those fade until then
    assert missed.recall == pytest.approx(0.6 * chance)  # nothing was asked of the other 40 %
