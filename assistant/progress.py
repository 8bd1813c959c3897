"""A week of a learner's journal as facts: studied, asked, quizzed, mastered, weak spots, next week.

Everything here was counted in the journal; nothing is praised and nothing is guessed.
"""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.blueprint import Blueprint
from assistant.cover import Coverage
from assistant.decide import DROPPED, Decisions
from assistant.exam import Exam
from assistant.items import Item
from assistant.mastery import DONE, GAP, MASTERED, is_right, mastery
from assistant.plan import Plan, stand
from assistant.review import Review, Reviews
from assistant.streak import streak

MOST = 8
"""Lines of one section that list things, at most; how many more there are is said."""
WEAK = 2
"""Wrong answers from which a place in the notes is a weak spot."""
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the log."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened in some days."""

    first: datetime.date
    last: datetime.date
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Followed:
    """A plan that the learner follows, with what it needs."""

    blueprint: Blueprint
    coverage: Coverage


def progress(
    reviews: Reviews,
    items: Sequence[Item],
    plans: Sequence[Followed],
    *,
    last: datetime.date,
    days: int = 7,
) -> Progress:
    """Return what happened in the `days` that end with `last`.

    Args:
        reviews: The learner's.
        items: All that are active.
        plans: That the learner follows.
        last: The last day.
        days: How many, at least 1.
    """
    first = last - datetime.timedelta(days=days - 1)
    begin, end = _midnight(first), _midnight(last + datetime.timedelta(days=1))
    log = reviews.log()
    of_week = [review for review in log if begin <= review.at < end]
    asked = [one for one in reviews.journal.since(begin) if one.asked < end]
    studied = {datetime.date.fromtimestamp(at) for at in (*(one.at for one in of_week), *(a.asked for a in asked))}
    notes = Counter(review.path for review in of_week if review.path)
    notes.update(str(citation["path"]) for one in asked for citation in one.document.get("citations", ()))
    standing = [(followed, _stand(followed, items, reviews)) for followed in plans]
    sections = [
        Section("Studied", _studied(len(studied), days, of_week, notes, streak((one.at for one in log), last).told())),
        Section("Asked", _asked([(one.question, one.outcome) for one in asked])),
        Section("Quizzed", (*_quizzed(of_week), *_exams(reviews, begin, end))),
        Section("Mastered", _mastered(standing, items, reviews, log, begin, end)),
    ]
    if last < datetime.date.fromtimestamp(reviews.now()):  # what is weak and next is known of today alone
        sections.append(Section("Weak spots", _weak(of_week, ())))
    else:
        sections.append(Section("Weak spots", _weak(of_week, standing)))
        sections.append(Section("Next week", _next(standing, reviews, items)))
    return Progress(first, last, tuple(sections))


def _midnight(day: datetime.date) -> float:
    return datetime.datetime.combine(day, datetime.time()).timestamp()


def _stand(followed: Followed, items: Sequence[Item], reviews: Reviews) -> Plan:
    decided = Decisions(reviews.journal, now=reviews.now).of(followed.blueprint.id)
    return stand(followed.blueprint, followed.coverage, items, reviews, decided)


def _studied(active: int, days: int, log: Sequence[Review], notes: Mapping[str, int], kept_up: str) -> tuple[str, ...]:
    if not active:
        return ("Nothing was asked or answered.",)
    minutes = sum(review.took_ms for review in log) / 60_000
    spent = f"{minutes:.0f} minutes" if minutes >= 1 else "less than a minute"
    lines = [f"{active} of {days} days; {spent} of answering questions", *([kept_up] if kept_up else [])]
    ranked = sorted(notes.items(), key=lambda pair: (-pair[1], pair[0]))
    if ranked:
        lines.append(f"{_count(len(ranked), 'note')}: {_some([path for path, _ in ranked])}")
    return tuple(lines)


