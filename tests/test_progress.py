"""The log of a week counts what the journal has; certificates and learners are kept apart and in order."""

import datetime
import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from assistant.compose import choose
from assistant.decide import EARNED
from assistant.errors import LearnerAlike
from assistant.exam import Exam
from assistant.items import Item
from assistant.journal import Journal, folder_of, learners_in
from assistant.progress import Followed, Progress, Section, progress
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from tests.planned import RDMA, World, day, item
from tests.test_blueprint import SMALL
from tests.test_review import DAY
from ui.cert import months_later
from ui.cli import main
from ui.log import markdown_of


def week(world: World, last: datetime.date | None = None) -> dict[str, list[str]]:
    found: Progress = progress(
        world.reviews,
        world.items,
        [Followed(world.blueprint, world.coverage)],
        last=last or datetime.date.fromtimestamp(world.clock.now),
    )
    return {section.title: list(section.lines) for section in found.sections}


def asked(world: World, question: str, outcome: str, *paths: str) -> None:
    document: dict[str, Any] = {
        "question": question,
        "answer": "",
        "outcome": outcome,
        "model": None,
        "timings_ms": {},
        "usage": {},
        "citations": [{"path": path} for path in paths],
    }
    world.journal.asked(document, asked=world.clock.now)


def test_a_week_without_anything_says_so(world: World) -> None:
    found = week(world)
    assert found["Studied"] == ["Nothing was asked or answered."]
    assert found["Asked"] == ["No questions."]
    assert found["Quizzed"] == ["No questions were answered."]
    assert found["Mastered"] == ["my-exam: mastery by weight 0% → 0%"]
    assert found["Weak spots"] == ["No place in the notes with 2 wrong answers or more."]


def test_what_was_done_is_counted(world: World) -> None:
    world.decisions.start("my-exam", day(1))
    world.decisions.tick("my-exam", "first-test")
    for number in range(7):
        world.reviews.add(world.items[number], 3, correct=True, took_ms=60_000, source="quiz")
    world.clock.now += DAY
    for number in (8, 9):
        world.reviews.add(world.items[number], 1, correct=False, source="review")
    asked(world, "What is RoCE?", "quoted", "net/rdma.md", "net/roce.md")
    asked(world, "What is a zebra?", "not_in_notes")
    found = week(world)
    assert found["Studied"] == [
        "2 of 7 days; 7 minutes of answering questions",
        "Streak: 2 days",
        "2 notes: net/rdma.md, net/roce.md",
    ]
    assert found["Asked"] == [
        "2 questions, 1 of them not answered in the notes",
        "Not in the notes: What is a zebra?",
    ]
    assert found["Quizzed"] == ["9 answered (7 in quizzes, 2 in reviews), 7 right (78%)"]
    assert found["Mastered"][0] == "my-exam: done: A test"
    assert found["Weak spots"] == ["net/rdma.md: 2 wrong"]
    assert found["Next week"][:2] == ["9 reviews due in the next 7 days", "my-exam: Basics, until 2026-12-11: Words"]


def test_what_came_to_be_mastered_is_named_in_the_week_in_which_it_was(world: World) -> None:
    for number in range(8):
        world.answer(number, right=True)
    assert week(world)["Mastered"][0] == "my-exam: Explain RDMA. (0% → 83%)"
    world.clock.now += 30 * DAY
    assert week(world)["Mastered"][0].startswith("my-exam: mastery by weight")
    then = week(world, last=day(1))  # as it was at the end of that day
    assert then["Mastered"][0] == "my-exam: Explain RDMA. (0% → 83%)"
    assert "Next week" not in then


def test_only_the_days_that_are_asked_for_count(world: World) -> None:
    world.answer(0, right=True, at=world.clock.now - 8 * DAY)
    world.answer(1, right=True, at=world.clock.now - 6 * DAY)
    assert week(world)["Quizzed"] == ["1 answered (1 in reviews), 1 right (100%)"]


