"""Reviews: every graded answer is kept for good, and the next date of each item follows from them by FSRS.

The log is the truth: nothing but graded answers is stored, and the schedule is py-fsrs's own, replayed from the log
(Ye, Su and Cao, KDD 2022: 'A stochastic shortest path algorithm for optimizing spaced repetition scheduling'), without
fuzz, so that the same log gives the same dates. A graded answer is never changed: 'I was right', or 'that was easy',
is one more row. So an answer is kept, rated good or again, before anyone is told what it came to, and whatever happens
then, it counts.
"""

import datetime
import json
import math
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from assistant.database import storable
from assistant.errors import ClockWrong, NotEnoughReviews, OptimizerMissing
from assistant.items import Item
from assistant.journal import Journal
from assistant.settings import AssistantSettings

if TYPE_CHECKING:
    from fsrs import Card, Scheduler

AGAIN, HARD, GOOD, EASY = 1, 2, 3, 4
RATINGS = {AGAIN: "again", HARD: "hard", GOOD: "good", EASY: "easy"}
LEAST_TO_FIT = 512
"""Reviews below which py-fsrs's optimizer gives its defaults back."""
BACK, AHEAD = 3600.0, 400 * 86400.0
"""Seconds that a clock may be behind the last review, or ahead of it, and be believed."""


@dataclass(frozen=True, slots=True)
class Review:
    """One graded answer, as it counts now."""

    id: str
    item: str
    """Id of the item."""
    at: float
    """Seconds since the epoch; never after the next review of the log: a clock that was put back had been ahead."""
    rating: int
    """1 again, 2 hard, 3 good, 4 easy."""
    correct: bool | None
    """None: the learner rated it without being right or wrong (a flashcard)."""
    given: str
    """What the learner said."""
    by: str
    """Who graded: key, model or learner."""
    why: str
    took_ms: int
    source: str
    """quiz, review or exam."""
    kind: str
    question: str
    objective: str
    path: str
    """The note that the item rests on: kept here, since an item may be gone when the log is read."""


@dataclass(frozen=True, slots=True)
class Due:
    """When an item is to be asked again."""

    item: str
    due: float
    """Seconds since the epoch."""
    last: float
    reviews: int
    stability: float
    """Days after which it is recalled with a chance of 90 %."""
    difficulty: float
    """1 to 10."""


