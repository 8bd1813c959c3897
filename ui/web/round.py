"""A round of questions in the app: what was asked, answered and graded; the key stays here until an answer came."""

import queue
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.grade import Grade, Model, grade
from assistant.items import FLASHCARD, Item
from assistant.review import AGAIN, GOOD, RATINGS, Review, Reviews, rating_of
from ingest.errors import StudyError

if TYPE_CHECKING:
    from assistant.cards import Made

AHEAD = 3
"""Questions that are made before they are asked."""
PATIENCE = 120.0
"""Longest wait for a question that is being made. Seconds."""
ABANDONED = 900.0
"""A round that takes no question for so long makes no more. Seconds."""


class Supply:
    """Questions that are made in the background while others are answered."""

    def __init__(self, made: "Iterator[Made]") -> None:
        self._ready: queue.Queue[Item | StudyError | None] = queue.Queue(AHEAD)
        threading.Thread(target=self._make, args=[made], name="quiz", daemon=True).start()

    def _make(self, made: "Iterator[Made]") -> None:
        try:
            with closing(made):  # type: ignore[type-var]
                for one in made:
                    if isinstance(one, Item):
                        self._ready.put(one, timeout=ABANDONED)
        except StudyError as error:
            self._ready.put(error)
        except queue.Full:
            return
        self._ready.put(None)

    def next(self) -> Item | None:
        """Return the next question; None: there is no more.

        Raises:
            StudyError: What kept it from being made.
        """
        try:
            found = self._ready.get(timeout=PATIENCE)
        except queue.Empty:
            return None
        if isinstance(found, StudyError):
            raise found
        return found


@dataclass
class Round:
    """One learner's round; one question at a time."""

    reviews: Reviews
    supply: Supply
    source: str
    """quiz, review or exam."""
    model: Model | None = None
    item: Item | None = None
    """What is asked now."""
    graded: Grade | None = None
    """How it was answered; None: it was not yet."""
    review: Review | None = None
    """The graded answer in the log; None: only the learner can tell, and has not yet."""
    rated: bool = False
    """Whether the learner has said how easy it was."""
    given: str = ""
    started: float = 0.0
    took_ms: int = 0
    outcomes: list[tuple[Item, bool]] = field(default_factory=list)
    """What was answered, and whether that was right."""

    def next(self) -> Item | None:
        """Ask the next question."""
        self.item, self.graded, self.review, self.given = self.supply.next(), None, None, ""
        self.rated = False
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
        self.given, self.graded = given, found
        self.took_ms = int((time.monotonic() - self.started) * 1000)
        if found.correct is not None:
            self._keep(rating_of(found.correct), found.correct)
        return found

    @property
    def to_rate(self) -> bool:
        """Return whether the learner has yet to say how it went."""
        if self.graded is None or self.rated:
            return False
        return self.review is None or (self.source == "review" and self.review.correct is True)

    @property
    def by_learner(self) -> bool:
        """Return whether only the learner can tell if the answer was right."""
        return self.graded is not None and self.graded.correct is None

    def rate(self, rating: int) -> None:
        """Keep what the learner says about the answer, 1 again to 4 easy."""
        if self.item is None or self.graded is None or not self.to_rate or rating not in RATINGS:
            return
        self.rated = True
        if self.review is not None:
            self.review = self.reviews.rate(self.review, rating)
            return
        correct = self.graded.correct
        if correct is None and self.item.kind != FLASHCARD:
            correct = rating > AGAIN
        self._keep(rating, correct)

    def overrule(self) -> None:
        """The learner was right after all."""
        if self.review is None or self.review.correct is not False or self.item is None:
            return
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

    def summary(self) -> dict[str, Any]:
        """Return how it went: how many, how many right, and of which notes the wrong ones are."""
        wrong = [item for item, right in self.outcomes if not right]
        return {
            "asked": len(self.outcomes),
            "right": len(self.outcomes) - len(wrong),
            "wrong": [(item.question, item.evidence.path, item.evidence.locator) for item in wrong],
        }
