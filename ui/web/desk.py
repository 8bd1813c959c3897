"""What all pages and requests share: notes that stay open, models that stay loaded, the sync that is running."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ingest.errors import StudyError, SyncRunning
from ingest.shelf import Shelf
from ui.errors import TooManyQuestions
from ui.settings import UiSettings
from ui.web.syncs import Syncs

if TYPE_CHECKING:
    from assistant.answer import Event
    from assistant.items import Items
    from assistant.journal import Journal
    from assistant.llm import Absent, LanguageModel
    from assistant.remember import Remembered
    from assistant.review import Reviews

PATIENCE = 60.0
"""Longest wait of a question for the models that are being loaded. Seconds."""
FRESH = 5.0
"""How long it stays known whether a model server is there, for pages that ask again and again. Seconds."""


@dataclass(slots=True)
class _Room:
    """How many questions are being answered, in all and by learner."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    of: Counter[str] = field(default_factory=Counter)


class Desk:
    """One installation, opened once; safe to use from several threads.

    A learner who is not named is the one of the settings: the owner, whose token programs bring.
    """

    def __init__(self, settings: UiSettings, *, shelf: Shelf | None = None) -> None:
        self.settings = settings
        self.shelf = shelf or Shelf(settings)
        self.syncs = Syncs(self.shelf)
        self._room = _Room()
        self._warm = threading.Event()
        self._begin = threading.Lock()
        self._looking = threading.Lock()
        self._model: tuple[float, LanguageModel | Absent] | None = None
        self._journals: dict[str, Journal] = {}
        self._reviews: dict[str, Reviews] = {}
        self._items: Items | None = None
        self._warm_thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------------- opening

    def warm_up(self, then: Callable[[], None] = lambda: None) -> None:
        """Load in the background what the first question would wait for; index the notes where that was never done.

        Args:
            then: Called when the models are loaded.
        """
        self._warm_thread = threading.Thread(target=self._load, args=[then], name="warm-up", daemon=True)
        self._warm_thread.start()

    def _load(self, then: Callable[[], None]) -> None:
        from assistant.answer import answer

        try:
            with contextlib.suppress(StudyError, OSError):  # a question will meet it again, and say it
                self.shelf.embedder.encode_query("warm")
                if self.shelf.ledger.generation:
                    with contextlib.closing(answer("warm", self.shelf, self.settings, use_model=False)) as events:
                        for _ in events:
                            pass
        finally:
            self._warm.set()
            then()
        with contextlib.suppress(StudyError, OSError):  # the page of the notes says what is wrong with the folder
            if not self.shelf.ledger.generation and self.shelf.notes.is_dir():
                self.syncs.start()

    @property
    def is_warm(self) -> bool:
        """Return whether the models are loaded (or can't be)."""
        return self._warm.is_set()

    @property
    def generation(self) -> int:
        """The published generation: a page that remembers another one shows what is not so any more."""
        return self.shelf.ledger.generation

    def model(self) -> "LanguageModel | Absent":
        """Return the model that would write an answer now, or why none would; known for `FRESH` seconds."""
        from assistant import llm

        with self._looking:
            if self._model is None or time.monotonic() - self._model[0] > FRESH:
                found = llm.find(self.settings)
                self._model = (time.monotonic(), found)
            return self._model[1]

    def writer(self) -> "LanguageModel | None":
        """Return the model that writes and grades; None where none is served."""
        from assistant.llm import Absent

        found = self.model()
        return None if isinstance(found, Absent) else found

    def of(self, learner: str) -> UiSettings:
        """Return the settings with a learner's name in them."""
        return self.settings.model_copy(update={"learner": learner or self.settings.learner})

    # ------------------------------------------------------------------------------------------------- answers

    def answer(
        self,
        question: str,
        *,
        learner: str = "",
        course: str = "",
        top_k: int = 0,
        use_model: bool = True,
        conversation: int = 0,
    ) -> "Generator[Event | Remembered, None, None]":
        """Answer a question for a learner, as `assistant.answer.answer` does on the notes that are open, and keep it.

        Raises:
            TooManyQuestions: There is no room for one more now.
        """
        from assistant.answer import answer
        from assistant.follow import turns
        from assistant.remember import remembered

        with self.seat(learner):
            self._warm.wait(PATIENCE)
            self._first_sync()
            settings, journal = self.of(learner), self.journal(learner)
            history = turns(journal.conversation(conversation)) if conversation else ()
            events = answer(
                question,
                self.shelf,
                settings,
                top_k=top_k,
                course=course,
                use_model=use_model,
                history=history,
            )
            yield from remembered(events, settings, course=course, conversation=conversation, journal=journal)

    def asked_by(self, learner: str) -> int:
        """Return how many of a learner's questions are being answered now."""
        with self._room.lock:
            return self._room.of[learner or self.settings.learner]

    def _first_sync(self) -> None:
        """Index notes that never were, before the first question about them."""
        if self.shelf.ledger.generation or not self.shelf.notes.is_dir():
            return
        with contextlib.suppress(SyncRunning):
            self.syncs.start()
        self.syncs.wait(PATIENCE)

    def journal(self, learner: str = "") -> "Journal":
        """Return a learner's journal.

        Raises:
            JournalUnavailable: It can't be opened.
        """
        from assistant.journal import Journal

        name = learner or self.settings.learner
        with self._begin:
            if name not in self._journals:
                self._journals[name] = Journal.of(self.of(name))
            return self._journals[name]

    def journals(self) -> "list[Journal]":
        """Return the journals of all learners that have one."""
        from assistant.journal import learners_in

        return [self.journal(name) for name in learners_in(self.settings.home)]

    def told(
        self,
        question: str,
        *,
        course: str = "",
        top_k: int = 0,
        use_model: bool = True,
        explain: bool = False,
    ) -> Generator[dict[str, Any], None, None]:
        """Answer a question, keep the answer in the owner's journal, and tell all of it as JSON (`ui.tell`)."""
        from ui.tell import told

        events = self.answer(question, course=course, top_k=top_k, use_model=use_model)
        yield from told(events, self.shelf, explain=explain)

    def search(self, question: str, *, course: str = "", top_k: int = 0) -> dict[str, Any]:
        """Return the passages nearest to a question, and whether they answer it, as JSON."""
        from assistant.answer import Found, answer

        with self.seat(""):
            self._warm.wait(PATIENCE)
            events = answer(question, self.shelf, self.settings, top_k=top_k, course=course, use_model=False)
            with contextlib.closing(events):
                found = next(events)
        assert isinstance(found, Found)
        told = found.draft.as_json()
        return {
            "question": told["question"],
            "answerable": found.verdict.answerable,
            "evidence": round(found.verdict.evidence, 4),
            "passages": told["passages"],
            "timings_ms": told["timings_ms"],
        }

    # --------------------------------------------------------------------------------------------- quiz and review

    def quiz(
        self,
        *,
        topic: str = "",
        course: str = "",
        wanted: int = 10,
        kinds: Collection[str] = (),
        fresh: bool = False,
        use_model: bool = True,
    ) -> dict[str, Any]:
        """Return a quiz as `ask quiz --json` prints it, answers included, and `failed` where the model did.

        Raises:
            TooManyQuestions: There is no room for making one now.
            NotCovered: The notes don't say enough about the topic.
            QuestionRejected: There is no such kind.
        """
        from assistant.errors import QuestionRejected, ServerError
        from assistant.items import KINDS
        from assistant.quiz import Wish, failed, gathered, quiz
        from assistant.stale import refresh

        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise QuestionRejected(f"there is no kind {unknown[0]}; kinds: {', '.join(KINDS)}")
        with self.seat(""):
            self._warm.wait(PATIENCE)
            failures = list[ServerError]()
            refresh(self.items(), self.shelf)
            made = quiz(
                self.shelf,
                self.settings,
                self.items(),
                Wish(wanted, topic, course=course.strip("/"), kinds=frozenset(kinds), fresh=fresh),
                model=self.writer() if use_model else None,
                asked=self.reviews().asked(),
                failing=failures.append,
            )
            found, rejected = gathered(made)
        document = {"items": [item.as_json() for item in found], "rejected": dict(rejected)}
        return document | ({"failed": failed(failures[0])} if failures else {})

    def due(self, *, course: str = "", most: int = 50) -> dict[str, Any]:
        """Return what the owner is to review now, without answers, as `ask review --json` prints it."""
        from assistant.stale import refresh
        from ui.review import active_in, due_json

        if self.generation:
            refresh(self.items(), self.shelf)
        reviews = self.reviews()
        reviews.check_clock()
        return due_json(reviews, active_in(self.items(), course), most)

    # --------------------------------------------------------------------------------------------------- room

    @property
    def answering(self) -> int:
        """How many questions are being answered."""
        return self._room.of.total()

    @contextlib.contextmanager
    def seat(self, learner: str) -> Iterator[None]:
        """Take a learner's place among those who ask.

        Raises:
            TooManyQuestions: There is none.
        """
        learner = learner or self.settings.learner
        room, most, own = self._room, self.settings.ui_questions, self.settings.ui_learner_questions
        with room.lock:
            if room.of[learner] >= own:
                raise TooManyQuestions(own, " of yours")
            if room.of.total() >= most:
                raise TooManyQuestions(most, "")
            room.of[learner] += 1
        try:
            yield
        finally:
            with room.lock:
                room.of[learner] -= 1
                room.of += Counter()  # forgets those who have none

    # ----------------------------------------------------------------------------------------------- questions

    def items(self) -> "Items":
        """Return the quiz items of these notes.

        Raises:
            ItemsUnavailable: They can't be opened.
        """
        from assistant.items import Items

        with self._begin:
            if self._items is None:
                self._items = Items.of(self.shelf.folder)
            return self._items

    def reviews(self, learner: str = "") -> "Reviews":
        """Return a learner's reviews.

        Raises:
            JournalUnavailable: The journal can't be opened.
        """
        from assistant.review import Reviews

        name, journal = learner or self.settings.learner, self.journal(learner)
        with self._begin:
            if name not in self._reviews:
                self._reviews[name] = Reviews(journal, self.of(name))
            return self._reviews[name]

    def finish(self, seconds: float) -> bool:
        """Wait for what runs in the background, not longer than so many seconds; return whether all of it has ended."""
        until = time.monotonic() + seconds
        if self._warm_thread:
            self._warm_thread.join(seconds)
        last = self.syncs.wait(max(0.0, until - time.monotonic()))
        return not (self._warm_thread and self._warm_thread.is_alive()) and not (last and last.running)
