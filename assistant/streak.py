"""The times of a learner's answers → for how many days they have kept at it; a day of rest ends nothing.

A day counts once a question was answered on it. One day without is rest: it counts nothing and breaks nothing. Two in
a row end the streak, and the next answer begins another. Today is not over, so it is never held against anybody.

    Mon  Tue  Wed  Thu  Fri          Fri: 3 days; so on Sat, and on Sun; from Mon on, 0
     ×    ×         –    ×           Thu, before an answer: 2 days
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

REST = 1
"""Days without an answer, one after the other, that a streak outlives."""
WEEK = 7


@dataclass(frozen=True, slots=True)
class Streak:
    """For how long a learner has kept at it."""

    days: int
    """Days with an answer in the streak that goes on; 0: none does."""
    longest: int
    """Of any streak."""
    today: bool
    """Whether a question was answered today."""
    week: tuple[bool, ...]
    """Whether on each of the last seven days, today last."""

    def told(self) -> str:
        """Return it in a few words; empty where none goes on, since nobody wants to be told that."""
        if not self.days:
            return ""
        longest = f" (longest: {self.longest})" if self.longest > self.days else ""
        return f"Streak: {self.days} {'day' if self.days == 1 else 'days'}{longest}"


def streak(answered: Iterable[float], today: datetime.date, *, zone: datetime.tzinfo | None = None) -> Streak:
    """Return how it stands on a day; answers after it are left out.

    Args:
        answered: When questions were answered, in seconds since the epoch; in any order.
        today: The learner's day.
        zone: Where the learner's midnight is; None: where this machine's is.
    """
    days = {datetime.datetime.fromtimestamp(at, zone).date() for at in answered}
    days = {day for day in days if day <= today}
    run = longest = 0
    before: datetime.date | None = None
    for day in sorted(days):
        run = run + 1 if before and (day - before).days <= REST + 1 else 1
        longest, before = max(longest, run), day
    goes_on = before is not None and (today - before).days <= REST + 1
    week = tuple(today - datetime.timedelta(days=ago) in days for ago in reversed(range(WEEK)))
    return Streak(run if goes_on else 0, longest, today in days, week)
