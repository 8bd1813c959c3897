"""Reviews: the log is append-only, the schedule is py-fsrs's own, and no acknowledged review is lost."""

import contextlib
import datetime
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fsrs import Card, Rating, Scheduler

from assistant.errors import ClockWrong, JournalUnavailable, NotEnoughReviews, OptimizerMissing
from assistant.items import Items
from assistant.journal import Journal
from assistant.review import AGAIN, EASY, GOOD, HARD, Reviews, card_id
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from tests.scripted import choice, cloze
from ui.cli import main

NOON = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC).timestamp()
DAY = 86400.0


class Clock:
    """Shows what it is told."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def reviews(folder: Path, clock: Clock | None = None, **settings: float) -> Reviews:
    return Reviews(Journal(folder), AssistantSettings(**settings), now=clock or Clock())  # type: ignore[arg-type]


def test_a_replayed_log_gives_the_schedule_of_py_fsrs_exactly(tmp_path: Path) -> None:
    chosen = random.Random(7)
    clock = Clock()
    made = reviews(tmp_path, clock)
    items = [choice(f"What is thing {n} of the list called?") for n in range(40)]
    own = Scheduler(enable_fuzzing=False)
    cards = {
        item.id: Card(card_id=card_id(item.id), due=datetime.datetime.fromtimestamp(NOON, datetime.UTC))
        for item in items
    }
    for _ in range(600):
        clock.now += chosen.expovariate(1 / 20000) + 0.000123
        item, rating = chosen.choice(items), chosen.choice([AGAIN, HARD, GOOD, GOOD, EASY])
        made.add(item, rating, correct=rating > AGAIN)
        moment = datetime.datetime.fromtimestamp(clock.now, datetime.UTC)
        cards[item.id], _ = own.review_card(cards[item.id], Rating(rating), moment)
    again = reviews(tmp_path, clock)
    schedule = again.schedule()
    for item in items:
        found, wanted = again.card(item.id), cards[item.id]
        assert found is not None
        assert (found.due, found.stability, found.difficulty, found.state, found.step) == (
            *(wanted.due, wanted.stability, wanted.difficulty, wanted.state, wanted.step),
        )
        assert schedule[item.id].due == wanted.due.timestamp()
        assert again.recall([item.id], clock.now + 5 * DAY) == {
            item.id: own.get_card_retrievability(
                wanted, datetime.datetime.fromtimestamp(clock.now + 5 * DAY, datetime.UTC)
            )
        }


def test_what_is_due_comes_longest_overdue_first_and_only_among_active_items(tmp_path: Path) -> None:
    clock = Clock()
    made = reviews(tmp_path, clock)
    one, two, resting = choice("What is the first?"), choice("What is the second?"), choice("What is resting?")
    for item, rating in ((one, GOOD), (two, AGAIN), (resting, AGAIN)):
        made.add(item, rating, correct=rating > AGAIN)
    assert made.due([one.id, two.id]) == []
    clock.now += 3600
    assert [due.item for due in made.due([one.id, two.id])] == [two.id, one.id]


def test_a_higher_retention_brings_items_back_sooner(tmp_path: Path) -> None:
    dates = []
    for retention in (0.8, 0.95):
        made = reviews(tmp_path / str(retention), review_retention=retention)
        made.add(choice(), EASY, correct=True)
        dates.append(made.schedule()[choice().id].due)
    assert dates[1] < dates[0]


def test_i_was_right_counts_and_the_first_grade_stays_in_the_log(tmp_path: Path) -> None:
    made = reviews(tmp_path)
    review = made.add(choice(), AGAIN, correct=False, given="wrap")
    made.overrule(review.id, GOOD, correct=True)
    [found] = made.log()
    assert (found.rating, found.correct, found.by, found.given) == (GOOD, True, "learner", "wrap")
    assert made.journal.rows("SELECT rating, correct FROM reviews") == [(AGAIN, 0)]
    card = made.card(choice().id)
    assert card is not None
    assert card.stability == Scheduler().parameters[GOOD - 1]


def test_how_easy_it_was_counts_from_the_first_on_and_who_graded_stays(tmp_path: Path) -> None:
    made = reviews(tmp_path)
    review = made.add(choice(), GOOD, correct=True, by="model", why="it says so")
    made.rate(made.rate(review, EASY), EASY)
    [found] = made.log()
    assert (found.rating, found.correct, found.by, found.why) == (EASY, True, "model", "it says so")
    assert made.journal.rows("SELECT rating FROM corrections") == [(EASY,)]
    moment = datetime.datetime.fromtimestamp(NOON, datetime.UTC)
    own = Scheduler(enable_fuzzing=False)
    wanted, _ = own.review_card(Card(card_id=card_id(choice().id), due=moment), Rating.Easy, moment)
    assert made.card(choice().id) == wanted
    with pytest.raises(ValueError, match="1 to 4, not 7"):
        made.rate(review, 7)


@pytest.mark.parametrize(
    "statement", ["UPDATE reviews SET rating = 4", "DELETE FROM reviews", "DELETE FROM corrections"]
)
def test_the_log_can_only_grow(tmp_path: Path, statement: str) -> None:
    made = reviews(tmp_path)
    made.overrule(made.add(choice(), AGAIN, correct=False).id, GOOD, correct=True)
    with pytest.raises(JournalUnavailable, match="stay"), made.journal.transaction() as db:
        db.execute(statement)
    assert len(made.log()) == 1


def test_the_same_answer_sent_twice_is_kept_once(tmp_path: Path) -> None:
    made = reviews(tmp_path)
    for _ in range(2):
        made.add(choice(), GOOD, correct=True, id_="a5")
    assert len(made.log()) == 1


def test_a_clock_that_can_not_be_right_is_noticed(tmp_path: Path) -> None:
    clock = Clock()
    made = reviews(tmp_path, clock)
    made.check_clock()  # nothing to compare with
    made.add(choice(), GOOD, correct=True)
    for now, sane in ((NOON + DAY, True), (NOON - 600, True), (0.0, False), (NOON + 500 * DAY, False)):
        clock.now = now
        if sane:
            made.check_clock()
        else:
            with pytest.raises(ClockWrong, match="set the clock, or, if it is right: ask quiz --clock-is-right"):
                made.check_clock()


def test_a_review_kept_by_a_clock_that_was_ahead_does_not_put_its_item_off(tmp_path: Path) -> None:
    clock = Clock(NOON + 300 * DAY)
    made = reviews(tmp_path, clock)
    other = replace(choice(), question="Which other?")
    for item in (choice(), other):
        made.add(item, GOOD, correct=True)
    clock.now = NOON
    with pytest.raises(ClockWrong):
        made.check_clock()
    made.add(choice(), GOOD, correct=True)  # the learner said that the clock is right
    made.check_clock()
    assert [one.at for one in made.log()] == [NOON, NOON, NOON]
    assert [round(one.due - NOON) for one in made.schedule().values()] == [2 * DAY, 600]


def test_what_another_terminal_asked_meanwhile_is_not_asked_again(tmp_path: Path) -> None:
    clock = Clock()
    mine, other = reviews(tmp_path, clock), reviews(tmp_path, clock)
    both = [choice(), replace(choice(), question="Which other?")]
    for item in both:
        mine.add(item, GOOD, correct=True)
    clock.now += 3 * DAY
    asked = mine.while_due(both)
    assert next(asked) == both[0]
    other.add(both[1], GOOD, correct=True)
    assert list(asked) == []


def test_too_few_reviews_are_not_fitted_to(tmp_path: Path) -> None:
    made = reviews(tmp_path)
    made.add(choice(), GOOD, correct=True)
    with pytest.raises(NotEnoughReviews, match="the log has 1 reviews, and 512 are needed"):
        made.fit()


def test_without_the_optimizer_one_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ImportError('Optimizer is not installed.\nInstall it with: pip install "fsrs[optimizer]"')

    made = reviews(tmp_path)
    monkeypatch.setattr("assistant.review.LEAST_TO_FIT", 1)
    monkeypatch.setattr("fsrs.Optimizer", missing, raising=False)
    made.add(choice(), GOOD, correct=True)
    with pytest.raises(OptimizerMissing, match=r"not installed; run: .* -m pip install 'fsrs\[optimizer\]>=6,<7'$"):
        made.fit()


@pytest.mark.slow
def test_the_schedule_is_fitted_to_the_learners_own_log(tmp_path: Path) -> None:
    chosen = random.Random(1)
    clock = Clock()
    made = reviews(tmp_path, clock)
    items = [choice(f"What is thing {n} of the list called?") for n in range(60)]
    for day in range(12):
        for item in items:
            clock.now = NOON + day * 2 * DAY + chosen.random() * 3600
            made.add(item, AGAIN if chosen.random() < 0.4 else GOOD, correct=True)
    before = made.schedule()
    assert len(made.fit()) == 21
    after = made.schedule()
    assert sum(one.due for one in after.values()) != sum(one.due for one in before.values())
    assert Reviews(made.journal, AssistantSettings(), now=clock).schedule() == after


# ------------------------------------------------------------------------------------------- nothing is lost


def review_until_killed(settings: AssistantSettings, answers: int, screen: int) -> None:
    """Be a learner's `ask review`."""
    os.dup2(answers, 0)
    os.dup2(screen, 1)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    os.environ |= {"STUDY_HOME": str(settings.home), "STUDY_NOTES": str(settings.notes)}
    main.main(["review", "--no-llm", "-n", "40"])


