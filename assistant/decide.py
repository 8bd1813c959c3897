"""What a learner decided about plans and certificates: rows of the journal that are added to and never changed.

    at 2026-11-21 09:12, plan nca-aiio: 'exam' is 2026-12-18
    at 2026-11-30 20:40, plan nca-aiio: 'tick' of diagnosis

The last row of its kind counts; a tick is taken back by an 'untick'.
"""

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from assistant.errors import NoSuchCertificate
from assistant.journal import Journal

START, EXAM, MINUTES, TICK, UNTICK = "start", "exam", "minutes", "tick", "untick"
USED_UP, USED_UP_BY_RULE, READ = "used_up", "used_up_by_rule", "read"
PLANNED, BOOKED, EARNED, DROPPED = STATES = ("planned", "booked", "earned", "dropped")
EXPIRING_DAYS = 90
"""A certificate that ends within so many days is expiring."""


@dataclass(frozen=True, slots=True)
class Read:
    """Reading that was done about an objective."""

    plan: str
    objective: str
    day: datetime.date
    seconds: float


@dataclass(frozen=True, slots=True)
class UsedUp:
    """An objective for which no further item could be made."""

    generation: int
    """Of the notes: others may give more."""
    by_rule: bool
    """Whether rules made the items: a model may still find some."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What holds now of one plan."""

    start: datetime.date | None = None
    exam: datetime.date | None = None
    minutes: int = 0
    """A day; 0: not said."""
    ticked: dict[str, datetime.date] = field(default_factory=dict)
    """Milestones and labs that are done, and since when."""
    used_up: dict[str, UsedUp] = field(default_factory=dict)
    """By objective."""
    read: tuple[Read, ...] = ()
    """What was read, for any plan: a day has its minutes once."""


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate as it stands."""

    id: str
    title: str
    state: str
    """planned, booked, earned or dropped."""
    day: datetime.date | None
    """When it is to be taken, or was earned; None: not fixed."""
    expires: datetime.date | None
    """None: never, or it is not earned."""
    since: float
    """When that was decided. Seconds since the epoch."""

    def told(self, today: datetime.date) -> str:
        """Return its state in a word: an earned one may be expiring or expired, a booked day may be over."""
        if self.state == EARNED and self.expires:
            left = (self.expires - today).days
            return "expired" if left < 0 else "expiring" if left <= EXPIRING_DAYS else EARNED
        return "due" if self.state in (PLANNED, BOOKED) and self.day and self.day < today else self.state


class Decisions:
    """The decisions of one learner, in the learner's journal."""

    def __init__(self, journal: Journal, *, now: Callable[[], float] = time.time) -> None:
        self._journal, self._now = journal, now

    # ------------------------------------------------------------------------------------------------------- plans

    def start(self, plan: str, day: datetime.date) -> None:
        """Begin a plan on a day."""
        self._add(plan, START, day.isoformat())

    def exam(self, plan: str, day: datetime.date | None) -> None:
        """Say when the exam is, or by when all shall be learned; None: that is not fixed any more."""
        self._add(plan, EXAM, _iso(day) or "")

    def minutes(self, plan: str, minutes: int) -> None:
        """Say how many minutes a day there are."""
        self._add(plan, MINUTES, str(minutes))

    def tick(self, plan: str, what: str, *, done: bool = True) -> None:
        """Say that a milestone or a lab is done, or that it is not after all."""
        self._add(plan, TICK if done else UNTICK, what)

    def used_up(self, plan: str, objective: str, generation: int, *, by_rule: bool) -> None:
        """Note that these notes give no further item for an objective; `by_rule`: no model was asked."""
        self._add(plan, USED_UP_BY_RULE if by_rule else USED_UP, f"{objective} {generation}")

    def read(self, plan: str, objective: str, seconds: float) -> None:
        """Note that the passages of an objective were read, and how long that took."""
        self._add(plan, READ, f"{objective} {seconds:.0f}")

    def _add(self, plan: str, what: str, value: str) -> None:
        with self._journal.transaction() as db:
            row = (self._now(), plan, what, value)
            db.execute("INSERT INTO decisions (at, plan, what, value) VALUES (?, ?, ?, ?)", row)

    def of(self, plan: str) -> Decided:
        """Return what was decided about a plan."""
        last: dict[str, str] = {}
        ticked: dict[str, datetime.date] = {}
        used_up: dict[str, UsedUp] = {}
        for at, what, value in self._journal.rows(
            "SELECT at, what, value FROM decisions WHERE plan = ? ORDER BY id", plan
        ):
            if what == TICK:
                ticked.setdefault(value, datetime.date.fromtimestamp(at))
            elif what == UNTICK:
                ticked.pop(value, None)
            elif what in (USED_UP, USED_UP_BY_RULE):
                objective, _, generation = value.rpartition(" ")
                used_up[objective] = UsedUp(int(generation), what == USED_UP_BY_RULE)
            elif what != READ:
                last[what] = value
        minutes = int(last.get(MINUTES, 0))
        return Decided(_day(last.get(START)), _day(last.get(EXAM)), minutes, ticked, used_up, self._read())

    def _read(self) -> tuple[Read, ...]:
        found = []
        for at, plan, value in self._journal.rows(
            "SELECT at, plan, value FROM decisions WHERE what = ? ORDER BY id", READ
        ):
            objective, _, seconds = value.rpartition(" ")
            found.append(Read(plan, objective, datetime.date.fromtimestamp(at), float(seconds)))
        return tuple(found)

    def begun(self) -> list[str]:
        """Return the plans that the learner has begun, the first one first."""
        rows = self._journal.rows("SELECT plan FROM decisions WHERE what = ? GROUP BY plan ORDER BY min(id)", START)
        return [plan for (plan,) in rows]

    # ------------------------------------------------------------------------------------------------ certificates

    def certify(
        self,
        id_: str,
        state: str,
        *,
        title: str = "",
        day: datetime.date | None = None,
        expires: datetime.date | None = None,
    ) -> None:
        """Say what became of a certificate; an empty title leaves the one that it has."""
        known = {one.id: one.title for one in self.certificates()}
        row = (self._now(), id_, title or known.get(id_, "") or id_, state, _iso(day), _iso(expires))
        with self._journal.transaction() as db:
            db.execute("INSERT INTO certificates (at, id, title, state, day, expires) VALUES (?, ?, ?, ?, ?, ?)", row)

    def certificates(self) -> list[Held]:
        """Return every certificate as it stands, the first that was spoken of first."""
        rows = self._journal.rows(
            "SELECT id, title, state, day, expires, at FROM certificates c WHERE n = (SELECT max(n) FROM certificates "
            "WHERE id = c.id) ORDER BY (SELECT min(n) FROM certificates WHERE id = c.id)"
        )
        return [Held(id_, title, state, _day(day), _day(expires), at) for id_, title, state, day, expires, at in rows]

    def certificate(self, id_: str) -> Held:
        """Return one certificate.

        Raises:
            NoSuchCertificate: It was never spoken of.
        """
        every = self.certificates()
        found = next((one for one in every if one.id == id_), None)
        if found is None:
            raise NoSuchCertificate(id_, [one.id for one in every])
        return found


def _day(value: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(value) if value else None


def _iso(day: datetime.date | None) -> str | None:
    return day.isoformat() if day else None
