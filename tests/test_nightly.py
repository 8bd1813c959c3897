"""Nights go by on a clock of the tests' own; only the last tests start a process."""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ingest.errors import IndexMismatch, NotesMissing, SyncRunning
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from tests.conftest import ROOT
from ui.errors import NightRunning
from ui.nightly import (
    KEPT,
    Detail,
    Night,
    Step,
    _ends_at_sigterm,
    keep,
    last_nights,
    night_line,
    only_one,
    run_night,
)
from ui.schedule import due_after, due_before, stay, ticks

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime.time(2, 30)


class Clock:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds


def failing(times: int, error: Exception) -> Callable[[], Detail]:
    """Fail so many times, then go well."""
    left = [error] * times

    def run() -> Detail:
        if left:
            raise left.pop()
        return {"files": 3}

    return run


def night(*steps: Step, clock: Clock | None = None, said: list[str] | None = None) -> Night:
    clock = clock or Clock()
    return run_night(steps, now=clock.now, sleep=clock.sleep, tell=(said if said is not None else []).append)


# ---------------------------------------------------------------------------------------------------- the steps


def test_steps_run_in_their_order_and_each_is_timed() -> None:
    clock, order = Clock(), []

    def step(name: str, seconds: float) -> Step:
        def run() -> Detail:
            order.append(name)
            clock.time += seconds
            return {"files": 3}

        return Step(name, run)

    done = night(step("sync", 2.5), step("gate", 0.5), clock=clock)
    assert order == ["sync", "gate"]
    assert done.as_json() == {
        "ok": True,
        "started": 1_000_000.0,
        "seconds": 3.0,
        "steps": (
            {"name": "sync", "ok": True, "seconds": 2.5, "attempts": 1, "detail": {"files": 3}, "error": ""},
            {"name": "gate", "ok": True, "seconds": 0.5, "attempts": 1, "detail": {"files": 3}, "error": ""},
        ),
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (IndexMismatch(built="a", wanted="b"), "the index was built with a, you asked for b"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
def test_a_step_that_fails_does_not_keep_the_next_from_running(error: Exception, message: str) -> None:
    said: list[str] = []
    done = night(Step("sync", failing(9, error)), Step("gate", dict), said=said)
    assert [(step.name, step.ok, step.attempts) for step in done.steps] == [("sync", False, 1), ("gate", True, 1)]
    assert done.steps[0].error.startswith(message)
    assert not done.ok
    assert said == [f"sync failed: {done.steps[0].error}"]


def test_what_may_pass_by_itself_is_tried_again_after_longer_and_longer_waits() -> None:
    clock, said = Clock(), list[str]()
    done = night(Step("sync", failing(6, SyncRunning("77"))), clock=clock, said=said)
    assert clock.sleeps == [30, 60, 120, 240, 480, 600]
    assert (done.ok, done.steps[0].attempts, done.steps[0].seconds) == (True, 7, 1530.0)
    assert said[0] == (
        "sync: another sync of these notes is running (process 77); wait for it, then run: ask ingest; "
        "trying again in 30 s"
    )
    assert len(said) == 6
    assert night_line(done.as_json()).endswith("sync ok (3 files, attempt 7)")


def test_no_step_is_tried_for_longer_than_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    done = night(Step("sync", failing(99, NotesMissing(tmp_path))), clock=clock)
    assert clock.sleeps == [30, 60, 120, 240, 480, 600, 600, 600, 600]
    assert sum(clock.sleeps) <= 3600
    assert done.steps[0].error == str(NotesMissing(tmp_path))


# ------------------------------------------------------------------------------------------------- what is kept


def test_the_last_nights_are_kept_newest_first(tmp_path: Path) -> None:
    assert last_nights(tmp_path / "nothing", 5) == []
    for started in (1.0, 2.0, 3.0):
        keep(tmp_path / "state", Night(started, 0.5, ()))
    assert [one["started"] for one in last_nights(tmp_path / "state", 2)] == [3.0, 2.0]


def test_no_more_than_four_hundred_nights_are_kept(tmp_path: Path) -> None:
    lines = [json.dumps(Night(float(n), 0, ()).as_json()) for n in range(KEPT + 50)]
    (tmp_path / "nights.jsonl").write_text("\n".join(lines))
    keep(tmp_path, Night(1e9, 0, ()))
    kept = last_nights(tmp_path, 9999)
    assert (len(kept), kept[0]["started"], kept[-1]["started"]) == (400, 1e9, 51.0)


def test_a_line_that_a_power_cut_left_is_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, Night(5.0, 0, ()))
    with (tmp_path / "nights.jsonl").open("a") as file:
        file.write('[]\n7\n{"started": "x"}\n{"started": 6.0, "sec')
    assert [one["started"] for one in last_nights(tmp_path, 9)] == [5.0]


def test_a_night_is_told_in_one_line() -> None:
    done = night(Step("sync", lambda: {"files": 12, "remark": ""}), Step("gate", failing(1, ValueError("no\ncases"))))
    told = night_line(json.loads(json.dumps(done.as_json())))
    assert told.endswith("     0.0 s  sync ok (12 files); gate failed: ValueError: no cases")


def test_two_nightly_runs_do_not_overlap(tmp_path: Path) -> None:
    told = rf"process {os.getpid()}\); this one does nothing"
    with only_one(tmp_path / "state"), pytest.raises(NightRunning, match=told), only_one(tmp_path / "state"):
        pytest.fail("both run")
    with only_one(tmp_path / "state"):
        pass


# ------------------------------------------------------------------------------------------------- the schedule


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("moment", "before", "after"),
    [
        ("2026-03-14 02:29+01:00", "2026-03-13 02:30+01:00", "2026-03-14 02:30+01:00"),
        ("2026-03-14 02:30+01:00", "2026-03-14 02:30+01:00", "2026-03-15 02:30+01:00"),
        ("2026-03-14 23:59+01:00", "2026-03-14 02:30+01:00", "2026-03-15 02:30+01:00"),
        # summer time begins: 02:30 is not shown, 03:30 is when it would have been
        ("2026-03-29 01:59+01:00", "2026-03-28 02:30+01:00", "2026-03-29 03:30+02:00"),
        ("2026-03-29 04:00+02:00", "2026-03-29 03:30+02:00", "2026-03-30 02:30+02:00"),
        # summer time ends: 02:30 is shown twice, and the first counts
        ("2026-10-25 02:30+02:00", "2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"),
        ("2026-10-25 02:30+01:00", "2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"),
    ],
)
def test_a_night_is_due_once_a_day_whatever_the_clock_does(moment: str, before: str, after: str) -> None:
    assert due_before(at(moment), AT, BERLIN) == at(before)
    assert due_after(at(moment), AT, BERLIN) == at(after)


