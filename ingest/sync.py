"""The folder's state becomes the index's state, in one step that happens whole or not at all.

    walk → read what changed → chunk → embed what is new → write the next generation → verify → move the pointer

Until the pointer moves, in the same SQLite transaction as the notes, every reader answers from the last
generation; a process that is killed leaves a draft that the next sync removes.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ingest import read, walk
from ingest.chunk import Chunk, chunk, chunk_id
from ingest.errors import DiskFull, IndexMismatch, StudyError, SyncRunning, TooManyRemovals, Unreadable
from ingest.index import Draft, Entry, Vector
from ingest.ledger import Ledger, Note, new_run
from ingest.shelf import Shelf
from ingest.walk import File

WINDOW = 512
"""Chunks that are embedded together, sorted by length."""
AHEAD = 64
"""Files that are read before the embedder asks for them."""
RACY_NS = 2_000_000_000
"""A file changed this shortly before it was read may change again without its time showing it (as git says)."""

Progress = Callable[[str, int, int], None]
"""Called with the step's name, how much is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file came to in this sync."""

    path: str
    state: str
    """indexed, unchanged, empty, no text layer, encrypted, failed or skipped."""
    reason: str
    chunks: int
    pages_lost: tuple[str, ...] = ()


@dataclass
class Report:
    """What a sync did."""

    generation: int = 0
    notes: list[Outcome] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Paths that are no longer in the folder."""
    chunks: int = 0
    """In the index now."""
    embedded: int = 0
    written: int = 0
    deleted: int = 0
    seconds: float = 0.0
    remark: str = ""
    """Something to tell about the whole run."""

    @property
    def by_state(self) -> dict[str, int]:
        """How many files came to each state; the sum is the number of files."""
        return dict(sorted(Counter(note.state for note in self.notes).items()))

    def as_json(self) -> dict[str, Any]:
        """Return what `ask ingest --json` prints."""
        notes = [asdict(note) for note in self.notes]
        return {
            "generation": self.generation,
            "files": len(self.notes),
            "by_state": self.by_state,
            "notes": notes,
            "removed": self.removed,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "written": self.written,
            "deleted": self.deleted,
            "seconds": round(self.seconds, 3),
            "remark": self.remark,
        }


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A file that was read: its row for the ledger, and its chunks where it has any."""

    note: Note
    chunks: tuple[Chunk, ...] | None
    """None: the chunks in the index stay as they are."""


