"""The Exam tab without a browser: no time comes back to a learner who leaves an exam, nor by a crash."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from assistant.blueprint import Blueprint, load
from assistant.compose import choose
from assistant.cover import Coverage, Covered, Serving
from assistant.exam import Exam
from assistant.review import Reviews
from ingest.shelf import Shelf
from tests.fakes import HashedEmbedder
from tests.served import settings_in
from tests.test_blueprint import SMALL, written
from tests.test_exam import POOL
from tests.test_review import Clock
from ui.web.desk import Desk
from ui.web.exam import ExamTab, Sitting

ME: Any = SimpleNamespace(username="me")
COVERED = (("rdma", "networks"), ("tiers", "storage"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    settings = settings_in(tmp_path)
    return Desk(settings, shelf=Shelf(settings, embedder=HashedEmbedder(dim=64)))


def load_small(desk: Desk) -> Blueprint:
    return load(written(desk.settings.home.parent, SMALL))


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def tab(desk: Desk, clock: Clock) -> ExamTab:
    """The first of ten questions is on the screen, of an exam of ten minutes."""
    serving = {one: (Serving(f"c-{of}", f"{of}.md", "§ A", 100, 0.6),) for one, of in COVERED}
    coverage = Coverage("my-exam", 1, {one: Covered(True, 0.9, by) for one, by in serving.items()})

    async def laid() -> ExamTab:
        with gr.Blocks():
            return ExamTab(desk)

    tab = asyncio.run(laid())  # where no event loop runs, Gradio leaves some of its own
    blueprint = load_small(desk)
    exam = Exam.begin(desk.reviews("me"), blueprint, choose(blueprint, coverage, POOL, 10), 10, clock=clock)
    tab._sittings["me"] = Sitting(exam)
    exam.next()
    return tab


def press(tab: ExamTab, action: str, who: Any) -> dict[Any, Any]:
    sitting = tab._sittings.get(who.username)
    event: Any = SimpleNamespace(_data={"do": action, "step": str(sitting.step if sitting else 0), "given": "2"})
    return tab.pressed(event, who)


def test_an_app_that_fails_gives_back_no_more_than_what_came_after_the_last_minute(
    desk: Desk, tab: ExamTab, clock: Clock
) -> None:
    clock.now += 60
    tab.lap(ME)
    clock.now += 20  # and then the machine fails
    assert Exam.resume(desk.reviews("me")).time_left == 540.0


def test_a_pause_gives_no_time_back(desk: Desk, tab: ExamTab, clock: Clock) -> None:
    clock.now += 45
    press(tab, "pause", ME)
    assert Exam.resume(desk.reviews("me")).time_left == 555.0


def test_with_a_clock_that_went_back_no_exam_goes_on(desk: Desk, tab: ExamTab) -> None:
    later = Reviews(desk.journal("me"), desk.of("me"), now=Clock(time.time() + 10 * 86400))
    exam = Exam.resume(later)
    exam.next()
    exam.answer("2")
    assert "and the last review was on" in str(tab.resume(ME)[tab.card.html])


def test_an_exam_is_its_learner_s_alone(tab: ExamTab) -> None:
    other: Any = SimpleNamespace(username="other")
    sitting = tab._sittings["me"]
    question = sitting.exam.questions[0].item.question
    for shown in (tab.load(None, other), tab.resume(other), press(tab, "answer", other), press(tab, "sure", other)):
        assert question not in str(shown)
    assert (sitting.exam.answered, sitting.exam.over) == (0, "")
    shown = tab.load(None, other)
    assert shown[tab.again]["visible"] is False
    assert "None yet." in shown[tab.past]
    assert question in str(tab.load(None, ME)[tab.card.html])


def test_start_asks_first_where_an_exam_goes_on_and_begins_none(desk: Desk, tab: ExamTab) -> None:
    question = tab._sittings["me"].exam.questions[0].item.question
    (shown,) = tab.start("my-exam", 4, 5, ME)
    assert "An exam goes on. Begin another?" in shown[tab.card.html]
    assert question in shown[tab.card.html]
    kept = press(tab, "look", ME)
    assert question in kept[tab.card.html]
    assert "Begin another?" not in kept[tab.card.html]
    assert len(desk.reviews("me").journal.rows("SELECT id FROM exams")) == 1


def test_another_exam_puts_the_one_that_goes_on_off_and_gives_it_no_time_back(
    desk: Desk, tab: ExamTab, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tab._sittings["me"].exam
    begun = Exam.begin(desk.reviews("me"), load_small(desk), first.questions[3:5], 5, clock=clock)
    monkeypatch.setattr(tab, "_begin", lambda *_: SimpleNamespace(exam=begun, told=lambda: ()))
    clock.now += 45
    *_, shown = tab.another("my-exam", 2, 5, ME)
    assert "0 of 2 answered" in shown[tab.card.html]
    assert press(tab, "sure", ME)[tab.again]["value"] == "Go on: 0 of 10 answered, 9:15 left"
    assert Exam.resume(desk.reviews("me")).id == first.id


def test_another_exam_that_can_t_begin_leaves_the_one_that_goes_on_where_it_is(tab: ExamTab) -> None:
    question = tab._sittings["me"].exam.questions[0].item.question
    *_, shown = tab.another("nowhere", 4, 5, ME)
    assert "nowhere" in shown[tab.card.html]
    assert question in shown[tab.card.html]
