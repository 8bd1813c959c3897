"""A streak counts days with an answer, in the learner's time zone; one day of rest ends nothing."""

import datetime
from zoneinfo import ZoneInfo

import pytest

from assistant.streak import streak

UTC = datetime.UTC
MONDAY = datetime.date(2026, 11, 16)


def at(day: int, hour: int = 12, zone: datetime.tzinfo = UTC) -> float:
    """Return an hour of a day, counted from that Monday."""
    midnight = datetime.datetime.combine(MONDAY, datetime.time(), zone)
    return (midnight + datetime.timedelta(days=day, hours=hour)).timestamp()


def on(day: int) -> datetime.date:
    return MONDAY + datetime.timedelta(days=day)


@pytest.mark.parametrize(
    ("answered", "today", "days"),
    [
        ([], 0, 0),
        ([0], 0, 1),
        ([0, 0, 0], 0, 1),
        ([0, 1, 2], 2, 3),
        ([2, 0, 1], 2, 3),
        ([0, 1, 2], 3, 3),  # today is not over
        ([0, 1, 2], 4, 3),  # yesterday was rest, and today is not over
        ([0, 1, 2], 5, 0),
        ([0, 1, 3, 5], 5, 4),  # a day of rest counts nothing and breaks nothing
        ([0, 1, 4], 4, 1),  # two days without end it
        ([0, 1, 2, 9], 1, 2),  # what comes later is not known yet
    ],
)
def test_days_count_once_and_one_day_of_rest_ends_nothing(answered: list[int], today: int, days: int) -> None:
    assert streak([at(day) for day in answered], on(today), zone=UTC).days == days


def test_the_longest_streak_stays_when_another_begins() -> None:
    found = streak([at(day) for day in (0, 1, 2, 3, 8, 9)], on(9), zone=UTC)
    assert (found.days, found.longest, found.today) == (2, 4, True)
    assert found.week == (True, False, False, False, False, True, True)
    assert found.told() == "Streak: 2 days (longest: 4)"


def test_a_day_is_the_learners_own() -> None:
    late = [at(0, 23, ZoneInfo("America/New_York")), at(1, 1, ZoneInfo("America/New_York"))]
    assert streak(late, on(1), zone=ZoneInfo("America/New_York")).days == 2
    assert streak(late, on(1), zone=UTC).days == 1  # both are Tuesday there


def test_a_day_of_25_hours_is_one_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # the clocks go back on 2026-10-25
    days = [datetime.datetime(2026, 10, day, 0, 30, tzinfo=berlin).timestamp() for day in (24, 25, 26)]
    assert streak(days, datetime.date(2026, 10, 26), zone=berlin).days == 3


def test_nobody_is_told_that_a_streak_has_ended() -> None:
    found = streak([at(0)], on(20), zone=UTC)
    assert (found.days, found.longest, found.told()) == (0, 1, "")
    assert streak([at(0)], on(0), zone=UTC).told() == "Streak: 1 day"
