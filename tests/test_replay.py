"""What is kept of a log in memory is always what a replay of it from nothing gives, whoever wrote to it meanwhile."""

import contextlib
import datetime
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsrs import Card, Rating, Scheduler
from hypothesis import example, given, settings
from hypothesis import strategies as some

from assistant.journal import Journal
from assistant.review import AGAIN, EASY, GOOD, HARD, Review, Reviews, card_id
from assistant.settings import AssistantSettings
from tests.scripted import choice
from tests.test_review import DAY, NOON, Clock, reviews
from ui.settings import UiSettings
from ui.web.desk import Desk

ITEMS = [choice(f"What is thing {n} of the list called?") for n in range(5)]


def moment(at: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at, datetime.UTC)


def by_hand(journal: Journal, until: float = float("inf")) -> dict[str, Card]:
    """Replay the rows of a journal, and nothing else."""
    rows: list[Any] = journal.rows("SELECT id, item, at, rating FROM reviews ORDER BY n")
    corrected = dict(journal.rows("SELECT review, rating FROM corrections ORDER BY id"))
    cards: dict[str, Card] = {}
    for n, (id_, item, _, rating) in enumerate(rows):
        at = min(row[2] for row in rows[n:])  # a clock that was put back had been ahead
        if at <= until:
            card = cards.get(item) or Card(card_id=card_id(item), due=moment(at))
            rated = Rating(corrected.get(id_, rating))
            cards[item], _ = Scheduler(enable_fuzzing=False).review_card(card, rated, moment(at))
    return cards


STEPS = some.lists(
    some.one_of(
        some.tuples(
            some.just("answer"),
            some.sampled_from(ITEMS),
            some.sampled_from([AGAIN, HARD, GOOD, EASY]),
            some.sampled_from([0.0, 0.0, 30.0, 700.0, 2 * DAY, 20 * DAY, -600.0, -30 * DAY]),
        ),
        some.tuples(some.just("correct"), some.integers(0, 30), some.sampled_from([AGAIN, HARD, GOOD, EASY])),
        some.tuples(some.just("leave"), some.sampled_from(ITEMS)),
        some.tuples(some.just("look")),
    ),
    max_size=25,
)

PUT_BACK: list[Any] = [
    ("answer", ITEMS[0], GOOD, 20 * DAY),
    ("answer", ITEMS[1], GOOD, -DAY),
    ("look",),
    ("correct", 0, HARD),  # of an answer that counts as given before the clock said so
]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(steps=STEPS, here=some.lists(some.booleans(), min_size=25, max_size=25))
@example(steps=PUT_BACK, here=[True] * 25)
def test_after_any_answers_and_corrections_the_schedule_is_the_one_replayed_from_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], here: list[bool]
) -> None:
    folder, clock = tmp_path_factory.mktemp("log"), Clock()
    mine, other = reviews(folder, clock), reviews(folder, clock)
    exam = exam_in(mine)
    kept: list[Review] = []
    left: dict[str, float] = {}
    for step, mine_writes in zip(steps, here, strict=False):
        writer = mine if mine_writes else other
        match step:
            case ("answer", item, rating, later):
                clock.now += later
                kept.append(writer.add(item, rating, correct=rating > AGAIN))
            case ("correct", n, rating) if kept:
                writer.overrule(kept[n % len(kept)].id, rating, correct=rating > AGAIN)
            case ("leave", item):
                with writer.journal.transaction() as db:
                    db.execute("INSERT INTO unanswered (item, at, exam) VALUES (?, ?, ?)", (item.id, clock.now, exam))
                left[item.id] = min(clock.now, left.get(item.id, clock.now))
            case ("look",):
                mine.schedule()
    wanted = by_hand(mine.journal)
    at, before = clock.now + 3 * DAY, clock.now - DAY
    chance = Scheduler().get_card_retrievability
    ids = [item.id for item in ITEMS]
    for made in (mine, Reviews(Journal(folder), AssistantSettings(), now=clock)):
        then = by_hand(mine.journal, before)
        assert made.recall(ids, at, until=before) == {
            id_: chance(then[id_], moment(at)) if id_ in then else 0.0 for id_ in ids
        }
        found = made.schedule()
        assert {id_: one.due for id_, one in found.items()} == left | {
            id_: card.due.timestamp() for id_, card in wanted.items()
        }
        assert {id_: made.card(id_) for id_ in ids} == {id_: wanted.get(id_) for id_ in ids}
        assert made.recall(wanted, at) == {id_: chance(card, moment(at)) for id_, card in wanted.items()}
        times = [one.at for one in made.log()]
        assert times == sorted(times)
        assert len(times) == made.count() == len(kept)
    assert mine.log() == made.log()
    for one in (mine, other, made):
        one.journal.close()


