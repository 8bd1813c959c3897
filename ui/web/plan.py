"""The Plan tab: where a learner stands, what to do today, what is behind; certificates and the week's log."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr

from assistant.blueprint import find, named
from assistant.decide import Decisions, Held
from assistant.mastery import Reading, Standing
from assistant.plan import Plan, Subject, stand
from assistant.timeline import Mark, Stretch
from assistant.today import Task
from ingest.errors import StudyError
from ui.log import markdown_of, progress_of
from ui.plan import how_far, opened, task_text, when
from ui.web.desk import Desk
from ui.web.parts import CLICKS, Event, learner_of
from ui.web.render import escaped, failed
from ui.web.source import note_html

_SIDE = '<section class="source empty"><p>What you are to read opens here.</p></section>'
_STATES = {"gap": "not in your notes", "new": "not asked yet", "learning": "learning", "mastered": "mastered"}


class PlanTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with gr.Row(elem_id="plan"):
            with gr.Column(scale=3):
                self.name = gr.Dropdown([], label="Plan", elem_id="plan-name")
                with gr.Accordion("Dates and minutes", open=False), gr.Row(elem_classes="start"):
                    self.start = gr.Textbox(label="Begun on", placeholder="2026-11-21", min_width=130)
                    self.exam = gr.Textbox(label="Exam on", placeholder="2027-02-01", min_width=130)
                    self.minutes = gr.Number(
                        30, label="Minutes a day", minimum=1, maximum=960, precision=0, min_width=110
                    )
                    self.keep = gr.Button("Keep", variant="primary", min_width=90)
                self.told = gr.HTML(elem_id="plan-told")
                self.page = gr.HTML(elem_id="plan-page", js_on_load=CLICKS)
            with gr.Column(scale=2, elem_classes="beside"):
                self.side = gr.HTML(_SIDE, elem_id="plan-source")
                self.certificates = gr.HTML(elem_id="certificates")
                with gr.Accordion("The week’s log", open=False):
                    self.write = gr.Button("Write it")
                    self.log = gr.Textbox(label="Markdown", lines=10, max_lines=30, buttons=["copy"], elem_id="week")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.outputs = [self.name, self.page, self.start, self.exam, self.minutes, self.certificates, self.told]
        self.name.input(self.shown, [self.name], self.outputs[1:], **quiet)
        self.write.click(self.week, None, [self.log], **quiet)
        self.keep.click(self.decide, [self.name, self.start, self.exam, self.minutes], self.outputs[1:], **quiet)
        self.page.select(self.pressed, [self.name], [self.page, self.side], **quiet)

    def load(self, name: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Show the plan that was chosen, else the first that was begun."""
        try:
            names = named(self._desk.settings.home)
            begun = self._decisions(request).begun()
            chosen = name or next(iter(begun), names[0])
            choices = [(find(one, self._desk.settings.home).title, one) for one in names]
        except StudyError as error:
            return gr.skip(), failed(str(error)), *(gr.skip() for _ in range(5))
        return gr.update(choices=choices, value=chosen), *self.shown(chosen, request)

    def shown(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Show one plan: page, start, exam, minutes, certificates, what is told."""
        try:
            plan, decisions = self._plan(name, request), self._decisions(request)
        except StudyError as error:
            return failed(str(error)), *(gr.skip() for _ in range(5))
        start = plan.start.isoformat() if plan.begun else ""
        exam = plan.exam.isoformat() if plan.exam else ""
        certificates = certificates_html(decisions.certificates(), plan.today)
        return plan_html(plan), start, exam, plan.minutes, certificates, ""

    def decide(self, name: str, start: str, exam: str, minutes: float, request: gr.Request) -> tuple[Any, ...]:
        """Keep the learner's dates and minutes."""
        try:
            decisions = self._decisions(request)
            first, last = _day(start), _day(exam)
            if first and last and last <= first:
                raise ValueError("the exam must be after the start")
            held = decisions.of(name)
            if (begins := first or held.start or datetime.date.today()) != held.start:
                decisions.start(name, begins)
            if last and last != held.exam:
                decisions.exam(name, last)
            if minutes and int(minutes) != held.minutes:
                decisions.minutes(name, int(minutes))
        except ValueError as error:
            return *(gr.skip() for _ in range(5)), failed(f"{error}; dates are written like 2027-02-01")
        except StudyError as error:
            return *(gr.skip() for _ in range(5)), failed(str(error))
        return self.shown(name, request)

    def pressed(self, event: gr.EventData, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Read a note, or tick a milestone."""
        pressed = Event(event)
        if pressed.action == "note":
            return gr.skip(), note_html(self._desk.shelf, pressed.text("note"), pressed.text("place"))
        if pressed.action == "tick":
            blueprint = find(name, self._desk.settings.home)
            known = {*(one.id for one in blueprint.milestones), *(one.id for one in blueprint.labs)}
            if pressed.text("mark") in known:
                self._decisions(request).tick(name, pressed.text("mark"), done=pressed.text("done") == "yes")
            return plan_html(self._plan(name, request), ticked=pressed.text("mark")), gr.skip()
        return gr.skip(), gr.skip()

    def week(self, request: gr.Request) -> str:
        """Return what was done in the last seven days, as Markdown."""
        desk, learner = self._desk, learner_of(request)
        try:
            today = datetime.date.today()
            found = progress_of(desk.journal(learner), desk.reviews(learner), desk.shelf, desk.settings, last=today)
        except StudyError as error:
            return str(error)
        return markdown_of(found)

    def _decisions(self, request: gr.Request) -> Decisions:
        return Decisions(self._desk.journal(learner_of(request)))

    def _plan(self, name: str, request: gr.Request) -> Plan:
        desk = self._desk
        blueprint = find(name, desk.settings.home)
        coverage, items = opened(blueprint, desk.shelf, desk.settings)
        decided = self._decisions(request).of(blueprint.id)
        return stand(blueprint, coverage, items.active(), desk.reviews(learner_of(request)), decided)


def plan_html(plan: Plan, *, ticked: str = "") -> str:
    """Return a plan as it stands; the phase of what was just ticked stays open."""
    behind = "".join(f"<li>{escaped(line)}</li>" for line in plan.behind)
    gaps = "".join(
        f"<li>{escaped(one.text)} <small>{one.weight:.0f} %</small></li>"
        for one in plan.objectives
        if one.state == "gap"
    )
    parts = [
        f"<h2>{escaped(plan.title)}</h2><p>{escaped(when(plan))}</p><p>{escaped(how_far(plan))}</p>",
        _section("Today", _tasks(plan)),
        _section("Behind", f"<ul>{behind}</ul>") if behind else "",
        _section("Mastery", _heat(plan.domains, plan.objectives)),
        _section("Your notes don’t cover", f"<ul>{gaps}</ul>") if gaps else "",
        _section("Phases", _timeline(plan, ticked)),
    ]
    return f'<section class="plan">{"".join(parts)}</section>'


def _section(title: str, body: str) -> str:
    return f"<h3>{escaped(title)}</h3>{body}"


def _tasks(plan: Plan) -> str:
    if not plan.tasks:
        return "<p>Nothing: all that has begun was asked, and nothing is due.</p>"
    return f'<ol class="tasks">{"".join(_task(plan, task) for task in plan.tasks)}</ol>'


def _task(plan: Plan, task: Task) -> str:
    minutes = f" <small>{task.minutes} min</small>" if task.minutes else ""
    start = (
        f' <button type="button" class="button" data-do="quiz" data-plan="{escaped(plan.id)}" '
        f'data-objective="{escaped(task.about)}" data-count="{task.count}">Start</button>'
        if task.kind == "quiz"
        else ""
    )
    why = f"<br><small>{escaped(task.why)}</small>"
    return f"<li>{escaped(task_text(task))}{minutes}{start}{why}{_readings(task.read)}</li>"


def _readings(readings: Iterable[Reading]) -> str:
    rows = "".join(
        f'<li><button type="button" class="link" data-do="note" data-note="{escaped(one.path)}" '
        f'data-place="{escaped(one.locator)}">{escaped(one.path)}, {escaped(one.locator)}</button></li>'
        for one in readings
    )
    return f"<ul>{rows}</ul>" if rows else ""


def _heat(domains: Sequence[Subject], objectives: Sequence[Standing]) -> str:
    """Return a row a domain, a cell an objective: the darker, the better it is mastered."""
    rows = []
    for domain in domains:
        cells = "".join(_cell(one) for one in objectives if one.domain == domain.id)
        there = f"{domain.covered} of {domain.objectives} in your notes"
        told = f"{domain.weight:.0f} %, mastery {domain.mastery:.0%}, {there}"
        name = f"<p>{escaped(domain.title)} <small>{told}</small></p>"
        rows.append(f'<div class="domain">{name}<ul class="heat">{cells}</ul></div>')
    legend = "Each square is an objective: hatched, your notes don’t have it; the darker, the better you master it."
    return f'{"".join(rows)}<p class="remark">{legend}</p>'


def _cell(one: Standing) -> str:
    recall = f", recalled on the last day: {one.recall:.0%}" if one.recall is not None else ""
    told = f"{one.text}: {_STATES[one.state]}, mastery {one.mastery:.0%}{recall}"
    level = "gap" if one.state == "gap" else f"m{min(4, int(one.mastery * 5))}"
    return f'<li class="{level}" title="{escaped(told)}"><span class="unseen">{escaped(told)}</span></li>'


def _timeline(plan: Plan, ticked: str) -> str:
    """Return the phases as bars on one line of time, each with its milestones and labs."""
    first = min((phase.starts for phase in plan.phases), default=plan.start)
    days = max(1, (max((phase.ends for phase in plan.phases), default=plan.ends) - first).days + 1)
    today = min(100.0, max(0.0, 100 * (plan.today - first).days / days))
    rows = "".join(_phase(phase, first, days, ticked) for phase in plan.phases)
    return f'<div class="timeline" style="--today:{today:.1f}%">{rows}</div>'


def _phase(phase: Stretch, first: datetime.date, days: int, ticked: str) -> str:
    left = 100 * (phase.starts - first).days / days
    width = 100 * ((phase.ends - phase.starts).days + 1) / days
    marks = "".join(_mark(mark) for mark in phase.marks)
    shown = " open" if phase.state == "now" or any(mark.id == ticked for mark in phase.marks) else ""
    span = f"{phase.starts:%d %b} – {phase.ends:%d %b %Y}"
    return (
        f'<details class="phase {phase.state}"{shown}><summary><span class="name">'
        f"{escaped(phase.title)} <small>{span}, {phase.mastered} of {phase.objectives} mastered</small></span>"
        f'<span class="track"><span style="margin-left:{left:.1f}%;width:{width:.1f}%"></span></span></summary>'
        f"<p>{escaped(phase.goal)}</p><ul>{marks}</ul></details>"
    )


def _mark(mark: Mark) -> str:
    done = mark.ticked is not None
    since = f" <small>done {mark.ticked:%d %b}</small>" if mark.ticked else ""
    return (
        f'<li><button type="button" class="button tick" role="checkbox" aria-checked="{str(done).lower()}" '
        f'data-do="tick" data-mark="{escaped(mark.id)}" data-done="{"no" if done else "yes"}" '
        f'aria-label="{escaped(mark.text)}">{"✓" if done else "&nbsp;"}</button> '
        f"{escaped(mark.text)} <small>{escaped(mark.kind)}</small>{since}</li>"
    )


def certificates_html(held: Sequence[Held], today: datetime.date) -> str:
    """Return the learner's certificates."""
    rows = "".join(
        f"<li>{escaped(one.title)}: {escaped(one.told(today))}"
        f"{f' <small>{one.day:%d %b %Y}</small>' if one.day else ''}"
        f"{f' <small>until {one.expires:%d %b %Y}</small>' if one.expires else ''}</li>"
        for one in held
    )
    body = f"<ul>{rows}</ul>" if rows else "<p>None yet. To add one: ask cert --help</p>"
    return f'<section class="source"><h3>Certificates</h3>{body}</section>'


def _day(text: str) -> datetime.date | None:
    return datetime.date.fromisoformat(text.strip()) if text.strip() else None
