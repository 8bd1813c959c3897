"""Where a learner stands, from the first day to the last, and as `ask plan` shows it."""

import json
import random
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from assistant.decide import Decisions, UsedUp
from assistant.errors import ServerFailed
from assistant.items import Items
from assistant.journal import Journal
from assistant.review import GOOD, Reviews
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from tests.planned import RDMA, TODAY, World, day, item
from tests.scripted import Scripted
from tests.test_blueprint import SMALL
from tests.test_review import DAY
from ui.cli import main
from ui.plan import plan_text


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


def test_the_state_is_json(world: World) -> None:
    told = json.loads(json.dumps(world.stand().as_json()))
    assert (told["today"], told["days_left"], told["objectives"][0]["read"]) == (
        "2026-11-21",
        34,
        [{"path": "net/rdma.md", "locator": "§ RDMA"}],
    )


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
    assert "Your notes don't cover\n   40%  Choose storage tiers." in shown
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
        (("--exam", "2000-01-01"), "the exam (2000-01-01) must be after the start"),
        (("--exam", "2027-01-01", "--no-exam"), "--exam or --no-exam, not both"),
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


def test_the_day_of_an_exam_can_be_taken_back(notes: AssistantSettings) -> None:
    ask("plan", "my-exam", "--start", "2026-11-21", "--exam", "2026-11-30")
    assert json.loads(ask("plan", "my-exam", "--json").stdout)["ends"] == "2026-11-30"
    assert "exam on 2026-12-25" in ask("plan", "my-exam", "--no-exam").stdout
    assert Decisions(Journal.of(notes)).of("my-exam").exam is None


def test_a_clock_put_back_is_told_and_nothing_is_decided_by_it(notes: AssistantSettings) -> None:
    tomorrow = time.time() + DAY
    Reviews(Journal.of(notes), notes).add(item(1), GOOD, correct=True, at=tomorrow)
    for command in (("plan", "my-exam"), ("log",)):
        shown = ask(*command)
        assert shown.exit_code == 0
        assert "what follows may be of the wrong days" in shown.stderr
    refused = ask("plan", "my-exam", "--tick", "measure")
    assert refused.exit_code == 1
    assert "set the clock, or, if it is right: ask quiz --clock-is-right" in refused.stderr
    assert ask("plan", "my-exam", "--tick", "measure", "--clock-is-right").exit_code == 0
    assert list(Decisions(Journal.of(notes)).of("my-exam").ticked) == ["measure"]


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
