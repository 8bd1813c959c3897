"""The folder's state becomes the index's state, in one step that happens whole or not at all.

    walk → parse what changed → embed what is new → write the next generation → verify → move the pointer

Until the pointer moves, in the same SQLite transaction as the notes, every reader answers from the last
generation; a process that is killed leaves a draft that the next sync removes.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from ingest import parse, trace, walk
from ingest.chunk import Chunk, key_of
from ingest.errors import IndexMismatch, StudyError, TooManyRemovals, Unreadable
from ingest.index import Draft, Entry, Vector
from ingest.ledger import Note, Published, new_run
from ingest.lock import only_one
from ingest.parse import Engine, Here, Parsed
from ingest.report import Change, Edit, Outcome, Report
from ingest.reuse import Old, ids_of
from ingest.shelf import Shelf, gone
from ingest.walk import File

__all__ = ["RACY_NS", "Change", "Edit", "Outcome", "Progress", "Report", "sync"]

WINDOW = 512
"""Chunks that are embedded together, sorted by length."""
FIRST = 64
"""Chunks in the first window: the sooner it is full, the sooner both cores are busy."""
TEXTS = 4 << 20
"""Characters of text that are stored together, ahead of publishing."""
RACY_NS = 2_000_000_000
"""A file changed this shortly before it was read may change again without its time showing it (as git says)."""

NICENESS = 5
"""Of the threads that sync: on a processor that a question wants, too, they get a quarter of the time."""

Progress = Callable[[str, int, int], None]
"""Called with the step's name ('reading' files, 'embedding' chunks), how much is done and how much is known of."""


def sync(
    shelf: Shelf,
    *,
    within: Sequence[str] = (),
    fresh: bool = False,
    dry_run: bool = False,
    remove_many: bool = False,
    wait: bool = False,
    engine: Engine | None = None,
    progress: Progress | None = None,
    on_change: Callable[[Change], None] | None = None,
) -> Report:
    """Make the index equal to the folder.

    Args:
        shelf: The notes and their index.
        within: Paths relative to the notes folder; only these and what is under them is looked at. Empty: all.
        fresh: Read and embed everything again, with the settings in force.
        dry_run: Only say what would happen, and write nothing, not even that it was asked.
        remove_many: Go on where more than half of the notes would be removed.
        wait: Wait while another process is at it.
        engine: What parses, and may embed; none: this process.
        progress: Told how far it is.
        on_change: Told once, after publishing, what changed; not if nothing did, nor after a kill in between.

    Raises:
        NotesMissing: The folder is not there; nothing was removed.
        TooManyRemovals: More than half of the notes are gone, and `remove_many` is not set.
        SyncRunning: Another process is at it, and `wait` is not set.
        IndexMismatch: The index was built with other settings, and `fresh` is not set.
        DiskFull, IndexUnavailable, IndexDamaged, LedgerUnavailable: The index stays as it was.
    """
    if fresh and within:
        raise ValueError("the whole index is rebuilt, or nothing of it")
    tell = progress or (lambda step, done, total: None)
    if dry_run:
        return _Sync(shelf, within=within, fresh=fresh, remove_many=remove_many, tell=tell).foretell()
    with only_one(shelf.folder, wait=wait) as killed:
        _stand_back()
        started = time.time()
        watch = trace.Watch(tell)
        work = _Sync(shelf, within=within, fresh=fresh, remove_many=remove_many, tell=watch, engine=engine)
        try:
            if killed:
                work.tidy()
            change = work.run(started)
        except Exception as error:
            told = f"{error}".encode(errors="backslashreplace").decode() or type(error).__name__
            watch.sync(shelf.settings, started, {}, told)
            with contextlib.suppress(StudyError):
                shelf.ledger.add_run(new_run(started, shelf.ledger.generation, {}, whole=False, error=told))
            raise
        watch.sync(shelf.settings, started, work.report.summary(()))
    if on_change and change:
        on_change(change)
    return work.report


