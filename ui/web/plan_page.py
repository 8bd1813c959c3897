"""A plan as it stands, and the learner's certificates → HTML: figures, today's list, heat map, timeline, forms."""

import datetime
from collections.abc import Iterable, Sequence
from itertools import groupby

from assistant.blueprint import Certificate
from assistant.decide import BOOKED, DROPPED, EARNED, PLANNED, Held
from assistant.mastery import GAP, Reading, Standing
from assistant.plan import Plan, Subject
from assistant.timeline import Mark, Stretch
from assistant.today import Task
from ui.plan import done_today, nothing_left, when
from ui.show import counted
from ui.web.render import escaped, failed, remark, sentence

_STATES = {"gap": "not in your notes", "new": "not asked yet", "learning": "learning", "mastered": "mastered"}
_CERTIFICATE = {PLANNED: "planned", BOOKED: "booked", EARNED: "earned", DROPPED: "take it off the list"}
A_FEW = 5
"""Questions about an objective that is chosen by hand."""


def plan_html(plan: Plan, *, streak: str = "", ticked: str = "", told: str = "") -> str:
    """Return a plan as it stands.

    Args:
        plan: The plan.
        streak: For how many days the learner has kept at it, in words.
        ticked: What was just ticked: its phase stays open.
        told: Why something was not kept.
    """
    behind = "".join(f"<li>{escaped(line)}</li>" for line in plan.behind)
    gaps = "".join(
        f"<li>{escaped(one.text)} <small>{one.weight:.0f}%</small></li>" for one in plan.objectives if one.state == GAP
    )
    since = when(plan) if plan.begun else "Not begun yet: shown as if you began today."
    parts = [
        f"<h2>{escaped(plan.title)}</h2><p>{escaped(sentence(since))}</p>",
        failed(told) if told else "",
        _dates(plan, shown=bool(told)),
        _figures(plan, streak),
        _section("Today", _today(plan)),
        _section("Behind", f"<ul>{behind}</ul>") if behind else "",
        _section("Mastery", _heat(plan)),
        _section("Your notes don’t cover", f"<ul>{gaps}</ul>") if gaps else "",
        _section("Phases", _timeline(plan, ticked)),
    ]
    return f'<section class="plan">{"".join(parts)}</section>'


def _section(title: str, body: str) -> str:
    return f"<h3>{escaped(title)}</h3>{body}"


def _field(label: str, field: str) -> str:
    return f"<label><span>{label}</span>{field}</label>"


def _day_field(label: str, name: str, day: datetime.date | None) -> str:
    return _field(label, f'<input type="date" name="{name}" value="{day.isoformat() if day else ""}">')


def _dates(plan: Plan, *, shown: bool) -> str:
    """Return the form for what the learner decides; open until the plan is begun."""
    fields = (
        _day_field("Begun on", "start", plan.start)
        + _day_field("Exam on (empty: as the plan has it)", "exam", plan.exam)
        + _field(
            "Minutes a day", f'<input type="number" name="minutes" min="1" max="960" value="{plan.minutes}" required>'
        )
    )
    title, button = ("Dates and minutes", "Keep") if plan.begun else ("Begin this plan", "Begin")
    is_open = " open" if shown or not plan.begun else ""
    return (
        f'<details class="ask"{is_open}><summary>{title}</summary><form data-do="dates">{fields}'
        f'<button class="button main">{button}</button></form></details>'
    )


def _figures(plan: Plan, streak: str) -> str:
    """Return the plan in four figures."""
    last = "exam day" if plan.kind == "exam" or plan.exam else "last day"
    tiles = [
        (f"{plan.count('mastered')} of {len(plan.objectives)}", "objectives mastered"),
        (f"{plan.mastery:.0%}", "mastery by weight"),
        (f"{plan.recall:.0%}", f"recalled on the {last}, without reviews"),
        (str(plan.due), "due for review"),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for value, name in tiles)
    return f'<dl class="figures">{rows}</dl>{remark(streak) if streak else ""}'


