"""The Exam tab: a plan's blueprint, a clock, no word of right or wrong before the end; each answer is kept at once."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from assistant.blueprint import find, named
from assistant.compose import begin
from assistant.errors import ExamOver, NoExam
from assistant.exam import Exam, Miss, Part, Result
from ingest.errors import StudyError
from ui.plan import opened
from ui.web.desk import Desk
from ui.web.parts import KEYS, Event, learner_of
from ui.web.questions import HINTS, TYPED, question_html
from ui.web.render import escaped, failed
from ui.web.source import source_html

_EMPTY = (
    '<section class="question empty"><p>Questions in the proportions of the blueprint, against the clock. Nothing '
    "tells what is right before the end; what you miss comes back in Review.</p></section>"
)
_SIDE = '<section class="source empty"><p>After the exam, the passages behind your misses open here.</p></section>'


class ExamTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.exam = gr.State(None)
        with gr.Row(elem_classes="questions"):
            with gr.Column(scale=3):
                with gr.Row(elem_classes="start"):
                    self.plan = gr.Dropdown([], label="Plan", scale=3, min_width=180, elem_id="exam-plan")
                    self.count = gr.Number(
                        0, label="Questions (0: as the real one)", minimum=0, maximum=500, precision=0, min_width=120
                    )
                    self.minutes = gr.Number(
                        0, label="Minutes (0: in proportion)", minimum=0, maximum=600, min_width=120
                    )
                    self.go = gr.Button("Start", variant="primary", min_width=90, elem_id="exam-start")
                    self.again = gr.Button("Go on", min_width=90, elem_id="exam-resume")
                self.card = gr.HTML(_EMPTY, elem_id="exam-card", elem_classes="card", js_on_load=KEYS)
                with gr.Row(visible=False, elem_classes="typed") as self.typing:
                    self.box = gr.Textbox(label="Your answer", scale=4, elem_id="exam-answer")
                    self.give = gr.Button("Answer", variant="primary", scale=1, min_width=90)
            with gr.Column(scale=2, elem_classes="beside"):
                self.side = gr.HTML(_SIDE, elem_id="exam-source")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        shown = [self.card, self.typing, self.box, self.side, self.exam]
        self.go.click(self.start, [self.plan, self.count, self.minutes], shown, **quiet)
        self.again.click(self.resume, None, shown, **quiet)
        self.card.select(self.pressed, [self.exam], shown, **quiet)
        gr.on([self.box.submit, self.give.click], self.typed, [self.box, self.exam], shown, **quiet)

    def load(self, chosen: str | None, request: gr.Request) -> Any:
        """Return the plans, one of them chosen."""
        home = self._desk.settings.home
        try:
            choices = [(find(name, home).title, name) for name in named(home)]
        except StudyError:
            choices = [(name, name) for name in named(home)]
        return gr.update(choices=choices, value=chosen or "nca-aiio")

    def start(self, plan: str, count: float, minutes: float, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Choose the questions, and begin."""
        desk = self._desk
        yield {self.card: '<p class="doing" role="status">Choosing questions …</p>', self.side: _SIDE}
        try:
            reviews = desk.reviews(learner_of(request))
            reviews.check_clock()
            blueprint = find(plan, desk.settings.home)
            coverage, items = opened(blueprint, desk.shelf, desk.settings)
            begun = begin(
                reviews,
                blueprint,
                coverage,
                desk.shelf,
                desk.settings,
                items,
                n=int(count or 0),
                minutes=float(minutes or 0),
            )
            yield self._show(begun.exam)
        except StudyError as error:
            yield {self.card: failed(str(error)), self.exam: None}

    def resume(self, request: gr.Request) -> dict[Any, Any]:
        """Go on with the exam that was left."""
        try:
            return self._show(Exam.resume(self._desk.reviews(learner_of(request))))
        except NoExam:
            return {self.card: '<section class="question empty"><p>No exam waits to be gone on with.</p></section>'}
        except StudyError as error:
            return {self.card: failed(str(error))}

    def typed(self, given: str, exam: Exam | None) -> dict[Any, Any]:
        """Keep what was typed."""
        return self._answer(exam, given) if exam else {self.exam: None}

    def pressed(self, event: gr.EventData, exam: Exam | None) -> dict[Any, Any]:
        """Do what a button of the exam says."""
        pressed = Event(event)
        if exam is None:
            return {self.exam: None}
        if pressed.action == "answer":
            return self._answer(exam, pressed.text("given"))
        if pressed.action == "skip" and not exam.over and exam.next():
            exam.skip()
        elif pressed.action == "end":
            exam.finish()
        elif pressed.action == "miss":
            miss = next((one for one in exam.result().misses if one.number == pressed.number("n")), None)
            return {self.side: source_html(self._desk.shelf, _cited(miss, exam)) if miss else _SIDE}
        return self._show(exam)

    def _answer(self, exam: Exam, given: str) -> dict[Any, Any]:
        try:
            if given.strip():
                exam.answer(given)
        except ExamOver:
            pass  # the time was up; the result says so
        except StudyError as error:
            return {self.card: failed(str(error)), self.exam: exam}
        return self._show(exam)

    def _show(self, exam: Exam) -> dict[Any, Any]:
        item = exam.next()
        if item is None:
            shown, typed = result_html(exam.result()), False
        else:
            typed = item.kind in TYPED
            left = int(exam.time_left)
            head = (
                f'<p class="clock"><span>{exam.answered} of {len(exam.questions)} answered</span> '
                f'<span role="timer" data-left="{left}">{left // 60}:{left % 60:02} left</span></p>'
            )
            tools = (
                '<div class="rate"><button type="button" class="button" data-do="skip">Later</button>'
                '<button type="button" class="button" data-do="end">End the exam</button>'
                '<button type="button" hidden data-do="look" class="up">The time is up</button></div>'
            )
            shown = head + question_html(item, exam.number) + tools
        hint = HINTS.get(item.kind, "Your answer") if item else "Your answer"
        return {
            self.card: shown,
            self.typing: gr.update(visible=typed),
            self.box: gr.update(value="", label=hint),
            self.exam: exam,
        }


