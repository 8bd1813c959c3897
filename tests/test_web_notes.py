"""The Notes tab: the folder as a tree, many notes gone at once, uploads that mean no good or come at a bad time."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.ledger import Note
from tests.browser import App, again, opened, served, tab
from tests.conftest import NOBODY
from tests.folders import Folder
from ui.web.notes import OPENED, tree_html
from ui.web.syncs import Syncs


def note(path: str, state: str = "indexed", **more: Any) -> Note:
    return Note(path, state, chunks=1, **more)


def test_folders_hold_folders_each_with_its_count_and_what_is_wrong_in_it() -> None:
    tree = tree_html([note("a/b/one.md"), note("a/two.md"), note("a/b/bad.pdf", "encrypted", reason="a password")])
    assert tree.startswith("<p>3 files: 1 encrypted, 2 indexed</p>")
    assert re.findall(r'data-folder="([^"]+)" open><summary( class=ill)?>(\w+) <small>([^<]+)', tree) == [
        ("a/", " class=ill", "a", "3 files: 1 encrypted, 2 indexed"),
        ("a/b/", " class=ill", "b", "2 files: 1 encrypted, 1 indexed"),
    ]
    assert "encrypted: a password <em>save a copy without a password beside it</em>" in tree
    assert tree.index("bad.pdf") < tree.index("one.md") < tree.index("two.md")


def test_a_thousand_notes_are_folded_and_drawn_at_once() -> None:
    notes = [note(f"course {i // 50}/week {i // 10 % 5}/{i}.md") for i in range(1000)]
    started = time.perf_counter()
    tree = tree_html(notes)
    assert time.perf_counter() - started < 0.5
    assert len(notes) > OPENED
    assert " open" not in tree
    assert tree.count("<li") == 1000
    assert len(tree) < 400_000


def test_a_change_during_a_sync_is_synced_after_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(a="one", b="two")
    syncs = Syncs(folder.shelf)
    first = syncs.start()
    folder.write(c="three")
    syncs.follow()
    syncs.wait(30)
    assert sorted(folder.indexed()) == ["a.md", "b.md", "c.md"]
    assert syncs.last
    assert syncs.last.report
    assert syncs.last.started >= first.started


@pytest.fixture
def app(tmp_path: Path, models: Path) -> Iterator[App]:
    notes, home = tmp_path / "notes", tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    for name in ("zoo/zebra", "zoo/lion", "zoo/cage/ape", "tram"):
        path = notes / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n\nAll there is to say of {name}.\n")
    with served(notes, home, STUDY_LLM_URL=NOBODY, STUDY_UI_UPLOAD_FILES="3", STUDY_MAX_FILE_MB="1") as running:
        yield running


def upload(page: Any, *files: dict[str, Any]) -> list[str]:
    page.set_input_files("#upload input[type=file]", list(files))
    page.wait_for_selector("#uploaded li")
    told: list[str] = page.locator("#uploaded li").all_inner_texts()
    return told


def file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "text/markdown", "buffer": content}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 380])
def test_no_upload_replaces_a_note_or_leaves_the_folder(browser: Any, app: App, width: int) -> None:
    with opened(browser, app, width=width) as page:
        tab(page, "Notes")
        page.wait_for_selector("#tree li:has-text('tram.md')")
        before = (app.notes / "tram.md").read_bytes()
        assert upload(page, file("tram.md", b"# Mine\n\nAnother one.\n")) == [
            "tram.md: kept as tram (2).md: another one has that name"
        ]
        page.wait_for_selector("#tree li:has-text('tram (2).md')")
        assert (app.notes / "tram.md").read_bytes() == before
        again(page)
        page.wait_for_selector("#past p, #past ul", state="attached")
        tab(page, "Notes")
        (told,) = upload(page, file("..\\..\\evil.md", b"# Evil\n\nOutside.\n"))
        assert "now " in told
        page.wait_for_selector("#tree li:has-text('evil')")
        again(page)
        page.wait_for_selector("#past p, #past ul", state="attached")
        tab(page, "Notes")
        assert upload(page, *(file(f"many {i}.md", b"# Many\n") for i in range(4)))[-1] == (
            "many 3.md: not taken: at most 3 files at once"
        )
        assert [path.name for path in app.notes.parent.rglob("*evil*") if not path.is_relative_to(app.notes)] == []


@pytest.mark.slow
def test_many_notes_that_are_gone_are_named_and_forgotten_only_when_that_is_right(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        tab(page, "Notes")
        page.wait_for_selector("#tree li:has-text('ape.md')")
        kept = {path: path.read_bytes() for path in app.notes.glob("zoo/**/*.md")}
        for path in kept:
            path.unlink()
        page.click("#sync")
        page.wait_for_selector("#progress .gone:has-text('3 of 4 notes are gone from the folder')")
        page.locator("#progress .gone summary").click()
        assert page.locator("#progress .gone li").all_inner_texts() == [
            "zoo/cage/ape.md",
            "zoo/lion.md",
            "zoo/zebra.md",
        ]
        assert page.locator("#tree li").count() == 4
        page.get_by_role("button", name="Remove them from the index").click()
        page.wait_for_function("document.querySelectorAll('#tree li').length === 1")


@pytest.mark.slow
def test_folders_open_by_keyboard_and_stay_as_they_were(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        tab(page, "Notes")
        cage = page.locator("#tree details[data-folder='zoo/cage/']")
        cage.wait_for()
        cage.locator("summary").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("#tree details[data-folder='zoo/cage/']:not([open])")
        (app.notes / "new.md").write_text("# New\n\nA new note.\n")
        page.click("#sync")
        page.wait_for_selector("#tree li:has-text('new.md')")
        assert cage.get_attribute("open") is None
        assert page.locator("#tree details[data-folder='zoo/']").get_attribute("open") is not None
