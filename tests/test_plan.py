"""Where a learner stands: mastery from graded answers, today's work within the minutes, phases in time, gaps."""

import datetime
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assistant.blueprint import Blueprint, load
from assistant.cover import Coverage, Covered, Serving, cover, name_of
from assistant.decide import BOOKED, EARNED, PLANNED, Decided, Decisions, UsedUp
from assistant.errors import JournalUnavailable, NoSuchCertificate, ServerFailed
from assistant.interval import Z_LOWER_90, wilson
from assistant.items import Evidence, Item, Items
from assistant.journal import Journal
from assistant.plan import Plan, stand
from assistant.review import AGAIN, GOOD, Reviews
from assistant.settings import AssistantSettings
from assistant.timeline import dates_of
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.scripted import Scripted
from tests.test_blueprint import SMALL, written
from tests.test_review import DAY, NOON, Clock
from ui.cli import main
from ui.plan import plan_text

TODAY = datetime.date(2026, 11, 21)


def day(number: int) -> datetime.date:
    """Day 1 is today."""
    return TODAY + datetime.timedelta(days=number - 1)


def item(number: int, chunk: str = "c-rdma", objective: str = "") -> Item:
    evidence = Evidence("net/rdma.md", "§ RDMA", "RDMA is fast.", 0, 13, "v1", chunk)
    return Item("cloze", f"Thing {number} is ____.", f"answer {number}", evidence, objective=objective)


