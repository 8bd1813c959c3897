"""The learner's pages in a real browser, by keyboard and by finger, wide and narrow."""

import datetime
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.decide import Decisions
from assistant.items import Item, Items
from assistant.journal import Journal
from assistant.quiz import Wish, quiz
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.browser import App, again, fits, opened, served, tab
from tests.conftest import NOBODY, ROOT

pytestmark = pytest.mark.slow

CORPUS = ROOT / "corpus"
WIDTHS = pytest.mark.parametrize("width", [1280, 380])


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, corpus_home: Path) -> Iterator[App]:
    """The whole starter course, and a learner who has done nothing yet."""
    home = tmp_path_factory.mktemp("course") / "home"
    shutil.copytree(corpus_home, home, symlinks=True)
    with served(CORPUS, home, STUDY_LLM_URL=NOBODY) as running:
        yield running


def answer_by_key(page: Any, card: str) -> str:
    """Answer a question by keyboard, whatever its kind; return its text."""
    question: str = page.locator(f"{card} h2").inner_text()
    # The keyboard follows the question by a moment; until then space would press Start, or the tab, again.
    page.wait_for_timeout(100)
    if not page.evaluate("document.activeElement.closest('.card, .typed') !== null"):
        page.focus(f"{card} h2")
    if page.locator(f"{card} .option").count():
        page.keyboard.press("1")
    elif page.locator(".typed textarea:visible, .typed input:visible").count():
        page.wait_for_function("document.activeElement.matches('.typed textarea, .typed input')")
        page.keyboard.type("no idea at all")
        page.keyboard.press("Enter")
    else:
        page.keyboard.press("Space")
    page.wait_for_selector(f"{card} .verdict")
    return question


def go_on_by_key(page: Any, card: str) -> None:
    """Rate the answer where that is asked, and go on."""
    if page.locator(f"{card} [data-do=rate]").count():
        page.keyboard.press("3")
    else:
        page.keyboard.press("Enter")


def shown_in(page: Any, selector: str) -> bool:
    """Return whether something is within the box that scrolls around it."""
    seen: bool = page.evaluate(
        "selector => { const one = document.querySelector(selector);"
        "const box = one.closest('.text').getBoundingClientRect();"
        "const at = one.getBoundingClientRect(); return at.top >= box.top - 1 && at.top < box.bottom; }",
        selector,
    )
    return seen


@WIDTHS
def test_a_quiz_is_taken_by_keyboard_to_its_end(browser: Any, course: App, width: int) -> None:
    card = "#quiz-card"
    with opened(browser, course, width=width) as page:
        tab(page, "Quiz")
        page.locator("#quiz-count input").fill("3")
        page.focus("#quiz-start")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{card} h2")
        asked = []
        for number in range(3):
            page.wait_for_selector(f"{card} h2 small:text-is('{number + 1}')")
            assert page.locator(f"{card} .verdict").count() == 0
            asked.append(answer_by_key(page, card))
            assert page.locator("#quiz-source mark").count() == 1
            page.wait_for_timeout(100)
            assert shown_in(page, "#quiz-source mark")
            assert page.evaluate("document.activeElement.matches('.verdict')")
            assert (course.notes / page.locator(f"{card} .place").inner_text().split(" · ")[0]).exists()
            go_on_by_key(page, card)
        page.wait_for_selector(f"{card} h2:has-text('of 3 right')")
        assert len(set(asked)) == 3


def test_enter_on_a_tab_or_a_button_does_what_it_says_there(browser: Any, course: App) -> None:
    with opened(browser, course) as page:
        tab(page, "Quiz")
        page.click("#quiz-start")
        page.wait_for_selector("#quiz-card h2 small")
        page.wait_for_function(
            "document.querySelector('#quiz-card').contains(document.activeElement) || "
            "document.activeElement.matches('.typed textarea, .typed input')"
        )
        answer_by_key(page, "#quiz-card")
        verdict = page.locator("#quiz-card").inner_html()
        page.get_by_role("tab", name="Quiz").focus()
        for key in ("Enter", "Space"):
            page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert page.locator("#quiz-card").inner_html() == verdict
        place = page.locator("#quiz-card .place button")
        place.focus()
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.matches('#quiz-source .text')")
        assert page.locator("#quiz-card").inner_html() == verdict


