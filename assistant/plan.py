"""Where a learner stands in a plan, what is to be done today, and what is behind: one state, made from the log.

plan, coverage, items, log, decisions → mastery (mastery.py) → phases (timeline.py) → today's tasks (today.py)
"""

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assistant.blueprint import Blueprint
from assistant.cover import Coverage
from assistant.decide import Decided
from assistant.items import Item
from assistant.mastery import DONE, GAP, Standing, standings
from assistant.review import Reviews
from assistant.timeline import Stretch, behind, stretches
from assistant.today import Day, Task, seconds_a_question, tasks


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
    read_today: int
    """Minutes, for any plan."""
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


def stand(
    blueprint: Blueprint,
    coverage: Coverage,
    items: Sequence[Item],
    reviews: Reviews,
    decided: Decided,
    *,
    by_rule: bool = True,
) -> Plan:
    """Return how it stands with a plan.

    Args:
        blueprint: The plan.
        coverage: What the notes have for it.
        items: All that are active.
        reviews: The learner's.
        decided: What the learner decided about it.
        by_rule: Whether no model is there to make questions where rules found no more.
    """
    now = reviews.now()
    today = datetime.date.fromtimestamp(now)
    start = decided.start or today
    ends = decided.exam or start + datetime.timedelta(days=blueprint.days - 1)
    of, log = coverage.by_objective(items), reviews.log()
    last_moment = max(now, datetime.datetime.combine(ends, datetime.time(9)).timestamp())
    objectives = standings(blueprint, coverage, of, log, reviews, now, last_moment)
    phases = stretches(blueprint, objectives, decided, start, ends, today)
    answered = [review for review in log if datetime.date.fromtimestamp(review.at) == today]
    learnt = {review.item for review in answered if review.source == "quiz"}
    day = Day(
        today,
        minutes=decided.minutes or max(1, round(blueprint.hours_per_week * 60 / 7)),
        due=len(reviews.due({item.id for item in items})),
        answered=len(answered),
        read=sum(one.seconds for one in decided.read if one.day == today) / 60,
        seconds=seconds_a_question(log),
        touched=frozenset(id_ for id_, found in of.items() if any(item.id in learnt for item in found)),
    )
    return Plan(
        id=blueprint.id,
        title=blueprint.title,
        kind=blueprint.kind,
        today=today,
        begun=decided.start is not None,
        start=start,
        ends=ends,
        exam=decided.exam,
        squeezed=(ends - start).days + 1 < blueprint.days,
        minutes=day.minutes,
        mastery=sum(one.weight * one.mastery for one in objectives) / 100,
        recall=sum(one.weight * (one.recall or 0.0) for one in objectives) / 100,
        due=day.due,
        answered_today=day.answered,
        read_today=round(day.read),
        objectives=objectives,
        domains=tuple(
            _subject(domain.id, domain.title, domain.weight, [one for one in objectives if one.domain == domain.id])
            for domain in blueprint.domains
        ),
        phases=phases,
        tasks=tuple(tasks(objectives, phases, coverage, decided, day, by_rule=by_rule)),
        behind=behind(phases, objectives, today) if decided.start else (),
        generation=coverage.generation,
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
