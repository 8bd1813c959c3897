"""Folders that are written once: copied with their holes, made durable, held while they are read, then dropped.

They hold memory-mapped files that are preallocated: 35 MB long, of which a few kB are data. So copies keep the
holes, and no write begins on a disk that is nearly full: to a mapped page that has no room, the kernel's answer
is SIGBUS, which ends the process.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingest.errors import DiskFull

ROOM = 64 << 20
"""Bytes that stay free on the disk."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FICLONE = 0x40049409
"""ioctl that makes a copy-on-write copy (linux/fs.h)."""
_DROPPED, _MIRROR = ".dropped-", "study-mirror-"
MIRROR_SECONDS = 3600
"""Age from which a mirror that nobody holds is not just being made."""


def copy(source: Path, target: Path) -> None:
    """Copy a folder, on copy-on-write terms where the file system can; `target` must not be there.

    Raises:
        FileNotFoundError: There is no `source`.
        DiskFull: There is no room.
    """
    if not source.is_dir():
        raise FileNotFoundError(source)
    with disk_errors(target):
        need(target.parent, sum(file.stat().st_blocks * 512 for file in source.rglob("*") if file.is_file()))
        target.mkdir(parents=True)
        for path in sorted(source.rglob("*")):
            if path.is_dir():
                (target / path.relative_to(source)).mkdir()
            else:
                _copy_file(path, target / path.relative_to(source))


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as write:
        with contextlib.suppress(OSError):
            fcntl.ioctl(write, _FICLONE, read.fileno())
            return
        size, at = os.fstat(read.fileno()).st_size, 0
        while at < size:
            try:
                start = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole is left
                break
            at = os.lseek(read.fileno(), start, os.SEEK_HOLE)
            read.seek(start)
            write.seek(start)
            while start < at and (part := read.read(min(at - start, 1 << 20))):
                write.write(part)
                start += len(part)
        write.truncate(size)


def mirror(folder: Path, inner: Iterable[Path], suffix: str) -> Path:
    """Return a folder, in memory where it can be, of links to what is in another one, for who writes where they read.

    So readers leave the other one as it is, wait for no disk, and can still read when it is full.

    Args:
        folder: What to mirror.
        inner: Folders in it that are mirrored, too, and not linked to as they are.
        suffix: Files of this kind are copied, since they are written.
    """
    where, sources = _memory(), [folder, *inner]
    with disk_errors(where), contextlib.ExitStack() as undo:
        made = Path(tempfile.mkdtemp(prefix=_MIRROR, dir=where))
        undo.callback(shutil.rmtree, made, ignore_errors=True)
        for source in sources:
            target = made / source.relative_to(folder)
            target.mkdir(parents=True, exist_ok=True)
            for entry in source.iterdir():
                if entry.suffix == suffix:
                    shutil.copyfile(entry, target / entry.name)
                elif not any(other.is_relative_to(entry) for other in sources):
                    (target / entry.name).symlink_to(entry)
        undo.pop_all()
    return made


def _memory() -> Path:
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 20
    return memory if roomy else Path(tempfile.gettempdir())


def settle(folder: Path) -> None:
    """Return when the folder, all that is in it, and its name would survive a loss of power."""
    with disk_errors(folder):
        for path in [*sorted(folder.rglob("*"), reverse=True), folder, folder.parent]:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some network file systems sync no folders
                    raise
            finally:
                os.close(descriptor)


def hold(folder: Path) -> int:
    """Keep `drop` from taking a folder, in this and every other process, until the descriptor returned is closed.

    Raises:
        FileNotFoundError: It is gone.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # where there are no locks, `drop` gets none either
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise FileNotFoundError(folder)  # dropped and made again in between
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def drop(folder: Path) -> bool:
    """Remove a folder; return False, and leave it, where somebody holds it or it can't be removed."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # In one step, so that nobody opens half of it; `sweep` removes what a kill leaves.
            gone = folder.with_name(f"{_DROPPED}{folder.name}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        shutil.rmtree(gone, ignore_errors=True)
    return True


def sweep(parent: Path) -> None:
    """Remove what killed processes left: half of what was dropped from `parent`, and old mirrors that nobody holds."""
    for path in parent.glob(f"{_DROPPED}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in _memory().glob(f"{_MIRROR}*"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if time.time() - path.stat().st_mtime > MIRROR_SECONDS:
                drop(path)


def need(folder: Path, size: int) -> None:
    """Make sure that `size` bytes can be written, and some more.

    Raises:
        DiskFull: They can't.
    """
    if shutil.disk_usage(folder).free < size + ROOM:
        raise DiskFull(folder)


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a full disk makes the system or a library raise into DiskFull."""
    try:
        yield
    except Exception as error:  # Qdrant Edge raises bare exceptions, with its reason as text
        full = isinstance(error, OSError) and error.errno in _FULL
        if full or any(f"os error {number})" in str(error) for number in _FULL):
            raise DiskFull(folder) from error
        raise
