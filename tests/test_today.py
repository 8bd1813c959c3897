"""Today's work, within the minutes that there are."""

from pathlib import Path

from assistant.cover import Coverage
from assistant.plan import Plan
from assistant.review import GOOD
from tests.planned import World, day, item
from tests.test_review import DAY, NOON


def tasks(plan: Plan) -> list[tuple[str, str, int, int]]:
    return [(task.kind, task.about, task.count, task.minutes) for task in plan.tasks]


def test_a_new_learner_reads_first_and_is_asked_then_in_the_phase_that_has_begun(world: World) -> None:
    assert tasks(world.stand()) == [("read", "rdma", 0, 2), ("quiz", "rdma", 7, 5)]


def test_later_phases_wait_and_labs_fill_what_is_left(world: World) -> None:
    world.decisions.start("my-exam", day(-24))
    found = tasks(world.stand())
    assert found[:4] == [
        ("read", "rdma", 0, 2),
        ("quiz", "rdma", 7, 5),
        ("read", "tiers", 0, 1),
        ("quiz", "tiers", 7, 5),
    ]
    assert found[4] == ("lab", "measure", 0, 38)  # 51 minutes a day: six hours a week
    world.decisions.tick("my-exam", "measure")
    assert "lab" not in [kind for kind, *_ in tasks(world.stand())]


def test_what_is_due_comes_first_and_no_day_is_longer_than_its_minutes(world: World) -> None:
    for number in range(6):
        world.answer(number, right=False)
    world.clock.now += DAY
    plan = world.stand(minutes=8)
    assert tasks(plan) == [("review", "", 6, 4), ("read", "rdma", 0, 2), ("quiz", "rdma", 3, 2)]
    assert plan.tasks[1].why == "60% of the plan, 0 of 6 right so far"  # weak: read again
    plan = world.stand(minutes=2)
    assert tasks(plan) == [("review", "", 3, 2)]
    assert plan.tasks[0].why == "before they are forgotten; 3 more wait"


def test_what_was_done_today_is_taken_off_and_another_objective_comes_up(world: World) -> None:
    for number in range(3):
        world.answer(number, right=True, source="quiz")
    plan = world.stand(minutes=20)
    assert (plan.answered_today, tasks(plan)) == (3, [])  # rdma was studied today; tiers is of a later phase


def test_an_objective_that_gives_no_more_questions_is_left_to_reviews_until_the_notes_change(world: World) -> None:
    for number in range(10):
        world.answer(number, right=False, at=NOON - 2 * DAY)
    world.decisions.used_up("my-exam", "rdma", 1, by_rule=False)
    assert [task.kind for task in world.stand().tasks] == ["review", "read"]  # none is right: it is read again
    assert [task.kind for task in world.stand(by_rule=False).tasks] == ["review", "read"]
    world.decisions.read("my-exam", "rdma", 120)
    assert [task.kind for task in world.stand().tasks] == ["review"]
    world.coverage = Coverage("my-exam", 2, world.coverage.objectives)
    world.items.append(item(11))
    assert [task.kind for task in world.stand().tasks] == ["review", "quiz"]


def test_what_rules_used_up_a_model_may_still_write_about(world: World) -> None:
    world.decisions.used_up("my-exam", "rdma", 1, by_rule=True)
    world.items = []
    assert world.stand().tasks == ()
    assert [task.kind for task in world.stand(by_rule=False).tasks] == ["read", "quiz"]


def test_what_was_read_today_is_not_to_be_read_again_and_its_time_is_taken_off(world: World) -> None:
    world.decisions.read("my-exam", "rdma", 150)
    plan = world.stand(minutes=6)
    assert (plan.read_today, tasks(plan)) == (2, [("quiz", "rdma", 5, 3)])  # 3.5 minutes at 40 s a question
    world.decisions.read("another", "rdma", 180)
    assert tasks(world.stand(minutes=6)) == []
    world.clock.now += DAY
    assert tasks(world.stand(minutes=6)) == [("quiz", "rdma", 7, 5)]
    world.clock.now += 2 * DAY
    assert tasks(world.stand(minutes=6)) == [("read", "rdma", 0, 2), ("quiz", "rdma", 6, 4)]


def test_reading_for_what_is_behind_says_so(world: World) -> None:
    world.decisions.start("my-exam", day(-24))
    assert [(task.about, task.why) for task in world.stand().tasks if task.kind == "read"] == [
        ("rdma", "60% of the plan, never asked; its phase ended 5 days ago"),
        ("tiers", "40% of the plan, never asked"),
    ]


def test_the_learners_own_pace_counts_once_it_is_known(world: World) -> None:
    for number in range(20):
        world.reviews.add(world.items[number % 10], GOOD, correct=True, took_ms=45_000, at=NOON - 40 * DAY + number)
    assert tasks(world.stand())[0] == ("review", "", 10, 10)  # 45 s and 15 to read why, each


def test_a_gap_is_named_and_a_source_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, tiers=False)
    world.decisions.start("my-exam", day(-24))
    plan = world.stand()
    assert plan.objectives[1].state == "gap"
    assert [(task.kind, task.about) for task in plan.tasks][-1] == ("source", "tiers")
    assert plan.tasks[-1].why == "your notes don't cover it, and it is 40% of the plan"
