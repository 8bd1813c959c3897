import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.items import Item
from assistant.journal import Journal
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from tests.scripted import choice, cloze, flashcard
from ui.errors import QuestionsFailed, TooManyQuestions
from ui.web.round import AHEAD, Round, Rounds, Supply


@pytest.fixture
def reviews(tmp_path: Path) -> Reviews:
    settings = AssistantSettings(home=tmp_path)
    return Reviews(Journal.of(settings), settings)


def endless(made: list[int]) -> Iterator[Item]:
    try:
        for n in range(1000):
            made.append(n)
            yield choice(f"Question {n}?")
    finally:
        made.append(-1)


def test_only_a_few_questions_are_made_ahead_and_none_once_the_round_is_over() -> None:
    made: list[int] = []
    supply = Supply(endless(made))
    assert [one.question for one in (supply.next(), supply.next()) if one] == ["Question 0?", "Question 1?"]
    supply.close()
    supply.thread.join(5)
    assert not supply.thread.is_alive()
    assert made[-1] == -1
    assert len(made) <= 2 + AHEAD + 2


def test_a_learner_who_pauses_for_long_finds_the_rest_of_the_questions() -> None:
    supply = Supply(iter([choice(f"Question {n}?") for n in range(AHEAD + 3)]))
    time.sleep(0.05)
    asked = 0
    while supply.next():
        asked += 1
    assert asked == AHEAD + 3
    assert supply.next() is None


def test_a_seat_is_taken_while_a_question_is_made_and_not_while_it_waits() -> None:
    taken: list[str] = []

    @contextlib.contextmanager
    def seat() -> Iterator[None]:
        taken.append("in")
        yield
        taken.append("out")

    supply = Supply(iter([choice()]), seat)
    assert supply.next()
    assert supply.next() is None
    assert taken == ["in", "out", "in", "out"]


def test_who_finds_no_room_waits_for_it() -> None:
    tries = iter([True, False])

    @contextlib.contextmanager
    def seat() -> Iterator[None]:
        if next(tries, False):
            raise TooManyQuestions(6, " of yours")
        yield

    assert Supply(iter([choice()]), seat).next()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_reaches_the_learner_who_waits() -> None:
    def broken() -> Iterator[Item]:
        yield choice()
        raise KeyError("x")

    supply = Supply(broken())
    assert supply.next()
    with pytest.raises(QuestionsFailed, match="KeyError: 'x'"):
        supply.next()
    supply.thread.join(5)


def test_a_right_answer_of_a_review_is_kept_before_it_is_rated(reviews: Reviews) -> None:
    of = Round(reviews, Supply(iter([choice()])), "review")
    assert of.next()
    of.answer("4")
    assert of.to_rate
    assert [(one.rating, one.correct) for one in reviews.log()] == [(3, True)]
    of.rate(4)
    assert not of.to_rate
    assert [(one.rating, one.correct) for one in reviews.log()] == [(4, True)]


def test_a_card_is_kept_once_the_learner_says_how_it_went(reviews: Reviews) -> None:
    of = Round(reviews, Supply(iter([flashcard()])), "quiz")
    of.next()
    of.answer("")
    assert of.to_rate
    of.rate(2)
    of.rate(4)
    assert [(one.rating, one.correct) for one in reviews.log()] == [(2, None)]
    assert of.right == 1


def test_each_step_makes_what_was_shown_before_old(reviews: Reviews) -> None:
    of = Round(reviews, Supply(iter([cloze(), choice()])), "quiz")
    steps = [of.step]
    of.next()
    steps.append(of.step)
    of.answer("block")
    steps.append(of.step)
    of.answer("warp")
    assert of.step == steps[-1]
    of.overrule()
    steps.append(of.step)
    of.next()
    steps.append(of.step)
    assert steps == [0, 1, 2, 3, 4]
    assert (of.right, of.wrong) == (1, [])


def test_a_learner_has_one_round_and_the_one_before_makes_no_more(reviews: Reviews) -> None:
    rounds, made = Rounds(), list[int]()
    first, second = (Round(reviews, Supply(endless(made)), "quiz") for _ in range(2))
    rounds.begin("anna", first)
    assert rounds.of("anna") is first
    assert rounds.of("ben") is None
    rounds.begin("anna", second)
    first.supply.thread.join(5)
    assert not first.supply.thread.is_alive()
    assert rounds.of("anna") is second
    second.supply.close()
    second.supply.thread.join(5)


def test_what_was_answered_elsewhere_while_it_stood_in_line_is_not_asked(reviews: Reviews) -> None:
    items = [choice(f"Question {n}?") for n in range(AHEAD + 2)]
    for item in items:
        reviews.add(item, 3, correct=True, at=time.time() - 30 * 86400)
    of = Round(reviews, Supply(iter(items)), "review")
    assert of.next() == items[0]
    elsewhere = Reviews(Journal(reviews.journal.path.parent), AssistantSettings())
    for item in items[1:-1]:
        elsewhere.add(item, 3, correct=True)
    assert of.next() == items[-1]
    assert of.next() is None
