"""A file becomes chunks: its bytes are read whole, parsed, and cut; several files at a time.

Formats that run foreign code over hostile bytes, and whatever is large, are parsed in child processes
(ingest/read/worker.py), the rest in threads of this one. Whatever is wrong with a file becomes its state and reason.
"""

import hashlib
import os
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from ingest import read
from ingest.chunk import Chunk, chunk
from ingest.errors import StudyError, Unreadable
from ingest.ledger import Note
from ingest.read.text import bounded
from ingest.walk import File

if TYPE_CHECKING:
    from ingest.index import Vector
    from ingest.read.worker import Workers
    from ingest.shelf import Shelf

APART = frozenset({read.PDF, read.DOCX, read.PPTX, read.EPUB, read.HTML})
"""Readers that run in a child process."""
LARGE = 1 << 20
"""Bytes from which every file is parsed there."""
Cut = Callable[[read.Document, str, str], Sequence[Chunk]]
"""Makes chunks of a document, given its path and version."""
AHEAD = 512
"""Files that are parsed before they are asked for: more than are embedded at a time, so that embedding never waits."""
AHEAD_CHARACTERS = 16 << 20
"""Text from which these are enough; with its chunks, a character takes some three bytes of memory."""
KEPT = "the version read before still answers"
"""Ends the reason of a failed note that had one."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file that was looked at: its row for the ledger, and what it holds."""

    note: Note
    chunks: Sequence[Chunk] | None
    """None: what is in the index of it stays."""
    text: str = ""
    vectors: "Mapping[str, Vector]" = field(default_factory=dict)
    """Those that were made along with the chunks, by `Chunk.key`; the sync makes what is missing."""


class Engine(Protocol):
    """Parses files, and may embed what they hold: in this process (`Here`), or on many machines (spread.py)."""

    def parse(
        self, shelf: "Shelf", files: Sequence[File], known: Mapping[str, Note], *, again: bool
    ) -> Generator[Parsed, None, None]:
        """Yield what each file came to, in the order of `files`.

        Args:
            shelf: The notes, and the last generation, whose vectors need not be made again.
            files: As `walk` found them.
            known: What the ledger knows, by path.
            again: Parse and embed also what has the bytes that it had.
        """
        ...


class Here:
    """The local engine: threads and child processes parse, and the sync embeds what comes, in large windows."""

    def parse(
        self, shelf: "Shelf", files: Sequence[File], known: Mapping[str, Note], *, again: bool
    ) -> Generator[Parsed, None, None]:
        """Yield what each file came to, without vectors."""

        def cut(document: read.Document, path: str, version: str) -> list[Chunk]:
            count, most = shelf.embedder.count_tokens, shelf.chunk_tokens
            return chunk(document, path=path, version=version, count_tokens=count, most_tokens=most)

        most = shelf.settings.max_file_mb << 20
        with Parser(shelf.notes, most, known, cut, again=again, ocr=shelf.ocr) as parser:
            yield from parser.parse(files)