def exam_in(made: Reviews) -> str:
    with made.journal.transaction() as db:
        db.execute("INSERT INTO exams VALUES ('e1', 0, 'p', 'P', 60, '[]', '[]')")
    return "e1"


ADD = (
    "INSERT INTO reviews (id, item, at, rating, given, graded_by, why, took_ms, source, kind, question, objective, "
    "path) SELECT 'elsewhere', item, at + 60, 4, '', 'key', '', 0, 'review', kind, '', '', '' FROM reviews "
    "ORDER BY n LIMIT 1"
)
CORRECT = (
    "INSERT INTO corrections (review, at, rating, correct, why) SELECT id, 0, 4, 1, '' FROM reviews ORDER BY n LIMIT 1"
)
FIT = (
    "INSERT INTO fits (at, parameters, reviews) VALUES (0, "
    f"'{[9.0 if n < 4 else value for n, value in enumerate(Scheduler().parameters)]}', 512)"
)


@pytest.mark.parametrize("statement", [ADD, CORRECT, FIT], ids=["a review", "a correction", "a fit"])
def test_what_another_program_writes_counts_at_the_next_look(tmp_path: Path, statement: str) -> None:
    made = reviews(tmp_path)
    made.add(ITEMS[0], GOOD, correct=True)
    made.add(ITEMS[1], GOOD, correct=True)
    before = made.schedule()
    with contextlib.closing(sqlite3.connect(made.journal.path)) as db:
        db.execute(statement)
        db.commit()
    after = made.schedule()
    assert after[ITEMS[0].id].stability > before[ITEMS[0].id].stability
    assert after == reviews(tmp_path).schedule()


def test_a_card_knows_of_a_clock_that_was_put_back_though_another_item_told(tmp_path: Path) -> None:
    clock = Clock(NOON + 300 * DAY)
    made = reviews(tmp_path, clock)
    made.add(ITEMS[0], GOOD, correct=True)
    assert not made.is_due(ITEMS[0].id)
    clock.now = NOON
    made.add(ITEMS[1], GOOD, correct=True)
    clock.now = NOON + 600
    assert made.is_due(ITEMS[0].id)
    assert {one.item for one in made.due({one.id for one in ITEMS})} == {ITEMS[0].id, ITEMS[1].id}


def counting(made: Reviews, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by each review that is replayed."""
    replayed: list[int] = []
    own: Callable[..., Any] = Scheduler.review_card

    def review_card(self: Scheduler, card: Card, *rest: Any) -> Any:
        replayed.append(card.card_id)
        return own(self, card, *rest)

    monkeypatch.setattr(Scheduler, "review_card", review_card)
    return replayed


def test_nothing_is_replayed_twice_but_the_item_that_was_answered_or_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    made = reviews(tmp_path, clock)
    for item, _ in itertools.product(ITEMS, range(4)):
        clock.now += 60
        last = made.add(item, GOOD, correct=True)
    replayed = counting(made, monkeypatch)
    ids = {item.id for item in ITEMS}
    made.schedule()
    assert len(replayed) == 20
    for _ in range(3):
        made.due(ids), made.card(ITEMS[0].id), made.recall(ids, clock.now), made.recall(ids, 0, until=clock.now)
    assert len(replayed) == 20
    made.add(ITEMS[1], GOOD, correct=True)
    made.schedule()
    assert replayed[20:] == [card_id(ITEMS[1].id)] * 5
    made.rate(last, EASY)
    made.schedule()
    assert replayed[25:] == [card_id(ITEMS[4].id)] * 4
    for item in ITEMS[:2]:
        made.add(item, GOOD, correct=True)
        made.schedule()
    assert replayed[29:] == [card_id(ITEMS[0].id)] * 5 + [card_id(ITEMS[1].id)] * 6


def test_the_web_app_replays_a_learners_log_once_for_all_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(UiSettings(home=tmp_path / "home", notes=tmp_path))
    desk.reviews("anna").add(ITEMS[0], GOOD, correct=True)
    replayed = counting(desk.reviews("anna"), monkeypatch)
    for _ in range(3):
        assert list(desk.reviews("anna").schedule()) == [ITEMS[0].id]
    assert len(replayed) == 1
    assert desk.reviews("ben").schedule() == {}
    assert desk.reviews() is desk.reviews(desk.settings.learner)
