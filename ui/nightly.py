"""What happens every night: the steps in their order, timed, retried, reported; and the command `ask nightly`.

    {"started": 1772934600.2, "seconds": 41.7, "steps": [{"name": "sync", "ok": true, "seconds": 41.6, "attempts": 1,
     "detail": {"files": 812, "embedded": 9, …}, "error": ""}]}

is one night: a line of `nights.jsonl`, beside the ledger. A step that fails does not keep the next from running.
"""

import contextlib
import datetime
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.errors import DiskFull, IndexUnavailable, LedgerUnavailable, NotesMissing, StudyError, SyncRunning
from ui.errors import NightRunning
from ui.schedule import stay, ticks
from ui.show import counted, line_of, moment

if TYPE_CHECKING:
    from assistant.settings import AssistantSettings
    from eval.gate import Checked
    from ingest.shelf import Shelf

TRANSIENT = (DiskFull, IndexUnavailable, LedgerUnavailable, NotesMissing, SyncRunning)
"""What may pass by itself: a full disk, a server that restarts, a drive that is not mounted yet, another sync."""
FIRST_WAIT, LONGEST_WAIT, PATIENCE = 30.0, 600.0, 3600.0
"""Seconds before the second attempt, between later ones at most, and for all together; each wait doubles."""
KEPT = 400
"""Nights that are remembered."""

Detail = dict[str, Any]
"""What a step tells, ready for JSON."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done every night."""

    name: str
    run: Callable[[], Detail]
    """Returns what to report; raises StudyError where it fails."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step."""

    name: str
    ok: bool
    seconds: float
    """Waits between attempts included."""
    attempts: int
    detail: Detail
    error: str
    """The message of the last attempt; empty if it went well."""


@dataclass(frozen=True, slots=True)
class Night:
    """One run of all steps."""

    started: float
    """Seconds since the epoch."""
    seconds: float
    steps: tuple[Done, ...]

    @property
    def ok(self) -> bool:
        """Whether every step went well."""
        return all(step.ok for step in self.steps)

    def as_json(self) -> Detail:
        """Return what `nights.jsonl` and `ask nightly --json` hold."""
        return {"ok": self.ok} | asdict(self)


# ---------------------------------------------------------------------------------------------------- the steps


def steps_of(shelf: "Shelf", settings: "AssistantSettings") -> list[Step]:
    """Return what is done every night, in order."""
    return [
        Step("sync", partial(_sync, shelf)),
        Step("staleness", partial(_staleness, shelf, settings)),
        Step("gate", partial(_gate, settings)),
    ]


def _sync(shelf: "Shelf") -> Detail:
    from ingest.sync import sync

    report = sync(shelf)
    return {
        "files": len(report.notes),
        "by_state": report.by_state,
        "embedded": report.embedded,
        "removed": len(report.removed),
        "remark": report.remark,
    }


def _staleness(shelf: "Shelf", settings: "AssistantSettings") -> Detail:
    """Bring the quiz items in line with the notes, and verify or write anew those whose evidence changed."""
    from assistant import llm
    from assistant.items import FLAGGED, Items, path_of
    from assistant.stale import mend, refresh

    if not path_of(shelf.folder).exists():
        return {}
    with contextlib.closing(Items.of(shelf.folder)) as items:
        told = refresh(items, shelf)
        found = llm.find(settings) if items.every(FLAGGED) else None
        mended = mend(items, shelf, found if isinstance(found, llm.LanguageModel) else None)
    return {
        "moved": len(told.moved),
        "flagged": len(told.flagged),
        "retired": len(told.retired),
        "revived": len(told.revived),
        "verified": len(mended.verified),
        "rewritten": len(mended.rewritten),
    }


