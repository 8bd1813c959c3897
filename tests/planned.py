"""A small plan with its notes, items of its first objective, and a learner."""

import datetime
from dataclasses import replace
from pathlib import Path

from assistant.blueprint import Blueprint, load
from assistant.cover import Coverage, Covered, Serving
from assistant.decide import Decisions
from assistant.items import Evidence, Item
from assistant.journal import Journal
from assistant.plan import Plan, stand
from assistant.review import AGAIN, GOOD, Reviews
from assistant.settings import AssistantSettings
from tests.test_blueprint import SMALL, written
from tests.test_review import Clock

TODAY = datetime.date(2026, 11, 21)
RDMA = """# Networks

## RDMA

RDMA lets a network card read and write the memory of another host without its processor. InfiniBand was built for
RDMA; RoCE carries RDMA over Ethernet.

**RoCE** is a protocol that carries RDMA over converged Ethernet networks.
**InfiniBand** is a network technology with credit-based flow control that was built for RDMA.
**Congestion control** is the slowing of senders before the queues of a switch overflow.
"""


def day(number: int) -> datetime.date:
    """Day 1 is today."""
    return TODAY + datetime.timedelta(days=number - 1)


def item(number: int, chunk: str = "c-rdma", objective: str = "") -> Item:
    evidence = Evidence("net/rdma.md", "§ RDMA", "RDMA is fast.", 0, 13, "v1", chunk)
    return Item("cloze", f"Thing {number} is ____.", f"answer {number}", evidence, objective=objective)


class World:
    """A small plan, items of its first objective, and a learner."""

    def __init__(self, folder: Path, *, tiers: bool = True) -> None:
        self.clock = Clock()
        self.blueprint: Blueprint = load(written(folder, SMALL))
        self.journal = Journal(folder / "me")
        self.reviews = Reviews(self.journal, AssistantSettings(), now=self.clock)
        self.decisions = Decisions(self.journal, now=self.clock)
        self.items = [item(n) for n in range(10)]
        serving = Serving("c-rdma", "net/rdma.md", "§ RDMA", 238, 0.6)
        other = Serving("c-tiers", "storage.md", "§ Tiers", 119, 0.5)
        self.coverage = Coverage(
            "my-exam", 1, {"rdma": Covered(True, 0.9, (serving,)), "tiers": Covered(tiers, 0.9, (other,) * tiers)}
        )

    def answer(self, number: int, *, right: bool, at: float | None = None, source: str = "review") -> None:
        self.reviews.add(self.items[number], GOOD if right else AGAIN, correct=right, at=at, source=source)

    def stand(self, minutes: int = 0, *, by_rule: bool = True) -> Plan:
        decided = self.decisions.of("my-exam")
        decided = replace(decided, minutes=minutes or decided.minutes)
        return stand(self.blueprint, self.coverage, self.items, self.reviews, decided, by_rule=by_rule)
