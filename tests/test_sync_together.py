"""Who is told of a sync, and what happens to two at once."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ingest.errors import (
    SyncRunning,
)
from ingest.sync import Change, Edit, Report, sync
from tests.conftest import ROOT
from tests.folders import LONG, Folder, check


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_listener_is_told_once_what_changed(folder: Folder) -> None:
    told: list[Change] = []
    folder.write(a="one", b="two", c="three", d="four", e="five")
    sync(folder.shelf, on_change=told.append)
    first = folder.shelf.ledger.notes()
    assert [edit.path for edit in told[0].added] == ["a.md", "b.md", "c.md", "d.md", "e.md"]
    assert told[0].added[0] == Edit("a.md", old="", new=first["a.md"].version)
    folder.write(a="one, changed", f="six", d="")
    (folder.path / "b.md").unlink()
    (folder.path / "c.md").rename(folder.path / "z.md")
    sync(folder.shelf, on_change=told.append)
    second = folder.shelf.ledger.notes()
    assert told[1] == Change(
        generation=2,
        added=(Edit("f.md", new=second["f.md"].version),),
        changed=(Edit("a.md", old=first["a.md"].version, new=second["a.md"].version),),
        removed=(Edit("b.md", old=first["b.md"].version), Edit("d.md", old=first["d.md"].version)),
        renamed=(Edit("z.md", old=first["c.md"].version, new=first["c.md"].version, was="c.md"),),
    )
    sync(folder.shelf, on_change=told.append)
    os.utime(folder.path / "a.md", (1, 1))
    sync(folder.shelf, on_change=told.append)
    sync(folder.shelf, on_change=told.append, dry_run=True)
    sync(folder.shelf, on_change=told.append, fresh=True)  # every chunk is new, and no note says otherwise
    assert len(told) == 2


def test_a_listener_hears_of_what_readers_already_see_and_may_sync(folder: Folder) -> None:
    folder.write(a="one")
    seen: list[object] = []

    def listen(change: Change) -> None:
        seen.append(folder.opened().view().count())
        folder.write(b="two")
        seen.append(sync(folder.shelf).by_state)

    sync(folder.shelf, on_change=listen)
    assert seen == [1, {"indexed": 1, "unchanged": 1}]


def test_a_listener_that_fails_does_not_undo_the_sync(folder: Folder) -> None:
    folder.write(a="one")

    def fail(change: Change) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sync(folder.shelf, on_change=fail)
    assert folder.indexed() == {"a.md": "one"}
    assert folder.shelf.ledger.runs(1)[0].error == ""


def test_progress_counts_files_and_chunks(folder: Folder) -> None:
    folder.write(**{f"n{number}": LONG for number in range(200)})
    told: list[tuple[str, int, int]] = []
    sync(folder.shelf, progress=lambda step, done, total: told.append((step, done, total)))
    reading = [(done, total) for step, done, total in told if step == "reading"]
    embedding = [(done, total) for step, done, total in told if step == "embedding"]
    assert reading == [(number, 200) for number in range(1, 201)]
    assert [done for done, _ in embedding] == [64, 576, 800]
    assert embedding[-1] == (800, 800)
    assert all(done <= total for done, total in embedding)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own only on Linux")
@pytest.mark.parametrize(("before", "during"), [(0, 5), (3, 5), (12, 12)])
def test_a_sync_lets_questions_go_first(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, before: int, during: int
) -> None:
    set_: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "getpriority", lambda which, who: before)
    monkeypatch.setattr(os, "setpriority", lambda *told: set_.append(told))
    folder.write(a="one")
    syncing = threading.Thread(target=sync, args=[folder.shelf])
    syncing.start()
    syncing.join()
    assert folder.indexed() == {"a.md": "one"}
    assert set_ == [(os.PRIO_PROCESS, syncing.native_id, during)]


def test_a_system_that_forbids_it_is_synced_all_the_same(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*told: int) -> None:
        raise PermissionError(13, "forbidden")

    monkeypatch.setattr(os, "setpriority", forbid)
    folder.write(a="one")
    sync(folder.shelf)
    assert folder.indexed() == {"a.md": "one"}


def test_two_syncs_at_once_and_the_second_says_so(folder: Folder) -> None:
    folder.write(a="one")
    errors: list[str] = []

    def second(step: str, done: int, total: int) -> None:
        try:
            sync(folder.opened())
        except SyncRunning as error:
            errors.append(str(error))

    sync(folder.shelf, progress=second)
    message = f"another sync of these notes is running (process {os.getpid()}); wait for it, then run: ask ingest"
    assert set(errors) == {message}
    assert sync(folder.shelf).by_state == {"unchanged": 1}


def test_a_sync_that_waits_comes_after(folder: Folder) -> None:
    folder.write(a="one")
    waiting: list[threading.Thread] = []
    reports: list[Report] = []

    def second(step: str, done: int, total: int) -> None:
        if not waiting:
            folder.write(b="two")
            waiting.append(threading.Thread(target=lambda: reports.append(sync(folder.opened(), wait=True))))
            waiting[0].start()
            time.sleep(0.1)
            assert not reports

    sync(folder.shelf, progress=second)
    waiting[0].join()
    assert [report.generation for report in reports] == [2]
    check(folder)


def test_a_dry_run_does_not_wait_for_a_sync(folder: Folder) -> None:
    folder.write(a="one")
    told: list[Report] = []
    sync(folder.shelf, progress=lambda *step: told.append(sync(folder.opened(), dry_run=True)))
    assert told


SYNCER = """
import sys
from pathlib import Path
from ingest.errors import SyncRunning
from ingest.sync import sync
from tests.folders import Folder

folder = Folder(Path(sys.argv[1]))
try:
    print(sync(folder.shelf, wait=len(sys.argv) > 2).generation)
except SyncRunning as error:
    print(error)
"""


def test_processes_that_sync_at_once_take_turns(folder: Folder, tmp_path: Path) -> None:
    folder.write(**{f"n{number}": f"note {number}" for number in range(50)})
    command = [sys.executable, "-c", SYNCER, str(tmp_path), "wait"]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["1\n"] * 3
    assert len(folder.shelf.ledger.runs(9)) == 3
    check(folder)
