"""The Quiz and Review tabs: one question at a time, by keyboard or finger; why, and where it stands, at once."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.items import CLOZE, EXPLAIN, FLASHCARD, MCQ, ORDERING, SHORT, TRUE_FALSE, Item
from assistant.review import RATINGS
from ingest.errors import StudyError
from ui.ask_item import when
from ui.web.ask import EVERYWHERE
from ui.web.desk import Desk
from ui.web.parts import KEYS, Event, learner_of
from ui.web.render import escaped, failed
from ui.web.round import Round, Supply
from ui.web.source import source_html

if TYPE_CHECKING:
    from assistant.grade import Model

TYPED = {SHORT, CLOZE, EXPLAIN, ORDERING}
"""Kinds that are answered in words."""
HINTS = {
    CLOZE: "What belongs into the blank?",
    SHORT: "Answer in a few words.",
    EXPLAIN: "Explain it in your own words.",
    ORDERING: "Type the numbers in their right order.",
}


class QuestionsTab:
    """What Quiz and Review have in common."""

    source = ""
    start_label = ""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.round = gr.State(None)
        with gr.Row(elem_classes="questions"):
            with gr.Column(scale=3):
                self.lay_start()
                self.card = gr.HTML(self.empty(), elem_id=f"{self.source}-card", elem_classes="card", js_on_load=KEYS)
                with gr.Row(visible=False, elem_classes="typed") as self.typing:
                    self.box = gr.Textbox(
                        label="Your answer", lines=1, max_lines=6, scale=4, elem_id=f"{self.source}-answer"
                    )
                    self.give = gr.Button("Answer", variant="primary", scale=1, min_width=90)
            with gr.Column(scale=2, elem_classes="beside"):
                self.side = gr.HTML(_SIDE, elem_id=f"{self.source}-source")
        self._quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.shown = [self.card, self.typing, self.box, self.side, self.round]
        gr.on([self.box.submit, self.give.click], self.typed, [self.box, self.round], self.shown, **self._quiet)
        self.card.select(self.pressed, [self.round], self.shown, **self._quiet)
        self.wire()

    def lay_start(self) -> None:
        """Lay out what starts a round."""
        raise NotImplementedError

    def wire(self) -> None:
        """Wire what starts a round."""
        raise NotImplementedError

    def empty(self) -> str:
        """Return what stands where no question is."""
        raise NotImplementedError

    def ended(self, of: Round) -> str:
        """Return how the round went."""
        told = of.summary()
        if not told["asked"]:
            return self.empty()
        wrong = "".join(
            f"<li>{escaped(question)} <small>{escaped(path)} · {escaped(locator)}</small></li>"
            for question, path, locator in told["wrong"]
        )
        again = f"<h3>To look at again</h3><ul>{wrong}</ul>" if wrong else "<p>All of them.</p>"
        notes = Counter(path for _, path, _ in told["wrong"])
        weak = f"<p>Most of it in {escaped(notes.most_common(1)[0][0])}.</p>" if len(told["wrong"]) > 2 else ""
        return (
            f'<section class="question" role="status"><h2>{told["right"]} of {told["asked"]} right</h2>{again}{weak}'
            "<p>Each of them comes back in Review when it is about to be forgotten.</p></section>"
        )

    def begin(self, of: Round) -> Iterator[dict[Any, Any]]:
        """Start a round."""
        yield {self.card: '<p class="doing" role="status">Choosing questions …</p>', self.side: _SIDE}
        yield self.ask(of)

    def ask(self, of: Round) -> dict[Any, Any]:
        """Show the next question, or how the round went."""
        try:
            item = of.next()
        except StudyError as error:
            return {self.card: failed(str(error)), self.typing: gr.update(visible=False), self.round: None}
        if item is None:
            return {self.card: self.ended(of), self.typing: gr.update(visible=False), self.round: None}
        typed = item.kind in TYPED
        return {
            self.card: question_html(item, len(of.outcomes) + 1),
            self.typing: gr.update(visible=typed),
            self.box: gr.update(value="", label=HINTS.get(item.kind, "Your answer"), autofocus=True),
            self.side: _SIDE,
            self.round: of,
        }

    def typed(self, given: str, of: Round | None) -> dict[Any, Any]:
        """Grade what was typed."""
        return self.answer(of, given) if of else {self.round: of}

    def pressed(self, event: gr.EventData, of: Round | None) -> dict[Any, Any]:
        """Do what a button of the question says."""
        pressed = Event(event)
        if of is None or of.item is None:
            return {self.round: of}
        if pressed.action == "answer":
            return self.answer(of, pressed.text("given"))
        if pressed.action == "rate":
            of.rate(pressed.number("rating"))
        elif pressed.action == "overrule":
            of.overrule()
            return {self.card: self.graded(of), self.round: of}
        return {self.round: of} if of.to_rate else self.ask(of)

    def answer(self, of: Round, given: str) -> dict[Any, Any]:
        """Grade an answer and say why."""
        try:
            found = of.answer(given)
        except StudyError as error:
            return {self.card: failed(str(error)), self.round: of}
        if found is None or of.item is None:
            return {self.round: of}
        if found.unread:
            return {self.box: gr.update(label=f"{found.why[:1].upper()}{found.why[1:]}."), self.round: of}
        evidence = of.item.evidence
        shown = source_html(self.desk.shelf, _cited(of.item)) if evidence.path else _SIDE
        hidden = gr.update(visible=False)
        return {self.card: self.graded(of), self.typing: hidden, self.side: shown, self.round: of}

    def graded(self, of: Round) -> str:
        """Return the question with its answer."""
        assert of.item is not None
        card = of.reviews.card(of.item.id) if of.review else None
        due = f"Next: {when(card.due.timestamp(), of.reviews.now())}." if card else ""
        return graded_html(of, due)

    def model(self) -> "Model | None":
        """Return the served model, where there is one."""
        from assistant import llm

        found = llm.find(self.desk.settings)
        return None if isinstance(found, llm.Absent) else found


class QuizTab(QuestionsTab):
    """Questions about a topic, or about anything."""

    source = "quiz"

    def lay_start(self) -> None:
        """A topic, a course, how many."""
        with gr.Row(elem_classes="start"):
            self.topic = gr.Textbox(
                label="Topic", placeholder="Anything in my notes", scale=3, min_width=160, elem_id="quiz-topic"
            )
            self.course = gr.Dropdown([EVERYWHERE], value=EVERYWHERE, label="Course", scale=2, min_width=140)
            self.count = gr.Number(10, label="Questions", minimum=1, maximum=100, precision=0, scale=1, min_width=90)
            self.go = gr.Button("Start", variant="primary", scale=1, min_width=90, elem_id="quiz-start")

    def wire(self) -> None:
        """Start by button or Enter."""
        inputs = [self.topic, self.course, self.count]
        gr.on([self.go.click, self.topic.submit], self.start, inputs, self.shown, **self._quiet)

    def empty(self) -> str:
        """Return what stands where no question is."""
        return (
            '<section class="question empty"><p>Each question rests on an exact passage of your notes. Answer with '
            "1–4 or in words; Enter goes on.</p></section>"
        )

    def load(self) -> Any:
        """Return the courses."""
        return gr.update(choices=[EVERYWHERE, *self.desk.shelf.ledger.courses()])

    def start(self, topic: str, course: str, count: float, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Start a quiz."""
        from assistant.quiz import Wish, quiz
        from assistant.stale import refresh

        desk = self.desk
        try:
            items, reviews = desk.items(), desk.reviews(learner_of(request))
            refresh(items, desk.shelf)
            model = self.model()
            where = "" if course == EVERYWHERE else course
            wish = Wish(max(1, min(100, int(count or 10))), topic.strip(), course=where)
            made = quiz(desk.shelf, desk.settings, items, wish, model=model, asked=reviews.asked())
            yield from self.begin(Round(reviews, Supply(made), self.source, model))
        except StudyError as error:
            yield {self.card: failed(str(error)), self.round: None}

    def start_about(self, event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Start a quiz about an objective of a plan."""
        from assistant.blueprint import find
        from assistant.study import questions
        from ui.plan import opened

        desk, pressed = self.desk, Event(event)
        try:
            blueprint = find(pressed.text("plan"), desk.settings.home)
            objective = next((one for one in blueprint.objectives if one.id == pressed.text("objective")), None)
            if objective is None:
                return
            coverage, items = opened(blueprint, desk.shelf, desk.settings)
            reviews, model = desk.reviews(learner_of(request)), self.model()
            made = questions(
                blueprint,
                objective,
                coverage,
                desk.shelf,
                desk.settings,
                items,
                wanted=max(1, min(100, pressed.number("count"))),
                asked=reviews.asked(),
                model=model,
            )
            yield from self.begin(Round(reviews, Supply(made), self.source, model))
        except StudyError as error:
            yield {self.card: failed(str(error)), self.round: None}


class ReviewTab(QuestionsTab):
    """What is due, as FSRS says."""

    source = "review"

    def lay_start(self) -> None:
        """How many are due."""
        with gr.Row(elem_classes="start"):
            self.due = gr.HTML(elem_id="due")
            self.go = gr.Button("Review", variant="primary", scale=0, min_width=120, elem_id="review-start")

    def wire(self) -> None:
        """Start by button; the count follows."""
        started = self.go.click(self.start, None, self.shown, **self._quiet)
        started.then(self.count, None, [self.due], **self._quiet)
        self.card.change(self.count, None, [self.due], **self._quiet)

    def empty(self) -> str:
        """Return what stands where no question is."""
        return (
            '<section class="question empty"><p>What you were asked comes back here shortly before it would be '
            "forgotten. Space shows or goes on; 1–4 say how it went.</p></section>"
        )

    def _due(self, learner: str) -> tuple[list[Item], str]:
        """Return the items that are due, and one line about them."""
        desk, reviews = self.desk, self.desk.reviews(learner)
        active = {item.id: item for item in desk.items().active()}
        due = [active[one.item] for one in reviews.due(active)]
        schedule = reviews.schedule()
        later = sorted(one.due for id_, one in schedule.items() if id_ in active and one.due > reviews.now())
        if due:
            return due, f"{len(due)} due now."
        if later:
            return due, f"Nothing is due. Next: {when(later[0], reviews.now())}."
        return due, "Nothing to review yet: take a quiz first."

    def count(self, request: gr.Request) -> str:
        """Return how many are due."""
        try:
            return f'<p role="status">{escaped(self._due(learner_of(request))[1])}</p>'
        except StudyError as error:
            return failed(str(error))

    def start(self, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Start a review."""
        from assistant.stale import refresh

        try:
            reviews = self.desk.reviews(learner_of(request))
            reviews.check_clock()
            refresh(self.desk.items(), self.desk.shelf)
            due, told = self._due(learner_of(request))
            if not due:
                yield {self.card: f'<section class="question empty"><p>{escaped(told)}</p></section>', self.round: None}
                return
            model = self.model() if any(item.kind in (SHORT, EXPLAIN) for item in due) else None
            yield from self.begin(Round(reviews, Supply(iter_closing(due)), self.source, model))
        except StudyError as error:
            yield {self.card: failed(str(error)), self.round: None}


def iter_closing(items: list[Item]) -> Iterator[Item]:
    """Yield items as a generator."""
    yield from items


def question_html(item: Item, number: int) -> str:
    """Return a question that waits for its answer: nothing here tells which one is right."""
    options = ""
    if item.kind in (MCQ, TRUE_FALSE):
        given = item.options if item.kind == MCQ else ("True", "False")
        options = "".join(
            f'<li><button type="button" class="option" data-do="answer" data-given="{escaped(said)}" data-key="{n}">'
            f"<kbd>{n}</kbd> <span>{escaped(option)}</span></button></li>"
            for n, option in enumerate(given, start=1)
            for said in [f"#{n}" if item.kind == MCQ else option.lower()]
        )
        options = f'<ol class="options">{options}</ol>'
    elif item.kind == ORDERING:
        listed = "".join(f"<li>{escaped(option)}</li>" for option in item.options)
        options = f'<ol class="order">{listed}</ol>'
    elif item.kind == FLASHCARD:
        options = (
            '<p><button type="button" class="button main" data-do="answer" data-given="" data-key="enter">'
            "Show the answer <kbd>space</kbd></button></p>"
        )
    return f'<section class="question"><h2><small>{number}</small> {escaped(item.question)}</h2>{options}</section>'


def graded_html(of: Round, due: str) -> str:
    """Return a question with what was answered, what is right, and why."""
    item, graded = of.item, of.graded
    assert item is not None
    assert graded is not None
    right = of.review.correct if of.review else graded.correct
    verdict = {True: "Right", False: "Not right", None: "The answer"}[right]
    kind = {True: "right", False: "wrong", None: "open"}[right]
    said = f"<p>You said: {escaped(of.given)}</p>" if of.given and item.kind in TYPED else ""
    why = f"<p>{escaped(graded.why)}</p>" if graded.why else ""
    points = "".join(f"<li>{escaped(point)}</li>" for point in item.rubric)
    rubric = f"<p>It had to say:</p><ul>{points}</ul>" if points else ""
    explained = f"<p>{escaped(item.explanation)}</p>" if item.explanation else ""
    return (
        f'<section class="question"><h2>{escaped(item.question)}</h2>{_answers(of)}'
        f'<div class="verdict {kind}" role="status"><p><strong>{verdict}.</strong> {_answer_text(item)}</p></div>'
        f"{said}{why}{rubric}{explained}{_place(item)}{_going_on(of)}"
        f'<p class="remark">{escaped(due)} {escaped(item.made_by)}</p></section>'
    )


def _answer_text(item: Item) -> str:
    if item.kind == ORDERING:
        return escaped("; ".join(item.options[int(n) - 1] for n in item.answer.split()))
    return escaped(item.answer.capitalize() if item.kind == TRUE_FALSE else item.answer)


def _answers(of: Round) -> str:
    """Return the options, the right and the chosen one marked."""
    item = of.item
    assert item is not None
    if item.kind != MCQ:
        return ""
    rows = []
    for n, option in enumerate(item.options, start=1):
        kind = "right" if option == item.answer else "wrong" if of.given == f"#{n}" else ""
        mark = {"right": " ✓", "wrong": " ✗", "": ""}[kind]
        rows.append(f'<li class="option {kind}"><kbd>{n}</kbd> <span>{escaped(option)}{mark}</span></li>')
    return f'<ol class="options">{"".join(rows)}</ol>'


def _place(item: Item) -> str:
    if not item.evidence.path:
        return ""
    return f'<p class="place">{escaped(item.evidence.path)} · {escaped(item.evidence.locator)}</p>'


def _going_on(of: Round) -> str:
    if of.to_rate:
        asked = "Were you right?" if of.by_learner and of.item and of.item.kind != FLASHCARD else "How did it go?"
        buttons = "".join(
            f'<button type="button" class="button" data-do="rate" data-rating="{n}" data-key="{n}"><kbd>{n}</kbd> '
            f"{name}</button>"
            for n, name in RATINGS.items()
        )
        return f'<div class="rate"><p>{asked}</p>{buttons}</div>'
    after_all = (
        '<button type="button" class="button" data-do="overrule">I was right</button>'
        if of.review and of.review.correct is False
        else ""
    )
    return (
        '<div class="rate"><button type="button" class="button main" data-do="next" data-key="enter">Next '
        f"<kbd>Enter</kbd></button>{after_all}</div>"
    )


def _cited(item: Item) -> dict[str, Any]:
    evidence = item.evidence
    names = ("path", "locator", "quote", "start", "end", "version")
    return {name: getattr(evidence, name) for name in names} | {"text": evidence.quote, "heading": item.objective}


_SIDE = '<section class="source empty"><p>After each answer, the passage that bears it out stands here.</p></section>'
