"""`ask quiz` and `ask review` as a learner meets them: asked, graded, kept, due again; and what a quiz is made of."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant.errors import NotCovered
from assistant.grade import Grade
from assistant.items import CLOZE, MCQ, Item, Items
from assistant.journal import Journal
from assistant.quiz import Wish, quiz
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.scripted import Scripted, choice, cloze, evidence, flashcard
from ui.ask_item import when
from ui.cli import main
from ui.web.card import question_html
from ui.web.round import Round, Supply

GPU = "# GPUs\n\nA **warp** is a group of 32 threads that run together on one processor.\n"
ZOO = "# Zebras\n\nA **dazzle** is a group of zebras that live together on the plains of the south.\n"


@pytest.fixture
def shelf(settings: AssistantSettings, embedder: Embedder) -> Shelf:
    (settings.notes / "gpu").mkdir()
    (settings.notes / "gpu" / "warps.md").write_text(GPU)
    (settings.notes / "zebras.md").write_text(ZOO)
    made = Shelf(settings, embedder=embedder)
    sync(made)
    return made


Ask = Callable[..., str]


@pytest.fixture
def ask(shelf: Shelf, settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))

    def say(*words: str, answers: str = "") -> str:
        done = CliRunner().invoke(main, list(words), input=answers)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output

    return say


def kept(settings: AssistantSettings) -> Reviews:
    return Reviews(Journal.of(settings), settings)


def put(shelf: Shelf, *items: Item) -> None:
    text = GPU
    words = "A **warp** is a group of 32 threads that run together on one processor."
    note = shelf.ledger.note("gpu/warps.md")
    assert note is not None
    place = evidence(words, text, path="gpu/warps.md", version=note.version)
    Items.of(shelf.folder).add([replace(item, evidence=place) for item in items])


def test_a_question_is_asked_graded_explained_and_kept(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, choice())
    said = ask("quiz", "-n", "1", "--no-llm", answers="4\n")
    assert "1. What is a group of 32 threads called?" in said
    assert "   4  Warp" in said
    assert "Right." in said
    assert "“A warp is a group of 32 threads that run together on one processor.”\n   gpu/warps.md, line 1" in said
    assert "next: in 10 min" in said
    assert "1 of 1 right." in said
    [review] = kept(settings).log()
    assert (review.correct, review.rating, review.given, review.by, review.source) == (True, 3, "4", "key", "quiz")


def test_the_answer_is_not_shown_before_it_is_given(ask: Ask, shelf: Shelf) -> None:
    put(shelf, cloze())
    said = ask("quiz", "-n", "1", "--no-llm", answers="grid\n")
    before, after = said.split("[what belongs into the blank; q ends]")
    assert "warp" not in before.lower().replace("warps", "")
    assert "Wrong: warp" in after


def test_what_is_told_is_kept_before_though_the_learner_leaves_at_the_next_word(
    ask: Ask, shelf: Shelf, settings: AssistantSettings
) -> None:
    put(shelf, choice())
    reviews = kept(settings)
    reviews.add(choice(), 1, correct=False, at=time.time() - 86400)
    assert "Right." in ask("review", "--no-llm", answers="4\n")  # the input ends where a rating is asked for
    assert [(one.correct, one.rating) for one in reviews.log()] == [(False, 1), (True, 3)]


def test_the_learner_overrules_a_wrong_grade(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, cloze(), choice())
    said = ask("quiz", "-n", "2", "--no-llm", answers="bundle of 32\n!\n4\n")
    assert "noted: you were right about" in said
    assert "2 of 2 right." in said
    assert [(review.correct, review.by) for review in kept(settings).log()] == [(True, "learner"), (True, "key")]


def test_the_last_answer_can_be_overruled_too(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, choice())
    said = ask("quiz", "-n", "1", "--no-llm", answers="1\n!\n")
    assert "[Enter ends; ! says that you were right]" in said
    assert "1 of 1 right." in said
    assert [(review.correct, review.by) for review in kept(settings).log()] == [(True, "learner")]


def test_the_last_wrong_answer_stays_wrong_unless_it_is_overruled(
    ask: Ask, shelf: Shelf, settings: AssistantSettings
) -> None:
    put(shelf, choice())
    assert "0 of 1 right." in ask("quiz", "-n", "1", "--no-llm", answers="1\n\n")
    assert [review.correct for review in kept(settings).log()] == [False]


def test_the_letter_that_ends_can_be_an_answer(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, replace(cloze("Q"), question="The matrix of the asking side is called ____ there."))
    said = ask("quiz", "-n", "1", "--no-llm", answers="Q\na\n")
    assert "“Q” ends; Enter ends, a gives it as your answer" in said
    assert "Right." in said
    assert [review.given for review in kept(settings).log()] == ["Q"]


def test_q_ends_at_a_blank_and_is_no_answer(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, cloze())
    ask("quiz", "-n", "1", "--no-llm", answers="q\n\n")
    ask("quiz", "-n", "1", "--no-llm", answers="q\n")
    assert kept(settings).log() == []


def test_what_is_no_answer_is_asked_again_and_not_graded(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(
        shelf,
        Item("true_false", "A warp has 32 threads.", "true", evidence(), explanation="A warp is a group of 32."),
        Item("ordering", "In which order does it start?", "2 1 3", evidence(), options=("b", "a", "c")),
    )
    said = ask("quiz", "-n", "2", "--no-llm", answers="hm\nt\n2 2 2\n213\n")
    assert "   say true or false\n[t or f; q ends]" in said
    assert "A warp is a group of 32." in said
    assert "give each number from 1 to 3 once, in the right order" in said
    assert "2 of 2 right." in said


def test_in_a_browser_a_button_is_a_position_and_what_is_no_answer_leaves_the_question_open(
    settings: AssistantSettings,
) -> None:
    numbers = Item("mcq", "How many are there of them?", "16", evidence(), options=("2", "8", "4", "16"))
    steps = Item("ordering", "In which order does it start?", "2 1 3", evidence(), options=("b", "a", "c"))
    of = Round(kept(settings), Supply(iter([numbers, steps])), "quiz")
    of.next()
    told = question_html(numbers, 1, of.step)
    [fourth] = re.findall(r'data-given="([^"]*)" data-step="1" data-key="4"', told)
    assert of.answer(fourth) == Grade(True, "", "key")
    of.next()
    unread = of.answer("2 2")
    assert unread is not None
    assert unread.unread
    assert of.graded is None
    assert of.answer("213") == Grade(True, "", "key")
    assert [review.correct for review in kept(settings).log()] == [True, True]


def test_a_card_is_turned_and_rated(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, flashcard())
    said = ask("quiz", "-n", "1", "--no-llm", answers="\n7\n4\n")
    assert "a group of 32 threads that run together" in said
    assert "say 1, 2, 3 or 4" in said
    [review] = kept(settings).log()
    assert (review.rating, review.correct) == (4, None)


def test_the_end_of_the_input_ends_the_quiz_and_keeps_what_was_answered(
    ask: Ask, shelf: Shelf, settings: AssistantSettings
) -> None:
    put(shelf, choice(), cloze())
    ask("quiz", "--no-llm", answers="1\n")
    assert len(kept(settings).log()) == 1
    assert "q ends" in ask("quiz", "--no-llm", answers="q\n")
    assert len(kept(settings).log()) == 1


def test_what_was_answered_is_asked_by_reviews_and_no_more_by_quizzes(
    ask: Ask, shelf: Shelf, settings: AssistantSettings
) -> None:
    put(shelf, choice())
    ask("quiz", "-n", "1", "--no-llm", answers="1\n")
    assert choice().id not in {item["id"] for item in json.loads(ask("quiz", "--no-llm", "--json"))["items"]}
    assert ask("review", "--list").startswith("0 due; next: in 1 min")


def test_what_is_due_is_listed_without_its_answer(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, choice())
    reviews = kept(settings)
    reviews.add(choice(), 1, correct=False, at=reviews.now() - 3600)
    listed = json.loads(ask("review", "--json"))
    [due] = listed["due"]
    assert set(due) == {"id", "kind", "question", "options", "due", "reviews"}
    assert (due["id"], due["reviews"], listed["later"]) == (choice().id, 1, 0)


def test_a_review_asks_what_is_due_takes_a_rating_and_tells_the_next_date(
    ask: Ask, shelf: Shelf, settings: AssistantSettings
) -> None:
    put(shelf, choice())
    reviews = kept(settings)
    reviews.add(choice(), 3, correct=True, at=reviews.now() - 3600)
    said = ask("review", "--no-llm", answers="4\n4\n")
    assert "Right." in said
    assert "[1 again  2 hard  3 good  4 easy; Enter: good]" in said
    assert "next: in " in said
    assert "day" in said
    assert "nothing more is due now" in said
    assert [review.rating for review in reviews.log()] == [3, 4]


def test_an_item_whose_note_changed_leaves_review(ask: Ask, shelf: Shelf, settings: AssistantSettings) -> None:
    put(shelf, choice())
    reviews = kept(settings)
    reviews.add(choice(), 1, correct=False, at=reviews.now() - 3600)
    assert ask("review", "--list").splitlines()[-1].startswith("1 due")
    (settings.notes / "gpu" / "warps.md").write_text(GPU.replace("32", "64"))
    sync(shelf)
    assert ask("review", "--list").startswith("0 due; nothing later")
    assert len(reviews.log()) == 1


def test_a_wrong_clock_stops_the_review_until_it_is_said_to_be_right(ask: Ask, settings: AssistantSettings) -> None:
    reviews = kept(settings)
    reviews.add(choice(), 3, correct=True, at=reviews.now() + 90 * 86400)
    assert "set the clock, or, if it is right: ask quiz --clock-is-right" in ask("review")
    assert "0 due" in ask("review", "--clock-is-right")
    for command in (("quiz", "--no-llm"), ("plan", "nca-aiio", "--study"), ("exam", "--plan", "nca-aiio")):
        assert "set the clock, or, if it is right: ask quiz --clock-is-right" in ask(*command)
    assert "q ends" in ask("quiz", "--no-llm", "--clock-is-right", answers="q\n")


def test_an_unknown_kind_is_bad_usage(ask: Ask) -> None:
    assert "there is no kind riddle; kinds: mcq, true_false" in ask("quiz", "--kind", "riddle")


# ------------------------------------------------------------------------------------------- what it is made of


def made(shelf: Shelf, settings: AssistantSettings, wish: Wish, model: Scripted | None = None) -> list[Item]:
    found = quiz(shelf, settings, Items.of(shelf.folder), wish, model=model)
    return [one for one in found if isinstance(one, Item)]


def test_a_topic_keeps_to_what_is_about_it(shelf: Shelf, settings: AssistantSettings) -> None:
    found = made(shelf, settings, Wish(1, topic="threads that run together in a warp"))
    assert [item.evidence.path for item in found] == ["gpu/warps.md"]


def test_a_topic_that_the_notes_dont_cover_is_refused(shelf: Shelf, settings: AssistantSettings) -> None:
    with pytest.raises(NotCovered, match="your notes don't say enough about the best pizza in Naples"):
        made(shelf, settings, Wish(topic="the best pizza in Naples"))


def test_a_course_and_a_kind_can_be_wished_for(shelf: Shelf, settings: AssistantSettings) -> None:
    assert {item.evidence.course for item in made(shelf, settings, Wish(course="gpu"))} == {"gpu"}
    assert {item.kind for item in made(shelf, settings, Wish(kinds=frozenset({CLOZE}), fresh=True))} <= {CLOZE}


def test_the_objective_that_is_named_is_noted(shelf: Shelf, settings: AssistantSettings) -> None:
    found = made(shelf, settings, Wish(1, topic="threads of a warp", objective="gpu-basics"))
    assert [item.objective for item in found] == ["gpu-basics"]


def test_a_model_asks_about_all_notes_and_what_it_wrote_is_kept(shelf: Shelf, settings: AssistantSettings) -> None:
    def say(asked: str) -> object:
        if "<passage>" not in asked:
            return {"answer": "warp" if "threads" in asked else "dazzle"}
        threads = "warp" in asked
        return {
            "items": [
                {
                    "kind": "cloze",
                    "question": "A group of 32 threads is a ____."
                    if threads
                    else "Zebras live in a ____ on the plains.",
                    "answer": "warp" if threads else "dazzle",
                    "options": [],
                    "rubric": [],
                    "explanation": "",
                    "quote": (GPU if threads else ZOO).split("\n")[2],
                }
            ]
        }

    (settings.notes / "zebras.md").write_text(ZOO + "\n" + "Zebras eat grass. " * 20)
    (settings.notes / "gpu" / "warps.md").write_text(GPU + "\n" + "Threads need registers. " * 20)
    sync(shelf)
    found = made(shelf, settings, Wish(2), Scripted(say))
    assert Counter(item.evidence.course for item in found) == {"gpu": 1, "": 1}
    assert {item.id for item in Items.of(shelf.folder).active()} == {item.id for item in found}
    assert all(item.made_by.startswith("model scripted, prompt ") for item in found)


@pytest.mark.parametrize(("seconds", "told"), [(-5, "now"), (30, "in 1 min"), (600, "in 10 min"), (7200, "in 2 h")])
def test_the_next_date_is_said_as_people_say_it(seconds: float, told: str) -> None:
    assert when(1_800_000_000 + seconds, 1_800_000_000) == told


def test_a_multiple_choice_item_knows_its_key(tmp_path: Path) -> None:
    assert (choice().kind, choice().key) == (MCQ, 3)
