"""A plan's proportions and the notes' questions → a practice exam, begun.

    quotas → what is missing is made (supply) → questions are chosen → begun (exam.py asks them)

Domains get their numbers by the largest remainder (Hamilton), so each is within one of its exact share. Where a domain
has too few questions the whole exam is shorter, in the same proportions, and says why. A roadmap's domain without any
is left out, and named; an exam without one of its domains would be another exam, and is refused.
"""

import math
import random
from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from assistant.blueprint import Blueprint
from assistant.cards import Made
from assistant.cover import Coverage
from assistant.errors import ServerError, TooFewItems
from assistant.exam import Exam, Question
from assistant.grade import Model
from assistant.items import CLOZE, MCQ, ORDERING, TRUE_FALSE, Item, Items
from assistant.mastery import last_answers
from assistant.quiz import Failing, failed
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from assistant.study import questions as new_questions
from ingest.shelf import Shelf

KINDS = (MCQ, TRUE_FALSE, ORDERING, CLOZE)
"""What a key decides, the likest to real exams first."""
CHOICES = (MCQ, TRUE_FALSE)
A_TURN = 3
"""Questions that are made for one objective before the next has its turn."""
QUESTIONS = 30
"""Of a plan that leads to no exam."""
MINUTES = 1.2
"""For a question of such a plan: as NVIDIA's associate exams have it, 50 questions in 60 minutes."""


@dataclass(frozen=True, slots=True)
class Short:
    """A domain for which there are fewer questions than the exam was to have."""

    id: str
    title: str
    wanted: int
    there: int
    gaps: tuple[str, ...]
    """Ids of its objectives that the notes don't cover."""
    dry: tuple[str, ...]
    """Ids of those that they cover, without a question made of it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An exam that has begun, and what it lacks."""

    exam: Exam
    wanted: int
    """Questions that it was to have."""
    short: tuple[Short, ...]
    """Domains that made it shorter; none: it has all."""
    by_rule: bool
    """Whether no model was there to write questions."""
    failed: str = ""
    """Why the model failed while it wrote them; empty: it did not."""

    def told(self) -> tuple[str, ...]:
        """Return what failed, what is missing, why, and what to do, a line each; none where nothing is."""
        lines = [self.failed] if self.failed else []
        if not self.short:
            return tuple(lines)
        lines += [
            f"{len(self.exam.questions)} questions instead of {self.wanted}, in the blueprint's proportions, "
            "since there are too few for:"
        ]
        for one in self.short:
            why = [f"your notes don't cover {', '.join(one.gaps)}"] if one.gaps else []
            why += [f"no question could be made of your notes on {', '.join(one.dry)}"] if one.dry else []
            why = why or ["your notes give no more"]
            lines.append(f"{one.title}, {one.there} of {one.wanted}: {'; '.join(why)}")
        model = "serve a model, which writes questions where rules find none; or " if self.by_rule else ""
        lines.append(f"To have more: {model}add notes on these, and run ask ingest")
        return tuple(lines)


