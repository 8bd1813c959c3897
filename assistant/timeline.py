"""A plan's phases → their dates, what of them is done, and what is behind."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.blueprint import Blueprint, Phase
from assistant.decide import Decided
from assistant.mastery import DONE, GAP, Standing, shortfall


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


def stretches(
    blueprint: Blueprint,
    standings: Sequence[Standing],
    decided: Decided,
    start: datetime.date,
    ends: datetime.date,
    today: datetime.date,
) -> tuple[Stretch, ...]:
    """Return a plan's phases, from its first day to its last, and how they stand today."""
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


def ago(phase: Stretch, today: datetime.date) -> str:
    """Return in words how long ago a phase ended."""
    days = (today - phase.ends).days
    return "yesterday" if days == 1 else f"{days} days ago"


def behind(phases: Sequence[Stretch], standings: Sequence[Standing], today: datetime.date) -> tuple[str, ...]:
    """Return what the phases that are over left undone, and why it is not done, a line each."""
    lines = []
    for phase in phases:
        if phase.state != "past":
            continue
        when = f"{phase.title} ended {ago(phase, today)}"
        open_ = [one for one in standings if one.phase == phase.id and one.state not in (DONE, GAP)]
        if never := [one.id for one in open_ if not one.answered]:
            lines.append(f"{when}; never asked: {', '.join(never)}")
        short = [f"{one.id} ({shortfall(one)})" for one in open_ if one.answered]
        if short:
            lines.append(f"{when}; not mastered: {', '.join(short)}")
        if unticked := [mark.id for mark in phase.marks if not mark.ticked]:
            lines.append(f"{when}; not ticked: {', '.join(unticked)}")
    return tuple(lines)