class Reviews:
    """The reviews of one learner, in the learner's journal."""

    def __init__(self, journal: Journal, settings: AssistantSettings, *, now: Callable[[], float] = time.time) -> None:
        self.journal = journal
        self._retention = settings.review_retention
        self.now = now

    # ------------------------------------------------------------------------------------------------------ write

    def add(
        self,
        item: Item,
        rating: int,
        *,
        correct: bool | None,
        given: str = "",
        by: str = "key",
        why: str = "",
        took_ms: int = 0,
        source: str = "review",
        at: float | None = None,
        id_: str = "",
    ) -> Review:
        """Keep a graded answer; once this returns, it is on the disk.

        Args:
            item: What was asked.
            rating: 1 to 4.
            correct: None: neither right nor wrong.
            given: What the learner said.
            by: Who graded.
            why: Their reason.
            took_ms: Milliseconds from question to answer.
            source: quiz, review or exam.
            at: Seconds since the epoch; None: now.
            id_: Given by who may have to try again: the same answer is kept once.
        """
        if rating not in RATINGS:
            raise ValueError(f"a rating is 1 to 4, not {rating}")
        review = Review(
            id_ or uuid.uuid4().hex,
            item.id,
            self.now() if at is None else at,
            rating,
            correct,
            storable(given),
            by,
            storable(why),
            took_ms,
            source,
            item.kind,
            storable(item.question),
            storable(item.objective),
            item.evidence.path,
        )
        with self.journal.transaction() as db:
            db.execute(
                "INSERT INTO reviews (id, item, at, rating, correct, given, graded_by, why, took_ms, source, kind, "
                "question, objective, path) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
                astuple(review),
            )
        return review

    def overrule(self, review: str, rating: int, *, correct: bool | None, why: str = "the learner was right") -> None:
        """Let another grade count for an answer; what was there stays in the log."""
        with self.journal.transaction() as db:
            db.execute(
                "INSERT INTO corrections (review, at, rating, correct, why) VALUES (?, ?, ?, ?, ?)",
                (review, self.now(), rating, correct, storable(why)),
            )

    def rate(self, review: Review, rating: int) -> Review:
        """Let how easy it was count, as the learner says; whether it was right, and who said so, stays."""
        if rating not in RATINGS:
            raise ValueError(f"a rating is 1 to 4, not {rating}")
        if rating == review.rating:
            return review
        self.overrule(review.id, rating, correct=review.correct, why="")
        return replace(review, rating=rating)

    def check_clock(self) -> None:
        """Refuse to go on with a clock that can't be right: one wrong date would spoil every later one.

        Raises:
            ClockWrong: It is behind the last review that was kept, or more than a year ahead of it.
        """
        now = self.now()
        for (last,) in self.journal.rows("SELECT at FROM reviews ORDER BY n DESC LIMIT 1"):
            if not last - BACK <= now <= last + AHEAD:
                raise ClockWrong(now, last)

    # ------------------------------------------------------------------------------------------------------- read

    def log(self, item: str = "") -> list[Review]:
        """Return the graded answers (of one item), oldest first, each with the grade that counts."""
        where, values = ("WHERE item = ?", (item,)) if item else ("", ())
        rows = self.journal.rows(
            "SELECT r.id, item, r.at, coalesce(c.rating, r.rating), CASE WHEN c.id IS NULL THEN r.correct "
            "ELSE c.correct END, given, CASE WHEN c.id IS NULL OR c.correct IS r.correct THEN graded_by "
            "ELSE 'learner' END, coalesce(nullif(c.why, ''), r.why), took_ms, source, kind, question, objective, "
            "path FROM reviews r "
            "LEFT JOIN corrections c ON c.id = (SELECT max(id) FROM corrections WHERE review = r.id) "
            f"{where} ORDER BY r.n",
            *values,
        )
        return _in_order([_review(row) for row in rows])

    def asked(self) -> set[str]:
        """Return the ids of all items that were ever answered."""
        return {id_ for (id_,) in self.journal.rows("SELECT DISTINCT item FROM reviews")}

    def schedule(self) -> dict[str, Due]:
        """Return when each item is due that was ever answered, or left unanswered in an exam: that one since then."""
        counts: dict[str, int] = {}
        last: dict[str, float] = {}
        cards: dict[str, Card] = {}
        for review in self.log():
            cards[review.item] = self._replayed(cards.get(review.item), review)
            counts[review.item] = counts.get(review.item, 0) + 1
            last[review.item] = review.at
        return {
            item: Due(
                item, card.due.timestamp(), last[item], counts[item], card.stability or 0.0, card.difficulty or 0.0
            )
            for item, card in cards.items()
        } | {
            item: Due(item, at, at, 0, 0.0, 0.0)
            for item, at in self.journal.rows("SELECT item, min(at) FROM unanswered GROUP BY item")
            if item not in cards
        }

    def due(self, among: Collection[str]) -> list[Due]:
        """Return what is due now of these items, the longest overdue first."""
        now = self.now()
        found = [one for item, one in self.schedule().items() if item in among and one.due <= now]
        return sorted(found, key=lambda one: one.due)

    def while_due(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield those that are due when their turn comes: elsewhere the learner may have answered them meanwhile."""
        for item in items:
            card = self.card(item.id)
            if card is None or card.due.timestamp() <= self.now():
                yield item

    def card(self, item: str) -> "Card | None":
        """Return py-fsrs's card of an item, replayed from the log; None where it was never answered."""
        card: Card | None = None
        for review in self.log(item):
            card = self._replayed(card, review)
        return card

    def recall(self, items: Iterable[str], at: float, *, until: float = math.inf) -> dict[str, float]:
        """Return the chance, 0 to 1, that each item is recalled at a time; 0 for those never answered.

        Args:
            items: Their ids.
            at: Seconds since the epoch.
            until: Answers after this moment are left out: what was foreseen then.
        """
        moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
        wanted = set(items)
        cards: dict[str, Card] = {}
        for review in self.log():
            if review.item in wanted and review.at <= until:
                cards[review.item] = self._replayed(cards.get(review.item), review)
        chance = self.scheduler.get_card_retrievability
        return {item: chance(cards[item], moment) if item in cards else 0.0 for item in wanted}

    # -------------------------------------------------------------------------------------------------- the model

    @cached_property
    def scheduler(self) -> "Scheduler":
        """py-fsrs's scheduler, with the parameters that were last fitted, if any were."""
        from fsrs import Scheduler

        rows = self.journal.rows("SELECT parameters FROM fits ORDER BY id DESC LIMIT 1")
        options: dict[str, Any] = {"parameters": json.loads(rows[0][0])} if rows else {}
        return Scheduler(desired_retention=self._retention, enable_fuzzing=False, **options)

    def _replayed(self, card: "Card | None", review: Review) -> "Card":
        from fsrs import Card, Rating

        moment = datetime.datetime.fromtimestamp(review.at, datetime.UTC)
        if card is None:
            card = Card(card_id=card_id(review.item), due=moment)
        return self.scheduler.review_card(card, Rating(review.rating), moment)[0]

    def fit(self) -> Sequence[float]:
        """Fit FSRS's parameters to this learner's log, by py-fsrs's optimizer, and use them from now on.

        Raises:
            NotEnoughReviews: The log is too short.
            OptimizerMissing: py-fsrs is installed without it.
        """
        from fsrs import Optimizer, Rating, ReviewLog

        log = self.log()
        if len(log) < LEAST_TO_FIT:
            raise NotEnoughReviews(len(log), LEAST_TO_FIT)
        logs = [
            ReviewLog(
                card_id(one.item),
                Rating(one.rating),
                datetime.datetime.fromtimestamp(one.at, datetime.UTC),
                one.took_ms or None,
            )
            for one in log
        ]
        try:
            optimizer = Optimizer(logs)
        except ImportError as error:
            raise OptimizerMissing from error
        found = [float(value) for value in optimizer.compute_optimal_parameters()]
        with self.journal.transaction() as db:
            row = (self.now(), json.dumps(found), len(log))
            db.execute("INSERT INTO fits (at, parameters, reviews) VALUES (?, ?, ?)", row)
        self.__dict__.pop("scheduler", None)
        return found


def _review(row: Sequence[Any]) -> Review:
    correct = None if row[4] is None else bool(row[4])
    return Review(*[*row[:4], correct, *row[5:]])


def _in_order(log: list[Review]) -> list[Review]:
    """Return a log in which no review is later than one after it."""
    latest = math.inf
    for n in reversed(range(len(log))):
        if log[n].at > latest:
            log[n] = replace(log[n], at=latest)
        latest = log[n].at
    return log


def card_id(item: str) -> int:
    """Return the number by which py-fsrs knows an item."""
    return int(item[:15], 16)


def rating_of(correct: bool) -> int:
    """Return what an answer is rated that was graded and not rated."""
    return GOOD if correct else AGAIN
