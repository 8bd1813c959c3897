"""A learner who has studied for weeks, by a script: so that pictures and tests show an app that is used."""

import datetime
import random
import time
from collections.abc import Sequence

from assistant.blueprint import Blueprint, find
from assistant.compose import choose, supply
from assistant.cover import Coverage
from assistant.decide import BOOKED, EARNED, Decisions
from assistant.exam import Exam
from assistant.items import MCQ, TRUE_FALSE, Item, Items
from assistant.journal import Journal
from assistant.review import AGAIN, EASY, GOOD, HARD, Reviews
from assistant.study import questions
from ingest.shelf import Shelf
from ui.plan import opened
from ui.settings import UiSettings

DAY = 86400.0
PLAN = "nca-aiio"
WEEKS = 3
LEFT = 9
"""Days until the exam."""


class Learner:
    """One who keeps at it, rests now and then, and is right more often the longer they learn."""

    def __init__(self, settings: UiSettings, *, seed: int = 7) -> None:
        self.settings, self.chance = settings, random.Random(seed)
        self.shelf, self.journal = Shelf(settings), Journal.of(settings)
        self.today = time.time() - WEEKS * 7 * DAY
        self.reviews = Reviews(self.journal, settings, now=lambda: self.today)
        self.decisions = Decisions(self.journal, now=lambda: self.today)
        self.blueprint: Blueprint = find(PLAN, settings.home)
        self.coverage: Coverage
        self.items: Items
        self.coverage, self.items = opened(self.blueprint, self.shelf, settings)

    def study(self) -> None:
        """Live through the weeks until now."""
        begun = datetime.date.fromtimestamp(self.today)
        self.decisions.start(PLAN, begun)
        self.decisions.exam(PLAN, begun + datetime.timedelta(days=WEEKS * 7 + LEFT))
        self.decisions.minutes(PLAN, 45)
        self.decisions.certify(PLAN, BOOKED, title=self.blueprint.title, day=begun + datetime.timedelta(days=30))
        earned = begun - datetime.timedelta(days=690)
        self.decisions.certify(
            "kubernetes", EARNED, title="Kubernetes and Cloud Native Associate", day=earned,
            expires=earned + datetime.timedelta(days=730),
        )  # fmt: skip
        self.decisions.tick(PLAN, self.blueprint.milestones[0].id)
        first = self.today
        for day in range(WEEKS * 7):
            self.today = first + day * DAY
            if day % 9 == 5:
                continue  # a day of rest
            self.review()
            self.learn(day)
            if day == 6:
                self.sit(wanted=20, right=0.5)
            if day == WEEKS * 7 - 3:
                self.sit(wanted=20, right=0.8)
                self.decisions.tick(PLAN, self.blueprint.milestones[1].id)
        self.today = time.time()

    def review(self) -> None:
        """Answer most of what is due."""
        active = {item.id: item for item in self.items.active()}
        for due in self.reviews.due(active)[:15]:
            self.say(active[due.item], 0.88, "review")

    def learn(self, day: int) -> None:
        """Answer new questions about two objectives."""
        every = self.blueprint.objectives
        for n in (2 * day, 2 * day + 1):
            objective = every[n % len(every)]
            made = questions(
                self.blueprint, objective, self.coverage, self.shelf, self.settings, self.items,
                wanted=4, asked=self.reviews.asked(),
            )  # fmt: skip
            for one in made:
                if isinstance(one, Item):
                    self.say(one, 0.72, "quiz")

    def say(self, item: Item, right: float, source: str) -> None:
        """Answer one question."""
        self.today += self.chance.uniform(15, 60)
        correct = self.chance.random() < right
        rating = self.chance.choice((HARD, GOOD, GOOD, EASY)) if correct and source == "review" else GOOD
        self.reviews.add(
            item,
            rating if correct else AGAIN,
            correct=correct,
            given=item.answer if correct else "",
            took_ms=self.chance.randrange(6_000, 30_000),
            source=source,
        )

    def sit(self, *, wanted: int, right: float) -> None:
        """Take a practice exam."""
        for _ in supply(self.blueprint, self.coverage, self.shelf, self.settings, self.items, wanted):
            pass
        chosen = choose(self.blueprint, self.coverage, self.items.active(), wanted, seed=wanted)
        exam = Exam.begin(self.reviews, self.blueprint, chosen, 24.0, clock=lambda: self.today)
        while (item := exam.next()) is not None:
            self.today += self.chance.uniform(20, 70)
            exam.answer(self.answer(item, self.chance.random() < right))

    def answer(self, item: Item, right: bool) -> str:
        """Return a right answer to a question, or a wrong one."""
        if item.kind == MCQ:
            return f"#{(item.key if right else (item.key + 1) % len(item.options)) + 1}"
        if item.kind == TRUE_FALSE:
            return item.answer if right else "false" if item.answer == "true" else "true"
        return item.answer if right else _turned(item.answer.split())


def _turned(words: Sequence[str]) -> str:
    return " ".join([*words[1:], words[0]]) if len(words) > 1 else "something else"