def _asked(asked: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    if not asked:
        return ("No questions.",)
    lacking = [question for question, outcome in asked if outcome == "not_in_notes"]
    lines = [f"{_count(len(asked), 'question')}, {len(lacking)} of them not answered in the notes"]
    lines += [f"Not in the notes: {question}" for question in list(dict.fromkeys(lacking))[:MOST]]
    return tuple(lines)


def _quizzed(log: Sequence[Review]) -> tuple[str, ...]:
    if not log:
        return ("No questions were answered.",)
    right = sum(map(is_right, log))
    by = Counter(review.source for review in log)
    kinds = ", ".join(f"{by[name]} in {told}" for name, told in _SOURCES.items() if by[name])
    return (f"{len(log)} answered ({kinds}), {right} right ({right / len(log):.0%})",)


_SOURCES = {"quiz": "quizzes", "review": "reviews", "exam": "practice exams"}


def _exams(reviews: Reviews, begin: float, end: float) -> list[str]:
    lines = []
    for exam in Exam.every(reviews, begin, end):
        found = exam.result()
        whole = found.whole
        parts = "; ".join(f"{part.title} {part.right} of {part.asked}" for part in found.domains)
        lines.append(
            f"Practice exam {found.plan}: {whole.right} of {whole.asked} right, {whole.share:.0%} "
            f"(95%: {whole.low:.0%} to {whole.high:.0%}); {parts}"
        )
    return lines


def _mastered(
    standing: Sequence[tuple[Followed, Plan]],
    items: Sequence[Item],
    reviews: Reviews,
    log: Sequence[Review],
    begin: float,
    end: float,
) -> tuple[str, ...]:
    """Return the objectives that came to be mastered in between, what was ticked, and what became of certificates."""
    lines = []
    for followed, plan in standing:
        of = followed.coverage.by_objective(items)
        before, after = (mastery(of, log, reviews, at) for at in (begin, min(end, reviews.now())))
        texts = {one.id: one.text for one in followed.blueprint.objectives}
        lines += [
            f"{plan.id}: {texts[id_]} ({before[id_]:.0%} → {after[id_]:.0%})"
            for id_ in of
            if before[id_] < MASTERED <= after[id_]
        ]
        marks = [mark for phase in plan.phases for mark in phase.marks]
        lines += [
            f"{plan.id}: done: {mark.text}" for mark in marks if mark.ticked and begin <= _midnight(mark.ticked) < end
        ]
        reached = sum(one.weight * after[one.id] for one in plan.objectives) / 100
        was = sum(one.weight * before[one.id] for one in plan.objectives) / 100
        lines.append(f"{plan.id}: mastery by weight {was:.0%} → {reached:.0%}")
    for held in Decisions(reviews.journal).certificates():
        if begin <= held.since < end and held.state != DROPPED:
            day = f" for {held.day}" if held.day and held.state != "earned" else f" on {held.day}" if held.day else ""
            lines.append(f"Certificate {held.state}{day}: {held.title}")
    return tuple(lines) or ("No plan is followed: ask plan NAME --start DATE.",)


def _weak(log: Sequence[Review], standing: Sequence[tuple[Followed, Plan]]) -> tuple[str, ...]:
    last = {review.item: review for review in log}
    places = Counter((review.path, _heading(review)) for review in last.values() if not is_right(review))
    lines = [
        f"{path}{f', {heading}' if heading else ''}: {count} wrong"
        for (path, heading), count in places.most_common(MOST)
        if count >= WEAK
    ]
    for _, plan in standing:
        lines += [f"{plan.id}, behind: {line}" for line in plan.behind]
        lines += [f"{plan.id}, not in the notes: {one.text}" for one in plan.objectives if one.state == GAP]
    return tuple(lines) or (f"No place in the notes with {WEAK} wrong answers or more.",)


def _heading(review: Review) -> str:
    """Return the last heading above an item; an objective's name is not one."""
    return review.objective.rpartition(" > ")[2] if " > " in review.objective else ""


def _next(standing: Sequence[tuple[Followed, Plan]], reviews: Reviews, items: Sequence[Item]) -> tuple[str, ...]:
    active = {item.id for item in items}
    until = reviews.now() + 7 * DAY
    due = sum(one.due <= until for id_, one in reviews.schedule().items() if id_ in active)
    lines = [f"{_count(due, 'review')} due in the next 7 days"]
    for _, plan in standing:
        begun = {phase.id for phase in plan.phases if phase.state != "later"}
        phase = next((one for one in plan.phases if one.state == "now"), None)
        if phase:
            lines.append(f"{plan.id}: {phase.title}, until {phase.ends}: {phase.goal}")
        open_ = [one for one in plan.objectives if one.phase in begun and one.state not in (DONE, GAP)]
        open_.sort(key=lambda one: -one.weight * (1 - one.mastery))
        lines += [f"{plan.id}: {one.text} (mastery {one.mastery:.0%})" for one in open_[:3]]
    return tuple(lines)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