class World:
    """A small plan, items of its first objective, and a learner."""

    def __init__(self, folder: Path, *, tiers: bool = True) -> None:
        self.clock = Clock()
        self.blueprint: Blueprint = load(written(folder, SMALL))
        self.journal = Journal(folder / "me")
        self.reviews = Reviews(self.journal, AssistantSettings(), now=self.clock)
        self.decisions = Decisions(self.journal, now=self.clock)
        self.items = [item(n) for n in range(10)]
        serving = Serving("c-rdma", "net/rdma.md", "§ RDMA", 238, 0.6)
        other = Serving("c-tiers", "storage.md", "§ Tiers", 119, 0.5)
        self.coverage = Coverage(
            "my-exam", 1, {"rdma": Covered(True, 0.9, (serving,)), "tiers": Covered(tiers, 0.9, (other,) * tiers)}
        )

    def answer(self, number: int, *, right: bool, at: float | None = None, source: str = "review") -> None:
        self.reviews.add(self.items[number], GOOD if right else AGAIN, correct=right, at=at, source=source)

    def stand(self, minutes: int = 0, *, by_rule: bool = True) -> Plan:
        return stand(
            self.blueprint,
            self.coverage,
            self.items,
            self.reviews,
            self.decisions.of("my-exam"),
            minutes=minutes,
            by_rule=by_rule,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ----------------------------------------------------------------------------------------------------- mastery


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


# ------------------------------------------------------------------------------------------------------- today


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
    assert plan.tasks[1].why == "60 % of the plan, 0 of 6 right so far"  # weak: read again
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
        ("rdma", "60 % of the plan, never asked; its phase ended 5 days ago"),
        ("tiers", "40 % of the plan, never asked"),
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
    assert plan.tasks[-1].why == "your notes don't cover it, and it is 40 % of the plan"


# ------------------------------------------------------------------------------------------------ phases in time


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


def test_sixty_days_of_todays_work_are_learned_kept_within_their_minutes_and_foreseen(world: World) -> None:
    world.items = [item(n) for n in range(10)] + [item(n, "c-tiers") for n in range(10, 20)]
    world.decisions.start("my-exam", TODAY)
    world.decisions.exam("my-exam", day(68))
    chance, recall = random.Random(1), []
    for _ in range(60):
        plan = world.stand(minutes=12)
        recall.append(plan.recall)
        assert sum(task.minutes for task in plan.tasks if task.kind != "lab") <= 12
        for task in plan.tasks:
            new = [one.id for one in world.items if one.id not in world.reviews.asked()]
            if task.kind == "read":
                world.decisions.read("my-exam", task.about, task.minutes * 60)
            if task.kind in ("review", "quiz"):
                wanted = world.coverage.by_objective(world.items).get(task.about, world.items)
                due = [one.item for one in world.reviews.due({one.id for one in world.items})]
                asked = due if task.kind == "review" else [one.id for one in wanted if one.id in new]
                for id_ in asked[: task.count]:
                    number = next(n for n, one in enumerate(world.items) if one.id == id_)
                    world.answer(number, right=chance.random() < 0.85, source=task.kind)
        world.clock.now += DAY
    plan = world.stand(minutes=12)
    assert {one.answered for one in plan.objectives} == {10}
    # Nothing is foreseen of what was not asked; in the first phase no more than its 60 %.
    assert recall[0] == 0.0
    assert 0.3 < recall[1] < recall[20] < 0.6
    assert plan.recall == pytest.approx(0.93, abs=0.01)
    assert plan.mastery == pytest.approx(0.78, abs=0.01)


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


def test_a_plan_that_was_not_begun_is_never_behind(world: World) -> None:
    plan = world.stand()
    assert (plan.begun, plan.day, plan.behind, plan.ends) == (False, 1, (), day(35))


def test_the_state_is_json(world: World) -> None:
    told = json.loads(json.dumps(world.stand().as_json()))
    assert (told["today"], told["days_left"], told["objectives"][0]["read"]) == (
        "2026-11-21",
        34,
        [{"path": "net/rdma.md", "locator": "§ RDMA"}],
    )


# ---------------------------------------------------------------------------------------------------- decisions


def test_the_last_decision_counts_and_all_are_kept(world: World) -> None:
    decisions = world.decisions
    for first in (day(1), day(3)):
        decisions.start("my-exam", first)
    decisions.minutes("my-exam", 25)
    decisions.tick("my-exam", "first-test")
    decisions.tick("my-exam", "measure")
    decisions.tick("my-exam", "measure", done=False)
    decisions.used_up("my-exam", "rdma", 4, by_rule=True)
    used_up = {"rdma": UsedUp(4, by_rule=True)}
    assert decisions.of("my-exam") == Decided(day(3), None, 25, {"first-test": TODAY}, used_up)
    assert decisions.of("another") == Decided()
    assert decisions.begun() == ["my-exam"]
    with pytest.raises(JournalUnavailable, match="decisions stay"), world.journal.transaction() as db:
        db.execute("DELETE FROM decisions")
    assert len(world.journal.rows("SELECT * FROM decisions")) == 7


def test_a_certificate_is_planned_booked_earned_and_ends(world: World) -> None:
    decisions = world.decisions
    decisions.certify("nca-aiio", PLANNED, title="NVIDIA associate")
    decisions.certify("nca-aiio", BOOKED, day=day(10))
    held = decisions.certificate("nca-aiio")
    assert (held.title, held.told(TODAY), held.told(day(11))) == ("NVIDIA associate", "booked", "due")
    decisions.certify("nca-aiio", EARNED, day=day(10), expires=day(740))
    held = decisions.certificate("nca-aiio")
    assert [held.told(at) for at in (day(11), day(650), day(740), day(741))] == [
        *("earned", "expiring", "expiring", "expired"),
    ]
    with pytest.raises(NoSuchCertificate, match="there is no certificate cka; yours: nca-aiio"):
        decisions.certificate("cka")


# ----------------------------------------------------------------------------------------------------- coverage


RDMA = """# Networks

## RDMA

RDMA lets a network card read and write the memory of another host without its processor. InfiniBand was built for
RDMA; RoCE carries RDMA over Ethernet.

**RoCE** is a protocol that carries RDMA over converged Ethernet networks.
**InfiniBand** is a network technology with credit-based flow control that was built for RDMA.
**Congestion control** is the slowing of senders before the queues of a switch overflow.
"""


def test_an_item_belongs_to_the_objective_of_its_chunk_or_to_that_it_was_made_for(world: World) -> None:
    own, made = item(1), item(2, objective=name_of("my-exam", "tiers"))
    of_another_plan, elsewhere = item(3, "c-else", name_of("other", "tiers")), item(4, "c-else")
    found = world.coverage.by_objective([own, made, of_another_plan, elsewhere])
    assert found == {"rdma": [own], "tiers": [made]}


def test_terms_of_an_objective_tell_its_items_from_others_beside_them(world: World) -> None:
    about = {"rdma": ("RDMA", "RoCE*", "-price"), "tiers": ("NVMe", "parallel file system")}
    coverage = replace(world.coverage, about=about)

    def of(question: str, answer: str, chunk: str = "c-rdma", objective: str = "", made_by: str = "rule: x") -> str:
        made = replace(item(1, chunk, objective), question=question, answer=answer, made_by=made_by)
        return "".join(id_ for id_, found in coverage.by_objective([made]).items() if found)

    assert of("What does RoCEv2 carry?", "RDMA") == "rdma"
    assert of("What is a port? (RDMA)", "a socket") == ""  # the heading is where it stands, not what it is about
    assert of("What is the price of RDMA?", "much") == ""
    assert of("What are parallel file systems?", "many servers") == "tiers"  # though it stands in another's chunk
    assert of("What is NVMe?", "a drive", "c-else") == "tiers"
    assert of("What is NVMe over RDMA?", "a protocol", "c-else") == ""  # two are named: neither is sure
    assert of("What is a port?", "a socket", objective="my-exam/rdma") == ""
    assert of("What is a port?", "a socket", objective="my-exam/rdma", made_by="model x") == "rdma"


def test_notes_cover_what_they_speak_of_and_nothing_else(tmp_path: Path, settings: AssistantSettings) -> None:
    (settings.notes / "networks.md").write_text(RDMA)
    plan = load(written(tmp_path, SMALL.replace("Explain RDMA.", "Explain RDMA, InfiniBand and RoCE on Ethernet.")))
    shelf = Shelf(settings)
    assert {id_: one.covered for id_, one in cover(plan, shelf, settings).objectives.items()} == {
        "rdma": False,
        "tiers": False,
    }
    sync(shelf)
    found = cover(plan, shelf, settings)
    assert {id_: one.covered for id_, one in found.objectives.items()} == {"rdma": True, "tiers": False}
    assert [(one.path, one.locator) for one in found.objectives["rdma"].passages] == [("networks.md", "§ RDMA")]
    kept = next((shelf.folder / "plans").glob("*.json"))
    kept.write_text(kept.read_text().replace("§ RDMA", "from the file"))
    assert cover(plan, shelf, settings).objectives["rdma"].passages[0].locator == "from the file"
    (settings.notes / "tiers.md").write_text("# Storage tiers\n\nChoose storage tiers: NVMe, then object storage.\n")
    sync(shelf)
    again = cover(plan, shelf, settings)
    assert again.objectives["tiers"].covered
    assert again.objectives["rdma"].passages[0].locator == "§ RDMA"
    kept.write_text("[]")
    assert cover(plan, shelf, settings) == again


# ---------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def notes(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> AssistantSettings:
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))
    (settings.notes / "networks.md").write_text(RDMA)
    text = SMALL.replace("Explain RDMA.", "Explain RDMA, InfiniBand and RoCE on Ethernet.")
    (settings.home / "plans").mkdir()
    (settings.home / "plans" / "my-exam.yaml").write_text(text)
    return settings