@WIDTHS
def test_a_quiz_that_is_loaded_again_goes_on_where_it_was(browser: Any, course: App, width: int) -> None:
    with opened(browser, course, width=width) as page:
        tab(page, "Quiz")
        page.click("#quiz-start")
        page.wait_for_selector("#quiz-card h2 small:text-is('1')")
        answer_by_key(page, "#quiz-card")
        go_on_by_key(page, "#quiz-card")
        page.wait_for_selector("#quiz-card h2 small:text-is('2')")
        question = page.locator("#quiz-card h2").inner_text()
        again(page)
        tab(page, "Quiz")
        page.wait_for_selector("#quiz-card h2 small:text-is('2')")
        assert page.locator("#quiz-card h2").inner_text() == question
        if page.locator("#quiz-answer textarea:visible").count():
            page.focus("#quiz-answer textarea")
        answer_by_key(page, "#quiz-card")
        assert fits(page)
        go_on_by_key(page, "#quiz-card")
        page.wait_for_selector("#quiz-card h2 small:text-is('3')")
        page.get_by_role("button", name="End here").click()
        page.wait_for_selector("#quiz-card h2:has-text('of 2 right')")
        again(page)
        tab(page, "Quiz")
        assert page.locator("#quiz-card h2").count() == 0


def test_the_key_does_not_reach_the_browser_before_the_answer(browser: Any, course: App) -> None:
    with opened(browser, course) as page:
        tab(page, "Quiz")
        page.click("#quiz-start")
        page.wait_for_selector("#quiz-card h2 small")
        question = page.locator("#quiz-card h2").inner_text().split(" ", 1)[1]
        with sqlite3.connect(next(course.home.glob("items-*.db"))) as items:
            rows = items.execute("SELECT item FROM items").fetchall()
        (item,) = [found for (row,) in rows if (found := json.loads(row))["question"] in question]
        shown = page.content()
        assert item["evidence"]["quote"] not in shown
        assert item["explanation"] not in shown
        if not item["options"]:
            assert item["answer"] not in page.locator("#quiz-card").inner_text().replace(item["question"], "")
        assert page.locator("#quiz-card .right").count() == 0


@WIDTHS
def test_what_is_due_is_reviewed_and_rated(browser: Any, course: App, width: int) -> None:
    settings = AssistantSettings(home=course.home, notes=course.notes, llm_url=NOBODY)
    shelf = Shelf(settings)
    sync(shelf, wait=True)
    items = Items.of(shelf.folder)
    (item,) = [
        one
        for one in quiz(shelf, settings, items, Wish(1, kinds=frozenset({"mcq"}), fresh=True))
        if isinstance(one, Item)
    ]
    reviews, there = Reviews(Journal.of(settings), settings), {one.id: one for one in items.active()}
    known = list(reviews.schedule())
    for days in (60, 59):
        reviews.add(item, 3, correct=True, at=time.time() - days * 86400)
    for id_ in known:  # what was answered in another test counts as answered before these, and would be due with them
        reviews.add(there[id_], 4, correct=True)
    with opened(browser, course, width=width) as page:
        tab(page, "Review")
        page.wait_for_selector("#due:has-text('1 due now.')")
        assert page.get_by_role("tab", name="Review (1)").count() == 1
        page.click("#review-start")
        page.wait_for_selector(f"#review-card h2:has-text({json.dumps(item.question, ensure_ascii=False)})")
        page.keyboard.press(str(item.key + 1))
        page.wait_for_selector("#review-card .verdict:has-text('Right.')")
        assert page.locator("#review-source mark").inner_text() == item.evidence.quote
        page.keyboard.press("4")
        page.wait_for_selector("#review-card h2:has-text('1 of 1 right')")
        page.wait_for_selector("#due:has-text('Nothing is due. Next: in')")
        assert page.get_by_role("tab", name="Review", exact=True).count() == 1
    assert [(one.rating, one.correct, one.source) for one in reviews.log(item.id)][-1] == (4, True, "review")


@WIDTHS
def test_a_plan_says_what_to_do_today_and_leads_there(browser: Any, course: App, width: int) -> None:
    decisions = Decisions(Journal.of(AssistantSettings(home=course.home, notes=course.notes)))
    decisions.minutes("nca-aiio", 600)  # there is something to do, whatever was answered today in another test
    decisions.exam("nca-aiio", datetime.date.today() + datetime.timedelta(days=1))
    with opened(browser, course, width=width) as page:
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .plan")
        page.locator("#plan-name input").click()
        page.get_by_role("option", name=re.compile("AI Infrastructure and Operations")).click()
        page.wait_for_selector("#plan-page h2:has-text('AI Infrastructure and Operations')")
        assert page.locator("#plan-page .domain summary .heat > span").count() == 21
        assert page.locator("#plan-page .phase").count() == 3
        assert fits(page)
        page.locator("#plan-page .tasks [data-do=note]").first.click()
        page.wait_for_selector("#plan-source mark")
        page.wait_for_timeout(100)
        assert shown_in(page, "#plan-source mark")
        assert fits(page)
        page.locator("#plan-page .tasks [data-do=quiz]").first.click()
        page.wait_for_selector("#quiz-card h2 small")


