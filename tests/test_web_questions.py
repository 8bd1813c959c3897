"""The Quiz tab without a browser: what is told beside questions, and what is kept in mind of a plan's objectives."""

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from assistant.decide import Decisions, UsedUp
from assistant.errors import ServerFailed
from assistant.items import Item
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.conftest import ROOT
from tests.fakes import HashedEmbedder
from tests.scripted import Scripted, flashcard
from tests.served import settings_in
from ui.web.ask import EVERYWHERE
from ui.web.desk import Desk
from ui.web.questions import QuizTab

ME: Any = SimpleNamespace(username="me")
FAILED = ServerFailed("http://127.0.0.1:1/v1", 500, "")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    settings = settings_in(tmp_path)
    shutil.copy(ROOT / "corpus" / "infrastructure" / "distributed-training.md", settings.notes)
    shelf = Shelf(settings, embedder=HashedEmbedder(dim=64))
    sync(shelf)
    yield Desk(settings, shelf=shelf)
    shelf.close()


@pytest.fixture
def tab(desk: Desk) -> QuizTab:
    async def laid() -> QuizTab:
        with gr.Blocks():
            return QuizTab(desk)

    return asyncio.run(laid())  # where no event loop runs, Gradio leaves some of its own


def shown_of(tab: QuizTab, *shown: dict[Any, Any]) -> str:
    return str(shown[-1][tab.questions.card.html])


def test_a_round_begins_though_each_picture_of_it_is_asked_for_in_another_thread(desk: Desk, tab: QuizTab) -> None:
    pictures = tab.start("", EVERYWHERE, 2, ME)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        shown = [each.submit(next, pictures, None).result(60) for each in (one, other, one, other)]
    assert shown[1]
    assert '<h2 tabindex="-1"><small>1</small> ' in shown_of(tab, shown[1])
    assert shown[2:] == [None, None]


def test_a_model_that_fails_at_work_is_told_beside_the_questions_that_rules_make(
    desk: Desk, tab: QuizTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> object:
        raise FAILED

    monkeypatch.setattr(desk, "model", lambda: Scripted(fail))
    shown = shown_of(tab, *tab.start("", EVERYWHERE, 2, ME))
    assert shown.count("the model failed, so the questions that are missing are made by rule: ") == 1
    assert "answered 500" in shown
    assert '<h2 tabindex="-1"><small>1</small> ' in shown


@pytest.mark.parametrize(
    ("wanted", "model", "fails", "used_up"),
    [
        ("3", None, False, {"ai-ml-dl": UsedUp(1, by_rule=True)}),
        ("3", Scripted(lambda _: {}), False, {"ai-ml-dl": UsedUp(1, by_rule=False)}),
        ("3", Scripted(lambda _: {}), True, {}),
        ("1", None, False, {}),
    ],
)
def test_an_objective_of_which_the_notes_gave_less_than_was_wanted_is_used_up(
    desk: Desk,
    tab: QuizTab,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    model: Scripted | None,
    fails: bool,
    used_up: dict[str, UsedUp],
) -> None:
    def one_card(*_: Any, failing: Any, **more: Any) -> Iterator[Item]:
        if fails:
            failing(FAILED)
        yield flashcard()

    monkeypatch.setattr("assistant.study.questions", one_card)
    if model:
        monkeypatch.setattr(desk, "model", lambda: model)
    pressed: Any = {"do": "quiz", "plan": "nca-aiio", "objective": "ai-ml-dl", "count": wanted}
    shown = shown_of(tab, *tab.start_about(SimpleNamespace(_data=pressed), ME))  # type: ignore[arg-type]
    assert "What is meant by “Warp”?" in shown
    of = tab.questions._rounds.of("me")
    assert of
    of.supply.thread.join(10)
    assert Decisions(desk.journal("me")).of("nca-aiio").used_up == used_up
