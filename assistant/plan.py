"""Where a learner stands in a plan, what is to be done today, and what is behind: one state, made from the log.

    mastery of an objective = lower Wilson bound (one-sided, 90 %) of S right of n
        n   items of the objective that were ever answered, each by its last answer
        S   the sum of FSRS's chances of recall now, of those whose last answer was right

So a right answer counts less as it fades, a wrong one counts nothing, and little evidence can't say much: one right
answer gives .38 at most, three .65, seven .81 (Wilson, JASA 1927; FSRS: Ye, Su and Cao, KDD 2022). Items that rest or
are retired, because their note has changed, are no evidence any more.

The weight of an objective is its domain's, shared by hours. Today's minutes go to what is due, then to the objectives
with the most weight still to be won (weight · (1 − mastery)) in the phases that have begun: to read what was never
asked, and to answer new questions; then to a lab of these phases, and to a source for what the notes don't have.
"""

import datetime
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from assistant.blueprint import Blueprint, Objective, Phase
from assistant.cover import Coverage, Covered
from assistant.decide import Decided
from assistant.interval import Z_LOWER_90, wilson
from assistant.items import Item
from assistant.review import AGAIN, Review, Reviews

MASTERED = 0.8
"""Mastery from which an objective counts as mastered: seven items of seven right, freshly."""
ENOUGH = 7
"""Items of an objective that are to be answered once; then reviews keep them."""
AT_ONCE = 7
"""New questions about one objective on one day, at most."""
WORDS_A_MINUTE = 238 / 2
"""Silent reading of non-fiction (Brysbaert, 2019), read twice."""
READ = 4
"""Passages to read of one objective on one day, at most."""
FOCUS = 4
"""Objectives of one day; more only where their phase would not be done in time."""
LEAST_LAB = 10
"""Minutes below which a lab is not begun."""
SECONDS = 40.0
"""For one question with its answer, until the learner's own median is known; an estimate."""
OWN = 20
"""Answers from which on the learner's own median counts."""
DAY = 86400.0
GAP, NEW, LEARNING, DONE = "gap", "new", "learning", "mastered"


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage to read."""

    path: str
    locator: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with one objective."""

    id: str
    text: str
    domain: str
    phase: str
    weight: float
    """Per cent of the plan."""
    state: str
    """gap: the notes don't cover it; new: never asked; learning; mastered."""
    mastery: float
    """0 to 1, see above."""
    recall: float | None
    """Mean chance that what was answered is recalled on the plan's last day, without reviews until then, by FSRS; what
    was last answered wrongly counts as 0. None: nothing was answered."""
    items: int
    """Questions that are there."""
    answered: int
    right: int
    """By the last answer to each."""
    read: tuple[Reading, ...]
    """Where the notes speak of it, best first."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A milestone or a lab."""

    id: str
    text: str
    kind: str
    """milestone or lab."""
    ticked: datetime.date | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase with its dates."""

    id: str
    title: str
    goal: str
    starts: datetime.date
    ends: datetime.date
    """Its last day."""
    state: str
    """past, now or later."""
    objectives: int
    mastered: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A domain and how it stands with it."""

    id: str
    title: str
    weight: float
    """Per cent of the plan."""
    mastery: float
    """Weighted mean over its objectives, gaps as 0."""
    objectives: int
    covered: int
    mastered: int


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do today."""

    kind: str
    """review, read, quiz, lab or source."""
    minutes: int
    what: str
    """The objective's text, the lab's, or how many are due."""
    why: str
    about: str = ""
    """Id of the objective or the lab."""
    count: int = 0
    """Items to review or questions to answer."""
    read: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it stands for one learner."""

    id: str
    title: str
    kind: str
    today: datetime.date
    begun: bool
    """Whether the learner said when it began; if not, it is shown as if that were today."""
    start: datetime.date
    ends: datetime.date
    """The last day: of the exam, or of the plan."""
    exam: datetime.date | None
    """As the learner set it."""
    squeezed: bool
    """Whether the phases are shorter than planned, since the exam is sooner."""
    minutes: int
    """A day."""
    mastery: float
    """Weighted mean over all objectives, gaps as 0."""
    recall: float
    """Weighted mean of the chance of recall on the last day, without reviews; what was never answered as 0."""
    due: int
    """Items to be reviewed now, of any plan."""
    answered_today: int
    """Questions, of any plan."""
    objectives: tuple[Standing, ...]
    domains: tuple[Subject, ...]
    phases: tuple[Stretch, ...]
    tasks: tuple[Task, ...]
    """Today's."""
    behind: tuple[str, ...]
    """What should have been done by now, a line each."""
    generation: int
    """Of the index; 0: nothing is indexed."""

    @property
    def day(self) -> int:
        """Day of the plan, from 1."""
        return (self.today - self.start).days + 1

    @property
    def days_left(self) -> int:
        """Return the days to the last one; negative: it is over."""
        return (self.ends - self.today).days

    def count(self, state: str) -> int:
        """Return how many objectives are in a state."""
        return sum(one.state == state for one in self.objectives)

    def as_json(self) -> dict[str, Any]:
        """Return what `ask plan --json` prints."""
        told = asdict(self) | {"day": self.day, "days_left": self.days_left}
        found: dict[str, Any] = _plain(told)
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value