def suffix_of(path: str) -> str:
    """Return the suffix of a note's path as `PurePath` would, in lower case; asked for every file in every sync."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def label(path: str, ocr: str) -> str:
    """Return which reader a file's name asks for and how it reads, so that a change of that is noticed.

    Args:
        path: The note's path.
        ocr: The languages in which scanned pages are read; empty if they aren't.

    Returns:
        Empty where no reader knows it.
    """
    reader = read.READERS.get(suffix_of(path))
    if reader is None:
        return ""
    return f"{reader.module}.{reader.version}" + (f"+ocr-{ocr}" if ocr and reader is read.PDF else "")


def seen_of(path: str, data: bytes, ocr: str) -> str:
    """Return what names these bytes as this reader reads them."""
    named = label(path, ocr)
    how = f"{named} {suffix_of(path)}\0"
    return f"{named} {hashlib.sha256(how.encode(errors='replace') + data).hexdigest()[:32]}"


def bytes_of(root: Path, file: File, most: int) -> tuple[bytes, os.stat_result]:
    """Return a file's bytes and its times, all of one moment.

    Args:
        root: The notes folder, resolved.
        file: As `walk` found it.
        most: Most bytes to read.

    Raises:
        Unreadable: It can't be read, is no regular file in the folder any more, is too large, or kept changing.
    """
    for _ in range(3):
        try:
            descriptor = os.open(root / file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as stream:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise Unreadable("skipped", "not a regular file (a device, socket or pipe)")
                if (before.st_dev, before.st_ino) != file.inode and not _is_inside(root, file.path, before):
                    raise Unreadable("skipped", "a link to a file outside the notes folder")
                if before.st_size > most:
                    raise Unreadable("failed", too_large(most))  # since it was listed
                data = stream.read(most + 1)
                after = os.fstat(descriptor)
        except OSError as error:
            raise Unreadable("failed", f"can't be read: {os.strerror(error.errno or 0)}") from error
        if (before.st_mtime_ns, before.st_size, len(data)) == (after.st_mtime_ns, after.st_size, after.st_size):
            return data, after
        time.sleep(0.05)
    raise Unreadable("failed", "it kept changing while it was read; the next sync reads it again")


def _is_inside(root: Path, path: str, info: os.stat_result) -> bool:
    """Return whether a file that took the place of the one `walk` found is in the folder, and only there."""
    target = Path(os.path.realpath(root / path))
    return target.is_relative_to(root) and os.path.samestat(target.stat(), info) and info.st_nlink == 1


def too_large(most: int) -> str:
    """Return the reason why a file is skipped."""
    return f"larger than {most >> 20} MiB (STUDY_MAX_FILE_MB)"


class _Room:
    """Has threads wait that are far ahead: what a file holds is known only when it was parsed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = 0
        """Characters that were parsed and not taken."""
        self._taken = 0
        """Files; so it is the place of the one that is wanted next, which never waits."""
        self._closed = False

    def wait(self, place: int) -> None:
        """Wait until there is room for the file at a place.

        Raises:
            CancelledError: Nobody wants it any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._held < AHEAD_CHARACTERS or place == self._taken)
            if self._closed:
                raise CancelledError

    def hold(self, characters: int) -> None:
        """Note that a file was parsed."""
        with self._changed:
            self._held += characters

    def take(self, characters: int) -> None:
        """Note that the next file was taken."""
        with self._changed:
            self._held -= characters
            self._taken += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Let those go that wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Parser:
    """Threads and child processes that parse files."""

    def __init__(
        self, root: Path, most_bytes: int, known: Mapping[str, Note], cut: Cut, *, again: bool, ocr: str = ""
    ) -> None:
        """Start nothing yet.

        Args:
            root: The notes folder.
            most_bytes: Larger files are skipped.
            known: What the ledger knows, by path.
            cut: Makes chunks of a document.
            again: Parse also what has the bytes that it had.
            ocr: The languages in which scanned pages are read; empty: they aren't.
        """
        self._root, self._most_bytes, self._known, self._cut = root, most_bytes, known, cut
        self._again, self._ocr = again, ocr
        cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
        self._threads = max(2, min(4, cores))
        self._stack = ExitStack()
        self._starting = threading.Lock()
        self._workers: Workers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def parse(self, files: Sequence[File]) -> Generator[Parsed, None, None]:
        """Yield what each file holds, in order, working a little ahead."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="parse")
        waiting: deque[Future[Parsed]] = deque()
        room = _Room()

        def parse(place: int, file: File) -> Parsed:
            room.wait(place)
            parsed = self._parse(file)
            room.hold(len(parsed.text))
            return parsed

        def take() -> Parsed:
            parsed = waiting.popleft().result()
            room.take(len(parsed.text))
            return parsed

        try:
            for place, file in enumerate(files):
                if len(waiting) >= AHEAD:
                    yield take()
                waiting.append(pool.submit(parse, place, file))
            while waiting:
                yield take()
        finally:
            room.close()
            pool.shutdown(wait=False, cancel_futures=True)  # a read that goes on is ended with its child

    def _parse(self, file: File) -> Parsed:
        old = self._known.get(file.path)
        row = Note(file.path, "failed", read_ns=time.time_ns())
        try:
            data, info = bytes_of(self._root, file, self._most_bytes)
            seen = seen_of(file.path, data, self._ocr)
            row = replace(row, seen=seen, size=len(data), mtime_ns=info.st_mtime_ns, ctime_ns=info.st_ctime_ns)
            if old and old.seen == seen and old.state != "failed" and not self._again:
                return Parsed(replace(old, size=row.size, mtime_ns=row.mtime_ns, ctime_ns=row.ctime_ns), None)
            return self._parsed(row, data)
        except Unreadable as error:
            return refused(row, old, error)
        except StudyError:
            raise
        except Exception as error:  # over a hostile file a reader, or a splitter, raises anything
            told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            printable = told.encode(errors="backslashreplace").decode()
            return refused(row, old, Unreadable("failed", f"its reader failed ({printable})"))

    def _parsed(self, row: Note, data: bytes) -> Parsed:
        from ingest import secrets

        document = self._read(row.path, data)
        bounded(document.text)
        # The same bytes may give another text, where a page took too long: the version names what was read.
        version = hashlib.sha256(f"{row.seen}\0{document.text}".encode()).hexdigest()[:32]
        chunks = self._cut(document, row.path, version)
        places = {place[1:] for one in chunks for place in one.places}
        names = (name for locator, heading in places for name in (locator, *heading))
        "".join(
            [document.title, document.remark, *document.lost, *names]
        ).encode()  # a lone surrogate fails here, not on the way
        note = replace(
            row,
            state="indexed",
            reason="; ".join(filter(None, (document.remark, secrets.remark(document)))),
            version=version,
            title=document.title,
            chunks=len(chunks),
            lost=document.lost,
        )
        return Parsed(note, chunks, document.text)

    def _read(self, path: str, data: bytes) -> read.Document:
        if read.READERS[suffix_of(path)] not in APART and len(data) < LARGE:
            return read.read(Path(path), data)
        with self._starting:
            if self._workers is None:
                from ingest.read.worker import Workers

                self._workers = self._stack.enter_context(Workers(self._threads, ocr=self._ocr))
        return self._workers.read(Path(path), data)


def refused(row: Note, old: Note | None, error: Unreadable) -> Parsed:
    """Return what becomes of a file that gave no text: one that failed keeps its last good version."""
    if error.state == "failed" and old and old.version:
        return Parsed(kept(row, old, error.reason), None)
    return Parsed(replace(row, state=error.state, reason=error.reason), ())


def kept(row: Note, old: Note, reason: str) -> Note:
    """Return the row of a note that can't be read now, with the version that answers."""
    return replace(
        row,
        state="failed",
        reason=f"{reason}; {KEPT}",
        version=old.version,
        title=old.title,
        chunks=old.chunks,
        lost=old.lost,
    )
