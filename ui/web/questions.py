"""The Quiz and Review tabs: one question at a time, by keyboard or finger; why, and where it stands, at once."""

import datetime
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.items import Item
from assistant.review import Reviews
from ingest.errors import StudyError
from ui.ask_item import when
from ui.errors import QuestionsFailed
from ui.review import active_in, due_and_later
from ui.web.ask import EVERYWHERE
from ui.web.card import Card, cited, ended_html, graded_html, question_html
from ui.web.desk import Desk
from ui.web.parts import QUIET, Event, drawn, first_sync, learner_of
from ui.web.render import escaped, failed, remark, sentence
from ui.web.round import Round, Rounds, Supply
from ui.web.source import source_html

if TYPE_CHECKING:
    from assistant.cards import Made
    from assistant.grade import Model
    from assistant.quiz import Failing

MOST = 100
"""Questions of a quiz."""
_SIDE = "After each answer, the passage that bears it out stands here."
_END = '<p class="rate"><button type="button" class="button" data-do="end" data-step="{step}">End here</button></p>'


class Questions:
    """A card on which a round is played; what Quiz and Review have in common."""

    def __init__(self, desk: Desk, source: str, start: Callable[[], None], empty: str) -> None:
        """Lay it out.

        Args:
            desk: What all pages share.
            source: quiz or review.
            start: Lays out what stands above the card.
            empty: What the card says where no question is.
        """
        self._desk, self._source = desk, source
        self._rounds = Rounds()
        self.card = Card(source, start, empty, _SIDE)
        self.shown = self.card.shown
        given = [self.card.box, self.card.step]
        gr.on([self.card.box.submit, self.card.give.click], self._typed, given, self.shown, **QUIET)
        self.card.html.select(self._pressed, None, self.shown, **QUIET)

    def begin(
        self, learner: str, choose: "Callable[[Reviews, Model | None, Failing], Iterator[Made]]"
    ) -> Iterator[Any]:
        """Begin a round; yield what is to be shown meanwhile.

        Args:
            learner: Who is asked.
            choose: Returns the questions, given the learner's reviews, the served model, and whom to tell that it
                failed.
        """
        from assistant import quiz
        from assistant.stale import refresh

        desk = self._desk
        try:
            for told in first_sync(desk):
                yield self.card.plain(told)
            yield self.card.doing("Choosing questions …")
            reviews = desk.reviews(learner)
            reviews.check_clock()
            with desk.seat(learner):
                refresh(desk.items(), desk.shelf)
                model = desk.writer()
                remarks = list[str]()
                made = choose(reviews, model, lambda error: remarks.append(quiz.failed(error)))
            begun = Round(reviews, Supply(made, lambda: desk.seat(learner)), self._source, model, remarks=remarks)
            self._rounds.begin(learner, begun)
            with begun.lock:  # not while it yields: each picture may be asked for in another thread
                shown = self._next(begun)
            yield shown
        except StudyError as error:
            yield self.card.plain(failed(str(error)))
        except Exception as error:  # a fault of ours: who waits must hear of it
            yield self.card.plain(failed(str(QuestionsFailed(f"{type(error).__name__}: {error}"))))
            raise

    def load(self, request: gr.Request) -> dict[Any, Any]:
        """Show the question at which the learner was when the page was loaded again."""
        of = self._rounds.of(learner_of(request))
        if of is None or of.item is None:
            return {self.card.step: 0}
        with of.lock:
            return self._show(of, learner_of(request))

    def _next(self, of: Round) -> dict[Any, Any]:
        """Show the next question, or how the round went."""
        try:
            item = of.next()
        except StudyError as error:
            return self.card.plain(failed(str(error)) + (self._ended(of) if of.outcomes else ""))
        if item is None:
            nothing = " ".join(("There is nothing to ask.", *of.remarks))
            return self.card.plain(self._ended(of)) if of.outcomes else self.card.empty(nothing)
        return self._show(of, "")

    def _show(self, of: Round, learner: str, told: str = "") -> dict[Any, Any]:
        """Show a round where it is; `told` is what was wrong with the last answer."""
        assert of.item is not None
        if of.graded is None:
            number = len(of.outcomes) + 1
            html = "".join(map(remark, of.remarks)) + question_html(of.item, number, of.step, told)
            return self.card.question(of.item, html + (_END.format(step=of.step) if number > 1 else ""), of.step)
        return self.card.plain(self._graded(of)) | {self.card.side: self._passage(of.item, learner)}

    def _typed(self, given: str, step: int, request: gr.Request) -> dict[Any, Any]:
        """Grade what was typed."""
        return self._act("answer", step, request, given=given)

    def _pressed(self, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Do what a button of the card says."""
        pressed = Event(event)
        return self._act(
            pressed.action,
            pressed.number("step"),
            request,
            given=pressed.text("given"),
            number=pressed.number("rating") or pressed.number("n"),
        )

    def _act(self, action: str, step: int, request: gr.Request, *, given: str = "", number: int = 0) -> dict[Any, Any]:
        learner = learner_of(request)
        of = self._rounds.of(learner)
        if of is None:
            return self.card.empty("This round is over, since the app was started anew; what you answered is kept.")
        with of.lock:
            if action == "passage":
                return {self.card.side: self._passage(of.wrong[number], learner)} if number < len(of.wrong) else {}
            if of.item is None:
                return {self.card.step: 0}
            told = ""
            if step == of.step:  # else it was pressed twice, or shows what was there before
                try:
                    if action == "answer":
                        found = of.answer(given)
                        told = f"{sentence(found.why)}." if found and found.unread else ""
                    elif action == "rate":
                        of.rate(number)
                    elif action == "overrule":
                        of.overrule()
                    elif action == "end":
                        of.end()
                        return self.card.plain(self._ended(of))
                except StudyError as error:
                    return self.card.plain(failed(str(error)))
                if action == "next" or (action == "rate" and of.rated):
                    return self._next(of)
            return self._show(of, learner, told)

    def _passage(self, item: Item, learner: str) -> str:
        """Return the passage that bears an item out."""
        if not item.evidence.path:
            return self.card.nothing
        return drawn(self._desk, learner, lambda: source_html(self._desk.shelf, cited(item)))

    def _graded(self, of: Round) -> str:
        """Return the question with its answer."""
        assert of.item is not None
        card = of.reviews.card(of.item.id) if of.rated else None
        return graded_html(of, f"Next: {when(card.due.timestamp(), of.reviews.now())}." if card else "")

    def _ended(self, of: Round) -> str:
        """Return how the round went, and what comes of it."""
        asked = {item.id for item, _ in of.outcomes}
        now = of.reviews.now()
        due = sorted(one.due for id_, one in of.reviews.schedule().items() if id_ in asked)
        next_ = f"The first of them comes back {when(due[0], now)}, in Review." if due else ""
        return ended_html(of, f"<p>{escaped(next_)}</p>")


class QuizTab:
    """Questions about a topic, or about anything."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.questions = Questions(
            desk,
            "quiz",
            self._lay_start,
            "Each question rests on an exact passage of your notes. Answer with 1–4 or in words; Enter goes on.",
        )
        self.shown = self.questions.shown
        self.asked_for = [self.topic, self.course, self.count]
        gr.on([self.go.click, self.topic.submit], self.start, self.asked_for, self.shown, **QUIET)

    def _lay_start(self) -> None:
        """A topic, a course, how many."""
        with gr.Row(elem_classes="start"):
            self.topic = gr.Textbox(
                label="Topic", placeholder="Anything in my notes", scale=3, min_width=160, elem_id="quiz-topic"
            )
            self.course = gr.Dropdown([EVERYWHERE], value=EVERYWHERE, label="Course", scale=2, min_width=140)
            self.count = gr.Number(
                10, label="Questions", elem_id="quiz-count", minimum=1, maximum=MOST, precision=0, scale=1, min_width=90
            )
            self.go = gr.Button("Start", variant="primary", scale=1, min_width=90, elem_id="quiz-start")

    def load(self, request: gr.Request) -> dict[Any, Any]:
        """Return the courses, and the question at which the learner was."""
        courses = gr.update(choices=[EVERYWHERE, *self._desk.shelf.ledger.courses()])
        return {self.course: courses} | self.questions.load(request)

    def start(self, topic: str, course: str, count: float, request: gr.Request) -> Iterator[Any]:
        """Start a quiz."""
        from assistant.quiz import Wish, quiz

        desk = self._desk
        wish = Wish(max(1, min(MOST, int(count or 10))), topic.strip(), course="" if course == EVERYWHERE else course)

        def choose(reviews: Reviews, model: "Model | None", failing: "Failing") -> "Iterator[Made]":
            asked = reviews.asked()
            return quiz(desk.shelf, desk.settings, desk.items(), wish, model=model, asked=asked, failing=failing)

        yield from self.questions.begin(learner_of(request), choose)

    def start_about(self, event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        """Start a quiz about an objective of a plan."""
        from assistant.blueprint import find
        from assistant.decide import Decisions
        from ui.plan import opened
        from ui.study import Study

        desk, pressed, learner = self._desk, Event(event), learner_of(request)
        if pressed.action != "quiz":
            return

        def choose(reviews: Reviews, model: "Model | None", failing: "Failing") -> "Iterator[Made]":
            blueprint = find(pressed.text("plan"), desk.settings.home)
            about = [one for one in blueprint.objectives if one.id == pressed.text("objective")]
            coverage, items = opened(blueprint, desk.shelf, desk.settings)
            if not about:
                raise QuestionsFailed("the plan has no such objective any more")
            decisions = Decisions(desk.journal(learner))
            study = Study(blueprint, coverage, items, reviews, decisions, desk.shelf, desk.settings, model)
            return study.questions(about[0], max(1, min(MOST, pressed.number("count"))), failing)

        yield from self.questions.begin(learner, choose)


class ReviewTab:
    """What is due, as FSRS says."""

    def __init__(self, desk: Desk, tab: gr.Tab) -> None:
        self._desk = desk
        self.questions = Questions(
            desk,
            "review",
            self._lay_start,
            "What you were asked comes back here shortly before it would be forgotten. Space shows or goes on; "
            "1–4 say how it went.",
        )
        self.shown = self.questions.shown
        self.counted = [tab, self.due]
        self.go.click(self.start, None, self.shown, **QUIET)
        self.questions.card.html.change(self.count, None, self.counted, **QUIET)

    def _lay_start(self) -> None:
        """How many are due."""
        with gr.Row(elem_classes="start"):
            self.due = gr.HTML(elem_id="due")
            self.go = gr.Button("Review", variant="primary", scale=0, min_width=120, elem_id="review-start")

    def count(self, request: gr.Request) -> tuple[Any, ...]:
        """Return how many are due: for the tab's name, and in words."""
        from assistant.streak import streak

        try:
            reviews = self._desk.reviews(learner_of(request))
            due, later = due_and_later(reviews, self._desk.items().active_ids())
            kept = streak((one.at for one in reviews.log()), datetime.date.fromtimestamp(reviews.now())).told()
        except StudyError as error:
            return gr.skip(), failed(str(error))
        if due:
            told = f"{len(due)} due now."
        elif later:
            told = f"Nothing is due. Next: {when(later[0].due, reviews.now())}."
        else:
            told = "Nothing to review yet: take a quiz first."
        name = f"Review ({len(due)})" if due else "Review"
        return gr.update(label=name), f'<p role="status">{escaped(told)}</p>{remark(kept) if kept else ""}'

    def start_from(self, event: gr.EventData, request: gr.Request) -> Iterator[Any]:
        """Start a review where another tab leads to it."""
        if Event(event).action == "review":
            yield from self.start(request)

    def start(self, request: gr.Request) -> Iterator[Any]:
        """Start a review."""

        def choose(reviews: Reviews, model: "Model | None", failing: "Failing") -> "Iterator[Made]":
            active = active_in(self._desk.items(), "")
            return (active[one.item] for one in reviews.due(active))

        yield from self.questions.begin(learner_of(request), choose)