# ------------------------------------------------------------------------------------------------------- the state


def stand(
    blueprint: Blueprint,
    coverage: Coverage,
    items: Sequence[Item],
    reviews: Reviews,
    decided: Decided,
    *,
    minutes: int = 0,
) -> Plan:
    """Return how it stands with a plan.

    Args:
        blueprint: The plan.
        coverage: What the notes have for it.
        items: All that are active.
        reviews: The learner's.
        decided: What the learner decided about it.
        minutes: That there are today; 0: as decided, or as the plan has them.
    """
    now = reviews.now()
    today = datetime.date.fromtimestamp(now)
    start = decided.start or today
    ends = decided.exam or start + datetime.timedelta(days=blueprint.days - 1)
    last_moment = max(now, datetime.datetime.combine(ends, datetime.time(9)).timestamp())
    minutes = minutes or decided.minutes or max(1, round(blueprint.hours_per_week * 60 / 7))
    of = coverage.by_objective(items)
    log = reviews.log()
    later = reviews.recall((item.id for found in of.values() for item in found), last_moment)
    masteries = mastery(of, log, reviews, now)
    last = last_answers(log)
    weights = weights_of(blueprint)
    standings = tuple(
        _standing(one, coverage.objectives[one.id], of[one.id], last, later, masteries[one.id], weights[one.id])
        for one in blueprint.objectives
    )
    due = len(reviews.due({item.id for item in items}))
    of_today = [review for review in log if datetime.date.fromtimestamp(review.at) == today]
    squeezed = (ends - start).days + 1 < blueprint.days
    phases = _stretches(blueprint, standings, decided, start, ends, today)
    plan = Plan(
        id=blueprint.id,
        title=blueprint.title,
        kind=blueprint.kind,
        today=today,
        begun=decided.start is not None,
        start=start,
        ends=ends,
        exam=decided.exam,
        squeezed=squeezed,
        minutes=minutes,
        mastery=sum(one.weight * one.mastery for one in standings) / 100,
        recall=sum(one.weight * (one.recall or 0.0) for one in standings) / 100,
        due=due,
        answered_today=len(of_today),
        objectives=standings,
        domains=tuple(
            _subject(domain.id, domain.title, domain.weight, [one for one in standings if one.domain == domain.id])
            for domain in blueprint.domains
        ),
        phases=phases,
        tasks=(),
        behind=_behind(phases, standings, today) if decided.start else (),
        generation=coverage.generation,
    )
    learnt = {review.item for review in of_today if review.source == "quiz"}
    touched = {id_ for id_, found in of.items() if any(item.id in learnt for item in found)}
    return replace(plan, tasks=tuple(_tasks(plan, coverage, decided, touched, seconds_a_question(log))))


def weights_of(blueprint: Blueprint) -> dict[str, float]:
    """Return the weight of each objective, per cent of the plan: its domain's, shared by hours."""
    of_domain = {domain.id: domain.weight for domain in blueprint.domains}
    hours = {id_: sum(one.hours for one in blueprint.objectives if one.domain == id_) for id_ in of_domain}
    return {one.id: of_domain[one.domain] * one.hours / hours[one.domain] for one in blueprint.objectives}


