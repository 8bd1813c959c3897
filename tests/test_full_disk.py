"""A full disk, or power that fails, costs no good state: readers keep the last, and the next sync mends the rest."""

import contextlib
import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest import clone
from ingest.errors import DiskFull
from ingest.ledger import Ledger
from ingest.sync import sync
from tests.conftest import ROOT
from tests.folders import Folder, tidy, whole


def full(*arguments: object, **options: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_engine(*arguments: object) -> Any:
    raise RuntimeError("Service runtime error: IO Error: No space left on device (os error 28)")


class _NoRoom:
    """An engine's shard that meets a full disk."""

    def __init__(self, shard: Any, method: str) -> None:
        self._shard, self._method = shard, method

    def __getattr__(self, name: str) -> Any:
        return full_engine if name == self._method else getattr(self._shard, name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(a="one", b="two", c="three")
    sync(made.shelf)
    made.write(a="one, changed", d="four")
    (made.path / "c.md").unlink()
    return made


def meets_a_full_disk(folder: Folder) -> None:
    before = whole(folder)
    with pytest.raises(DiskFull, match="the index stays as it was; free some space and try again"):
        sync(folder.shelf)
    assert whole(folder) == before == {"a.md": "one", "b.md": "two", "c.md": "three"}


@pytest.mark.parametrize(
    "where", ["os.fsync", "copy", "flush", "update", "optimize", "disk_usage", "keep_texts", "publish"]
)
def test_a_full_disk_leaves_the_last_good_state(folder: Folder, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with monkeypatch.context() as patch:
        match where:
            case "os.fsync":
                patch.setattr(os, "fsync", full)
            case "copy":
                patch.setattr(clone, "_copy_file", full)
            case "disk_usage":
                patch.setattr(clone, "ROOM", 1 << 60)
            case "keep_texts" | "publish":
                patch.setattr(Ledger, where, _full_ledger(getattr(Ledger, where)))
            case method:
                from ingest import index

                real = index._load
                patch.setattr(index, "_load", lambda path: _NoRoom(real(path), method))
        meets_a_full_disk(folder)
    folder.shelf.close()  # a connection that was told to stay small
    assert {path.name for path in folder.shelf.folder.glob("gen-*")} == {"gen-1"}
    sync(folder.shelf)
    assert whole(folder) == {"a.md": "one, changed", "b.md": "two", "d.md": "four"}
    tidy(folder)


def _full_ledger(method: Callable[..., None]) -> Callable[..., None]:
    def filled(ledger: Ledger, *arguments: object) -> None:
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {pages}")
        with ledger.transaction():
            ledger._db.execute("INSERT INTO texts VALUES ('filler', ?)", ("x" * 100_000,))
        method(ledger, *arguments)

    return filled


def test_a_sync_that_may_write_no_large_file_leaves_the_last_good_state(folder: Folder) -> None:
    """A real limit, met inside the engine: its files are 33 MB long."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, limit[1]))
    try:
        with pytest.raises(DiskFull):
            sync(folder.shelf)
        with pytest.raises(DiskFull):
            sync(folder.shelf, fresh=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert whole(folder) == {"a.md": "one", "b.md": "two", "c.md": "three"}
    sync(folder.shelf)
    tidy(folder)


FULL = """
import os, sys
from pathlib import Path
from ingest.errors import DiskFull
from ingest.sync import sync
from tests.folders import Folder

place = Path(sys.argv[1])
folder = Folder(place)
folder.write(a="one", b="two")
sync(folder.shelf)
folder.shelf.close()

def fill():
    for size in (1 << 20, 1 << 10, 1):
        with open(place / f"filler{size}", "wb", buffering=0) as file:
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass

def refused():
    try:
        sync(folder.shelf)
    except DiskFull as error:
        return "the index stays as it was" in str(error)

(folder.path / "c.md").write_text("three")
fill()
print("refused", refused(), folder.opened().view().count())
os.truncate(place / "filler1048576", 1 << 20)  # room for the draft to begin, but not to end
from ingest import clone
clone.ROOM = 0
print("readable", folder.opened().view().count())
for filler in place.glob("filler*"):
    filler.unlink()
clone.ROOM = 64 << 20
sync(folder.shelf)
print("again", folder.opened().view().count())
"""


def _mounts() -> list[list[str]]:
    """The ways in which this machine lets us make a small disk."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        with contextlib.suppress(OSError):
            tried = subprocess.run(
                [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
            )
            if tried.returncode == 0:
                return [command]
    return []


@pytest.mark.parametrize("unshare", _mounts())
def test_a_disk_that_is_really_full_can_still_be_read(tmp_path: Path, unshare: list[str]) -> None:
    script = f"mount -t tmpfs -o size=300m tmpfs {tmp_path} && exec {sys.executable} -c '{FULL}' {tmp_path}"
    told = subprocess.run([*unshare, "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.stdout.splitlines() == ["refused True 2", "readable 2", "again 3"], told.stderr


# ------------------------------------------------------------------------------------------------------ loss of power


def test_nothing_of_a_generation_is_written_after_the_pointer_moved(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_publishing: list[dict[str, str]] = []
    synced: set[int] = set()
    unsynced: list[str] = []
    publish, fsync = Ledger.publish, os.fsync
    generation = folder.shelf.folder / "gen-2"

    def contents() -> dict[str, str]:
        return {
            path.relative_to(generation).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in generation.rglob("*")
            if path.is_file()
        }

    def watched(ledger: Ledger, *arguments: Any) -> None:
        at_publishing.append(contents())
        needed = [generation.parent, generation, *generation.rglob("*")]
        unsynced.extend(str(path) for path in needed if path.stat().st_ino not in synced)
        publish(ledger, *arguments)

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(Ledger, "publish", watched)
    monkeypatch.setattr(os, "fsync", noted)
    sync(folder.shelf)
    assert whole(folder)["d.md"] == "four"
    assert unsynced == []
    assert at_publishing == [contents()]


def test_the_ledger_waits_for_the_disk(folder: Folder) -> None:
    assert folder.shelf.ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert folder.shelf.ledger._db.execute("PRAGMA journal_mode").fetchone() == ("truncate",)


def test_power_that_fails_right_after_publishing_may_take_us_back_one_generation(folder: Folder) -> None:
    """The generation before, and the texts of its notes, stay until the next sync has something to write."""
    ledger = folder.shelf.folder / "ledger.db"
    before, texts_before = ledger.read_bytes(), whole(folder)
    sync(folder.shelf)
    ledger.write_bytes(before)
    assert whole(folder) == texts_before
    sync(folder.shelf)
    assert whole(folder) == {"a.md": "one, changed", "b.md": "two", "d.md": "four"}
    tidy(folder)
