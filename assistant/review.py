"""Reviews: every graded answer is kept for good, and the next date of each item follows from them by FSRS.

The log is the truth: nothing but graded answers is stored, and the schedule is py-fsrs's own, replayed from the log
(Ye, Su and Cao, KDD 2022: 'A stochastic shortest path algorithm for optimizing spaced repetition scheduling'), without
fuzz, so that the same log gives the same dates. A graded answer is never changed: 'I was right', or 'that was easy',
is one more row. So an answer is kept, rated good or again, before anyone is told what it came to, and whatever happens
then, it counts.

What was replayed is kept in memory: before each look at it, the rows are read that came since, whoever wrote them, and
the items that they are about are replayed from the beginning.
"""

import datetime
import json
import math
import threading
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

_SINCE = """
    SELECT r.n, coalesce(c.id, 0), r.id, r.item, r.at, coalesce(c.rating, r.rating),
        CASE WHEN c.id IS NULL THEN r.correct ELSE c.correct END, given,
        CASE WHEN c.id IS NULL OR c.correct IS r.correct THEN graded_by ELSE 'learner' END,
        coalesce(nullif(c.why, ''), r.why), took_ms, source, kind, question, objective, path
    FROM (
        SELECT n FROM reviews WHERE n > ?
        UNION SELECT reviews.n FROM corrections JOIN reviews ON reviews.id = review WHERE corrections.id > ?
    ) JOIN reviews r USING (n)
    LEFT JOIN corrections c ON c.id = (SELECT max(id) FROM corrections WHERE review = r.id)
    ORDER BY n
"""
"""The reviews after one, and those that were corrected after a correction, as they count now: all of one moment."""


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
    """The reviews of one learner, in the learner's journal; safe to use from several threads."""

    def __init__(self, journal: Journal, settings: AssistantSettings, *, now: Callable[[], float] = time.time) -> None:
        self.journal = journal
        self._retention = settings.review_retention
        self.now = now
        self._lock = threading.RLock()
        self._log: dict[int, Review] = {}
        """By the number of its row; oldest first."""
        self._of: dict[str, list[int]] = {}
        """The numbers of each item's reviews."""
        self._cards: dict[str, Card] = {}
        """Of those items that were replayed."""
        self._correction = self._fit = 0
        """The last that was read."""

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
        with self._lock:
            self._catch_up()
            return [self._log[n] for n in self._of.get(item, ())] if item else list(self._log.values())

    def count(self) -> int:
        """Return how many graded answers there are."""
        return int(self.journal.rows("SELECT count(*) FROM reviews")[0][0])

    def asked(self) -> set[str]:
        """Return the ids of all items that were ever answered."""
        return {id_ for (id_,) in self.journal.rows("SELECT DISTINCT item FROM reviews")}

    def schedule(self) -> dict[str, Due]:
        """Return when each item is due that was ever answered, or left unanswered in an exam: that one since then."""
        found = {}
        with self._lock:
            self._catch_up()
            for item, numbers in self._of.items():
                card, last = self._card(item), self._log[numbers[-1]].at
                assert card is not None
                due, stability, difficulty = card.due.timestamp(), card.stability or 0.0, card.difficulty or 0.0
                found[item] = Due(item, due, last, len(numbers), stability, difficulty)
        left = self.journal.rows("SELECT item, min(at) FROM unanswered GROUP BY item")
        return {item: Due(item, at, at, 0, 0.0, 0.0) for item, at in left} | found

    def due(self, among: Collection[str]) -> list[Due]:
        """Return what is due now of these items, the longest overdue first."""
        now = self.now()
        found = [one for item, one in self.schedule().items() if item in among and one.due <= now]
        return sorted(found, key=lambda one: one.due)

    def while_due(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield those that are due when their turn comes: elsewhere the learner may have answered them meanwhile."""
        return (item for item in items if self.is_due(item.id))

    def is_due(self, item: str) -> bool:
        """Return whether an item is due now, or was never answered."""
        card = self.card(item)
        return card is None or card.due.timestamp() <= self.now()

    def card(self, item: str) -> "Card | None":
        """Return py-fsrs's card of an item, replayed from the log; None where it was never answered."""
        with self._lock:
            self._catch_up()
            return self._card(item)

    def recall(self, items: Iterable[str], at: float, *, until: float = math.inf) -> dict[str, float]:
        """Return the chance, 0 to 1, that each item is recalled at a time; 0 for those never answered.

        Args:
            items: Their ids.
            at: Seconds since the epoch.
            until: Answers after this moment are left out: what was foreseen then.
        """
        moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
        with self._lock:
            self._catch_up()
            cards = {item: self._card(item, until) for item in set(items)}
            chance = self._scheduler.get_card_retrievability
            return {item: chance(card, moment) if card else 0.0 for item, card in cards.items()}

    # ----------------------------------------------------------------------------------------- what is kept of it

    def _catch_up(self) -> None:
        """Read what was written since the last time, by this process or another one."""
        [(fit,)] = self.journal.rows("SELECT coalesce(max(id), 0) FROM fits")
        if fit != self._fit:
            self._fit = fit
            self._cards.clear()
            self.__dict__.pop("_scheduler", None)
        last = next(reversed(self._log), 0)
        for n, correction, *row in self.journal.rows(_SINCE, last, self._correction):
            review = _review(row)
            if n in self._log:
                review = replace(review, at=self._log[n].at)
            else:
                self._of.setdefault(review.item, []).append(n)
            self._log[n] = review
            self._cards.pop(review.item, None)
            self._correction = max(self._correction, correction)
        self._put_in_order(last)

    def _put_in_order(self, last: int) -> None:
        """Let no review be later than one after it; up to the row `last`, none is."""
        latest = math.inf
        for n in reversed(self._log):
            review = self._log[n]
            if review.at > latest:
                self._log[n] = replace(review, at=latest)
                self._cards.pop(review.item, None)
            elif n <= last:
                return
            else:
                latest = review.at

    def _card(self, item: str, until: float = math.inf) -> "Card | None":
        """Return an item's card as it was after the reviews up to a moment; None where there were none."""
        reviews = [self._log[n] for n in self._of.get(item, ())]
        whole = not reviews or reviews[-1].at <= until
        if whole and item in self._cards:
            return self._cards[item]
        card: Card | None = None
        for review in reviews:
            if review.at <= until:
                card = self._replayed(card, review)
        if whole and card:
            self._cards[item] = card
        return card

    # -------------------------------------------------------------------------------------------------- the model

    @cached_property
    def _scheduler(self) -> "Scheduler":
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
        return self._scheduler.review_card(card, Rating(review.rating), moment)[0]

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
        return found


def _review(row: Sequence[Any]) -> Review:
    correct = None if row[4] is None else bool(row[4])
    return Review(*[*row[:4], correct, *row[5:]])


def card_id(item: str) -> int:
    """Return the number by which py-fsrs knows an item."""
    return int(item[:15], 16)


def rating_of(correct: bool) -> int:
    """Return what an answer is rated that was graded and not rated."""
    return GOOD if correct else AGAIN