def is_right(review: Review) -> bool:
    """Return whether an answer was right; a flashcard's by what the learner said of it."""
    return review.correct if review.correct is not None else review.rating > AGAIN


def last_answers(log: Iterable[Review], until: float = math.inf) -> dict[str, Review]:
    """Return the last answer to each item, up to a moment."""
    return {review.item: review for review in log if review.at <= until}


def mastery(of: Mapping[str, Sequence[Item]], log: Sequence[Review], reviews: Reviews, at: float) -> dict[str, float]:
    """Return the mastery of each objective at a moment, from the answers until then.

    Args:
        of: The items of each objective.
        log: All answers.
        reviews: Whose they are.
        at: Seconds since the epoch.
    """
    last = last_answers(log, at)
    recall = reviews.recall((item.id for found in of.values() for item in found), at, until=at)
    found = {}
    for id_, items in of.items():
        answered = [last[item.id] for item in items if item.id in last]
        right = sum(recall[review.item] for review in answered if is_right(review))
        found[id_] = wilson(right, len(answered), Z_LOWER_90)[0]
    return found


def seconds_a_question(log: Sequence[Review]) -> float:
    """Return how long one question takes this learner, from the last 200 answers; a pause is not counted."""
    took = [review.took_ms / 1000 for review in log[-200:] if 0 < review.took_ms < 600_000]
    return statistics.median(took) + 15 if len(took) >= OWN else SECONDS  # to read why, and where it stands


def _standing(
    one: Objective,
    found: Covered,
    items: Sequence[Item],
    last: Mapping[str, Review],
    later: Mapping[str, float],
    mastered: float,
    weight: float,
) -> Standing:
    answered = [item for item in items if item.id in last]
    right = [item for item in answered if is_right(last[item.id])]
    state = DONE if mastered >= MASTERED else LEARNING if answered else NEW if found.covered else GAP
    return Standing(
        id=one.id,
        text=one.text,
        domain=one.domain,
        phase=one.phase,
        weight=weight,
        state=state,
        mastery=mastered,
        recall=sum(later[item.id] for item in right) / len(answered) if answered else None,
        items=len(items),
        answered=len(answered),
        right=len(right),
        read=tuple(dict.fromkeys(Reading(passage.path, passage.locator) for passage in found.passages[:READ])),
    )


def _subject(id_: str, title: str, weight: float, of: Sequence[Standing]) -> Subject:
    return Subject(
        id=id_,
        title=title,
        weight=weight,
        mastery=sum(one.weight * one.mastery for one in of) / weight if weight else 0.0,
        objectives=len(of),
        covered=sum(one.state != GAP for one in of),
        mastered=sum(one.state == DONE for one in of),
    )


# ------------------------------------------------------------------------------------------------ phases in time


def dates_of(
    phases: Sequence[Phase], days: int, start: datetime.date, ends: datetime.date
) -> list[tuple[datetime.date, datetime.date]]:
    """Return first and last day of each phase: one after the other, shorter in proportion where the end is sooner.

    Args:
        phases: In order.
        days: Of the whole plan, slack included.
        start: Its first day.
        ends: Its last day.
    """
    room = max(1, (ends - start).days + 1)
    share = min(1.0, room / days)
    found, before = [], 0
    for phase in phases:
        first, past = min(round(before * share), room - 1), round((before + phase.days) * share)
        before += phase.days
        last = max(first, past - 1)
        found.append((start + datetime.timedelta(days=first), start + datetime.timedelta(days=last)))
    return found


def _stretches(
    blueprint: Blueprint,
    standings: Sequence[Standing],
    decided: Decided,
    start: datetime.date,
    ends: datetime.date,
    today: datetime.date,
) -> tuple[Stretch, ...]:
    found = []
    dates = dates_of(blueprint.phases, blueprint.days, start, ends)
    for phase, (first, last) in zip(blueprint.phases, dates, strict=True):
        of = [one for one in standings if one.phase == phase.id]
        kinds = (("milestone", blueprint.milestones), ("lab", blueprint.labs))
        marks = tuple(
            Mark(one.id, one.text, kind, decided.ticked.get(one.id))
            for kind, every in kinds
            for one in every
            if one.phase == phase.id
        )
        state = "past" if last < today else "later" if first > today else "now"
        mastered = sum(one.state == DONE for one in of)
        found.append(Stretch(phase.id, phase.title, phase.goal, first, last, state, len(of), mastered, marks))
    return tuple(found)


