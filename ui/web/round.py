"""A round of questions in the app: what was asked, answered and graded; the key stays here until an answer came."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assistant.grade import Grade, Model, grade
from assistant.items import FLASHCARD, Item
from assistant.review import AGAIN, GOOD, RATINGS, Review, Reviews, rating_of
from ingest.errors import StudyError
from ui.errors import QuestionsFailed, TooManyQuestions

if TYPE_CHECKING:
    from assistant.cards import Made

AHEAD = 3
"""Questions that are made before they are asked."""
PATIENCE = 120.0
"""Longest wait for a question that is being made, and for room to make one. Seconds."""
BETWEEN = 0.5
"""Seconds between two looks whether there is room."""


class Supply:
    """Questions that are made in the background while others are answered, until it is closed.

    A learner's seat is taken while one is being made, not while enough of them wait.
    """

    def __init__(self, made: "Iterator[Made]", seat: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._made, self._seat = made, seat
        self._ready: deque[Item | StudyError | None] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.thread = threading.Thread(target=self._make, name="questions", daemon=True)
        self.thread.start()

    def _make(self) -> None:
        one: Item | StudyError | None = None
        try:
            while not self._closed:
                with self._seated():
                    one = next((made for made in self._made if isinstance(made, Item)), None)
                if one is None:
                    break
                self._put(one)
            self._put(None)
        except StudyError as error:
            self._put(error)
        except Exception as error:  # a fault of ours: who waits for a question must hear of it
            self._put(QuestionsFailed(f"{type(error).__name__}: {error}"))
            raise
        finally:
            if close := getattr(self._made, "close", None):
                close()

    @contextmanager
    def _seated(self) -> Iterator[None]:
        """Take the learner's seat, as soon as there is one."""
        end = time.monotonic() + PATIENCE
        with ExitStack() as seat:
            while True:
                try:
                    seat.enter_context(self._seat())
                    break
                except TooManyQuestions:
                    if self._closed or time.monotonic() > end:
                        raise
                time.sleep(BETWEEN)
            yield

    def _put(self, one: Item | StudyError | None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ready) < AHEAD)
            self._ready.append(one)
            self._changed.notify_all()

    def next(self) -> Item | None:
        """Return the next question; None: there is no more.

        Raises:
            StudyError: What kept it from being made.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready, PATIENCE):
                raise QuestionsFailed(f"none came within {PATIENCE:.0f} s")
            found = self._ready[0]
            if isinstance(found, Item):
                self._ready.popleft()
                self._changed.notify_all()
        if isinstance(found, StudyError):
            raise found
        return found

    def close(self) -> None:
        """Make no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@dataclass
class Round:
    """One learner's round; one question at a time."""

    reviews: Reviews
    supply: Supply
    source: str
    """quiz or review."""
    model: Model | None = None
    item: Item | None = None
    """What is asked now."""
    graded: Grade | None = None
    """How it was answered; None: it was not yet."""
    review: Review | None = None
    """The graded answer in the log; None: the learner has not yet said how it went."""
    rated: bool = False
    """Whether nothing is left to be said about the answer."""
    given: str = ""
    started: float = 0.0
    took_ms: int = 0
    remarks: list[str] = field(default_factory=list)
    """What is to be told beside the questions: that the model failed."""
    outcomes: list[tuple[Item, bool]] = field(default_factory=list)
    """What was answered, and whether that was right."""
    step: int = 0
    """Counts what was done: what a page shows of an earlier step can do nothing any more."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Held by who takes a step."""

    def end(self) -> None:
        """Ask nothing more."""
        self.step += 1
        self.item = None
        self.supply.close()

    def next(self) -> Item | None:
        """Ask the next question.

        Raises:
            StudyError: There is none, and this is why.
        """
        self.step += 1
        self.item, self.graded, self.review, self.rated, self.given = None, None, None, False, ""
        item = self.supply.next()
        while item and self.source == "review" and not self.reviews.is_due(item.id):
            item = self.supply.next()  # it was answered elsewhere while it stood in line
        self.item = item
        self.started = time.monotonic()
        return self.item

    def answer(self, given: str) -> Grade | None:
        """Grade an answer, and keep it where the grade is clear; a second one to the same question is ignored.

        What can't be read as an answer (`Grade.unread`) is none: the question stays open.
        """
        if self.item is None or self.graded is not None:
            return self.graded
        found = grade(self.item, given, self.model)
        if found.unread:
            return found
        self.step += 1
        self.given, self.graded = given, found
        self.took_ms = int((time.monotonic() - self.started) * 1000)
        if found.correct is not None:
            self._keep(rating_of(found.correct), found.correct)
            self.rated = not found.correct or self.source != "review"
        return found

    @property
    def to_rate(self) -> bool:
        """Return whether the learner has yet to say how it went."""
        return self.graded is not None and not self.rated

    @property
    def by_learner(self) -> bool:
        """Return whether only the learner can tell if the answer was right."""
        return self.graded is not None and self.graded.correct is None

    def rate(self, rating: int) -> None:
        """Keep what the learner says about the answer, 1 again to 4 easy."""
        if self.item is None or self.graded is None or self.rated or rating not in RATINGS:
            return
        self.step += 1
        self.rated = True
        correct = self.graded.correct
        if self.review is None:
            self._keep(rating, rating > AGAIN if correct is None and self.item.kind != FLASHCARD else correct)
        else:
            self.review = self.reviews.rate(self.review, rating)

    def overrule(self) -> None:
        """The learner was right after all."""
        if self.review is None or self.review.correct is not False or self.item is None:
            return
        self.step += 1
        self.reviews.overrule(self.review.id, GOOD, correct=True)
        self.review = next(one for one in self.reviews.log(self.item.id) if one.id == self.review.id)
        self.outcomes[-1] = (self.item, True)

    def _keep(self, rating: int, correct: bool | None) -> None:
        assert self.item is not None
        assert self.graded is not None
        by = self.graded.by if self.graded.correct is not None else "learner"
        self.review = self.reviews.add(
            self.item,
            rating,
            correct=correct,
            given=self.given,
            by=by,
            why=self.graded.why,
            took_ms=self.took_ms,
            source=self.source,
            id_=uuid.uuid4().hex,
        )
        self.outcomes.append((self.item, correct if correct is not None else rating > AGAIN))

    @property
    def right(self) -> int:
        """How many answers were right."""
        return sum(right for _, right in self.outcomes)

    @property
    def wrong(self) -> list[Item]:
        """What was answered wrongly."""
        return [item for item, right in self.outcomes if not right]


class Rounds:
    """The last round of each learner: a page that is loaded again finds where it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, Round] = {}

    def of(self, learner: str) -> Round | None:
        """Return the round of a learner; None: there was none since the start."""
        with self._lock:
            return self._of.get(learner)

    def begin(self, learner: str, one: Round) -> None:
        """Let a round be the learner's, and end the one before."""
        with self._lock:
            before, self._of[learner] = self._of.get(learner), one
        if before:
            before.supply.close()
