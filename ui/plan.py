"""The command `ask plan`: where you stand in a plan, what to do today, and what is behind."""

import datetime
from typing import TYPE_CHECKING, Any

import click

from ui.show import counted, line_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from assistant.blueprint import Blueprint
    from assistant.cover import Coverage
    from assistant.decide import Decided, Decisions
    from assistant.items import Items
    from assistant.llm import Absent, LanguageModel
    from assistant.mastery import Standing
    from assistant.plan import Plan
    from assistant.review import Reviews
    from assistant.today import Task
    from ingest.shelf import Shelf
    from ui.settings import UiSettings

DATE = click.DateTime(["%Y-%m-%d"])
_STATES = {"gap": "no notes", "new": "not asked yet", "learning": "learning", "mastered": "mastered"}


@click.command()
@click.argument("name", default="")
@click.option("--start", type=DATE, help="The day on which you begin, or began.")
@click.option("--exam", type=DATE, help="The day of the exam, or by which all shall be learned.")
@click.option("--no-exam", is_flag=True, help="The day of the exam is not fixed any more.")
@click.option("--minutes", type=click.IntRange(1, 960), help="Minutes a day that you have, from now on.")
@click.option("--tick", "ticks", multiple=True, metavar="MILESTONE", help="This milestone or lab is done.")
@click.option("--untick", "unticks", multiple=True, metavar="MILESTONE", help="It is not done after all.")
@click.option("--study", is_flag=True, help="Do today's work here: what is due, then new questions.")
@click.option("--all", "everything", is_flag=True, help="Show every objective, phase and milestone.")
@click.option("--no-llm", is_flag=True, help="With --study: make questions by rule; ask no model.")
@click.option("--clock-is-right", is_flag=True, help="Go on though the clock seems wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def plan(
    name: str, study: bool, everything: bool, no_llm: bool, clock_is_right: bool, as_json: bool, **said: Any
) -> None:
    """Show where you stand in plan NAME, what to do today, and what is behind; without NAME, list the plans.

    NAME may be left out with an option where one plan is begun. A plan of your own is a file: name its path, or put it
    in STUDY_HOME/plans.

    \b
    Examples:
      ask plan
      ask plan nca-aiio --start 2026-11-21 --exam 2026-12-18 --minutes 45
      ask plan nca-aiio --study
      ask plan nca-aiio --tick diagnosis
    """
    from assistant.blueprint import find
    from assistant.decide import Decisions
    from assistant.journal import Journal
    from assistant.review import Reviews
    from ui import open as opening

    settings = opening.settings()
    journal = Journal.of(settings)
    decisions, reviews = Decisions(journal), Reviews(journal, settings)
    if not clock_is_right:
        check_clock(reviews, only_look=not (study or any(said.values())))
    begun = decisions.begun()
    if not name and (study or everything or any(said.values())):
        if len(begun) != 1:
            raise click.UsageError(f"name the plan: {', '.join(begun) or 'none is begun yet; see: ask plan'}")
        name = begun[0]
    if not name:
        _list(settings, decisions, as_json=as_json)
        return
    blueprint = find(name, settings.home)
    _decide(decisions, blueprint, study=study, **said)
    shelf = opening.shelf(settings)
    opening.index_first(shelf)
    coverage, items = opened(blueprint, shelf, settings)
    from assistant import llm
    from assistant.plan import stand
    from ui.quiz import model_or_none
    from ui.study import Study

    decided = decisions.of(blueprint.id)
    model = model_or_none(settings) if study and not no_llm else None
    by_rule = model is None if study or no_llm else rules_alone(decided, coverage, lambda: llm.find(settings))
    found = stand(blueprint, coverage, items.active(), reviews, decided, by_rule=by_rule)
    if as_json:
        opening.print_json(found.as_json())
    elif study:
        Study(blueprint, coverage, items, reviews, decisions, shelf, settings, model).work(found)
    else:
        click.echo(plan_text(found, everything=everything))


def _decide(
    decisions: "Decisions",
    blueprint: "Blueprint",
    *,
    study: bool,
    start: datetime.datetime | None,
    exam: datetime.datetime | None,
    no_exam: bool,
    minutes: int | None,
    ticks: tuple[str, ...],
    unticks: tuple[str, ...],
) -> None:
    """Keep what was said of a plan, nothing where some of it can't be. Dates, minutes and studying begin it."""
    from assistant.errors import NoSuchMilestone

    marks = [*(one.id for one in blueprint.milestones), *(one.id for one in blueprint.labs)]
    for wanted in (*ticks, *unticks):
        if wanted not in marks:
            raise NoSuchMilestone(blueprint.id, wanted, marks)
    before = decisions.of(blueprint.id)
    begins = start.date() if start else before.start or datetime.date.today()
    ends = exam.date() if exam else None if no_exam else before.exam
    if exam and no_exam:
        raise click.UsageError("--exam or --no-exam, not both")
    if (start or exam) and ends and ends <= begins:
        raise click.UsageError(f"the exam ({ends}) must be after the start ({begins})")
    if start or (before.start is None and (exam or minutes or study)):
        decisions.start(blueprint.id, begins)
    if ends != before.exam:
        decisions.exam(blueprint.id, ends)
    if minutes:
        decisions.minutes(blueprint.id, minutes)
    for what in ticks:
        decisions.tick(blueprint.id, what)
    for what in unticks:
        decisions.tick(blueprint.id, what, done=False)