def result_html(result: Result) -> str:
    """Return how an exam went: score by domain with its interval, and every miss."""
    rows = "".join(_row(part.title, part) for part in result.domains) + _row("All", result.whole)
    misses = "".join(
        f'<li><button type="button" class="link" data-do="miss" data-n="{one.number}">{escaped(one.question)}</button>'
        f"<br><small>{_said(one)}; right: {escaped(one.answer)}</small></li>"
        for one in result.misses
    )
    missed = f"<h3>Missed</h3><ol>{misses}</ol>" if misses else "<p>Nothing missed.</p>"
    spent = f"{result.took_s / 60:.0f} of {result.minutes:.0f} minutes"
    return (
        f'<section class="question" role="status"><h2>{result.whole.right} of {result.whole.asked} right</h2>'
        f"<p>{escaped(result.title)}; {spent}; {escaped(result.ended)}.</p>"
        '<div class="wide"><table class="use"><thead><tr><th>Domain</th><th>Weight</th><th>Right</th><th>95 % interval'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div>{missed}</section>"
    )


def _row(title: str, part: Part) -> str:
    return (
        f"<tr><td>{escaped(title)}</td><td>{part.weight:.0f} %</td><td>{part.right} of {part.asked} ({part.share:.0%})"
        f"</td><td>{part.low:.0%} – {part.high:.0%}</td></tr>"
    )


def _said(miss: Miss) -> str:
    return f"You said: {escaped(miss.given)}" if miss.answered else "Not answered"


def _cited(miss: Miss, exam: Exam) -> dict[str, Any]:
    version = exam.questions[miss.number - 1].item.evidence.version
    names = ("path", "locator", "quote", "start", "end")
    return {name: getattr(miss, name) for name in names} | {"text": miss.quote, "heading": "", "version": version}
