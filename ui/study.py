"""Today's work of a plan, done at the terminal; and new questions on an objective, until the notes give no more."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ui.plan import task_text
from ui.show import line_of

if TYPE_CHECKING:
    from assistant.blueprint import Blueprint, Objective
    from assistant.cards import Made
    from assistant.cover import Coverage
    from assistant.decide import Decisions
    from assistant.errors import ServerError
    from assistant.grade import Model
    from assistant.items import Items
    from assistant.plan import Plan
    from assistant.quiz import Failing
    from assistant.review import Reviews
    from assistant.today import Task
    from ingest.shelf import Shelf
    from ui.settings import UiSettings

LONGER = 3
"""Times the minutes foreseen that reading counts at most."""


@dataclass
class Study:
    """A learner, and the plan that is worked on."""

    blueprint: "Blueprint"
    coverage: "Coverage"
    items: "Items"
    reviews: "Reviews"
    decisions: "Decisions"
    shelf: "Shelf"
    settings: "UiSettings"
    model: "Model | None"
    """Writes questions; None: they are made by rule."""

    def questions(self, objective: "Objective", wanted: int, failing: "Failing") -> "Iterator[Made]":
        """Yield up to `wanted` new questions about an objective; keep in mind where the notes gave fewer.

        Args:
            objective: One of the plan's.
            wanted: Most questions.
            failing: Told why the model failed; what is missing is then made by rule.
        """
        from assistant.items import Item
        from assistant.study import questions

        failures: list[ServerError] = []
        passed = 0

        def fail(error: "ServerError") -> None:
            failures.append(error)
            failing(error)

        with closing(
            questions(
                *(self.blueprint, objective, self.coverage, self.shelf, self.settings, self.items),
                wanted=wanted,
                asked=self.reviews.asked(),
                model=self.model,
                failing=fail,
            )
        ) as made:
            for one in made:
                passed += isinstance(one, Item)
                yield one
        if passed < wanted and not failures:
            generation, by_rule = self.coverage.generation, self.model is None
            self.decisions.used_up(self.blueprint.id, objective.id, generation, by_rule=by_rule)

    # ----------------------------------------------------------------------------------------------- the terminal

    def work(self, plan: "Plan") -> None:
        """Do today's tasks, until there are no more or the learner ends."""
        does = {"review": self._review, "quiz": self._quiz, "read": self._read}
        for task in plan.tasks:
            click.echo(f"\n{task_text(task)} ({line_of(task.why)})")
            for one in task.read:
                click.echo(f"  {line_of(one.path)}, {line_of(one.locator)}")
            if task.kind in does and not does[task.kind](task):
                return

    def _review(self, task: "Task") -> bool:
        """Ask what is due; return whether to go on, as the others do."""
        from ui.ask_item import Asking

        active = {item.id: item for item in self.items.active()}
        asking = Asking(self.reviews, self.model, source="review")
        due = [active[one.item] for one in self.reviews.due(active)[: task.count]]
        return asking.ask_all(self.reviews.while_due(due))

    def _quiz(self, task: "Task") -> bool:
        from assistant.items import Item
        from ui.ask_item import Asking
        from ui.quiz import tell_failed

        failed = False

        def fail(error: "ServerError") -> None:
            nonlocal failed
            failed = True
            tell_failed(error)

        asking = Asking(self.reviews, self.model, source="quiz")
        objective = next(one for one in self.blueprint.objectives if one.id == task.about)
        made = self.questions(objective, task.count, fail)
        if not asking.ask_all(one for one in made if isinstance(one, Item)):
            return False
        if failed:
            self.model = None
            click.echo("there may be more questions the next time")
        elif asking.asked < task.count:
            click.echo("your notes give no more questions on it")
        return True

    def _read(self, task: "Task") -> bool:
        begun = time.monotonic()
        click.echo("[Enter: read; q ends] ", nl=False)
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not sys.stdin.isatty():
            click.echo()
        if not line or line.strip().lower() == "q":
            return False
        # Who goes away meanwhile has not read so long.
        took = min(time.monotonic() - begun, LONGER * task.minutes * 60)
        self.decisions.read(self.blueprint.id, task.about, took)
        return True
