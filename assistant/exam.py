"""A practice exam, sat: a clock, questions one by one, a score by domain with its interval, the misses.

    begun (compose.py chooses the questions) → next, answer, next, … → result

Every answer is a row of the learner's log before the next question is shown, so a crash loses none; the questions are
kept as they were when the exam began. The clock counts while a question is open, and what it has counted is kept when
a question is put off, the exam is left, and now and then in between (`lap`); what lies between a crash and going on is
free. A wrong answer is a review rated 'again', and so comes back. A question that was never answered counts as wrong in
the score, as it would in the real exam; it is no review, but if its item was never answered before, it is due.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.blueprint import Blueprint
from assistant.database import storable
from assistant.errors import ExamOver, NoExam, NoSuchMiss
from assistant.grade import chosen_option, grade
from assistant.interval import wilson
from assistant.items import MCQ, Item, item_of
from assistant.mastery import is_right
from assistant.review import GOOD, Review, Reviews, rating_of

TIME_UP, ENDED, DONE = "the time is up", "the learner ended it", "every question was answered"


@dataclass(frozen=True, slots=True)
class Question:
    """An item of an exam."""

    domain: str
    objective: str
    item: Item


@dataclass(frozen=True, slots=True)
class Part:
    """How one domain, or the whole, went."""

    id: str
    title: str
    weight: float
    """Per cent of the blueprint."""
    asked: int
    answered: int
    right: int
    share: float
    """Right of asked, 0 to 1."""
    low: float
    high: float
    """Its 95 % interval (Wilson)."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A question that was answered wrongly, or not at all."""

    number: int
    """Position in the exam, from 1."""
    question: str
    given: str
    """As the learner said it; an option by its text."""
    answer: str
    explanation: str
    objective: str
    path: str
    locator: str
    quote: str
    start: int
    end: int
    answered: bool