def sync(
    shelf: Shelf,
    *,
    within: Sequence[str] = (),
    fresh: bool = False,
    dry_run: bool = False,
    remove_many: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the index equal to the folder.

    Args:
        shelf: The notes and their index.
        within: Paths relative to the notes folder; only these and what is under them is looked at. Empty: all.
        fresh: Read and embed everything again, with the settings in force.
        dry_run: Only say what would happen; `embedded` and `written` stay 0.
        remove_many: Go on where more than half of the notes would be removed.
        progress: Told how far it is.

    Raises:
        NotesMissing: The folder is not there; nothing was removed.
        TooManyRemovals: More than half of the notes are gone, and `remove_many` is not set.
        SyncRunning: Another process is at it.
        IndexMismatch: The index was built with other settings, and `fresh` is not set.
        DiskFull, IndexUnavailable, IndexDamaged: The index stays as it was.
    """
    started = time.time()
    with _only_one(shelf.folder):
        ledger = shelf.ledger
        try:
            report = _sync(shelf, ledger, started, within, fresh, dry_run, remove_many, progress)
        except StudyError as error:
            with contextlib.suppress(DiskFull):
                ledger.add_run(new_run(started, ledger.generation, {}, str(error)))
            raise
    report.seconds = time.time() - started
    return report


def _sync(
    shelf: Shelf,
    ledger: Ledger,
    started: float,
    within: Sequence[str],
    fresh: bool,
    dry_run: bool,
    remove_many: bool,
    progress: Progress | None,
) -> Report:
    tell = progress or (lambda step, done, total: None)
    files = [file for file in walk.walk(shelf.notes) if _inside(file.path, within)]
    generation = ledger.generation
    known = {path: note for path, note in ledger.notes().items() if _inside(path, within)}
    report = Report(generation=generation)
    readable = [file for file in files if not file.skip]
    report.notes = [Outcome(file.path, "skipped", file.skip, 0) for file in files if file.skip]

    gone = sorted(set(known) - {file.path for file in readable})
    if gone and not files:
        report.remark = "the folder is empty: nothing was removed (is a drive not mounted?)"
        gone = []
    if len(gone) * 2 > len(known) and len(gone) > 1 and not remove_many and not dry_run:
        raise TooManyRemovals(len(gone), len(known))
    report.removed = gone

    same = [] if fresh else [file for file in readable if _is_same(file, known.get(file.path))]
    report.notes += [_unchanged(known[file.path]) for file in same]
    unchanged_paths = {file.path for file in same}
    changed = [file for file in readable if file.path not in unchanged_paths]

    if dry_run:
        report.notes += [Outcome(file.path, "changed" if file.path in known else "added", "", 0) for file in changed]
        report.notes.sort(key=lambda note: note.path)
        return report

    if not fresh and generation and ledger.built_with != shelf.built_with and (changed or gone):
        raise IndexMismatch(built=ledger.built_with, wanted=shelf.built_with)

    work = _Work(shelf, ledger, generation, known if not fresh else {}, report, tell)
    notes = work.run(changed, [] if fresh else gone, fresh)
    if work.generation == generation and not notes and not gone:
        report.chunks = sum(note.chunks for note in ledger.notes().values())
        report.notes.sort(key=lambda note: note.path)
        ledger.add_run(new_run(started, generation, _summary(report)))
        return report

    kept = {path: note.chunks for path, note in ledger.notes().items() if path not in set(gone)}
    report.chunks = sum((kept | {note.path: note.chunks for note in notes}).values())
    report.generation = work.generation
    report.notes.sort(key=lambda note: note.path)
    run = new_run(started, work.generation, _summary(report))
    ledger.publish(work.generation, shelf.built_with, notes, gone, run)
    ledger.drop_unused_texts()
    shelf.store.keep_only(work.generation)
    return report


def _summary(report: Report) -> dict[str, Any]:
    """What a run's row keeps: everything but the notes that are well."""
    told = report.as_json()
    told["notes"] = [note for note in told["notes"] if note["reason"] and note["state"] != "skipped"]
    return told


def _inside(path: str, within: Sequence[str]) -> bool:
    return not within or any(path == top or path.startswith(f"{top}/") or top == "." for top in within)


def _is_same(file: File, note: Note | None) -> bool:
    """Return whether a file's times and size say that it is as it was last read."""
    if note is None:
        return False
    times = (file.size, file.mtime_ns, file.ctime_ns)
    settled = max(file.mtime_ns, file.ctime_ns) < note.read_ns - RACY_NS
    return settled and times == (note.size, note.mtime_ns, note.ctime_ns)


def _unchanged(note: Note) -> Outcome:
    state = "unchanged" if note.state == "indexed" else note.state
    return Outcome(note.path, state, note.reason, note.chunks, note.lost)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sync.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SyncRunning(lock.read().strip() or "unknown") from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class _Work:
    """One sync's way from files to a finished draft."""

    def __init__(
        self,
        shelf: Shelf,
        ledger: Ledger,
        generation: int,
        known: dict[str, Note],
        report: Report,
        tell: Progress,
    ) -> None:
        self._shelf, self._ledger, self._known = shelf, ledger, known
        self._report, self._tell = report, tell
        self._base = generation
        self.generation = generation
        """The generation that readers shall see: raised when something has to be written."""
        self._draft: Draft | None = None
        self._added: list[str] = []

    def run(self, changed: list[File], gone: list[str], fresh: bool) -> list[Note]:
        """Read, embed and write; return the rows that change. The draft is finished, not published."""
        notes: list[Note] = []
        try:
            if fresh:
                self._open(base=0)
            old = [self._known[path] for path in gone]
            self._remove(old)
            if changed or fresh:
                self._write(changed, old, notes)
            if self._draft:
                count = sum(note.chunks for note in self._all_notes(notes, gone, fresh).values())
                self._draft.finish(count, self._added)
        except BaseException:
            if self._draft:
                self._draft.discard()
            raise
        return notes

    def _all_notes(self, notes: list[Note], gone: list[str], fresh: bool) -> dict[str, Note]:
        before = {} if fresh else self._ledger.notes()
        return {path: note for path, note in before.items() if path not in set(gone)} | {
            note.path: note for note in notes
        }

    def _open(self, base: int) -> Draft:
        if self._draft is None:
            self._shelf.store.keep_only(self._base)  # what a killed sync left
            self.generation = self._base + 1
            self._draft = self._shelf.store.draft(self.generation, base, self._shelf.embedder.model.dim)
        return self._draft

    def _remove(self, notes: Sequence[Note]) -> None:
        ids = [chunk_id(note.path, note.version, i) for note in notes for i in range(note.chunks)]
        if ids:
            self._open(self._base).remove(ids)
            self._report.deleted += len(ids)

    def _write(self, changed: list[File], gone: Sequence[Note], notes: list[Note]) -> None:
        reusable = _Reusable(self._shelf, self._base if self._known or gone else 0)
        reusable.add(gone)
        by_version = {note.version: note for note in self._ledger.notes().values() if note.version}
        waiting: list[Chunk] = []
        for done, fresh in enumerate(self._read_all(changed), start=1):
            self._tell("reading", done, len(changed))
            old = self._known.get(fresh.note.path)
            if old != fresh.note:
                notes.append(fresh.note)
            if fresh.chunks is None:
                continue
            if old and old.version:
                reusable.add([old])
                self._remove([old])
            elif fresh.note.version in by_version:
                reusable.add([by_version[fresh.note.version]])
            waiting += fresh.chunks
            while len(waiting) >= WINDOW:
                self._embed(waiting[:WINDOW], reusable)
                del waiting[:WINDOW]
        if waiting:
            self._embed(waiting, reusable)

    def _embed(self, chunks: Sequence[Chunk], reusable: "_Reusable") -> None:
        vectors = reusable.take(chunks)
        new = [chunk for chunk in chunks if chunk.key not in vectors]
        found = self._shelf.embedder.encode_documents([chunk.words for chunk in new])
        vectors |= {chunk.key: vector for chunk, vector in zip(new, found, strict=True)}
        draft = self._open(self._base if self._known else 0)
        draft.add([Entry(chunk, vectors[chunk.key]) for chunk in chunks])
        self._added += [chunk.id for chunk in chunks]
        self._report.embedded += len(new)
        self._report.written += len(chunks)

    def _read_all(self, files: list[File]) -> Iterator[_Fresh]:
        """Yield what each file holds, in order, reading a little ahead; texts go into the ledger on the way."""
        texts: list[tuple[str, str]] = []
        waiting: deque[Future[tuple[_Fresh, str]]] = deque()
        queue = iter(files)
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="read") as pool:
            for file in queue:
                waiting.append(pool.submit(self._read, file))
                if len(waiting) >= AHEAD:
                    break
            while waiting:
                fresh, text = waiting.popleft().result()
                if following := next(queue, None):
                    waiting.append(pool.submit(self._read, following))
                if fresh.chunks is not None:
                    texts.append((fresh.note.version, text))
                if len(texts) >= AHEAD:
                    self._ledger.keep_texts(texts)
                    texts = []
                yield self._told(fresh)
        if texts:
            self._ledger.keep_texts(texts)

    def _told(self, fresh: _Fresh) -> _Fresh:
        note = fresh.note
        state = "unchanged" if note.state == "indexed" and fresh.chunks is None else note.state
        self._report.notes.append(Outcome(note.path, state, note.reason, note.chunks, note.lost))
        return fresh

    def _read(self, file: File) -> tuple[_Fresh, str]:
        """Read one file; whatever is wrong with it becomes its state and reason."""
        old = self._known.get(file.path)
        row = Note(file.path, "failed", "", "", "", "", 0, (), file.size, file.mtime_ns, file.ctime_ns, time.time_ns())
        try:
            data = _bytes_of(self._shelf.notes / file.path, self._shelf.settings.max_file_mb << 20)
            seen = _version(file.path, data)
            row = replace(row, seen=seen)
            if old and old.seen == seen and old.state != "failed":
                return _Fresh(replace(old, **_times(row)), None), ""
            document = read.read(Path(file.path), data)
            chunks = chunk(
                document,
                path=file.path,
                version=seen,
                count_tokens=self._shelf.embedder.count_tokens,
                most_tokens=self._shelf.chunk_tokens,
            )
        except Unreadable as error:
            if error.state == "failed" and old and old.version:
                kept = f"{error.reason}; the version read before still answers"
                row = replace(row, reason=kept, version=old.version, title=old.title, chunks=old.chunks)
                return _Fresh(row, None), ""
            row = replace(row, state=error.state, reason=error.reason)
            return _Fresh(row, () if old and old.version else None), ""
        row = replace(
            row,
            state="indexed",
            reason=document.remark,
            version=seen,
            title=document.title,
            chunks=len(chunks),
            lost=document.lost,
        )
        return _Fresh(row, tuple(chunks)), document.text