def check_clock(reviews: "Reviews", *, only_look: bool) -> None:
    """Refuse to go on with a clock that can't be right; say so and go on where nothing is to be kept.

    Raises:
        ClockWrong: See `Reviews.check_clock`.
    """
    from assistant.errors import ClockWrong

    try:
        reviews.check_clock()
    except ClockWrong as error:
        if not only_look:
            raise
        click.echo(f"{error.seen}: what follows may be of the wrong days", err=True)


def opened(blueprint: "Blueprint", shelf: "Shelf", settings: "UiSettings") -> "tuple[Coverage, Items]":
    """Return what the notes have for a plan, and the items, brought in line with the notes."""
    from assistant.cover import cover
    from assistant.items import Items
    from assistant.stale import refresh

    items = Items.of(shelf.folder)
    if shelf.ledger.generation:
        refresh(items, shelf)
    return cover(blueprint, shelf, settings), items


def rules_alone(decided: "Decided", coverage: "Coverage", model: "Callable[[], LanguageModel | Absent]") -> bool:
    """Return whether no model is served; it is looked for only where rules found no more."""
    from assistant.llm import Absent

    if not any(one.by_rule and one.generation == coverage.generation for one in decided.used_up.values()):
        return True
    return isinstance(model(), Absent)


def _list(settings: "UiSettings", decisions: "Decisions", *, as_json: bool) -> None:
    from assistant.blueprint import find, named
    from assistant.errors import BlueprintRejected
    from ui import open as opening

    found = []
    for name in named(settings.home):
        try:
            found.append((find(name, settings.home), decisions.of(name)))
        except BlueprintRejected as error:
            click.echo(f"left out: {line_of(str(error))}", err=True)
    if as_json:
        told = [
            {
                "id": blueprint.id,
                "title": blueprint.title,
                "kind": blueprint.kind,
                "days": blueprint.days,
                "start": decided.start.isoformat() if decided.start else None,
                "exam": decided.exam.isoformat() if decided.exam else None,
            }
            for blueprint, decided in found
        ]
        opening.print_json({"plans": told})
        return
    for blueprint, decided in found:
        weeks, rest = divmod(blueprint.days, 7)
        length = counted(blueprint.days, "days") if rest else counted(weeks, "weeks")
        since = f"; begun {decided.start}" if decided.start else ""
        click.echo(f"{blueprint.id}\n  {line_of(blueprint.title)} ({blueprint.kind}, {length}{since})")
    click.echo("\nBegin one: ask plan NAME --start DATE; look at it first: ask plan NAME")


# ---------------------------------------------------------------------------------------------------- what is shown


def plan_text(plan: "Plan", *, everything: bool = False) -> str:
    """Return a plan as it stands, as plain text."""
    lines = [*wrapped(plan.title), *wrapped(when(plan))]
    if not plan.begun:  # a command stands on a line of its own, to be copied
        lines.append(f"  begin it: ask plan {plan.id} --start DATE")
    lines += wrapped(how_far(plan))
    lines += ["", *_today(plan)]
    if plan.behind:
        lines += ["", "Behind", *(row for line in plan.behind for row in wrapped(line, "  ", "    "))]
    if gaps := [one for one in plan.objectives if one.state == "gap"]:
        lines += ["", "Your notes don't cover"]
        lines += [row for one in gaps for row in wrapped(one.text, f"  {one.weight:3.0f}%  ", " " * 8)]
    lines += ["", "Domains        mastery  mastered  covered"]
    for one in plan.domains:
        figures = f"  {one.weight:3.0f}%         {one.mastery:6.0%}  {one.mastered:2} of {one.objectives:<2}  "
        lines += wrapped(one.title, figures + f"{one.covered:2} of {one.objectives:<2}  ", " " * 43)
    lines += ["", "Phases"]
    for phase in plan.phases:
        if everything or phase.state == "now" or any(not mark.ticked for mark in phase.marks if phase.state == "past"):
            lines += _phase(plan, phase.id, everything=everything)
        else:
            lines += wrapped(phase.title, f"  {phase.starts} – {phase.ends}  ", " " * 27)
    return "\n".join(lines)


