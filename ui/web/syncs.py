"""The syncs that this app starts, one at a time, in the background: how far one is, and how the last one ended."""

import os
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ingest.errors import StudyError, SyncRunning, TooManyRemovals
from ingest.shelf import Shelf

if TYPE_CHECKING:
    from ingest.report import Report


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sync."""

    name: str
    """'reading' files or 'embedding' chunks."""
    done: int
    total: int
    """As far as it is known."""


@dataclass(frozen=True, slots=True)
class Syncing:
    """A sync that this app started: how far it is, or how it ended."""

    started: float
    """Seconds since the epoch."""
    steps: tuple[Step, ...] = ()
    """Those that have begun, in their order."""
    report: "Report | None" = None
    """What it did, once it is done."""
    error: str = ""
    """Why it failed, in one line."""
    gone: tuple[str, ...] = ()
    """The notes that it would have removed, where these were too many to be removed without being asked for."""

    @property
    def running(self) -> bool:
        """Return whether it is still at it."""
        return self.report is None and not self.error

    def as_json(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        return {
            "running": self.running,
            "started": self.started,
            "steps": [{"name": step.name, "done": step.done, "total": step.total} for step in self.steps],
            "report": self.report.as_json() if self.report else None,
            "error": self.error,
            "gone": list(self.gone),
        }


class Syncs:
    """Those of one folder of notes; safe to use from several threads."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._begin = threading.Lock()
        self._last: Syncing | None = None
        self._thread: threading.Thread | None = None
        self._again = False

    @property
    def last(self) -> Syncing | None:
        """The sync that runs here, or the last one that did; None: there was none since the start."""
        return self._last

    @property
    def elsewhere(self) -> int:
        """The process that is syncing these notes and is not this one; 0: none."""
        try:
            pid = int((self._shelf.folder / "sync.lock").read_text() or 0)
            if pid and pid != os.getpid():
                os.kill(pid, 0)
                return pid
        except (OSError, ValueError):
            pass
        return 0

    def start(self, **options: Any) -> Syncing:
        """Start a sync in the background; `options` are those of `ingest.sync.sync`.

        Raises:
            SyncRunning: One runs already, here or elsewhere.
        """
        if pid := self.elsewhere:
            raise SyncRunning(str(pid))
        with self._begin:
            if self._last and self._last.running:
                raise SyncRunning(str(os.getpid()))
            self._last = begun = Syncing(time.time())
            self._thread = threading.Thread(target=self._run, args=[options], name="sync", daemon=True)
            self._thread.start()
        return begun

    def follow(self) -> Syncing:
        """Start a sync; where one runs here already, another one after it, since it may not have seen a change.

        Raises:
            SyncRunning: One runs elsewhere.
        """
        with self._begin:
            if self._last and self._last.running:
                self._again = True
                return self._last
        return self.start()

    def wait(self, timeout: float | None = None) -> Syncing | None:
        """Wait until no sync runs here; return the last one."""
        if self._thread:
            self._thread.join(timeout)
        return self._last

    def _run(self, options: dict[str, Any]) -> None:
        self._sync(options)
        while self._wanted_again():
            self._sync({})

    def _wanted_again(self) -> bool:
        with self._begin:
            again, self._again = self._again, False
            if again:
                self._last = Syncing(time.time())
            return again

    def _sync(self, options: dict[str, Any]) -> None:
        from ingest.sync import sync
        from ui.open import refresh_items

        assert self._last is not None
        steps: dict[str, Step] = {}
        begun = self._last

        def tell(name: str, done: int, total: int) -> None:
            steps[name] = Step(name, done, total)
            self._last = replace(begun, steps=tuple(steps.values()))

        try:
            report = sync(self._shelf, progress=tell, on_change=partial(refresh_items, self._shelf), **options)
            self._last = replace(begun, steps=tuple(steps.values()), report=report)
        except TooManyRemovals as error:
            self._last = replace(begun, steps=tuple(steps.values()), error=str(error), gone=error.paths)
        except (StudyError, OSError) as error:
            self._last = replace(begun, steps=tuple(steps.values()), error=str(error))
        except BaseException as error:
            self._last = replace(begun, steps=tuple(steps.values()), error=f"{type(error).__name__}: {error}")
            raise