def _times(row: Note) -> dict[str, int]:
    return {"size": row.size, "mtime_ns": row.mtime_ns, "ctime_ns": row.ctime_ns}


def _version(path: str, data: bytes) -> str:
    """Return what names this content as this reader reads it: a digest in hexadecimal."""
    reader = read.reader_of(Path(path))
    how = f"{reader.module} {reader.version}" if reader else ""
    return hashlib.sha256(how.encode() + b"\0" + data).hexdigest()[:32]


def _bytes_of(path: Path, most: int) -> bytes:
    """Return a file's bytes, all of one moment.

    Raises:
        Unreadable: It can't be read, is no regular file any more, is too large, or kept changing.
    """
    for _ in range(3):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise Unreadable("failed", f"can't be read: {os.strerror(error.errno or 0)}") from error
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable("skipped", "not a regular file (a device, socket or pipe)")
            if before.st_size > most:
                raise Unreadable("skipped", f"larger than {most >> 20} MiB (STUDY_MAX_FILE_MB)")
            try:
                data = file.read(most + 1)
            except OSError as error:
                reason = "a folder" if error.errno == errno.EISDIR else os.strerror(error.errno or 0)
                raise Unreadable("failed", f"can't be read: {reason}") from error
            after = os.fstat(descriptor)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, len(data)):
            return data
        time.sleep(0.05)
    raise Unreadable("failed", "it kept changing while it was read; the next sync reads it again")


class _Reusable:
    """Vectors that the last generation has for text that comes again."""

    def __init__(self, shelf: Shelf, generation: int) -> None:
        self._shelf, self._generation = shelf, generation
        self._vectors: dict[str, Vector] = {}
        self._view: Any = None

    def add(self, notes: Sequence[Note]) -> None:
        """Look the vectors of these notes up."""
        if not self._generation or not any(note.version for note in notes):
            return
        if self._view is None:
            self._view = self._shelf.store.view(self._generation)
        ids = [chunk_id(note.path, note.version, i) for note in notes for i in range(note.chunks)]
        self._vectors |= self._view.vectors(ids)

    def take(self, chunks: Sequence[Chunk]) -> dict[str, Vector]:
        """Return the vectors that are there, by the chunks' keys."""
        return {chunk.key: self._vectors[chunk.key] for chunk in chunks if chunk.key in self._vectors}