def test_practice_exams_and_certificates_stand_in_the_log(world: World) -> None:
    world.items = [item(1, "c-rdma"), of_tiers(2)]
    sitting = Exam.begin(world.reviews, world.blueprint, choose(world.blueprint, world.coverage, world.items, 2), 5)
    sitting.answer("nonsense")
    sitting.finish()
    world.decisions.certify("nca-aiio", EARNED, title="NVIDIA associate", day=day(1))
    found = week(world)
    assert found["Quizzed"][1] == (
        "Practice exam my-exam: 0 of 2 right, 0% (95%: 0% to 66%); Networks 0 of 1; Storage 0 of 1"
    )
    assert found["Mastered"][-1] == "Certificate earned on 2026-11-21: NVIDIA associate"


def of_tiers(number: int) -> Item:
    one = item(number, "c-tiers")
    return replace(one, evidence=replace(one.evidence, start=20, end=33))


# ------------------------------------------------------------------------------------------------- certificates


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [("2026-11-21", 24, "2028-11-21"), ("2024-02-29", 12, "2025-02-28"), ("2026-12-31", 2, "2027-02-28")],
)
def test_months_later_is_the_same_day_or_the_last_of_the_month(start: str, months: int, end: str) -> None:
    assert months_later(datetime.date.fromisoformat(start), months).isoformat() == end


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_certificate_takes_title_and_validity_from_its_plan() -> None:
    assert ask("cert", "list").stdout == "no certificate yet; plan one: ask cert add ID --title TITLE --day DATE\n"
    assert "planned 2026-12-18" in ask("cert", "add", "nca-aiio", "--day", "2026-12-18").stdout
    assert "valid until 2026-12-18" in ask("cert", "earn", "nca-aiio", "2024-12-18").stdout
    assert "9999-01-01 is still to come; book it" in ask("cert", "earn", "nca-aiio", "9999-01-01").stderr
    assert "say what it is called" in ask("cert", "add", " ").stderr
    told = json.loads(ask("cert", "list", "--json").stdout)["certificates"]
    assert [(one["id"], one["expires"]) for one in told] == [("nca-aiio", "2026-12-18")]
    assert "there is no certificate cka; yours: nca-aiio" in ask("cert", "drop", "cka").stderr
    assert ask("cert", "drop", "nca-aiio").exit_code == 0
    assert json.loads(ask("cert", "list", "--json").stdout)["certificates"] == []


def test_a_certificate_of_two_plans_is_offered_once_with_the_day_that_the_plan_has(settings: AssistantSettings) -> None:
    own = settings.home / "plans"
    own.mkdir(parents=True)
    for name, date in (("one", "2027-03-01"), ("two", '"2027-03-01"')):
        (own / f"{name}.yaml").write_text(SMALL.replace("my-exam", name).replace("2027-03-01", date))
        assert ask("plan", name, "--start", "2026-11-21").exit_code == 0
    assert ask("cert", "list").stdout == "in a plan 2027-03-01  Certificate X (x-1): ask cert add x-1\n"
    assert ask("cert", "add", "x-1").stdout == "Certificate X: planned 2027-03-01\n"


# ----------------------------------------------------------------------------------------------------- learners


