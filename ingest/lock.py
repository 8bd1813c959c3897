"""One sync of a folder at a time; a sync that was killed is noticed by the next."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from ingest import clone
from ingest.errors import SyncRunning


@contextlib.contextmanager
def only_one(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a folder; yield whether the last one to hold it was killed."""
    with clone.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "sync.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise SyncRunning(_holder(lock) or "unknown") from None
        killed = bool(_holder(lock))
        with clone.disk_errors(folder):
            _write_holder(lock, str(os.getpid()))
        yield killed
        _write_holder(lock, "")
    finally:
        os.close(lock)


def _holder(lock: int) -> str:
    return os.pread(lock, 20, 0).decode(errors="replace").strip()


def _write_holder(lock: int, pid: str) -> None:
    os.pwrite(lock, f"{pid:<20}".encode(), 0)  # always as long: a full disk is no reason to fail the second time