def _behind(phases: Sequence[Stretch], standings: Sequence[Standing], today: datetime.date) -> tuple[str, ...]:
    lines = []
    for phase in phases:
        if phase.state != "past":
            continue
        ago = (today - phase.ends).days
        when = f"{phase.title} ended {'yesterday' if ago == 1 else f'{ago} days ago'}"
        short = [one.id for one in standings if one.phase == phase.id and one.state not in (DONE, GAP)]
        if short:
            lines.append(f"{when}; not mastered: {', '.join(short)}")
        if unticked := [mark.id for mark in phase.marks if not mark.ticked]:
            lines.append(f"{when}; not ticked: {', '.join(unticked)}")
    return tuple(lines)


# ------------------------------------------------------------------------------------------------------ today


def _tasks(plan: Plan, coverage: Coverage, decided: Decided, touched: set[str], seconds: float) -> list[Task]:
    """Return what is still to be done today within the minutes there are."""
    tasks: list[Task] = []
    left = max(0.0, plan.minutes - plan.answered_today * seconds / 60)
    if plan.due:
        count = min(plan.due, max(1, int(left * 60 / seconds)))
        took = count * seconds / 60
        rest = f"; {plan.due - count} more wait" if count < plan.due else ""
        tasks.append(Task("review", _minutes(took), f"{count} due", f"before they are forgotten{rest}", count=count))
        left -= took
    begun = [phase for phase in plan.phases if phase.state != "later"] or list(plan.phases[:1])
    of = [one for one in plan.objectives if one.phase in {phase.id for phase in begun}]
    open_ = sorted((one for one in of if one.state in (NEW, LEARNING)), key=_most_to_win)
    days = max(1, (begun[-1].ends - plan.today).days + 1)
    focus = max(FOCUS, math.ceil(len(open_) / days)) - len(touched)
    for one in open_:
        if focus <= 0:
            break
        if one.id in touched or (decided.used_up.get(one.id) == coverage.generation and one.answered >= one.items):
            continue  # reviews keep what there is
        wanted = min(AT_ONCE, max(ENOUGH - one.answered, one.items - one.answered))
        reading = _reading(one, coverage) if not one.answered else None
        spent = reading.minutes if reading else 0
        wanted = min(wanted, int((left - spent) * 60 / seconds))
        if wanted < 1:
            continue
        if reading:
            tasks.append(reading)
        took = wanted * seconds / 60
        tasks.append(Task("quiz", _minutes(took), one.text, _why(one), one.id, wanted))
        left -= spent + took
        focus -= 1
    marks = [mark for phase in begun for mark in phase.marks if mark.kind == "lab" and not mark.ticked]
    left = min(left, plan.minutes - sum(task.minutes for task in tasks))
    if marks and left >= LEAST_LAB:
        tasks.append(Task("lab", int(left), marks[0].text, f"a lab of this phase: {marks[0].id}", marks[0].id))
    gaps = sorted((one for one in of if one.state == GAP), key=_most_to_win)
    if gaps and coverage.generation:
        why = f"your notes don't cover it, and it is {gaps[0].weight:.0f} % of the plan"
        tasks.append(Task("source", 0, gaps[0].text, why, gaps[0].id))
    return tasks


def _most_to_win(one: Standing) -> tuple[float, str]:
    return -one.weight * (1 - one.mastery), one.id


def _reading(one: Standing, coverage: Coverage) -> Task:
    words = sum(passage.words for passage in coverage.objectives[one.id].passages[:READ])
    return Task("read", _minutes(words / WORDS_A_MINUTE), one.text, _why(one), one.id, 0, one.read)


def _why(one: Standing) -> str:
    asked = f"{one.right} of {one.answered} right so far" if one.answered else "never asked"
    return f"{one.weight:.0f} % of the plan, {asked}"


def _minutes(value: float) -> int:
    return max(1, round(value))