def test_a_year_has_as_many_nights_as_days() -> None:
    moment, end, nights = at("2026-01-01 00:00+01:00"), at("2027-01-01 00:00+01:00"), 0
    while (moment := due_after(moment, AT, BERLIN)) < end:
        nights += 1
    assert nights == 365


class Nights:
    """A world in which a night takes no time and is remembered."""

    def __init__(self, last: str = "") -> None:
        self.last = at(last).timestamp() if last else 0.0
        self.time = 0.0
        self.runs: list[float] = []

    def run(self) -> Night:
        self.last = self.time
        self.runs.append(self.time)
        return Night(self.time, 0, ())

    def pass_by(self, *moments: str) -> list[str]:
        """Let the scheduler ring at these moments; return those at which something was run."""

        def rings() -> Iterator[datetime.tzinfo]:
            for moment in moments:
                self.time = at(moment).timestamp()
                yield BERLIN

        nights = stay(AT, self.run, lambda: self.last, ticks=rings(), now=lambda: self.time)
        ran = [one.started for one in nights]
        return [moment for moment in moments if at(moment).timestamp() in ran]


def test_a_missed_night_is_caught_up_at_the_start_and_only_once() -> None:
    start, night = "2026-03-14 09:00+01:00", "2026-03-15 02:30+01:00"
    assert Nights("2026-03-12 02:30+01:00").pass_by(start, night) == [start, night]
    assert Nights("2026-03-14 02:31+01:00").pass_by(start, night) == [night]
    assert Nights("2026-03-14 08:00+01:00").pass_by(start) == []


def test_the_first_start_of_all_has_missed_nothing() -> None:
    assert Nights().pass_by("2026-03-14 09:00+01:00") == []
    assert Nights().pass_by("2026-03-14 09:00+01:00", "2026-03-15 02:30+01:00") == ["2026-03-15 02:30+01:00"]


def test_a_second_ring_in_the_same_night_does_nothing() -> None:
    nights = Nights("2026-10-24 02:30+02:00")
    first, second = "2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00"
    assert nights.pass_by("2026-10-25 00:00+02:00", first, second) == [first]


def test_the_scheduler_rings_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ui.schedule.due_after", lambda moment, at, zone: moment + datetime.timedelta(seconds=0.05)
    )  # a day of 50 ms
    with contextlib.closing(ticks(AT)) as rings:
        zones = [next(rings) for _ in range(3)]
    assert all(isinstance(zone, datetime.tzinfo) for zone in zones)


# -------------------------------------------------------------------------------------------------- the command


def ask(home: Path, *words: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STUDY_")}
    environ |= {"STUDY_HOME": str(home / "home"), "STUDY_NOTES": str(home / "notes"), "TZ": "Europe/Berlin"}
    command = [sys.executable, "-c", "from ui.cli import main; main()", *words]
    return subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture
def home(tmp_path: Path, models: Path) -> Path:
    """A folder with four notes, and a state folder in which the model is prepared."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(models)
    (tmp_path / "notes").mkdir()
    for name in "abcd":
        (tmp_path / "notes" / f"{name}.md").write_text(f"Note {name}.\n")
    return tmp_path


def test_it_must_be_said_when(tmp_path: Path) -> None:
    with ask(tmp_path, "nightly") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "say when: --at 02:30" in said


def test_run_now_alone_runs_once_and_its_status_is_for_cron(home: Path) -> None:
    with ask(home, "nightly", "--run-now", "--json") as process:
        printed, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    done = json.loads(printed)
    assert (done["ok"], said) == (True, "")
    assert done["steps"][0]["name"] == "sync"
    assert done["steps"][0]["detail"]["by_state"] == {"indexed": 4}
    (folder,) = (home / "home").glob("index-*")
    assert last_nights(folder, 5) == [done]

    for name in "abc":
        (home / "notes" / f"{name}.md").unlink()
    with ask(home, "nightly", "--run-now") as process:
        printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "sync failed: 3 of 4 notes are" in printed


def test_sigterm_ends_the_scheduler_cleanly_and_a_missed_night_is_caught_up(home: Path) -> None:
    said = "running every night at 02:30; `ask status` shows the last nights\n"
    with ask(home, "nightly", "--at", "02:30") as process:
        assert process.stderr
        assert process.stderr.readline() == said
        time.sleep(0.5)  # until it waits
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""

    folder = Shelf(IngestSettings(home=home / "home", notes=home / "notes")).folder
    keep(folder, Night(1.0, 0, ()))
    with ask(home, "nightly", "--at", "02:30", "--json") as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["ok"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert len(last_nights(folder, 9)) == 2


def test_the_handler_of_sigterm_is_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, _ends_at_sigterm(7):
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 7
    assert signal.getsignal(signal.SIGTERM) is before