def test_nothing_of_one_learner_shows_to_another(
    settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (settings.notes / "networks.md").write_text(RDMA)
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))
    runner = CliRunner()

    def as_(learner: str, *arguments: str, given: str = "") -> str:
        environment = {"STUDY_LEARNER": learner}
        done = runner.invoke(main, list(arguments), input=given, env=environment)
        assert done.exit_code == 0, done.output
        return done.stdout

    as_("anna", "plan", "nca-aiio", "--start", "2026-11-01", "--tick", "diagnosis")
    as_("anna", "quiz", "--no-llm", "-n", "3", given="x\nx\nx\nx\n")
    as_("anna", "cert", "add", "nca-aiio")
    as_("anna", "What is RoCE?")
    anna, ben = (json.loads(as_(name, "plan", "nca-aiio", "--json")) for name in ("anna", "ben"))
    assert (anna["begun"], ben["begun"]) == (True, False)
    assert ben["phases"][0]["marks"][0]["ticked"] is None
    assert (anna["answered_today"] > 0, ben["answered_today"], ben["due"]) == (True, 0, 0)
    assert json.loads(as_("ben", "cert", "list", "--json")) == {"certificates": [], "suggested": []}
    told = json.loads(as_("ben", "log", "--json"))["sections"]
    assert told["Studied"] == ["Nothing was asked or answered."]
    assert told["Asked"] == ["No questions."]
    ids = [
        [one["id"] for one in json.loads(as_(name, "quiz", "--no-llm", "-n", "3", "--json"))["items"]]
        for name in ("ben", "carl")
    ]
    assert ids[0] == ids[1] != []  # items are shared
    assert learners_in(settings.home) == ["anna", "ben", "carl"]
    assert as_("ben", "learners") == "anna\nben (you)\ncarl\n"
    assert as_("dora", "learners") == "anna\nben\ncarl\ndora (you; nothing is kept yet)\n"
    with pytest.raises(AssertionError, match="no exam was left unfinished"):
        as_("ben", "exam", "--resume")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a\\b", " anna", "anna ", "x" * 65, "𝒜" * 64, "a\0b", "-rf"])
def test_a_name_that_can_be_no_folder_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a name: use letters, digits and"):
        AssistantSettings(learner=name)


def test_each_name_has_a_folder_of_its_own_and_one_name_has_one_however_it_is_typed(tmp_path: Path) -> None:
    def folder(name: str) -> Path:
        of = folder_of(AssistantSettings(learner=name, home=tmp_path))
        of.mkdir(parents=True, exist_ok=True)
        return of

    names = ["änne", "anna", "con", "anna.", "x" * 64, "ß", "李"]  # 'con' and a last dot are names like any other
    assert len({folder(name) for name in names}) == 7
    assert folder("a\u0308nne") == folder("änne")
    with pytest.raises(LearnerAlike, match="anna keeps a journal here, and Anna differs in capitals alone"):
        folder("Anna")
    (tmp_path / "learners" / "o\u0308zge").mkdir()  # as it was kept once: it is not lost
    assert folder("özge").name == "o\u0308zge"


@pytest.mark.parametrize(
    "line",
    [
        *("- a", "+ a", "1. b", "12) b", "---", "===", "# h", "> q", "a_b_c *x* `c` ~~s~~ | t |", "back\\"),
        *("[l](http://e) ![i](x) <b>i</b> <http://e>", "&amp; & &copy;", "3 notes: a.md, b_c.md", "-5 %", "v1.2"),
    ],
)
def test_a_line_of_the_log_is_shown_by_a_renderer_as_it_is(line: str) -> None:
    day_ = datetime.date(2026, 11, 21)
    text = markdown_of(Progress(day_, day_, (Section("Asked", (line,)),)))
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    assert shown == (
        "<h1>Progress, 2026-11-21 to 2026-11-21</h1>\n<h2>Asked</h2>\n"
        f"<ul>\n<li>{html.escape(line, quote=False)}</li>\n</ul>\n"
    )


def test_the_log_is_markdown_that_can_be_pasted(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "home" / "learners" / "me")
    reviews = Reviews(journal, AssistantSettings())
    reviews.add(world.items[0], 3, correct=True)
    monkeypatch.setenv("STUDY_NOTES", str(tmp_path))
    text = ask("log", "--week", "--markdown").stdout
    assert text.startswith(f"# Progress, {datetime.date.today() - datetime.timedelta(days=6)} to ")
    assert "\n## Quizzed\n\n- 1 answered (1 in reviews), 1 right (100%)\n" in text
    assert "--week is --days 7; give one of them" in ask("log", "--week", "--days", "3").stderr