@WIDTHS
def test_dates_and_milestones_of_a_plan_are_kept(browser: Any, course: App, width: int) -> None:
    dates = "#plan-page form[data-do=dates]"
    with opened(browser, course, width=width) as page:
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .plan")
        if not page.locator(dates).is_visible():
            page.get_by_text("Dates and minutes").click()
        page.fill(f"{dates} [name=start]", "2026-11-01")
        page.fill(f"{dates} [name=exam]", "2026-10-01")
        page.locator(f"{dates} button").click()
        page.wait_for_selector("#plan-page:has-text('The exam must be after the start.')")
        page.fill(f"{dates} [name=start]", "2026-11-01")
        page.fill(f"{dates} [name=exam]", "2099-01-01")
        page.fill(f"{dates} [name=minutes]", "45")
        page.locator(f"{dates} button").click()
        page.wait_for_selector("#plan-page:has-text('2099-01-01'):has-text('45 minutes a day')")
        page.locator("#plan-page .phase:not([open]) summary").first.click()
        page.locator("#plan-page .phase[open] [role=checkbox]").first.click()
        page.wait_for_selector("#plan-page [role=checkbox][aria-checked=true]")
        page.wait_for_timeout(300)
        again(page)
        tab(page, "Plan")
        page.wait_for_selector("#plan-page [role=checkbox][aria-checked=true]", state="attached")
        assert "2099-01-01" in page.locator("#plan-page").inner_text()
        page.get_by_text("Dates and minutes").click()
        page.fill(f"{dates} [name=exam]", "")
        page.locator(f"{dates} button").click()
        page.wait_for_selector("#plan-page:not(:has-text('2099-01-01'))")
        page.locator("#plan-page .phase:has([aria-checked=true]) summary").click()
        page.locator("#plan-page [role=checkbox][aria-checked=true]").click()
        page.wait_for_selector("#plan-page [role=checkbox][aria-checked=true]", state="detached")
        page.get_by_role("button", name="The week’s log").click()
        page.get_by_role("button", name="Write it").click()
        page.wait_for_selector("#week h1:has-text('Progress, ')")
        page.get_by_role("button", name="Copy as Markdown").click()
        page.wait_for_selector("#week :text('Copied')")
        assert page.evaluate("navigator.clipboard.readText()").startswith("# Progress, ")
        assert fits(page)


@WIDTHS
def test_certificates_are_planned_booked_earned_and_taken_off(browser: Any, course: App, width: int) -> None:
    name = f"Swimming, {width} m"
    with opened(browser, course, width=width) as page:
        tab(page, "Plan")
        page.wait_for_selector("#certificates h3")
        page.get_by_text("Add a certificate").click()
        add = page.locator("#certificates form").last
        add.get_by_label("Name").fill(name)
        add.get_by_label("It is").select_option("booked")
        add.get_by_role("button", name="Keep").click()
        page.wait_for_selector("#certificates:has-text('Say on which day it is.')")
        page.get_by_text("Add a certificate").click()
        add.get_by_label("Name").fill(name)
        add.get_by_label("On", exact=True).fill("2099-05-01")
        add.get_by_label("It is").select_option("booked")
        add.get_by_role("button", name="Keep").click()
        mine = page.locator("#certificates li", has_text=name)
        mine.locator("text=booked, 01 May 2099").wait_for()
        mine.get_by_text("Change", exact=True).click()
        mine.get_by_label("It is").select_option("earned")
        mine.get_by_role("button", name="Keep").click()
        page.wait_for_selector("#certificates:has-text('That day is still to come: say that it is booked.')")
        mine.get_by_text("Change", exact=True).click()
        mine.get_by_label("It is").select_option("earned")
        mine.get_by_label("On", exact=True).fill("2024-05-01")
        mine.get_by_label("Valid until (empty: as the plan says)").fill("2024-06-01")
        mine.get_by_role("button", name="Keep").click()
        mine.locator("text=expired, earned 01 May 2024, valid until 01 Jun 2024").wait_for()
        assert fits(page)
        mine.get_by_text("Change", exact=True).click()
        mine.get_by_label("It is").select_option("dropped")
        mine.get_by_role("button", name="Keep").click()
        mine.wait_for(state="detached")


