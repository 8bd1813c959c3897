"""What a learner decided: the last row of its kind counts, and all are kept."""

import pytest

from assistant.decide import BOOKED, EARNED, PLANNED, Decided, UsedUp
from assistant.errors import JournalUnavailable, NoSuchCertificate
from tests.planned import TODAY, World, day


def test_the_last_decision_counts_and_all_are_kept(world: World) -> None:
    decisions = world.decisions
    for first in (day(1), day(3)):
        decisions.start("my-exam", first)
    decisions.minutes("my-exam", 25)
    decisions.tick("my-exam", "first-test")
    decisions.tick("my-exam", "measure")
    decisions.tick("my-exam", "measure", done=False)
    decisions.used_up("my-exam", "rdma", 4, by_rule=True)
    used_up = {"rdma": UsedUp(4, by_rule=True)}
    assert decisions.of("my-exam") == Decided(day(3), None, 25, {"first-test": TODAY}, used_up)
    assert decisions.of("another") == Decided()
    assert decisions.begun() == ["my-exam"]
    with pytest.raises(JournalUnavailable, match="decisions stay"), world.journal.transaction() as db:
        db.execute("DELETE FROM decisions")
    assert len(world.journal.rows("SELECT * FROM decisions")) == 7


def test_a_certificate_is_planned_booked_earned_and_ends(world: World) -> None:
    decisions = world.decisions
    decisions.certify("nca-aiio", PLANNED, title="NVIDIA associate")
    decisions.certify("nca-aiio", BOOKED, day=day(10))
    held = decisions.certificate("nca-aiio")
    assert (held.title, held.told(TODAY), held.told(day(11))) == ("NVIDIA associate", "booked", "due")
    decisions.certify("nca-aiio", EARNED, day=day(10), expires=day(740))
    held = decisions.certificate("nca-aiio")
    assert [held.told(at) for at in (day(11), day(650), day(740), day(741))] == [
        *("earned", "expiring", "expiring", "expired"),
    ]
    with pytest.raises(NoSuchCertificate, match="there is no certificate cka; yours: nca-aiio"):
        decisions.certificate("cka")
