"""When a night begins: the same time of the local clock every day, once, whatever the clock or the machine does."""

import datetime
import queue
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ui.nightly import Night

HEARTBEAT = 300
"""Seconds after which the scheduler looks at the clock again, which a suspended machine did not see move."""


def due_before(moment: datetime.datetime, at: datetime.time, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the last time at or before `moment` that a clock of `zone` showed `at`, in UTC.

    Where the clock is put back and shows it twice, the first counts; where it is put forward past it, the time
    that it would have been.
    """
    day = moment.astimezone(zone).date() + datetime.timedelta(days=1)
    while (due := _on(day, at, zone)) > moment:
        day -= datetime.timedelta(days=1)
    return due


def due_after(moment: datetime.datetime, at: datetime.time, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the first time after `moment` that a clock of `zone` shows `at`, in UTC."""
    day = moment.astimezone(zone).date() - datetime.timedelta(days=1)
    while (due := _on(day, at, zone)) <= moment:
        day += datetime.timedelta(days=1)
    return due


def _on(day: datetime.date, at: datetime.time, zone: datetime.tzinfo) -> datetime.datetime:
    return datetime.datetime.combine(day, at, zone).astimezone(datetime.UTC)


def ticks(at: datetime.time) -> Generator[datetime.tzinfo, None, None]:
    """Yield the local time zone at once, and again every day at `at`, until closed.

    APScheduler keeps the clock; its own cron trigger would fire twice in the night in which summer time ends.
    """
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.base import BaseTrigger

    class Daily(BaseTrigger):  # type: ignore[misc]
        def get_next_fire_time(self, last: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime:
            return due_after(max(last, now) if last else now, at, scheduler.timezone)

    rings: queue.Queue[None] = queue.Queue()
    scheduler = BackgroundScheduler(job_defaults={"misfire_grace_time": None, "coalesce": True})
    scheduler.add_job(rings.put, Daily(), args=[None])
    scheduler.add_job(lambda: None, "interval", seconds=HEARTBEAT)
    scheduler.start()
    try:
        yield scheduler.timezone
        while True:
            rings.get()
            yield scheduler.timezone
    finally:
        scheduler.shutdown(wait=False)


def stay(
    at: datetime.time,
    run: "Callable[[], Night | None]",
    last: Callable[[], float],
    *,
    ticks: Iterable[datetime.tzinfo],
    now: Callable[[], float] = time.time,
) -> "Iterator[Night]":
    """Run every night, and at once where one was missed; yield each night.

    Args:
        at: When a night begins, by the local clock.
        run: Runs one; None where another process does.
        last: When the last one began, in seconds since the epoch; 0 where there was none.
        ticks: The local time zone, once at the start and then whenever it is time.
        now: Seconds since the epoch.
    """
    for number, zone in enumerate(ticks):
        due = due_before(datetime.datetime.fromtimestamp(now(), datetime.UTC), at, zone).timestamp()
        before = last()
        missed = before < due and (before > 0 or number > 0)  # the first start of all has missed nothing
        if missed and (night := run()):
            yield night