def when(plan: "Plan") -> str:
    """Return which day of the plan it is, and when it ends."""
    last = "exam" if plan.kind == "exam" or plan.exam else "end"
    left = plan.days_left
    ends = f"{last} on {plan.ends}, " + (
        "today" if left == 0 else f"in {counted(left, 'days')}" if left > 0 else f"{counted(-left, 'days')} ago"
    )
    if not plan.begun:
        return "not begun: shown as if you began today"
    began = f"begins on {plan.start}" if plan.day < 1 else f"day {plan.day}"
    squeezed = "; the phases are shorter than planned, to fit" if plan.squeezed else ""
    return f"{began}; {ends}; {counted(plan.minutes, 'minutes')} a day{squeezed}"


def how_far(plan: "Plan") -> str:
    """Return how much of it is mastered, begun, and not in the notes."""
    there = len(plan.objectives)
    asked = sum(one.answered > 0 for one in plan.objectives)
    recalled = f"{plan.recall:.0%}" if asked else "nothing yet, since nothing was asked"
    return (
        f"{plan.count('mastered')} of {there} objectives mastered, {asked} begun, {plan.count('gap')} not in your "
        f"notes; mastery by weight {plan.mastery:.0%}; recalled on {plan.ends} without reviews: {recalled}"
    )


def done_today(plan: "Plan") -> str:
    """Return what was done today, to stand behind how long the rest takes; empty: nothing."""
    done = [f"{counted(plan.answered_today, 'questions')} answered"] if plan.answered_today else []
    done += [f"{counted(plan.read_today, 'minutes')} read"] if plan.read_today else []
    return f"; {' and '.join(done)} today" if done else ""


def _today(plan: "Plan") -> list[str]:
    total = sum(task.minutes for task in plan.tasks)
    if not plan.tasks:
        return wrapped(f"Today: nothing more; {nothing_left(plan)}")
    lines = wrapped(f"Today, about {total} of {counted(plan.minutes, 'minutes')}{done_today(plan)}")
    lines.append(f"  do it here: ask plan {plan.id} --study")
    number, about, rest = 0, "", " " * 14
    for task in plan.tasks:
        minutes = f"{task.minutes} min" if task.minutes else ""
        if task.kind == "quiz" and task.about == about:  # it was just read about
            lines.append(f"     {minutes:>7}  then answer up to {counted(task.count, 'new questions')} on it")
            continue
        number, about = number + 1, task.about
        lines += wrapped(task_text(task), f"{number:3}. {minutes:>7}  ", rest)
        lines += wrapped(task.why, rest, rest)
        for one in task.read:
            lines += wrapped(f"{one.path}, {one.locator}", f"{rest}· ", f"{rest}  ")
    return lines


def nothing_left(plan: "Plan") -> str:
    """Return why there is nothing to do today."""
    if done := done_today(plan):
        return f"{done.removeprefix('; ')}, and nothing else is due."
    return "all that your notes have for the phases that have begun was asked, and nothing is due."


def task_text(task: "Task") -> str:
    """Return what is to be done, in one line."""
    what = line_of(task.what)
    if task.kind == "quiz":
        return f"Answer up to {counted(task.count, 'new questions')}: {what}"
    return {"review": "Review ", "read": "Read: ", "lab": "Lab: ", "source": "Find a source: "}[task.kind] + what


def _phase(plan: "Plan", id_: str, *, everything: bool) -> list[str]:
    phase = next(one for one in plan.phases if one.id == id_)
    now = {"now": " (now)", "past": " (over)", "later": ""}[phase.state]
    lines = wrapped(f"{phase.title}{now}: {phase.goal}", f"  {phase.starts} – {phase.ends}  ", " " * 27)
    lines.append(f"      {phase.mastered} of {phase.objectives} objectives mastered")
    for mark in phase.marks:
        done = f"done {mark.ticked}" if mark.ticked else "open"
        box = f"      [{'x' if mark.ticked else ' '}] "
        lines += wrapped(f"{mark.id}: {mark.text} ({mark.kind}, {done})", box, " " * 10)
    if everything:
        of = [one for one in plan.objectives if one.phase == id_]
        lines += [row for one in of for row in wrapped(f"{one.id}: {_objective(one)}", " " * 6, " " * 10)]
    return lines


def _objective(one: "Standing") -> str:
    recall = f", recall {one.recall:.0%}" if one.recall is not None else ""
    asked = f"; {one.right} of {one.answered} right, {counted(one.items, 'questions')}" if one.items else ""
    return f"{one.weight:4.1f}%  {_STATES[one.state]}, mastery {one.mastery:.0%}{recall}{asked}"