def begin(
    reviews: Reviews,
    blueprint: Blueprint,
    coverage: Coverage,
    shelf: Shelf,
    settings: AssistantSettings,
    items: Items,
    *,
    n: int = 0,
    minutes: float = 0.0,
    seed: int | None = None,
    model: Model | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Begun:
    """Make what questions are missing, choose, and begin an exam.

    Args:
        reviews: The learner's.
        blueprint: The plan.
        coverage: What the notes have for it.
        shelf: The notes.
        settings: What the user set.
        items: Where items are kept: what is made is added.
        n: Most questions; 0: as the real exam has.
        minutes: That there are; 0: in the real exam's proportion.
        seed: Another number gives another exam; None: another one each time.
        model: Writes items; None: they are made by rule.
        tell: Called with how many questions were made, each time one was.

    Raises:
        TooFewItems: A domain of an exam has no question at all, or all of a roadmap's have none.
    """
    wanted, _ = usual(blueprint, n)
    made, failures = 0, list[ServerError]()
    for one in supply(blueprint, coverage, shelf, settings, items, wanted, model=model, failing=failures.append):
        if isinstance(one, Item):
            made += 1
            tell(made)
    active = items.active()
    last = {item: review.at for item, review in last_answers(reviews.log()).items()}
    chosen = choose(
        blueprint, coverage, active, wanted, last_asked=last, seed=int(reviews.now()) if seed is None else seed
    )
    exam = Exam.begin(reviews, blueprint, chosen, minutes or usual(blueprint, len(chosen))[1])
    told = failed(failures[0]) if failures else ""
    return Begun(exam, wanted, shortage(blueprint, coverage, active, wanted), model is None, told)


def shortage(blueprint: Blueprint, coverage: Coverage, items: Sequence[Item], n: int) -> tuple[Short, ...]:
    """Return the domains that have too few questions for an exam of `n`, and why."""
    pools, wanted = _pools(blueprint, coverage, items), quotas(_weights(blueprint), n)
    found = []
    for domain in blueprint.domains:
        there = pools[domain.id]
        if len(there) < wanted[domain.id]:
            asked = {one.objective for one in there}
            none = [one.id for one in blueprint.objectives if one.domain == domain.id and one.id not in asked]
            gaps = tuple(id_ for id_ in none if not coverage.objectives[id_].covered)
            dry = tuple(id_ for id_ in none if coverage.objectives[id_].covered)
            found.append(Short(domain.id, domain.title, wanted[domain.id], len(there), gaps, dry))
    return tuple(found)


def usual(blueprint: Blueprint, n: int = 0) -> tuple[int, float]:
    """Return how many questions the real exam has (or `n`, where that is given), and the minutes for so many."""
    real = blueprint.exam
    n = n or (real.questions if real else QUESTIONS)
    return n, round(n * (real.minutes / real.questions if real else MINUTES), 1)


def quotas(weights: Mapping[str, float], n: int) -> dict[str, int]:
    """Share `n` questions by weight: whole parts first, what is left to the largest remainders."""
    whole = sum(weights.values())
    exact = {id_: n * weight / whole for id_, weight in weights.items()}
    found = {id_: math.floor(value) for id_, value in exact.items()}
    by_rest = sorted(weights, key=lambda id_: (found[id_] - exact[id_], id_))
    for id_ in by_rest[: n - sum(found.values())]:
        found[id_] += 1
    return found


def _weights(blueprint: Blueprint) -> dict[str, float]:
    return {domain.id: domain.weight for domain in blueprint.domains}


def _pools(blueprint: Blueprint, coverage: Coverage, items: Sequence[Item]) -> dict[str, list[Question]]:
    """Return what may be asked in each domain: no two that rest on the same words, since one would answer the other."""
    of = coverage.by_objective(items)
    pools: dict[str, list[Question]] = {domain.id: [] for domain in blueprint.domains}
    used: set[tuple[str, int]] = set()
    for kinds in (CHOICES, KINDS):
        for objective in blueprint.objectives:
            for item in of[objective.id]:
                place = item.evidence.path, item.evidence.start
                if item.kind in kinds and place not in used:
                    used.add(place)
                    pools[objective.domain].append(Question(objective.domain, objective.id, item))
    return pools


def supply(
    blueprint: Blueprint,
    coverage: Coverage,
    shelf: Shelf,
    settings: AssistantSettings,
    items: Items,
    n: int,
    *,
    model: Model | None = None,
    failing: Failing | None = None,
) -> Generator[Made, None, None]:
    """Make the items that an exam of `n` questions lacks, objective by objective in turns; yield them as they are made.

    Args:
        blueprint: The plan.
        coverage: What the notes have for it.
        shelf: The notes.
        settings: What the user set.
        items: Where items are kept: what is made is added.
        n: Questions of the exam.
        model: Writes items; None: they are made by rule.
        failing: Told why the model failed; all that is missing is then made by rule.
    """
    wanted = quotas(_weights(blueprint), n)
    writer = model

    def give_up(error: ServerError) -> None:
        nonlocal writer
        writer = None
        if failing:
            failing(error)

    for domain in blueprint.domains:
        of = [one for one in blueprint.objectives if one.domain == domain.id and coverage.objectives[one.id].covered]
        for kinds in (CHOICES, KINDS):
            turns = deque(of)
            while turns and len(_pools(blueprint, coverage, items.active())[domain.id]) < wanted[domain.id]:
                objective, used = turns.popleft(), writer
                made = new_questions(
                    *(blueprint, objective, coverage, shelf, settings, items),
                    wanted=A_TURN,
                    asked=items.active_ids(),
                    kinds=kinds,
                    model=used,
                    failing=give_up if failing else None,
                )
                passed = 0
                for one in made:
                    passed += isinstance(one, Item)
                    yield one
                if passed == A_TURN or used is not writer:  # else the notes give no more
                    turns.append(objective)


def choose(
    blueprint: Blueprint,
    coverage: Coverage,
    items: Sequence[Item],
    n: int,
    *,
    last_asked: Mapping[str, float] | None = None,
    seed: int = 0,
) -> list[Question]:
    """Return the questions of an exam, in the order of asking: `n`, or as many as keep the blueprint's proportions.

    Objectives take turns; what was never asked, or longest ago, comes first, choices before other kinds.

    Args:
        blueprint: The plan.
        coverage: What the notes have for it.
        items: All that are active.
        n: Most questions.
        last_asked: When each item was asked last, by id.
        seed: Another number gives another exam.

    Raises:
        TooFewItems: A domain of an exam has no question at all, or all of a roadmap's have none.
    """
    last_asked, chosen = last_asked or {}, random.Random(seed)
    pools, weights = _pools(blueprint, coverage, items), _weights(blueprint)
    empty = [domain.title for domain in blueprint.domains if not pools[domain.id]]
    if empty and (blueprint.exam or len(empty) == len(pools)):
        raise TooFewItems(blueprint.id, empty)
    shared = (quotas(weights, m) for m in range(n, 0, -1))
    fits = (wanted for wanted in shared if all(k <= len(pools[id_]) for id_, k in wanted.items() if pools[id_]))
    wanted = next(fits, dict.fromkeys(pools, 0))
    found: list[Question] = []
    for id_, pool in pools.items():
        chosen.shuffle(pool)
        turns: Counter[str] = Counter()
        placed = []
        for one in sorted(pool, key=lambda one: (last_asked.get(one.item.id, 0.0), one.item.kind not in CHOICES)):
            placed.append((turns[one.objective], one))
            turns[one.objective] += 1
        found += [one for _, one in sorted(placed, key=lambda pair: pair[0])[: wanted[id_]]]
    chosen.shuffle(found)
    return found