def killed(settings: AssistantSettings, number: int, verdicts: int, after: float) -> list[str]:
    """Answer in `ask review`, kill it some seconds after so many verdicts, and return the answers that had one."""
    given = [f"guess {number} {n}" for n in range(40)]
    answers, learner = os.pipe()
    os.write(learner, "".join(f"{one}\n" for one in given).encode())
    os.close(learner)
    screen, shown = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            review_until_killed(settings, answers, shown)
        finally:
            os._exit(1)
    os.close(answers)
    os.close(shown)
    with os.fdopen(screen) as said:
        seen = 0
        while seen < verdicts and (line := said.readline()):
            seen += "Wrong: warp" in line
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return given[: seen + said.read().count("Wrong: warp")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_two_hundred_kills_and_four_writers_lose_no_acknowledged_review(settings: AssistantSettings) -> None:
    journal, shelf = Journal.of(settings), Shelf(settings)
    items = [replace(cloze(), question=f"A ____ is thing {n} of the list.") for n in range(1500)]
    Items.of(shelf.folder).add(items)
    made = Reviews(journal, settings)
    with journal.transaction() as db:  # all were learnt long ago
        db.executemany(
            "INSERT INTO reviews (id, item, at, rating, given, graded_by, why, took_ms, source, kind, question, "
            "objective, path) VALUES (?, ?, ?, 1, '', 'key', '', 0, 'quiz', 'cloze', '', '', '')",
            [(f"before {n}", item.id, NOON - 30 * DAY) for n, item in enumerate(items)],
        )
    assert len(made.due({item.id for item in items})) == 1500
    delays = random.Random(13)
    acknowledged: list[str] = []
    waiting = [(number, delays.randint(1, 4), delays.uniform(0.0, 0.03)) for number in range(200)]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                number, verdicts, after = waiting.pop()
            said = killed(settings, number, verdicts, after)
            with lock:
                acknowledged.extend(said)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = made.log()
    assert len(acknowledged) > 400
    assert set(acknowledged) - {review.given for review in log} == set()
    assert len({review.id for review in log}) == len(log)
    assert journal.check() == ""
    with contextlib.closing(sqlite3.connect(journal.path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