@WIDTHS
def test_an_exam_survives_a_reload_and_tells_nothing_before_its_end(browser: Any, course: App, width: int) -> None:
    card = "#exam-card"
    with opened(browser, course, width=width) as page:
        tab(page, "Exam")
        page.wait_for_function("document.querySelector('#exam-minutes input').value !== ''")  # as the plan has them
        page.locator("#exam-count input").fill("4")
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        page.click("#exam-start")
        page.wait_for_selector(f"{card} h2 small", timeout=60_000)
        of = int(re.findall(r"0 of (\d+) answered", page.locator(f"{card} .clock").inner_text())[0])
        assert of >= 2

        def answer(number: int) -> None:
            if page.locator(f"{card} .option").count():
                page.keyboard.press("1")
            else:
                page.fill("#exam-answer textarea, #exam-answer input", "1 2 3 4")
                page.keyboard.press("Enter")
            page.wait_for_selector(f"{card}:has-text('{number} of {of} answered'), {card} h2:has-text('of {of} right')")
            assert page.locator(f"{card} .verdict").count() == 0

        answer(1)
        question = page.locator(f"{card} h2").inner_text()
        again(page)
        tab(page, "Exam")
        page.wait_for_selector(f"{card}:has-text('1 of {of} answered')")
        assert page.locator(f"{card} h2").inner_text() == question
        assert not page.locator("#exam-resume").is_visible()
        page.click("#exam-start")
        page.wait_for_selector(f"{card}:has-text('An exam goes on. Begin another?')")
        page.get_by_role("button", name="No", exact=True).click()
        page.wait_for_selector(f"{card} [data-do=pause]")
        assert page.locator(f"{card} h2").inner_text() == question
        page.get_by_role("button", name="Pause").click()
        page.wait_for_selector(f"{card}:has-text('The clock stands still')")
        page.get_by_role("button", name=f"Go on: 1 of {of} answered").click()
        page.wait_for_selector(f"{card}:has-text('1 of {of} answered')")
        for number in range(2, of + 1):
            answer(number)
        page.wait_for_selector(f"{card} h2:has-text('of {of} right')")
        assert page.locator(f"{card} tbody tr").count() == 4
        page.get_by_role("button", name="Exams that you took").click()
        page.wait_for_selector(f"#exams tr:has-text('of {of}')")
        if page.locator(f"{card} [data-do=miss]").count():
            page.locator(f"{card} [data-do=miss]").first.click()
            page.wait_for_selector("#exam-source mark")


def test_an_exam_ends_when_its_time_is_up(browser: Any, course: App) -> None:
    with opened(browser, course) as page:
        tab(page, "Exam")
        page.wait_for_function("document.querySelector('#exam-minutes input').value !== ''")  # as the plan has them
        page.locator("#exam-count input").fill("4")
        page.keyboard.press("Tab")
        page.wait_for_function("document.querySelector('#exam-minutes input').value === '4.8'")
        page.locator("#exam-minutes input").fill("0.05")
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .domain")
        tab(page, "Exam")
        page.wait_for_timeout(500)
        assert page.locator("#exam-count input").input_value() == "4"  # what was written there stays
        page.click("#exam-start")
        page.wait_for_selector("#exam-card [role=timer]", timeout=60_000)
        page.wait_for_selector("#exam-card h2:has-text('right')")
        assert "the time is up" in page.locator("#exam-card").inner_text()


@WIDTHS
def test_a_question_an_answer_an_exam_and_a_plan_have_no_serious_barrier(browser: Any, course: App, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    with opened(browser, course, width=width, dark=width == 380) as page:
        tab(page, "Quiz")
        page.click("#quiz-start")
        page.wait_for_selector("#quiz-card h2 small")
        page.wait_for_timeout(200)
        found += Axe().run(page).response["violations"]
        answer_by_key(page, "#quiz-card")
        found += Axe().run(page).response["violations"]
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .domain")
        page.locator("#plan-page .domain summary").first.click()
        page.get_by_text("Add a certificate").click()
        found += Axe().run(page).response["violations"]
        tab(page, "Exam")
        page.wait_for_timeout(300)
        found += Axe().run(page).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert grave == []