def ask(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


def test_plans_are_listed_with_the_learners_own_and_those_begun(notes: AssistantSettings) -> None:
    listed = ask("plan").stdout
    assert "nca-aiio\n  NVIDIA-Certified Associate" in listed
    assert ask("plan", "my-exam", "--start", "2026-11-20").exit_code == 0
    assert "my-exam\n  My exam (exam, 5 weeks; begun 2026-11-20)" in ask("plan").stdout
    (notes.home / "plans" / "broken.yaml").write_text("id: broken\n")
    found = ask("plan")
    assert "My exam" in found.stdout
    assert "left out: " in found.stderr
    (notes.home / "plans" / "my-exam.yaml").unlink()
    assert ask("cert", "list").exit_code == 0


def test_a_plan_is_begun_shown_ticked_and_printed(notes: AssistantSettings) -> None:
    shown = ask("plan", "my-exam", "--start", "2026-11-01", "--exam", "2099-01-01", "--minutes", "30").stdout
    assert "30 minutes a day" in shown
    assert "\n  do it here: ask plan my-exam --study\n" in shown
    assert "Read: Explain RDMA, InfiniBand and RoCE on Ethernet.\n" in shown
    assert "· networks.md, § RDMA" in shown
    assert "Your notes don't cover\n   40 %  Choose storage tiers." in shown
    told = json.loads(ask("plan", "--tick", "first-test", "--json").stdout)  # the only one begun
    assert told["phases"][0]["marks"][0]["ticked"] is not None
    assert (told["start"], told["exam"], told["minutes"]) == ("2026-11-01", "2099-01-01", 30)


def test_no_line_of_a_plan_is_wider_than_a_terminal_and_no_word_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.decisions.start("my-exam", day(-24))
    text = "Explain " + "RDMA, InfiniBand and RoCE on Ethernet, " * 4 + "and flow control."
    first = world.blueprint.objectives[0]
    world.blueprint = replace(world.blueprint, objectives=(replace(first, text=text), *world.blueprint.objectives[1:]))
    for everything in (False, True):
        shown = plan_text(world.stand(), everything=everything)
        assert max(map(len, shown.splitlines())) <= 80
        assert text in " ".join(shown.split())
        assert "then answer up to 7 new questions on it" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tick", "nonsense"), "my-exam has no milestone or lab nonsense; it has first-test, measure"),
        (
            ("--start", "2026-11-21", "--exam", "2026-11-20"),
            "the exam (2026-11-20) must be after the start (2026-11-21)",
        ),
    ],
)
def test_what_can_not_be_decided_is_said_and_nothing_is_kept(
    notes: AssistantSettings, arguments: tuple[str, ...], said: str
) -> None:
    done = ask("plan", "my-exam", *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "begun" not in ask("plan").stdout


def test_todays_work_is_done_at_the_terminal_and_counts(notes: AssistantSettings) -> None:
    done = ask("plan", "my-exam", "--study", "--no-llm", given="\n" + "\n" * 20)
    assert "Read: Explain RDMA" in done.stdout
    assert "Wrong: " in done.stdout
    assert [one.objective for one in Decisions(Journal.of(notes)).of("my-exam").read] == ["rdma"]
    told = json.loads(ask("plan", "my-exam", "--json").stdout)
    rdma = told["objectives"][0]
    assert rdma["state"] == "learning"
    assert told["answered_today"] == rdma["answered"] > 0
    assert Items.of(Shelf(notes).folder).active()[0].objective == "my-exam/rdma"


def test_a_server_that_failed_does_not_use_an_objective_up(
    notes: AssistantSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> object:
        raise ServerFailed("http://127.0.0.1:1/v1", 500, "")

    monkeypatch.setattr("ui.quiz.model_or_none", lambda _: Scripted(fail))
    done = ask("plan", "my-exam", "--study", given="\n" * 30)
    assert done.exit_code == 0
    assert done.stderr.count("the model failed, so the questions that are missing are made by rule: ") == 1
    assert "Wrong: " in done.stdout
    assert "there may be more questions the next time" in done.stdout
    assert Decisions(Journal.of(notes)).of("my-exam").used_up == {}
    monkeypatch.setattr("ui.quiz.model_or_none", lambda _: Scripted(lambda _: {"items": []}))
    monkeypatch.setenv("STUDY_LEARNER", "ben")  # who was asked nothing today
    assert "your notes give no more questions on it" in ask("plan", "my-exam", "--study", given="\n" * 30).stdout
    assert Decisions(Journal.of(notes.model_copy(update={"learner": "ben"}))).of("my-exam").used_up == {
        "rdma": UsedUp(1, by_rule=False)
    }