def _gate(settings: "AssistantSettings") -> Detail:
    """Score the cases of every learner and warn of what fell; nothing is rolled back."""
    from eval.mine import learners, score_mine

    cases, worse, runs, warnings, notices = 0, 0, list[str](), list[str](), list[str]()
    for name in learners(settings):
        found = score_mine(settings.model_copy(update={"learner": name}))
        if found is None:
            continue
        runs.append(found.scored.run.id)
        cases += len({row.case for row in found.scored.rows})
        if found.checked:
            worse += len(found.checked.worse)
            warnings += [
                f"{line} on the cases of {name}; see: ask eval show {runs[-1]}" for line in _fell(found.checked)
            ]
            notices += [f"{line}: ask eval accept {runs[-1]}" for line in _to_accept(found.checked)]
    for warning in warnings:
        click.echo(line_of(warning), err=True)
    return {"cases": cases, "worse": worse, "runs": runs, "warnings": warnings, "notices": notices}


def _fell(checked: "Checked") -> Iterator[str]:
    """Yield what is to be warned of: beyond chance, case by case where there are too few to say, or not there."""
    from ui.runs import named

    for one in checked.worse:
        yield f"{one.suite} {one.metric} fell from {one.before:.3f} to {one.after:.3f}"
    for one in checked.too_few:
        if cases := checked.fell.get((one.suite, one.metric)):
            few = f"{one.n} cases are too few to say if by chance"
            yield f"{one.suite} {one.metric} did worse in {named(cases)} ({few})"
    for lost in checked.lost:
        yield f"{lost} has no score any more"


def _to_accept(checked: "Checked") -> Iterator[str]:
    """Yield what a new baseline would mend: scores that rose above it, answers of another model."""
    if checked.model:
        yield f"{checked.model}; to compare from now on"
    if checked.better and not checked.worse:
        better = ", ".join(f"{one.suite} {one.metric}" for one in checked.better)
        yield f"{better} better than what was accepted; to hold later nights against it"


def run_night(
    steps: Sequence[Step],
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] = lambda line: None,
) -> Night:
    """Run all steps, each until it goes well or there is no use in trying again.

    Args:
        steps: In their order; each is run, whatever became of the one before it.
        now: Seconds since the epoch.
        sleep: Waits so many seconds.
        tell: Told what goes wrong, a line at a time; silence lets cron send no mail.
    """
    started = now()
    done = []
    for step in steps:
        done.append(_run(step, now, sleep, tell))
        if not done[-1].ok:
            tell(step_line(asdict(done[-1])))
    return Night(started, now() - started, tuple(done))


def _run(step: Step, now: Callable[[], float], sleep: Callable[[float], None], tell: Callable[[str], None]) -> Done:
    started, attempts, wait = now(), 0, FIRST_WAIT
    while True:
        attempts += 1
        try:
            detail = step.run()
        except TRANSIENT as error:
            if now() - started + wait > PATIENCE:
                return Done(step.name, False, now() - started, attempts, {}, str(error))
            tell(f"{step.name}: {error}; trying again in {wait:.0f} s")
        except StudyError as error:
            return Done(step.name, False, now() - started, attempts, {}, str(error))
        except Exception as error:  # a mistake of ours in one step must not cost the next ones their night
            told = " ".join(f"{type(error).__name__}: {error}".split())
            return Done(step.name, False, now() - started, attempts, {}, told)
        else:
            return Done(step.name, True, now() - started, attempts, detail, "")
        sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


# ------------------------------------------------------------------------------------------------- what is kept


def last_nights(folder: Path, limit: int) -> list[Detail]:
    """Return the last nights, newest first, as `Night.as_json` gives them.

    Args:
        folder: Where the ledger is: `Shelf.folder`.
        limit: Most nights.
    """
    try:
        lines = (folder / "nights.jsonl").read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    found: list[Detail] = []
    for line in reversed(lines):
        if len(found) == limit:
            break
        with contextlib.suppress(ValueError):  # a line that a power cut left half written
            night = json.loads(line)
            if isinstance(night, dict) and isinstance(night.get("started"), (int, float)):
                found.append(night)
    return found


