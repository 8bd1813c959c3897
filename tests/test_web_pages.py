"""The pages as a learner uses them, in a real browser: no error in the console, no request to another host."""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fpdf
import pytest

from eval.cases import read_cases
from tests.browser import App, again, ask, fits, opened, served, tab
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
        again(page)
        page.wait_for_selector("#log .turn >> nth=1")
        turns = re.compile(r"<article.*</article>", re.DOTALL)
        assert turns.search(page.locator("#log").inner_html())[0] == turns.search(before)[0]  # type: ignore[index]
        page.locator("#log .answer .chip").first.click()
        page.wait_for_selector("#panel mark")


def test_the_history_can_be_searched_and_opened(browser: Any, app: App) -> None:
    with opened(browser, app, width=380) as page:
        ask(page, "What is overfitting?")
        assert page.get_by_role("button", name="New conversation").count() == 0  # nor can the keyboard get there
        history = page.get_by_role("button", name="History", exact=True)
        history.click()
        page.get_by_role("button", name="New conversation").click()
        page.wait_for_selector(".welcome")
        assert page.evaluate("document.activeElement.closest('#question') !== null")
        history.click()
        page.fill("#search textarea, #search input", "overfit")
        page.wait_for_function("document.querySelectorAll('#past li').length === 1")
        page.locator("#past .link").click()
        page.locator("#log .chip").first.click()  # the history is out of the way
        assert page.locator("#log .asked").inner_text() == "What is overfitting?"
        history.click()
        page.keyboard.press("Escape")
        page.wait_for_selector("#history:not(.open)", state="attached")
        history.click()
        page.get_by_label("Remove from the history: What is overfitting?").click()
        page.wait_for_selector("#past:has-text('Nothing found.')")
        page.wait_for_selector(".welcome")
        page.get_by_role("button", name="Undo").click()
        page.wait_for_function("document.querySelectorAll('#past li').length === 1")


def test_a_complaint_is_kept(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, "What does DDP synchronize?")
        turn.get_by_role("button", name="Under the hood").click()
        page.wait_for_selector("#panel .hood")
        turn.get_by_label("Something is wrong with this answer").click()
        page.wait_for_selector("#wrong input:focus")
        place = page.locator("#wrong").first.bounding_box()
        assert 0 <= place["y"] < 500  # not beneath all that the panel shows
        page.get_by_label("It is wrong").check()
        page.get_by_label("The note that has the answer (optional)").fill("distributed")
        page.get_by_role("option", name=NOTES[0]).click()
        page.get_by_role("button", name="Keep as a test question").click()
        page.wait_for_selector("#panel:has-text('Kept: every night')")
        assert turn.get_by_label("Something is wrong with this answer").get_attribute("aria-pressed") == "true"
        again(page)
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
        again(page)
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
        assert page.locator(".welcome").count() == 0
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


def test_an_answer_becomes_the_topic_of_a_quiz(browser: Any, app: App) -> None:
    with opened(browser, app) as page:
        turn = ask(page, FSDP)
        turn.get_by_role("button", name="Quiz me on this").click()
        page.wait_for_selector("#quiz-card h2 small")
        assert page.input_value("#quiz-topic textarea, #quiz-topic input") == FSDP
