"""Several people at one app, in a real browser: whose page it is, what others see of it, and how a session ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser import App, ask, served, tab
from tests.conftest import NOBODY
from tests.test_web_pages import installation
from ui.users import Users

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"
ANNA = "How does FSDP differ from DDP?"
BEN = "What is overfitting?"


@contextmanager
def people(place: Path, models: Path, **settings: str) -> Iterator[App]:
    notes, home = installation(place, models)
    for name in ("anna", "ben"):
        Users(home).add(name, PASSWORD)
    with served(notes, home, STUDY_LLM_URL=NOBODY, **settings) as running:
        yield running


@contextmanager
def page_of(browser: Any, app: App, name: str) -> Iterator[Any]:
    """Log in, in a browser of one's own."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(app.url)
    page.fill("input[name=name]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("button")
    page.wait_for_selector("#question textarea")
    page.wait_for_function("document.querySelector('#past p, #past ul')")
    try:
        yield page
    finally:
        context.close()


def test_two_learners_see_nothing_of_each_other(browser: Any, models: Path, tmp_path: Path) -> None:
    with (
        people(tmp_path, models) as app,
        page_of(browser, app, "anna") as anna,
        page_of(browser, app, "ben") as ben,
    ):
        for page, name in ((anna, "anna"), (ben, "ben")):
            page.wait_for_selector(f"#banner form:visible span:text-is('{name}')")
        ask(anna, ANNA)
        ask(ben, BEN)
        for page, own, others in ((anna, ANNA, BEN), (ben, BEN, ANNA)):
            page.reload()
            page.wait_for_selector("#log .turn")
            assert page.locator("#log .asked").all_inner_texts() == [own]
            page.wait_for_selector("#past li", state="attached")
            assert page.locator("#past .link").all_text_contents() == [own]
            assert others not in page.content()
        # A conversation of the other has the same number in her journal; a thumb on it is one on one's own.
        ben.locator("#log").get_by_label("This answer helped").click()
        ben.wait_for_selector("#log [aria-pressed=true]")
        anna.reload()
        anna.wait_for_selector("#log .turn")
        assert anna.locator("#log [aria-pressed=true]").count() == 0
        tab(anna, "Quality")
        anna.wait_for_selector("#use:has-text('1: 1 quoted')")

        anna.get_by_role("button", name="Log out").click()
        anna.wait_for_selector("input[name=password]")
        anna.goto(app.url)
        assert anna.title() == "Log in · Study assistant"
        ask(ben, "And what limits it?")


def test_when_a_session_ends_the_page_says_so_and_leads_to_the_log_in(
    browser: Any, models: Path, tmp_path: Path
) -> None:
    with people(tmp_path, models) as app, page_of(browser, app, "anna") as page:
        ask(page, ANNA)
        page.fill("#question textarea", "half a ques")
        Users(app.home).add("anna", "quite another one")  # which ends her sessions
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog#ended:has-text('Your session has ended')")
        assert page.evaluate("document.activeElement.textContent") == "Log in again"
        page.get_by_role("link", name="Log in again").click()
        page.fill("input[name=name]", "anna")
        page.fill("input[name=password]", "quite another one")
        page.click("button")
        page.wait_for_selector("#log .turn")
        assert page.locator("#log .asked").inner_text() == ANNA


def test_a_page_that_nobody_uses_ends_its_session_by_itself(browser: Any, models: Path, tmp_path: Path) -> None:
    with people(tmp_path, models, STUDY_UI_SESSION_HOURS="0.001") as app, page_of(browser, app, "anna") as page:
        tab(page, "Notes")  # where the page asks how things stand every second
        page.wait_for_selector("dialog#ended", timeout=15_000)
