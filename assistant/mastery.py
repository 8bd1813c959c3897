"""A learner's log → how well each objective of a plan is known.

    mastery of an objective = lower Wilson bound (one-sided, 90 %) of S right of n
        n   items of the objective that were ever answered, each by its last answer
        S   the sum of FSRS's chances of recall now, of those whose last answer was right

So a right answer counts less as it fades, a wrong one counts nothing, and little evidence can't say much: one right
answer gives .38 at most, three .65, seven .81 (Wilson, JASA 1927; FSRS: Ye, Su and Cao, KDD 2022). Items that rest or
are retired, because their note has changed, are no evidence any more.

The weight of an objective is its domain's, shared by hours.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assistant.blueprint import Blueprint
from assistant.cover import Coverage
from assistant.interval import Z_LOWER_90, wilson
from assistant.items import Item
from assistant.review import AGAIN, Review, Reviews

MASTERED = 0.8
"""Mastery from which an objective counts as mastered: seven items of seven right, freshly."""
READ = 4
"""Passages to read of one objective on one day, at most."""
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


def shortfall(one: Standing) -> str:
    """Return in a few words why an objective that was asked about is not mastered."""
    if wilson(one.right, one.answered, Z_LOWER_90)[0] >= MASTERED:
        return "was mastered, fades without reviews"
    few = ", too few to tell" if one.right == one.answered else ""
    return f"{one.right} of {one.answered} right{few}"


def standings(
    blueprint: Blueprint,
    coverage: Coverage,
    of: Mapping[str, Sequence[Item]],
    log: Sequence[Review],
    reviews: Reviews,
    now: float,
    ends: float,
) -> tuple[Standing, ...]:
    """Return how it stands with each objective of a plan.

    Args:
        blueprint: The plan.
        coverage: What the notes have for it.
        of: The items of each objective.
        log: All answers.
        reviews: Whose they are.
        now: Seconds since the epoch.
        ends: When it is to be recalled, on the plan's last day.
    """
    weights, last, masteries = weights_of(blueprint), last_answers(log), mastery(of, log, reviews, now)
    later = reviews.recall((item.id for items in of.values() for item in items), ends)
    found = []
    for one in blueprint.objectives:
        there, mastered = coverage.objectives[one.id], masteries[one.id]
        answered = [last[item.id] for item in of[one.id] if item.id in last]
        right = [review.item for review in answered if is_right(review)]
        state = DONE if mastered >= MASTERED else LEARNING if answered else NEW if there.covered else GAP
        recall = sum(later[id_] for id_ in right) / len(answered) if answered else None
        read = tuple(dict.fromkeys(Reading(passage.path, passage.locator) for passage in there.passages[:READ]))
        found.append(
            Standing(
                id=one.id,
                text=one.text,
                domain=one.domain,
                phase=one.phase,
                weight=weights[one.id],
                state=state,
                mastery=mastered,
                recall=recall,
                items=len(of[one.id]),
                answered=len(answered),
                right=len(right),
                read=read,
            )
        )
    return tuple(found)
