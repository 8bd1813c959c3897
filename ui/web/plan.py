"""The Plan tab: where a learner stands, what to do today, what is behind; certificates and the week's log."""

import datetime
import re
from typing import Any

import gradio as gr

from assistant.blueprint import find, named
from assistant.decide import BOOKED, EARNED, STATES, Decisions
from assistant.errors import BlueprintRejected
from assistant.plan import Plan, stand
from assistant.streak import streak
from ingest.errors import StudyError
from ui.cert import certify, offered
from ui.log import markdown_of, progress_of
from ui.plan import opened, rules_alone
from ui.web.desk import Desk
from ui.web.parts import CLICKS, QUIET, REVEAL, Event, drawn, first_sync, learner_of
from ui.web.plan_page import certificates_html, plan_html
from ui.web.render import answer_html, empty, escaped, failed
from ui.web.source import note_html

_SIDE = empty("What you are to read opens here.")
_LOG = '<p><button type="button" class="button" data-do="week">Write it</button></p>'
_ID = re.compile(r"\W+")
TABS = {"quiz": "quiz", "review": "review", "add": "notes-tab"}
"""Where a button of the plan leads."""


class PlanTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with gr.Row(elem_id="plan"):
            with gr.Column(scale=3):
                self.name = gr.Dropdown([], label="Plan", elem_id="plan-name")
                self.page = gr.HTML(elem_id="plan-page", js_on_load=CLICKS)
            with gr.Column(scale=2, elem_classes="beside"):
                self.side = gr.HTML(_SIDE, elem_id="plan-source", js_on_load=REVEAL)
                self.certificates = gr.HTML(elem_id="certificates", js_on_load=CLICKS)
                with gr.Accordion("The week’s log", open=False):
                    self.log = gr.HTML(_LOG, elem_id="week", js_on_load=CLICKS)
        self.outputs = [self.name, self.page, self.certificates]
        self.name.input(self.shown, [self.name], [self.page], **QUIET)
        self.page.select(self.pressed, [self.name], [self.page, self.side, self.certificates], **QUIET)
        self.certificates.select(self.certified, None, [self.certificates], **QUIET)
        self.log.select(self.week, None, [self.log], **QUIET)

    def load(self, name: str | None, request: gr.Request) -> Any:
        """Show the plan that was chosen, else the first that was begun; yield what is to be seen meanwhile."""
        choices = []
        try:
            home = self._desk.settings.home
            for one in named(home):
                try:
                    choices.append((find(one, home).title, one))
                except BlueprintRejected as error:
                    choices.append((f"{one} (can’t be used)", one))
                    if name == one:
                        raise error from None
            begun = self._decisions(request).begun()
            known = [one for _, one in choices]
            chosen = name or next((one for one in begun if one in known), known[0])
            names = gr.update(choices=choices, value=chosen)
            for told in first_sync(self._desk):
                yield {self.name: names, self.page: told}
            certificates = self._certificates(request)
            yield {self.name: names, self.page: self.shown(chosen, request), self.certificates: certificates}
        except StudyError as error:
            yield {self.page: failed(str(error))}

    def shown(self, name: str, request: gr.Request, *, ticked: str = "", told: str = "") -> str:
        """Return one plan as it stands."""
        try:
            return plan_html(self._plan(name, request), streak=self._streak(request), ticked=ticked, told=told)
        except StudyError as error:
            return failed(str(error))

    def pressed(self, event: gr.EventData, name: str, request: gr.Request) -> Any:
        """Read a note, tick a milestone, or keep what was decided about the plan."""
        pressed = Event(event)
        learner = learner_of(request)
        if pressed.action == "note":
            note, place = pressed.text("note"), pressed.text("place")
            return {self.side: drawn(self._desk, learner, lambda: note_html(self._desk.shelf, note, place))}
        try:
            self._desk.reviews(learner).check_clock()  # what is decided is kept with its day
            if pressed.action == "tick":
                blueprint = find(name, self._desk.settings.home)
                known = {*(one.id for one in blueprint.milestones), *(one.id for one in blueprint.labs)}
                if pressed.text("mark") in known:
                    self._decisions(request).tick(name, pressed.text("mark"), done=pressed.text("done") == "yes")
                return {self.page: self.shown(name, request, ticked=pressed.text("mark"))}
            if pressed.action == "read":
                self._has_read(name, pressed.text("objective"), request)
                return {self.page: self.shown(name, request)}
            if pressed.action == "dates":
                told = self._decide(name, pressed, request)
                page = self.shown(name, request, told=told)
                return {self.page: page} if told else {self.page: page, self.certificates: self._certificates(request)}
        except StudyError as error:
            return {self.page: failed(str(error))}
        return {self.side: gr.skip()}

    def leads(self, event: gr.EventData) -> Any:
        """Go to the tab to which a button leads."""
        where = TABS.get(Event(event).action)
        return gr.update(selected=where) if where else gr.skip()

    def _decide(self, name: str, pressed: Event, request: gr.Request) -> str:
        """Keep the learner's dates and minutes; return why not."""
        try:
            start, exam = _day(pressed.text("start")), _day(pressed.text("exam"))
        except ValueError:
            return "A date is written like 2027-02-01."
        start = start or datetime.date.today()
        if exam and exam <= start:
            return "The exam must be after the start."
        minutes = pressed.number("minutes")
        if not 1 <= minutes <= 960:
            return "The minutes of a day are 1 to 960."
        decisions, plan = self._decisions(request), self._plan(name, request)
        held = decisions.of(name)
        if start != held.start:
            decisions.start(name, start)
        if exam != held.exam:
            decisions.exam(name, exam)
        if minutes != plan.minutes:
            decisions.minutes(name, minutes)
        return ""

    def _has_read(self, name: str, objective: str, request: gr.Request) -> None:
        """Note that what was to be read today was read, in the time foreseen."""
        for task in self._plan(name, request).tasks:
            if task.kind == "read" and task.about == objective:
                self._decisions(request).read(name, objective, task.minutes * 60)

    def certified(self, event: gr.EventData, request: gr.Request) -> str:
        """Keep what became of a certificate."""
        pressed = Event(event)
        try:
            return self._certificates(request, self._certify(pressed, request))
        except StudyError as error:
            return failed(str(error))

    def _certify(self, pressed: Event, request: gr.Request) -> str:
        title, state = pressed.text("title").strip(), pressed.text("state")
        id_ = pressed.text("id") or _ID.sub("-", title.lower()).strip("-")
        try:
            day, expires = _day(pressed.text("day")), _day(pressed.text("expires"))
        except ValueError:
            return "A date is written like 2027-02-01."
        if not id_ or state not in STATES:
            return "Say what it is called."
        if state in (BOOKED, EARNED) and day is None:
            return f"Say on which day it {'is' if state == BOOKED else 'was earned'}."
        if state == EARNED and day and day > datetime.date.today():
            return "That day is still to come: say that it is booked."
        if day and expires and expires <= day:
            return "It must expire after the day on which it was earned."
        certify(self._desk.settings, self._decisions(request), id_, state, title=title, day=day, expires=expires)
        return ""

    def _certificates(self, request: gr.Request, told: str = "") -> str:
        decisions = self._decisions(request)
        suggested = offered(self._desk.settings, decisions)
        return certificates_html(decisions.certificates(), suggested, datetime.date.today(), told)

    def week(self, request: gr.Request) -> str:
        """Return what was done in the last seven days, and a button to copy it as Markdown."""
        desk, learner = self._desk, learner_of(request)
        try:
            today = datetime.date.today()
            found = progress_of(desk.journal(learner), desk.reviews(learner), desk.shelf, desk.settings, last=today)
        except StudyError as error:
            return failed(str(error)) + _LOG
        markdown = markdown_of(found)
        copy = f'<button type="button" class="button" data-do="copy" data-text="{escaped(markdown)}">'
        return f'<div class="answer log">{answer_html(markdown)}</div><p>{copy}Copy as Markdown</button></p>'

    def _decisions(self, request: gr.Request) -> Decisions:
        return Decisions(self._desk.journal(learner_of(request)))

    def _streak(self, request: gr.Request) -> str:
        reviews = self._desk.reviews(learner_of(request))
        return streak((one.at for one in reviews.log()), datetime.date.fromtimestamp(reviews.now())).told()

    def _plan(self, name: str, request: gr.Request) -> Plan:
        desk = self._desk
        blueprint = find(name, desk.settings.home)
        coverage, items = opened(blueprint, desk.shelf, desk.settings)
        decided = self._decisions(request).of(blueprint.id)
        by_rule = rules_alone(decided, coverage, desk.model)
        return stand(blueprint, coverage, items.active(), desk.reviews(learner_of(request)), decided, by_rule=by_rule)


def _day(text: str) -> datetime.date | None:
    return datetime.date.fromisoformat(text.strip()) if text.strip() else None