@dataclass(frozen=True, slots=True)
class Result:
    """How an exam went."""

    id: str
    plan: str
    title: str
    begun: float
    """Seconds since the epoch."""
    minutes: float
    took_s: float
    ended: str
    """Why it ended; empty: it has not."""
    whole: Part
    domains: tuple[Part, ...]
    misses: tuple[Miss, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what `ask exam --json` prints."""
        return asdict(self)


class Exam:
    """One exam of one learner, from its first question to its result."""

    def __init__(self, reviews: Reviews, row: Sequence[Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Open what the journal has; see `begin` and `resume`."""
        self._reviews, self._clock = reviews, clock
        self.id, self.plan, self.title = str(row[0]), str(row[2]), str(row[3])
        self.begun, self.minutes = float(row[1]), float(row[4])
        self._domains: list[dict[str, Any]] = json.loads(row[5])
        self.questions = [Question(one["domain"], one["objective"], item_of(one["item"])) for one in json.loads(row[6])]
        self._answers = self._read()
        self._laps: Counter[int] = Counter()
        """Milliseconds that were kept of each question."""
        put_off: dict[int, int] = {}
        for n, question, took_ms, off in self._reviews.journal.rows(
            "SELECT n, question, took_ms, put_off FROM exam_laps WHERE exam = ? ORDER BY n", self.id
        ):
            self._laps[question] += took_ms
            if off:
                put_off[question] = n
        open_ = [n for n in range(len(self.questions)) if n not in self._answers]
        self._order = sorted(open_, key=lambda n: (put_off.get(n, 0), n))
        self._opened: float | None = None
        ends = self._reviews.journal.rows("SELECT why FROM exam_ends WHERE exam = ?", self.id)
        self.over = str(ends[0][0]) if ends else ""
        """Why it has ended; empty: it has not."""

    @classmethod
    def begin(
        cls,
        reviews: Reviews,
        blueprint: Blueprint,
        questions: Sequence[Question],
        minutes: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Exam":
        """Begin an exam: from now on it can be resumed.

        Args:
            reviews: The learner's.
            blueprint: The plan.
            questions: In their order (`choose`).
            minutes: That there are.
            clock: Seconds that never go back.
        """
        domains = [{"id": one.id, "title": one.title, "weight": one.weight} for one in blueprint.domains]
        told = [{"domain": one.domain, "objective": one.objective, "item": asdict(one.item)} for one in questions]
        row = (
            uuid.uuid4().hex[:12],
            reviews.now(),
            blueprint.id,
            blueprint.title,
            float(minutes),
            json.dumps(domains, ensure_ascii=False),
            storable(json.dumps(told, ensure_ascii=False)),
        )
        with reviews.journal.transaction() as db:
            db.execute(
                "INSERT INTO exams (id, begun, plan, title, minutes, domains, questions) VALUES (?,?,?,?,?,?,?)", row
            )
        return cls(reviews, row, clock=clock)

    @classmethod
    def resume(cls, reviews: Reviews, plan: str = "", *, clock: Callable[[], float] = time.monotonic) -> "Exam":
        """Go on with the exam (of a plan) that was begun last and has not ended.

        Raises:
            NoExam: There is none.
        """
        open_ = "id NOT IN (SELECT exam FROM exam_ends)"
        return cls._last(reviews, plan, open_, "left unfinished", clock)

    @classmethod
    def last(cls, reviews: Reviews, plan: str = "") -> "Exam":
        """Return the exam (of a plan) that was begun last of those that have ended.

        Raises:
            NoExam: There is none.
        """
        return cls._last(reviews, plan, "id IN (SELECT exam FROM exam_ends)", "finished yet", time.monotonic)

    @classmethod
    def _last(cls, reviews: Reviews, plan: str, where: str, lacking: str, clock: Callable[[], float]) -> "Exam":
        rows = reviews.journal.rows(
            "SELECT id, begun, plan, title, minutes, domains, questions FROM exams "
            f"WHERE ? IN ('', plan) AND {where} ORDER BY rowid DESC LIMIT 1",
            plan,
        )
        if not rows:
            raise NoExam(plan, lacking)
        return cls(reviews, rows[0], clock=clock)

    @classmethod
    def every(cls, reviews: Reviews, since: float, until: float) -> "list[Exam]":
        """Return the exams that ended between two times (seconds since the epoch), oldest first."""
        rows = reviews.journal.rows(
            "SELECT id, begun, plan, title, minutes, domains, questions FROM exams JOIN exam_ends ON exam = id "
            "WHERE at >= ? AND at <= ? ORDER BY at",
            since,
            until,
        )
        return [cls(reviews, row) for row in rows]

    # -------------------------------------------------------------------------------------------------- answering

    @property
    def time_left(self) -> float:
        """Seconds; 0: it is up."""
        return max(0.0, self.minutes * 60 - self._spent - self._open_for)

    @property
    def _open_for(self) -> float:
        return self._clock() - self._opened if self._opened is not None else 0.0

    @property
    def _spent(self) -> float:
        """Seconds that are kept: an answer's time has its question's laps in it."""
        took = {n: one.took_ms for n, one in self._answers.items()}
        return sum(max(took.get(n, 0), self._laps[n]) for n in took | self._laps) / 1000

    @property
    def answered(self) -> int:
        """Return how many questions were answered."""
        return len(self._answers)

    @property
    def number(self) -> int:
        """Position of the question that is open, from 1; 0: none is."""
        return self._order[0] + 1 if self._order and not self.over else 0

    def next(self) -> Item | None:
        """Open the next question, or the one that is open, and let the clock run; None: the exam is over."""
        if not self.over and not self._order:
            self.finish(DONE)
        if not self.over and not self.time_left:
            self.finish(TIME_UP)
        if self.over:
            return None
        if self._opened is None:
            self._opened = self._clock()
        return self.questions[self._order[0]].item

    def answer(self, given: str) -> bool:
        """Keep an answer to the question that is open; nothing tells whether it is right before the exam is over.

        Returns:
            False: it names none of the options, and was not kept.

        Raises:
            ExamOver: The time was up before.
        """
        item = self.next()
        if item is None:
            raise ExamOver(self.over)
        graded = grade(item, given)
        if graded.correct is None:
            return False
        n = self._order[0]
        self._answers[n] = self._reviews.add(
            item,
            rating_of(graded.correct),
            correct=graded.correct,
            given=given,
            by=graded.by,
            why=graded.why,
            took_ms=self._laps[n] + int(self._open_for * 1000),
            source="exam",
            id_=self._review_id(n),
        )
        self._order.pop(0)
        self._opened = None
        return True

    def skip(self) -> None:
        """Put the question that is open behind the others."""
        if self.next() is None:
            raise ExamOver(self.over)
        self.lap(put_off=True)
        self._order.append(self._order.pop(0))
        self._opened = None

    def lap(self, *, put_off: bool = False) -> None:
        """Keep the time that the open question has taken so far: it counts whatever happens then.

        Args:
            put_off: The question comes after the others from now on.
        """
        if self._opened is None or self.over:
            return
        n, took_ms = self._order[0], int(self._open_for * 1000)
        with self._reviews.journal.transaction() as db:
            row = (self.id, n, took_ms, put_off)
            db.execute("INSERT INTO exam_laps (exam, question, took_ms, put_off) VALUES (?, ?, ?, ?)", row)
        self._laps[n] += took_ms
        self._opened += took_ms / 1000

    def finish(self, why: str = ENDED) -> None:
        """End the exam; what was not answered counts as wrong, and is due where it was never answered before."""
        if self.over:
            return
        self.lap()
        now, left = self._reviews.now(), [one.item.id for n, one in enumerate(self.questions) if n not in self._answers]
        with self._reviews.journal.transaction() as db:
            db.execute(
                "INSERT INTO exam_ends (exam, at, why) VALUES (?, ?, ?) ON CONFLICT (exam) DO NOTHING",
                (self.id, now, why),
            )
            db.executemany(
                "INSERT INTO unanswered (item, at, exam) VALUES (?, ?, ?)", [(item, now, self.id) for item in left]
            )
        self.over, self._opened = why, None

    def overrule(self, number: int) -> None:
        """The learner was right after all with the answer to a question, counted from 1.

        Raises:
            NoSuchMiss: No wrong answer has that number.
        """
        review = self._answers.get(number - 1)
        if review is None or is_right(review):
            raise NoSuchMiss(number)
        self._reviews.overrule(review.id, GOOD, correct=True)
        self._answers = self._read()

    def shown(self) -> dict[str, Any]:
        """Return what a page may show: the open question without its key, how far it is, and the time left."""
        item = self.next()
        return {
            "id": self.id,
            "plan": self.plan,
            "title": self.title,
            "number": self.number,
            "answered": self.answered,
            "of": len(self.questions),
            "time_left_s": round(self.time_left),
            "over": self.over,
            "question": item.shown() if item else None,
        }

    # ------------------------------------------------------------------------------------------------------ result

    def result(self) -> Result:
        """Return how it went; while it is not over, how it would if it were."""
        self._answers = self._read()
        parts = [
            self._part(
                one["id"],
                one["title"],
                one["weight"],
                [n for n, q in enumerate(self.questions) if q.domain == one["id"]],
            )
            for one in self._domains
        ]
        return Result(
            id=self.id,
            plan=self.plan,
            title=self.title,
            begun=self.begun,
            minutes=self.minutes,
            took_s=round(self._spent, 1),
            ended=self.over,
            whole=self._part("", "", 100.0, range(len(self.questions))),
            domains=tuple(parts),
            misses=tuple(
                self._miss(n, one)
                for n, one in enumerate(self.questions)
                if n not in self._answers or not is_right(self._answers[n])
            ),
        )

    def _part(self, id_: str, title: str, weight: float, of: Collection[int]) -> Part:
        answered = [self._answers[n] for n in of if n in self._answers]
        right = sum(map(is_right, answered))
        low, high = wilson(right, len(of))
        share = right / len(of) if of else 0.0
        return Part(id_, title, weight, len(of), len(answered), right, share, low, high)

    def _miss(self, n: int, one: Question) -> Miss:
        item, review = one.item, self._answers.get(n)
        given = review.given if review else ""
        if item.kind == MCQ and given and (position := chosen_option(item, given)[0]) >= 0:
            given = item.options[position]
        evidence = item.evidence
        return Miss(
            number=n + 1,
            question=item.question,
            given=given,
            answer=item.in_words,
            explanation=item.explanation,
            objective=one.objective,
            path=evidence.path,
            locator=evidence.locator,
            quote=evidence.quote,
            start=evidence.start,
            end=evidence.end,
            answered=review is not None,
        )

    def _review_id(self, n: int) -> str:
        return f"exam-{self.id}-{n}"

    def _read(self) -> dict[int, Review]:
        """Return the answers that the log has, by position."""
        ids = {self._review_id(n): n for n in range(len(self.questions))}
        return {ids[review.id]: review for review in self._reviews.log() if review.id in ids}
