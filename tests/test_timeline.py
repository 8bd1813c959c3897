"""Phases follow each other in time, and what is behind is named."""

from assistant.timeline import dates_of
from tests.planned import World, day
from tests.test_review import DAY


def test_phases_follow_each_other_and_shrink_when_the_exam_is_sooner(world: World) -> None:
    phases, days = world.blueprint.phases, world.blueprint.days
    assert dates_of(phases, days, day(1), day(35)) == [(day(1), day(21)), (day(22), day(28))]
    assert dates_of(phases, days, day(1), day(90)) == [(day(1), day(21)), (day(22), day(28))]
    assert dates_of(phases, days, day(1), day(10)) == [(day(1), day(6)), (day(7), day(8))]
    assert dates_of(phases, days, day(1), day(1)) == [(day(1), day(1)), (day(1), day(1))]


def test_what_is_behind_is_named(world: World) -> None:
    world.decisions.start("my-exam", day(-24))
    assert world.stand().behind == (
        "Basics ended 5 days ago; never asked: rdma",
        "Basics ended 5 days ago; not ticked: first-test",
    )
    world.decisions.tick("my-exam", "first-test")
    for number in range(7):
        world.answer(number, right=True)
    assert world.stand().behind == ()


def test_what_is_behind_says_why(world: World) -> None:
    def why() -> str:
        line = world.stand().behind[0]
        return line[line.index("(") :]

    world.decisions.start("my-exam", day(-24))
    world.answer(0, right=True)
    world.answer(1, right=True)
    assert why() == "(2 of 2 right, too few to tell)"
    world.answer(2, right=False)
    assert why() == "(2 of 3 right)"
    for number in range(10):
        world.answer(number, right=True)
    world.clock.now += 40 * DAY
    assert why() == "(was mastered, fades without reviews)"


def test_a_plan_that_was_not_begun_is_never_behind(world: World) -> None:
    plan = world.stand()
    assert (plan.begun, plan.day, plan.behind, plan.ends) == (False, 1, (), day(35))