def _stand_back() -> None:
    """Let questions go first where they want the same processor; what this thread begins inherits that.

    Only on Linux has a thread a niceness of its own.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


class _Sync:
    """One sync's way from files to a published generation."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        within: Sequence[str],
        fresh: bool,
        remove_many: bool,
        tell: Progress,
        engine: Engine | None = None,
    ) -> None:
        self._shelf, self._within, self._fresh, self._tell = shelf, within, fresh, tell
        self._remove_many = remove_many
        self._engine = engine or Here()
        self.report = Report()
        # A dry run does not even make an empty ledger.
        there = (shelf.folder / "ledger.db").exists()
        self._published = shelf.ledger.published if there else Published(0, "", "")
        self._verified_ns = int(shelf.ledger.last_whole * 1e9) if there else 0
        self._ledger: dict[str, Note] = shelf.ledger.notes() if there else {}
        self._before = {path: note for path, note in self._ledger.items() if self._inside(path)}
        self._after: dict[str, Note] = {}
        """The rows of what is in the folder, as far as they are known."""
        self._draft: Draft | None = None
        self._tidied = False
        self._old = Old(shelf, self._published.generation, self._ledger.values(), fresh=fresh)
        self._texts: list[tuple[str, str]] = []
        self._characters = 0
        self._waiting: list[tuple[Chunk, str, Vector | None]] = []
        """Chunks with their words, and their vectors where these are known."""
        self._found = 0
        self._writing: Future[None] = Future()
        self._writing.set_result(None)
        self._added: list[str] = []

    def _inside(self, path: str) -> bool:
        within = self._within
        return not within or any(top in (path, ".") or path.startswith(f"{top.rstrip('/')}/") for top in within)

    # ------------------------------------------------------------------------------------------------- compare

    def _compare(self) -> list[File]:
        """Decide about every file that need not be opened; return those that must be."""
        listing = walk.walk(self._shelf.notes)
        most, opened = self._shelf.settings.max_file_mb << 20, []
        readable = listing.unlisted or not all(_refusal(file, most) for file in listing.files)
        lost_drive = not readable and any(note.version for note in self._ledger.values())
        for file in filter(lambda file: self._inside(file.path), listing.files):
            old = self._before.get(file.path)
            if lost_drive and old:
                self._after[file.path] = old
            elif reason := _refusal(file, most):
                grown = reason == parse.too_large(most) and old and old.version and old.size != file.size
                row = _out_of_sight(file.path, old, reason) if grown else Note(file.path, "skipped", reason)
                self._after[file.path] = row
            elif file.trouble:
                self._after[file.path] = _out_of_sight(file.path, old, file.trouble)
            elif old and not self._fresh and self._is_same(file, old):
                self._after[file.path] = old
            else:
                opened.append(file)
        for path, old in self._before.items():
            for folder, reason in listing.unlisted.items():
                if path.startswith(folder) and old.version:
                    self._after[path] = _out_of_sight(path, old, f"its folder can't be listed: {reason}")
        if lost_drive:
            self.report.remark = "the folder is empty: nothing was removed (is a drive not mounted?)"
            self._before = {path: old for path, old in self._before.items() if path in self._after}
            self._fresh = False
        return opened

    def _is_same(self, file: File, note: Note) -> bool:
        """Return whether a file's times and size say that it is as it was last read."""
        times = (file.size, file.mtime_ns, file.ctime_ns)
        # Each whole sync found every file to be what its row says, by these very times or by its bytes.
        verified = max(note.read_ns, self._verified_ns)
        settled = max(file.mtime_ns, file.ctime_ns) < verified - RACY_NS
        same = settled and times == (note.size, note.mtime_ns, note.ctime_ns)
        return same and note.seen.startswith(f"{parse.label(file.path, self._shelf.ocr)} ")

    def _check_settings(self, *, strict: bool) -> None:
        """Refuse to go on with other settings than the index was built with.

        Args:
            strict: Also look at the model's files, which takes a while.
        """
        shelf, built = self._shelf, self._published.built_with
        if self._fresh or not self._published.generation:
            return
        if (strict or self._published.asked != shelf.asked) and built != shelf.built_with:
            raise IndexMismatch(built=built, wanted=shelf.built_with)

    def _check_removals(self, opened: Sequence[File] = ()) -> None:
        """Refuse to remove more than half of the notes.

        Args:
            opened: Files that are in the folder and not parsed yet.
        """
        total = sum(1 for note in self._ledger.values() if note.version)
        pending = {file.path for file in opened}
        lost = [old for old in self._lost() if old.path not in pending]
        if not self._remove_many and _too_many(lost, total):
            # What has the bytes of a lost note is that note, renamed.
            found = {note.seen for path, note in self._after.items() if path not in self._before}
            found |= {self._foreseen(file).seen for file in opened if file.path not in self._before}
            lost = [old for old in lost if old.seen not in found]
            if _too_many(lost, total):
                raise TooManyRemovals([old.path for old in lost], total)

    def _lost(self) -> list[Note]:
        """Return the notes that answered, and are gone or have no text now."""
        return [old for old in self._before.values() if self._is_lost(old)]

    def _is_lost(self, old: Note) -> bool:
        now = self._after.get(old.path)
        return bool(old.version) and not (now and now.version)

    def _foreseen(self, file: File) -> Note:
        """Return what becomes of a file as far as its bytes tell, without parsing them."""
        old = self._before.get(file.path)
        try:
            data, _ = parse.bytes_of(self._shelf.notes, file, self._shelf.settings.max_file_mb << 20)
        except Unreadable as error:
            return parse.refused(Note(file.path, ""), old, error).note
        seen = parse.seen_of(file.path, data, self._shelf.ocr)
        if old and old.seen == seen and not self._fresh:
            return old
        version = next((note.version for note in self._ledger.values() if note.seen == seen), "") or seen
        return Note(file.path, "changed" if old and old.version else "added", version=version, seen=seen)

    def foretell(self) -> Report:
        """Report what `run` would do, as far as it can be known without parsing."""
        started, opened = time.time(), self._compare()
        self._check_settings(strict=False)
        try:
            self._check_removals(opened)
        except TooManyRemovals as error:
            self.report.remark = str(error)
        self._after |= {file.path: self._foreseen(file) for file in opened}
        self._report(self._published.generation)
        self.report.chunks = sum(note.chunks for note in self._ledger.values())
        self.report.seconds = time.time() - started
        return self.report

    # --------------------------------------------------------------------------------------------------- write

    def run(self, started: float) -> Change:
        """Parse, embed, write and publish; return what changed."""
        opened = self._compare()
        self._check_settings(strict=False)
        self._check_removals(opened)
        with contextlib.ExitStack() as stack:
            stack.callback(self._give_up)
            stack.callback(self._old.close)
            if self._fresh:
                self._open()
                for note in [note for note in self._after.values() if note.version]:
                    self._take(Parsed(note, None))  # it can't be read now
            else:
                pending = {file.path for file in opened}
                self._old.gone = [old for old in self._lost() if old.path not in pending]
                self._remove(self._old.gone)
            self._absorb(opened)
            self._check_removals()
            if self._draft:
                self._draft.finish(self._chunks(), self._added)
            change = self._publish(started)
            self._draft = None
        if change.generation != self._published.generation:
            with contextlib.suppress(StudyError):  # the next sync does it
                self._shelf.store.keep_only(change.generation)
        return change

    def tidy(self) -> None:
        """Remove what a killed sync left, and what only generations before the last but one needed."""
        if not self._tidied:
            self._shelf.store.keep_only(self._published.generation)
            self._shelf.ledger.drop_unused_texts()
        self._tidied = True

    def _open(self) -> Draft:
        if self._draft is None:
            self._check_settings(strict=True)
            self.tidy()
            base = self._published.generation
            dim = self._shelf.embedder.model.dim
            try:
                self._draft = self._shelf.store.draft(base + 1, 0 if self._fresh else base, dim)
            except FileNotFoundError as error:
                raise gone(base) from error
        return self._draft

    def _give_up(self) -> None:
        if self._draft:
            with contextlib.suppress(StudyError):  # it may be what went wrong; the next sync does it
                self._draft.discard()

    def _remove(self, notes: Iterable[Note]) -> None:
        if ids := [id_ for note in notes for id_ in ids_of(note)]:
            self._open().remove(ids)
            self.report.deleted += len(ids)

    def _absorb(self, opened: Sequence[File]) -> None:
        found = self._engine.parse(self._shelf, opened, self._before, again=self._fresh)
        with ThreadPoolExecutor(1) as self._writer, contextlib.closing(found):
            for done, parsed in enumerate(found, start=1):
                self._take(parsed)
                self._tell("reading", done, len(opened))
                while len(self._waiting) >= (WINDOW if self._added else FIRST):
                    self._embed()
            while self._waiting:
                self._embed()
            self._writing.result()
        self._keep_texts()

    def _take(self, parsed: Parsed) -> None:
        """Note what a file came to; its new chunks wait to be embedded."""
        note, chunks, old = parsed.note, parsed.chunks, self._before.get(parsed.note.path)
        if self._fresh and chunks is None and old:
            note, chunks = self._old.carried(note)
        self._after[note.path] = note
        if not self._fresh and old and old.version:
            if old.version == note.version:
                return
            self._remove([old])
        if not chunks:
            return
        if parsed.text:
            self._texts.append((note.version, parsed.text))
            self._characters += len(parsed.text)
            if self._characters >= TEXTS:
                self._keep_texts()
        vectors = {**parsed.vectors, **self._old.vectors(note, old)}
        self.report.embedded += len(parsed.vectors)
        for one in chunks:
            words = one.words
            self._waiting.append((one, words, vectors.get(key_of(words))))
        self._found += len(chunks)

    def _keep_texts(self) -> None:
        if self._texts:
            self.tidy()  # first, since it drops texts that no note has
            self._shelf.ledger.keep_texts(self._texts)
            self._texts, self._characters = [], 0

    def _embed(self) -> None:
        """Embed what waits, and have it written while the next is embedded."""
        window, self._waiting = self._waiting[:WINDOW], self._waiting[WINDOW:]
        draft = self._open()
        new = list(dict.fromkeys(words for _, words, vector in window if vector is None))
        found = self._shelf.embedder.encode_documents(new).tolist() if new else []
        made: dict[str, Vector] = dict(zip(new, found, strict=True))
        entries = [Entry(one, words, made[words] if vector is None else vector) for one, words, vector in window]
        self._writing.result()
        self._writing = self._writer.submit(draft.add, entries)
        self._added += [entry.chunk.id for entry in entries]
        self.report.embedded += len(new)
        self.report.written += len(entries)
        self._tell("embedding", self.report.written, self._found)

    # ------------------------------------------------------------------------------------------------- publish

    def _all(self) -> Iterator[Note]:
        """Yield every row of the ledger as it will be."""
        yield from (note for path, note in self._ledger.items() if path not in self._before)
        yield from self._after.values()

    def _chunks(self) -> int:
        return sum(note.chunks for note in self._all())

    def _publish(self, started: float) -> Change:
        """Move the pointer, or only note the run where nothing changed."""
        shelf, pointer = self._shelf, self._published
        if self._draft:
            pointer = Published(pointer.generation + 1, shelf.built_with, shelf.asked)
        change = self._report(pointer.generation)
        self.report.chunks = self._chunks()
        self.report.seconds = time.time() - started
        rows = [note for path, note in self._after.items() if self._before.get(path) != note]
        removed = [path for path in self._before if path not in self._after]
        told = self.report.summary({note.path for note in rows})
        whole = not self._within and not self.report.remark
        run = new_run(started, pointer.generation, told, whole=whole)
        if self._draft or rows or removed:
            shelf.ledger.publish(pointer, rows, removed, run)
        else:
            shelf.ledger.add_run(run)
        return change

    def _report(self, generation: int) -> Change:
        """Write down what every file came to; return what changed."""
        report, before = self.report, self._before
        report.generation = generation
        lost = {path: Edit(path, old=old.version) for path, old in before.items() if self._is_lost(old)}
        by_version = {edit.old: path for path, edit in lost.items()}
        added, changed, renamed = [], [], []
        for path, note in sorted(self._after.items()):
            old = before[path].version if path in before else ""
            if not note.version or note.version == old:
                continue
            if old:
                changed.append(Edit(path, old=old, new=note.version))
            elif was := by_version.pop(note.version, ""):
                renamed.append(Edit(path, old=note.version, new=note.version, was=was))
                del lost[was]
            else:
                added.append(Edit(path, new=note.version))
        came_from = {edit.path: edit.was for edit in renamed}
        report.notes = [
            Outcome(path, self._state(note, came_from.get(path, "")), note.reason, note.chunks, note.lost)
            for path, note in sorted(self._after.items())
        ]
        report.removed = sorted(lost)
        report.renamed = [(edit.was, edit.path) for edit in renamed]
        return Change(generation, tuple(added), tuple(changed), tuple(lost.values()), tuple(renamed))

    def _state(self, note: Note, was: str) -> str:
        if note.state == "added" and was:  # only a dry run says so
            return "renamed"
        old = self._before.get(note.path)
        same = old and old.state == note.state == "indexed" and old.version == note.version
        return "unchanged" if same and not self._fresh else note.state


def _too_many(lost: Sequence[Note], total: int) -> bool:
    return len(lost) > 1 and len(lost) * 2 > total


def _refusal(file: File, most: int) -> str:
    """Return why a file is not opened; empty if it is."""
    if file.skip:
        return file.skip
    if not parse.label(file.path, ""):
        return f"no reader for {parse.suffix_of(file.path) or 'a file without a suffix'}"
    return parse.too_large(most) if file.size > most else ""


def _out_of_sight(path: str, old: Note | None, reason: str) -> Note:
    """Return the row of a file that can't be looked at now."""
    row = Note(path, "failed", reason)
    return parse.kept(row, old, reason) if old and old.version else row