# ---------------------------------------------------------------------------------------------------------- today


def _today(plan: Plan) -> str:
    if not plan.tasks:
        return f"<p>Nothing more: {escaped(nothing_left(plan))}</p>"
    total = sum(task.minutes for task in plan.tasks)
    head = f"<p>About {total} of {counted(plan.minutes, 'minutes')}{done_today(plan)}.</p>"
    # To read about an objective and to answer questions about it is one thing to do.
    groups = groupby(plan.tasks, key=lambda task: task.about or task.kind)
    rows = "".join(_group(plan, list(tasks)) for _, tasks in groups)
    return f'{head}<ol class="tasks">{rows}</ol>'


def _group(plan: Plan, tasks: Sequence[Task]) -> str:
    first = tasks[0]
    what = {"lab": "Lab: ", "source": "Find a source: ", "review": "Review "}.get(first.kind, "") + first.what
    minutes = sum(task.minutes for task in tasks)
    read = "".join(_readings(task.read) for task in tasks)
    buttons = "".join(_button(plan, task) for task in tasks)
    return (
        f"<li>{escaped(what)}<br><small>{f'{minutes} min; ' if minutes else ''}{escaped(first.why)}</small>"
        f"{read}{f'<p>{buttons}</p>' if buttons else ''}</li>"
    )


def _button(plan: Plan, task: Task) -> str:
    if task.kind == "quiz":
        return quiz_button(plan.id, task.about, task.count, f"Answer {counted(task.count, 'new questions')}", task.what)
    if task.kind == "review":
        return '<button type="button" class="button" data-do="review">Review</button>'
    if task.kind == "read":
        return (
            f'<button type="button" class="button" data-do="read" data-objective="{escaped(task.about)}" '
            f'aria-label="I have read this: {escaped(task.what)}">I have read this</button> '
        )
    if task.kind == "lab":
        return (
            f'<button type="button" class="button" data-do="tick" data-mark="{escaped(task.about)}" data-done="yes" '
            f'aria-label="Done: {escaped(task.what)}">Done</button>'
        )
    return '<button type="button" class="button" data-do="add">Add notes</button>' if task.kind == "source" else ""


def quiz_button(plan: str, objective: str, count: int, name: str, about: str) -> str:
    """Return the button that asks questions about an objective."""
    return (
        f'<button type="button" class="button" data-do="quiz" data-plan="{escaped(plan)}" '
        f'data-objective="{escaped(objective)}" data-count="{count}" aria-label="{escaped(f"{name}: {about}")}">'
        f"{escaped(name)}</button>"
    )


def _readings(readings: Iterable[Reading]) -> str:
    rows = "".join(
        f'<li><button type="button" class="link" data-do="note" data-note="{escaped(one.path)}" '
        f'data-place="{escaped(one.locator)}">{escaped(one.path)}, {escaped(one.locator)}</button></li>'
        for one in readings
    )
    return f'<p class="remark">To read:</p><ul class="readings">{rows}</ul>' if rows else ""


# -------------------------------------------------------------------------------------------------------- mastery


def _heat(plan: Plan) -> str:
    """Return a row a domain, a cell an objective: the darker, the better it is mastered; and each in words."""
    rows = "".join(_domain(plan, domain) for domain in plan.domains)
    legend = "Each square is an objective: hatched, your notes don’t have it; the fuller, the better you master it."
    return f"{rows}{remark(legend)}"


def _domain(plan: Plan, domain: Subject) -> str:
    of = [one for one in plan.objectives if one.domain == domain.id]
    there = f"{domain.covered} of {domain.objectives} in your notes"
    told = f"{domain.weight:.0f}%, mastery {domain.mastery:.0%}, {there}"
    cells = "".join(f'<span class="{_level(one)}" title="{escaped(_told(one))}"></span>' for one in of)
    listed = "".join(_objective(plan, one) for one in of)
    return (
        f'<details class="domain"><summary><span class="name">{escaped(domain.title)} <small>{told}</small></span>'
        f'<span class="heat" aria-hidden="true">{cells}</span></summary><ul class="objectives">{listed}</ul></details>'
    )


