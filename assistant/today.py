"""Where a learner stands → what is to be done today, within the minutes that there are.

    what is due → new questions about the objectives with the most to win → a lab → a source for what the notes lack

What is to win is weight · (1 − mastery), among the phases that have begun; what was never asked about, or
often answered wrongly, is read first, and read again though nothing new can be asked about it.
"""

import datetime
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.cover import Coverage
from assistant.decide import Decided
from assistant.mastery import GAP, LEARNING, NEW, READ, Reading, Standing
from assistant.review import Review
from assistant.timeline import Stretch, ago

ENOUGH = 7
"""Items of an objective that are to be answered once; then reviews keep them."""
AT_ONCE = 7
"""New questions about one objective on one day, at most."""
WORDS_A_MINUTE = 238 / 2
"""Silent reading of non-fiction (Brysbaert, 2019), read twice."""
FOCUS = 4
"""Objectives of one day; more only where their phase would not be done in time."""
LEAST_LAB = 10
"""Minutes below which a lab is not begun."""
SECONDS = 40.0
"""For one question with its answer, until the learner's own median is known; an estimate."""
READ_AGAIN = 0.7
"""Share of right answers below which an objective is read about again before more is asked."""
READ_FOR = 3
"""Days within which what was read is not to be read again."""
OWN = 20
"""Answers from which on the learner's own median counts."""


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
class Day:
    """A learner's day: what there is of it, and what it has had."""

    date: datetime.date
    minutes: int
    """That there are."""
    due: int
    """Items to be reviewed now, of any plan."""
    answered: int
    """Questions, of any plan."""
    read: float
    """Minutes, for any plan."""
    seconds: float
    """That a question takes."""
    touched: frozenset[str]
    """Ids of the objectives that had new questions."""

    @property
    def left(self) -> float:
        """Minutes that there still are."""
        return max(0.0, self.minutes - (self.answered * self.seconds / 60 + self.read))


def seconds_a_question(log: Sequence[Review]) -> float:
    """Return how long one question takes this learner, from the last 200 answers; a pause is not counted."""
    took = [review.took_ms / 1000 for review in log[-200:] if 0 < review.took_ms < 600_000]
    return statistics.median(took) + 15 if len(took) >= OWN else SECONDS  # to read why, and where it stands


def tasks(
    standings: Sequence[Standing],
    phases: Sequence[Stretch],
    coverage: Coverage,
    decided: Decided,
    day: Day,
    *,
    by_rule: bool,
) -> list[Task]:
    """Return what is still to be done today.

    Args:
        standings: How it stands with each objective.
        phases: With their dates.
        coverage: What the notes have for the plan.
        decided: What the learner decided about it.
        day: As far as it has gone.
        by_rule: Whether no model is there to make questions.
    """
    found: list[Task] = []
    left = day.left
    if day.due:
        count = min(day.due, max(1, int(left * 60 / day.seconds)))
        rest = f"; {day.due - count} more wait" if count < day.due else ""
        took = _minutes(count * day.seconds / 60)
        found.append(Task("review", took, f"{count} due", f"before they are forgotten{rest}", count=count))
        left -= took
    begun = [phase for phase in phases if phase.state != "later"] or list(phases[:1])
    of = [one for one in standings if one.phase in {phase.id for phase in begun}]
    open_ = sorted((one for one in of if one.state in (NEW, LEARNING)), key=_most_to_win)
    days = max(1, (begun[-1].ends - day.date).days + 1)
    focus = max(FOCUS, math.ceil(len(open_) / days)) - len(day.touched)
    ended = {phase.id: f"; its phase ended {ago(phase, day.date)}" for phase in begun if phase.state == "past"}
    lately = day.date - datetime.timedelta(days=READ_FOR)
    known = {one.objective for one in decided.read if one.plan == coverage.plan and one.day > lately}
    for one in open_:
        if focus > 0 and one.id not in day.touched:
            why = _why(one) + ended.get(one.phase, "")
            more = 0 if _used_up(one, coverage, decided, by_rule=by_rule) else ENOUGH - one.answered
            reading = _reading(one, coverage, why) if one.id not in known else None
            learn = _learn(one, why, more, reading, day.seconds, left)
            found += learn
            left -= sum(task.minutes for task in learn)
            focus -= bool(learn)
    marks = [mark for phase in begun for mark in phase.marks if mark.kind == "lab" and not mark.ticked]
    if marks and left >= LEAST_LAB:
        found.append(Task("lab", int(left), marks[0].text, f"a lab of this phase: {marks[0].id}", marks[0].id))
    gaps = sorted((one for one in of if one.state == GAP), key=_most_to_win)
    if gaps and coverage.generation:
        why = f"your notes don't cover it, and it is {gaps[0].weight:.0f}% of the plan"
        found.append(Task("source", 0, gaps[0].text, why, gaps[0].id))
    return found


def _learn(one: Standing, why: str, more: int, reading: Task | None, seconds: float, left: float) -> list[Task]:
    """Return what is to be read and asked about an objective; nothing where too few minutes are left for it."""
    wanted = min(AT_ONCE, max(0, more, one.items - one.answered))  # else reviews keep what there is
    weak = one.right < READ_AGAIN * one.answered or (not one.answered and wanted > 0)
    found = [reading] if reading and weak else []
    left -= sum(task.minutes for task in found)
    count = min(wanted, int(left * 60 / seconds))
    if left < 0 or (wanted and not count):
        return []
    if count:
        found.append(Task("quiz", _minutes(count * seconds / 60), one.text, why, one.id, count))
    return found


def _most_to_win(one: Standing) -> tuple[float, str]:
    return -one.weight * (1 - one.mastery), one.id


def _used_up(one: Standing, coverage: Coverage, decided: Decided, *, by_rule: bool) -> bool:
    found = decided.used_up.get(one.id)
    return found is not None and found.generation == coverage.generation and (by_rule or not found.by_rule)


def _reading(one: Standing, coverage: Coverage, why: str) -> Task:
    words = sum(passage.words for passage in coverage.objectives[one.id].passages[:READ])
    return Task("read", _minutes(words / WORDS_A_MINUTE), one.text, why, one.id, 0, one.read)


def _why(one: Standing) -> str:
    asked = f"{one.right} of {one.answered} right so far" if one.answered else "never asked"
    return f"{one.weight:.0f}% of the plan, {asked}"


def _minutes(value: float) -> int:
    return max(1, round(value))
