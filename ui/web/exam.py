"""The Exam tab: a plan's blueprint, a clock, no word of right or wrong before the end; each answer is kept at once."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.blueprint import find, named
from assistant.errors import BlueprintRejected, ExamOver, NoExam
from assistant.exam import Exam
from ingest.errors import StudyError
from ui.plan import opened
from ui.web.card import Card, cited, question_html
from ui.web.desk import Desk
from ui.web.exam_page import clock, head_html, past_html, result_html, tools_html
from ui.web.parts import CLICKS, QUIET, Event, drawn, first_sync, learner_of
from ui.web.render import failed, remark
from ui.web.source import source_html

if TYPE_CHECKING:
    from assistant.compose import Begun

HISTORY = 10
"""Exams that are listed."""
LOOK = 0.5
"""Seconds between two looks at the questions that are being made."""
_EMPTY = (
    "Questions in the proportions of the blueprint, against the clock. Nothing tells what is right before the end; "
    "what you miss comes back in Review."
)
_SIDE = "After the exam, the passages behind your misses open here."


@dataclass
class Sitting:
    """A learner's exam while the app runs: its clock goes on though the page is loaded again."""

    exam: Exam
    told: Sequence[str] = ()
    """What it lacks, a line each."""
    step: int = 0
    """Counts what was done: what a page shows of an earlier step can do nothing any more."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Held by who takes a step."""


class ExamTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sittings: dict[str, Sitting] = {}
        self.card = Card("exam", self._lay_start, _EMPTY, _SIDE)
        with gr.Accordion("Exams that you took", open=False):
            self.past = gr.HTML(elem_id="exams", js_on_load=CLICKS)
        self.shown = [*self.card.shown, self.again, self.past]
        self.plan.input(self.usual, [self.plan], [self.count, self.minutes], **QUIET)
        self.count.input(self.proportion, [self.plan, self.count], [self.minutes], **QUIET)
        self.go.click(self.start, [self.plan, self.count, self.minutes], self.shown, **QUIET)
        self.again.click(self.resume, None, self.shown, **QUIET)
        self.card.html.select(self.pressed, None, self.shown, **QUIET)
        self.card.html.submit(self.another, [self.plan, self.count, self.minutes], self.shown, **QUIET)
        self.past.select(self.opened, None, self.shown, **QUIET)
        gr.on(
            [self.card.box.submit, self.card.give.click],
            self.typed,
            [self.card.box, self.card.step],
            self.shown,
            **QUIET,
        )

    def _lay_start(self) -> None:
        """Which plan, how many questions, how long."""
        self.plan = gr.Dropdown([], label="Plan", elem_id="exam-plan")
        with gr.Row(elem_classes="start"):
            self.count = gr.Number(
                label="Questions", elem_id="exam-count", minimum=1, maximum=500, precision=0, min_width=110
            )
            self.minutes = gr.Number(label="Minutes", elem_id="exam-minutes", minimum=0, maximum=600, min_width=110)
            self.go = gr.Button("Start", variant="primary", min_width=90, elem_id="exam-start")
            self.again = gr.Button("Go on", visible=False, min_width=90, elem_id="exam-resume")

    # ------------------------------------------------------------------------------------------------- beginning

    def load(self, chosen: str | None, request: gr.Request) -> dict[Any, Any]:
        """Show the plans, one of them chosen, the exam that goes on, and those that were taken."""
        home, choices = self._desk.settings.home, []
        for name in named(home):
            try:
                choices.append((find(name, home).title, name))
            except BlueprintRejected:  # the Plan tab says what is wrong with it
                continue
        names = [name for _, name in choices]
        first = chosen if chosen in names else "nca-aiio" if "nca-aiio" in names else next(iter(names), None)
        shown: dict[Any, Any] = {self.plan: gr.update(choices=choices, value=first)}
        if first != chosen:  # else what the learner wrote there stays
            count, minutes = self.usual(first)
            shown |= {self.count: count, self.minutes: minutes}
        try:
            return shown | self._around(request) | self._restored(request)
        except StudyError as error:
            return shown | self.card.plain(failed(str(error)))

    def usual(self, plan: str | None) -> tuple[Any, Any]:
        """Return questions and minutes of the real exam."""
        from assistant.compose import usual

        try:
            return usual(find(plan or "", self._desk.settings.home))
        except StudyError:
            return gr.skip(), gr.skip()

    def proportion(self, plan: str | None, count: float | None) -> Any:
        """Return the minutes for so many questions."""
        from assistant.compose import usual

        try:
            return usual(find(plan or "", self._desk.settings.home), int(count or 0))[1]
        except StudyError:
            return gr.skip()

    def lap(self, request: gr.Request) -> None:
        """Keep the time that the open question has taken so far: no crash gives it back."""
        sitting = self._sittings.get(learner_of(request))
        if sitting:
            with sitting.lock:
                sitting.exam.lap()

    def _going_on(self, learner: str) -> Sitting | None:
        """Return the exam in which a learner is, if any."""
        sitting = self._sittings.get(learner)
        return sitting if sitting and not sitting.exam.over else None

    def _restored(self, request: gr.Request) -> dict[Any, Any]:
        """Show the exam in which the learner is, if any."""
        sitting = self._going_on(learner_of(request))
        return self._show(sitting, request) if sitting else {}

    def _around(self, request: gr.Request) -> dict[Any, Any]:
        """Show whether an exam waits to be gone on with, and those that were taken."""
        learner = learner_of(request)
        reviews, waits = self._desk.reviews(learner), "Go on"
        try:
            left = None if self._going_on(learner) else Exam.resume(reviews)
        except NoExam:
            left = None
        if left:
            waits = f"Go on: {left.answered} of {len(left.questions)} answered, {clock(left.time_left)} left"
        past = Exam.every(reviews, 0, reviews.now())[-HISTORY:]
        return {
            self.again: gr.update(visible=bool(left), value=waits),
            self.past: past_html([one.result() for one in reversed(past)]),
        }

    def start(self, plan: str, count: float | None, minutes: float | None, request: gr.Request) -> Iterator[Any]:
        """Begin an exam; where one goes on, ask whether to."""
        if sitting := self._going_on(learner_of(request)):
            yield self._show(sitting, request, asks="another")
        else:
            yield from self.another(plan, count, minutes, request)

    def another(self, plan: str, count: float | None, minutes: float | None, request: gr.Request) -> Iterator[Any]:
        """Choose the questions, and begin; an exam that goes on is put off."""
        before = self._going_on(learner_of(request))
        try:
            for told in first_sync(self._desk):
                yield self.card.plain(told)
            yield self.card.doing("Choosing questions …")
            made: list[int] = [0]
            with ThreadPoolExecutor(1, "exam") as pool:
                wait = pool.submit(self._begin, plan, int(count or 0), float(minutes or 0), request, made)
                shown = 0
                while not wait.done():
                    time.sleep(LOOK)
                    if made[0] != shown:
                        shown = made[0]
                        yield self.card.doing(f"Choosing questions … {shown} new ones made")
                begun = wait.result()
            if before:
                before.exam.lap()
            sitting = self._sittings[learner_of(request)] = Sitting(begun.exam, begun.told())
            yield self._show(sitting, request) | {self.again: gr.update(visible=False)}
        except StudyError as error:
            yield self._show(before, request, str(error)) if before else self.card.plain(failed(str(error)))
        except Exception as error:  # a fault of ours: who waits must hear of it
            yield self.card.plain(failed(f"The exam could not begin ({type(error).__name__}: {error})."))
            raise

    def _begin(self, plan: str, count: int, minutes: float, request: gr.Request, made: list[int]) -> "Begun":
        from assistant.compose import begin

        def tell(number: int) -> None:
            made[0] = number

        desk, learner = self._desk, learner_of(request)
        reviews = desk.reviews(learner)
        reviews.check_clock()
        with desk.seat(learner):
            blueprint = find(plan, desk.settings.home)
            coverage, items = opened(blueprint, desk.shelf, desk.settings)
            return begin(
                *(reviews, blueprint, coverage, desk.shelf, desk.settings, items),
                n=count,
                minutes=minutes,
                model=desk.writer(),
                tell=tell,
            )

    def resume(self, request: gr.Request) -> dict[Any, Any]:
        """Go on with the exam that was left."""
        learner = learner_of(request)
        try:
            reviews = self._desk.reviews(learner)
            reviews.check_clock()
            sitting = self._sittings[learner] = Sitting(Exam.resume(reviews))
            return self._show(sitting, request) | {self.again: gr.update(visible=False)}
        except StudyError as error:
            return self.card.plain(failed(str(error)))

    def opened(self, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Show the result of an exam that was taken."""
        learner = learner_of(request)
        if sitting := self._going_on(learner):
            return {self.card.step: sitting.step}  # an exam goes on: nothing takes its place
        reviews, wanted = self._desk.reviews(learner), Event(event).text("exam")
        found = next((one for one in Exam.every(reviews, 0, reviews.now()) if one.id == wanted), None)
        if found is None:
            return {self.card.step: 0}
        self._sittings[learner] = Sitting(found)
        return self.card.empty() | self.card.plain(result_html(found.result()))

    # ------------------------------------------------------------------------------------------------- answering

    def typed(self, given: str, step: int, request: gr.Request) -> dict[Any, Any]:
        """Keep what was typed."""
        return self._act("answer", step, request, given=given)

    def pressed(self, event: gr.EventData, request: gr.Request) -> dict[Any, Any]:
        """Do what a button of the exam says."""
        pressed = Event(event)
        return self._act(
            pressed.action, pressed.number("step"), request, given=pressed.text("given"), number=pressed.number("n")
        )

    def _act(self, action: str, step: int, request: gr.Request, *, given: str = "", number: int = 0) -> dict[Any, Any]:
        learner = learner_of(request)
        sitting = self._sittings.get(learner)
        if sitting is None:
            return self.card.empty("The app was started anew: press “Go on”.") | self._around(request)
        with sitting.lock:
            exam, told = sitting.exam, ""
            try:
                if action == "miss":
                    return {self.card.side: self._passage(exam, number, learner)}
                if action == "overrule":
                    exam.overrule(number)
                elif exam.over or (step != sitting.step and action != "look"):
                    pass  # pressed twice, or in a page that shows what was there before
                elif action == "answer":
                    if not given.strip() or not exam.answer(given):
                        told = "That is no answer to this question. “Later” puts it off."
                elif action == "skip" and exam.next():
                    exam.skip()
                elif action == "end":
                    return self._show(sitting, request, asks="end")
                elif action == "sure":
                    exam.finish()
                elif action == "pause":
                    exam.lap()
                    del self._sittings[learner]
                    paused = "The clock stands still, and each answer is kept. “Go on” shows the next question."
                    return self.card.empty(paused) | self._around(request)
            except ExamOver:
                pass  # the time was up; the result says so
            except StudyError as error:
                return self.card.plain(failed(str(error)))
            return self._show(sitting, request, told)

    def _show(self, sitting: Sitting, request: gr.Request, told: str = "", *, asks: str = "") -> dict[Any, Any]:
        """Show the next question, or the result.

        Args:
            sitting: The learner's.
            request: The page's.
            told: What was wrong with what was done last.
            asks: What the learner is asked about before it is done; see `tools_html`.
        """
        exam = sitting.exam
        with sitting.lock:
            item = exam.next()
            sitting.step += 1
            if item is None:
                return self.card.plain(result_html(exam.result())) | self._around(request)
            lacks = "" if exam.answered else "".join(map(remark, sitting.told))
            asked = question_html(item, exam.number, sitting.step, told)
            html = head_html(exam) + lacks + asked + tools_html(exam, sitting.step, asks)
            return self.card.question(item, html, sitting.step)

    def _passage(self, exam: Exam, number: int, learner: str) -> str:
        """Return the passage behind a miss."""
        if not exam.over or number not in [miss.number for miss in exam.result().misses]:
            return self.card.nothing
        item = exam.questions[number - 1].item
        return drawn(self._desk, learner, lambda: source_html(self._desk.shelf, cited(item)))