def _level(one: Standing) -> str:
    return "gap" if one.state == GAP else f"m{min(4, int(one.mastery * 5))}"


def _told(one: Standing) -> str:
    recall = f", recalled on the last day: {one.recall:.0%}" if one.recall is not None else ""
    asked = f", {one.right} of {one.answered} right" if one.answered else ""
    return f"{one.text} {_STATES[one.state].capitalize()}, mastery {one.mastery:.0%}{recall}{asked}."


def _objective(plan: Plan, one: Standing) -> str:
    told = _told(one).removeprefix(one.text).strip()
    ask = "" if one.state == GAP else f" {quiz_button(plan.id, one.id, A_FEW, 'Quiz', one.text)}"
    return (
        f'<li><span class="heat" aria-hidden="true"><span class="{_level(one)}"></span></span><span>{escaped(one.text)}'
        f"<br><small>{escaped(told)}</small></span>{ask}</li>"
    )


# ------------------------------------------------------------------------------------------------------- timeline


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
        f"<span>{escaped(mark.text)} <small>{escaped(mark.kind)}</small>{since}</span></li>"
    )


# --------------------------------------------------------------------------------------------------- certificates


def certificates_html(
    held: Sequence[Held], offered: Sequence[Certificate], today: datetime.date, told: str = ""
) -> str:
    """Return the learner's certificates, each with the form to change it, and those of the plans that were begun.

    Args:
        held: Those that the learner spoke of.
        offered: Those of the plans that the learner did not speak of.
        today: For what is due, expiring or expired.
        told: Why something was not kept.
    """
    rows = "".join(_held(one, today) for one in held if one.state != DROPPED)
    rows += "".join(
        f'<li><p>{escaped(one.title)} <small>in a plan of yours</small></p><button type="button" class="button" '
        f'data-do="certify" data-id="{escaped(one.id)}" data-state="{PLANNED}" '
        f'aria-label="Plan to take {escaped(one.title)}">Plan to take it</button></li>'
        for one in offered
    )
    another = _certificate_form("", PLANNED, None, None)
    add = f'<details class="ask"><summary>Add a certificate</summary>{another}</details>'
    body = f'<ul class="certificates">{rows}</ul>' if rows else remark("None yet.")
    return f'<section class="source list"><h3>Certificates</h3>{failed(told) if told else ""}{body}{add}</section>'


def _held(one: Held, today: datetime.date) -> str:
    state = one.told(today)
    day = f"{'earned ' if one.state == EARNED else ''}{one.day:%d %b %Y}" if one.day else ""
    until = f"valid until {one.expires:%d %b %Y}" if one.expires else ""
    told = ", ".join(filter(None, ("" if state == EARNED else state, day, until))) or state
    form = _certificate_form(one.id, one.state, one.day, one.expires)
    return (
        f'<li><p>{escaped(one.title)}<br><small class="{state}">{told}</small></p>'
        f'<details class="ask"><summary aria-label="Change {escaped(one.title)}">Change</summary>{form}</details></li>'
    )


def _certificate_form(id_: str, state: str, day: datetime.date | None, expires: datetime.date | None) -> str:
    name = "" if id_ else _field("Name", '<input type="text" name="title" required maxlength="120">')
    states = [one for one in _CERTIFICATE if id_ or one != DROPPED]
    options = "".join(
        f'<option value="{one}"{" selected" if one == state else ""}>{_CERTIFICATE[one]}</option>' for one in states
    )
    fields = (
        _field("It is", f'<select name="state">{options}</select>')
        + _day_field("On", "day", day)
        + _day_field("Valid until (empty: as the plan says)", "expires", expires)
    )
    button = '<button class="button main">Keep</button>'
    return f'<form data-do="certify" data-id="{escaped(id_)}">{name}{fields}{button}</form>'
