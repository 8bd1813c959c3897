"""New questions about one objective: those that are there and were not asked, then as many as the notes still give."""

from collections.abc import Collection, Generator

from assistant.blueprint import Blueprint, Objective
from assistant.cards import Made
from assistant.cover import Coverage, name_of
from assistant.grade import Model
from assistant.items import Item, Items
from assistant.quiz import Failing, Wish, quiz
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf

LOOKED = 4
"""Items that rules make for one that is wanted, at most, where terms tell which of them are about an objective."""


def questions(
    blueprint: Blueprint,
    objective: Objective,
    coverage: Coverage,
    shelf: Shelf,
    settings: AssistantSettings,
    items: Items,
    *,
    wanted: int,
    asked: Collection[str] = (),
    kinds: Collection[str] = (),
    model: Model | None = None,
    failing: Failing | None = None,
) -> Generator[Made, None, None]:
    """Yield up to `wanted` items about an objective that were not asked yet; none where the notes don't cover it.

    Args:
        blueprint: The plan.
        objective: One of its objectives.
        coverage: What the notes have for it.
        shelf: The notes.
        settings: What the user set.
        items: Where items are kept.
        wanted: Most items.
        asked: Ids of items that are not to be asked again.
        kinds: Kinds of items; empty: all.
        model: Writes items; None: they are made by rule.
        failing: Told why the model failed; what is missing is then made by rule. None: it is an error.
    """
    passed = 0
    for item in coverage.by_objective(items.active())[objective.id]:
        if passed < wanted and item.id not in asked and (not kinds or item.kind in kinds):
            passed += 1
            yield item
    found = coverage.objectives[objective.id]
    if passed < wanted and found.covered:
        wish = Wish(
            (wanted - passed) * (LOOKED if objective.about and not model else 1),
            chunks=tuple(passage.chunk for passage in found.passages),
            objective=name_of(blueprint.id, objective.id),
            kinds=frozenset(kinds),
            fresh=True,
        )
        for made in quiz(shelf, settings, items, wish, model=model, asked=asked, failing=failing):
            if isinstance(made, Item):
                if not coverage.by_objective([made])[objective.id]:
                    continue  # it was made beside what it is about, and is kept for whom it serves
                passed += 1
            yield made
            if passed == wanted:
                return
