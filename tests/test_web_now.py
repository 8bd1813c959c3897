"""What an open page is told: who answers now, whose page it is, and that something changed in the notes."""

import json
from pathlib import Path
from typing import Any

import pytest
from gradio import Request

from ingest.shelf import Shelf
from tests.browser import opened, served
from tests.conftest import NOBODY
from tests.fake_openai import FakeServer
from tests.fakes import HashedEmbedder
from tests.served import settings_in
from ui.errors import Nameless
from ui.web import desk as desks
from ui.web.desk import Desk
from ui.web.now import standing, state_of_notes
from ui.web.parts import learner_of


def desk_of(tmp_path: Path, **settings: str) -> Desk:
    told = settings_in(tmp_path, llm_connect_ms=9000, **settings)
    return Desk(told, shelf=Shelf(told, embedder=HashedEmbedder(dim=64)))


def test_who_answers_is_told_as_the_server_comes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "FRESH", -1.0)
    with FakeServer() as server:
        desk = desk_of(tmp_path, llm_url=server.url)
        told, well = standing(desk)
        assert well
        assert told.endswith(" writes the answers.")
    told, well = standing(desk)
    assert not well
    assert told.startswith(f"No model serves at {server.url} yet: answers are quotes from your notes")
    assert "make serve" in told


def test_the_server_is_looked_for_once_whoever_asks(tmp_path: Path) -> None:
    with FakeServer() as server:
        desk = desk_of(tmp_path, llm_url=server.url)
        for _ in range(20):
            standing(desk)
        assert len([one for one in server.requests if one.path.endswith("/models")]) == 1


def test_notes_that_are_not_there_are_told_before_anything_else(tmp_path: Path) -> None:
    desk = desk_of(tmp_path, notes=str(tmp_path / "nowhere"))
    assert standing(desk) == (
        f"There are no notes at {tmp_path / 'nowhere'}: set STUDY_NOTES to your folder and start again.",
        False,
    )


def test_the_state_of_the_notes_changes_with_a_sync_and_not_by_itself(tmp_path: Path) -> None:
    desk = desk_of(tmp_path)
    before = state_of_notes(desk)
    assert state_of_notes(desk) == before
    desk.syncs.start()
    desk.syncs.wait(30)
    assert state_of_notes(desk) != before


@pytest.mark.parametrize("name", ["", None])
def test_a_page_without_a_name_is_nobody_s_and_not_the_first_learner_s(name: str | None) -> None:
    with pytest.raises(Nameless, match="does not know whose it is any more; load it again"):
        learner_of(Request(username=name))


@pytest.mark.slow
def test_the_head_of_the_page_follows(browser: Any, models: Path, tmp_path: Path) -> None:
    notes, home = tmp_path / "notes", tmp_path / "home"
    settings_in(tmp_path)
    home.mkdir()
    (home / "models").symlink_to(models)
    with served(notes, home, STUDY_LLM_URL=NOBODY) as app, opened(browser, app) as page:
        page.wait_for_selector("#banner .todo:has-text('No model serves at')")
        assert page.locator("#banner form").is_hidden()
        now = json.dumps({"told": "Qwen3-8B writes the answers.", "kind": "well", "who": "", "notes": "1"})
        page.route("**/now", lambda route: route.fulfill(body=now, content_type="application/json"))
        page.evaluate("study.look()")
        page.wait_for_selector("#banner .well:has-text('Qwen3-8B writes the answers.')")