def keep(folder: Path, night: Night) -> None:
    """Remember a night, and forget those of long ago."""
    nights = [*reversed(last_nights(folder, KEPT - 1)), night.as_json()]
    from ui import private

    private.write(folder / "nights.jsonl", "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in nights))


def night_line(night: Detail) -> str:
    """Return a night of `last_nights` in one line."""
    return f"{moment(night['started'])}  {night.get('seconds', 0):6.1f} s  " + "; ".join(
        map(step_line, night.get("steps", []))
    )


def step_line(step: Detail) -> str:
    """Return what became of a step in one line."""
    if not step["ok"]:
        return f"{step['name']} failed: {step['error']}"
    told = [counted(value, name) for name, value in step["detail"].items() if isinstance(value, int)]
    again = f", attempt {step['attempts']}" if step["attempts"] > 1 else ""
    done = f"{step['name']} ok ({', '.join(told)}{again})" if told or again else f"{step['name']} ok"
    return "; ".join([done, *step["detail"].get("notices", [])])


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of the nightly run.

    Raises:
        NightRunning: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "nightly.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise NightRunning(lock.read().strip() or "unknown") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


# -------------------------------------------------------------------------------------------------- the command


@click.command()
@click.option("--at", type=click.DateTime(["%H:%M"]), metavar="HH:MM", help="Stay, and run every night at this time.")
@click.option("--run-now", is_flag=True, help="Run at once; without --at: once, with exit status 1 if a step fails.")
@click.option("--json", "as_json", is_flag=True, help="Print each night as one line of JSON and nothing else.")
def nightly(at: datetime.datetime | None, run_now: bool, as_json: bool) -> None:
    """Do what is to be done every night: sync, quiz items, scores.

    The notes are synced; quiz items whose notes changed rest, and are written anew where a model is served; your own
    cases (ask eval keep) are scored, with a warning where a score fell.

    A night that was missed is caught up at the start; `ask status` shows the last ones. How to have it started by
    systemd or cron: docs/nightly.md.

    \b
    Examples:
      ask nightly --at 02:30
      ask nightly --run-now
    """
    from ui import open as opening

    if not at and not run_now:
        raise click.UsageError("say when: --at 02:30 to stay and run every night, --run-now to run at once, or both")
    settings = opening.settings()
    folder = opening.shelf(settings).folder
    with _ends_at_sigterm(0 if at else 128 + signal.SIGTERM):
        _nights(settings, folder, at.time() if at else None, run_now=run_now, as_json=as_json)


@contextlib.contextmanager
def _ends_at_sigterm(status: int) -> Iterator[None]:
    """End with this exit status, all undone that has to be, when the process is asked to stop."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(status))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _nights(
    settings: "AssistantSettings", folder: Path, at: datetime.time | None, *, run_now: bool, as_json: bool
) -> None:

    def run() -> Night:
        return _one_night(settings, folder)

    def show(night: Night) -> None:
        found = night.as_json()
        click.echo(json.dumps(found, ensure_ascii=False) if as_json else line_of(night_line(found)))

    if not at:
        night = run()
        show(night)
        if not night.ok:
            sys.exit(1)
        return
    _resident(at, run, show, folder, run_now=run_now)


def _one_night(settings: "AssistantSettings", folder: Path) -> Night:
    from ui import open as opening

    with only_one(folder):
        shelf = opening.shelf(settings)  # anew each night: the model need not stay in memory all day
        try:
            night = run_night(steps_of(shelf, settings), tell=lambda line: click.echo(line_of(line), err=True))
        finally:
            shelf.close()
        keep(folder, night)
    return night


def _resident(
    at: datetime.time, run: Callable[[], Night], show: Callable[[Night], None], folder: Path, *, run_now: bool
) -> None:
    def unless_running() -> Night | None:
        try:
            return run()
        except (StudyError, OSError) as error:  # the next night may find it mended
            click.echo(f"this night failed: {error}", err=True)
            return None

    def last() -> float:
        return float(next((night["started"] for night in last_nights(folder, 1)), 0))

    click.echo(f"running every night at {at:%H:%M}; `ask status` shows the last nights", err=True)
    if run_now and (night := unless_running()):
        show(night)
    with contextlib.closing(ticks(at)) as rings:
        for night in stay(at, unless_running, last, ticks=rings):
            show(night)
