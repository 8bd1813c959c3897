"""Whatever ends a sync, readers keep the last good state, and the next sync ends with exactly what the folder says.

Syncs die here by SIGKILL, in a process of their own: at a random line of ingest/, or at a random moment.
"""

import contextlib
import errno
import gc
import hashlib
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ingest import clone
from ingest.errors import DiskFull, StudyError
from ingest.index import View
from ingest.ledger import Ledger
from ingest.sync import sync
from tests.conftest import ROOT
from tests.folders import Folder

Line = tuple[str, int]
"""A file of ingest/ and a line in it."""
INGEST = str(ROOT / "ingest")
KILLS = 200
BROKEN = "\0\1\2" * 20
"""Not a text."""


# ------------------------------------------------------------------------------------------- processes that are killed


def _each_line(tell: Callable[[Line], None]) -> None:
    """Call `tell` with every line of ingest/ before it runs, in every thread."""

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(INGEST):
            return None
        if event == "line":
            tell((frame.f_code.co_filename, frame.f_lineno))
        return trace

    threading.settrace(trace)
    sys.settrace(trace)


def _doomed(place: Path, within: list[str], line: Line, times: int) -> None:
    """Sync, and die before a line runs for the n-th time."""
    left = times

    def count(current: Line) -> None:
        nonlocal left
        if current == line:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    folder = Folder(place)
    _each_line(count)
    _sync_quietly(folder, within)


def _timed(place: Path, within: list[str], seconds: float) -> None:
    """Sync, and die after some time, in whatever library."""
    folder = Folder(place)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _sync_quietly(folder, within)


def _counted(place: Path, lines: Any) -> None:
    """Sync, and tell how often each line ran."""
    found: Counter[Line] = Counter()
    folder = Folder(place)
    _each_line(lambda line: found.update([line]))
    _sync_quietly(folder, [])
    sys.settrace(None)
    lines.put(found)


def _sync_quietly(folder: Folder, within: list[str]) -> None:
    with contextlib.suppress(StudyError):
        sync(folder.shelf, within=within, remove_many=True)


@pytest.fixture(scope="module")
def apart() -> ForkServerContext:
    """Makes processes that fork from one that has everything imported and no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_crash", "ingest.read.markdown", "ingest.read.text"])
    return context


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where many syncs write: in memory if there is room, since a kill does not care what reached the disk."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="study-tests-") as made:
        yield Path(made)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(clone, "MIRROR_SECONDS", 20)  # what the killed left, but nobody else's that is being made
            clone.sweep(Path(made))


def killed(apart: ForkServerContext, target: Callable[..., None], *arguments: object) -> bool:
    """Run in a process of its own; return whether it was killed."""
    process = apart.Process(target=target, args=arguments)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL, -signal.SIGALRM)
    return process.exitcode != 0


@pytest.fixture(scope="module")
def lines(apart: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Line, int]]:
    """Every line that a sync runs, and how often."""
    folder = Folder(tmp_path_factory.mktemp("lines"))
    for number in range(6):
        folder.write(**{f"n{number}": f"note {number}"})
    sync(folder.shelf)
    for number in range(6):
        folder.write(**{f"n{number + 3}": f"note {number}, changed"})
    (folder.path / "n0.md").unlink()
    (folder.path / "n1.md").rename(folder.path / "m1.md")
    (folder.path / "n2.md").write_text(BROKEN)
    queue = apart.SimpleQueue()
    process = apart.Process(target=_counted, args=(folder.path.parent, queue))
    process.start()
    found: Counter[Line] = queue.get()
    process.join()
    assert len(found) > 400
    return sorted(found.items())


# ------------------------------------------------------------------------------------------------ what must hold then


def whole(folder: Folder) -> dict[str, str]:
    """Return what a reader finds now, after a check that index, ledger and texts agree, chunk for chunk."""
    ledger = Ledger(folder.shelf.folder)
    with contextlib.closing(ledger):
        if not ledger.generation:
            return {}
        notes = {path: note for path, note in ledger.notes().items() if note.version}
        shelf = folder.opened()
        chunks = list(shelf.view().scroll())
        count = Counter(chunk.path for chunk, _ in chunks)
        assert len({chunk.id for chunk, _ in chunks}) == len(chunks)
        assert count == {path: note.chunks for path, note in notes.items()}
        for chunk, vector in chunks:
            text = ledger.text(chunk.version)
            assert text is not None
            assert chunk.version == notes[chunk.path].version
            assert text[chunk.start : chunk.end] == chunk.text
            assert vector == pytest.approx(folder.embedder.encode([chunk.words])[0], abs=1e-6)
        shelf.close()
    return folder_texts(chunks)


def folder_texts(chunks: list[Any]) -> dict[str, str]:
    found: dict[str, list[Any]] = {}
    for chunk, _ in chunks:
        found.setdefault(chunk.path, []).append(chunk)
    return {
        path: "|".join(chunk.text for chunk in sorted(those, key=lambda chunk: chunk.ordinal))
        for path, those in found.items()
    }


def tidy(folder: Folder) -> None:
    """Nothing is left of what was killed."""
    home, ledger = folder.shelf.folder, folder.shelf.ledger
    generation = ledger.generation
    names = {path.name for path in home.iterdir()}
    assert names <= {"ledger.db", "ledger.db-journal", "sync.lock", f"gen-{generation - 1}", f"gen-{generation}"}
    assert (home / "sync.lock").read_text().strip() == ""


def edit(folder: Folder, dice: random.Random) -> None:
    """Change something in the folder."""
    paths = sorted(folder.path.rglob("*.md"))
    name = f"{dice.choice(['', 'sub__', 'other__'])}n{dice.randrange(12)}"
    text = "\n\n".join(f"Paragraph {dice.randrange(40)} of a note, with words." for _ in range(dice.randrange(1, 20)))
    match dice.randrange(6):
        case 0 if len(paths) > 2:
            dice.choice(paths).unlink()
        case 1 if paths:
            target = folder.path / "sub" / f"moved{dice.randrange(9)}.md"
            target.parent.mkdir(exist_ok=True)
            dice.choice(paths).rename(target)
        case 2 if paths:
            folder.write(**{name: dice.choice(paths).read_text()})
        case 3 if paths:
            dice.choice(paths).write_text(dice.choice(["", BROKEN]))
        case _:
            folder.write(**{name: text})


@pytest.mark.slow
def test_after_a_kill_readers_keep_the_last_state_and_the_next_sync_is_exact(
    place: Path, apart: ForkServerContext, lines: list[tuple[Line, int]]
) -> None:
    dice = random.Random(20260731)
    folder = Folder(place)
    for number in range(8):
        folder.write(**{f"n{number}": f"note {number}"})
    sync(folder.shelf)
    kills, published = 0, 0
    while kills < KILLS:
        for _ in range(dice.randrange(1, 5)):
            edit(folder, dice)
        before, generation = whole(folder), folder.shelf.ledger.generation
        if dice.random() < 0.75:
            line, most = dice.choice(lines)
            died = killed(apart, _doomed, place, [], line, dice.randint(1, min(most, 6)))
        else:
            died = killed(apart, _timed, place, [], dice.uniform(0.001, 0.12))
        kills += died
        after = whole(folder)
        if folder.shelf.ledger.generation == generation:
            assert after == before
        else:
            published += died
        sync(folder.shelf, remove_many=True)
        expected = whole(folder)
        for path, text in expected.items():
            content = (folder.path / path).read_text()
            assert content == BROKEN or text.replace("|", "\n\n") == content
        readable = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*.md")}
        assert {path for path in readable if (folder.path / path).read_text() not in ("", BROKEN)} <= set(expected)
        assert set(expected) <= readable
        tidy(folder)
    assert kills == KILLS
    assert published > 3  # some died after the pointer had moved


# ------------------------------------------------------------------------------------------------- against a plain dict

NAMES = st.sampled_from(["a", "b", "c", "sub/a", "sub/b", "sub/deep/c", "other/d"])
WORDS = st.sampled_from(
    ["alpha", "beta", "gamma", "delta", "alpha beta", "x " * 90, "y\n\n" * 70, "😀 ünï", "", BROKEN]
)


class Notes(RuleBasedStateMachine):
    """A folder and its index beside a dict of the files, and a dict of what each path answers."""

    apart: ForkServerContext
    lines: list[tuple[Line, int]]
    place: Path

    def __init__(self) -> None:
        super().__init__()
        shutil.rmtree(self.place)
        self.folder = Folder(self.place)
        self.reader = self.folder.opened()
        self.files: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self.held: list[tuple[View, dict[str, str]]] = []

    def teardown(self) -> None:
        self.held.clear()
        self.reader.close()
        self.folder.shelf.close()

    @initialize()
    def start(self) -> None:
        for name in ("a", "sub/a", "other/d"):
            self.put(name, f"note {name}")
        self.sync_all()

    def put(self, name: str, text: str) -> None:
        path = self.folder.path / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.files[f"{name}.md"] = text

    @rule(name=NAMES, text=WORDS)
    def write(self, name: str, text: str) -> None:
        self.put(name, text)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), text=WORDS)
    def append(self, data: st.DataObject, text: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        self.put(name.removesuffix(".md"), f"{self.files[name]} {text}")

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder.path / name).unlink()
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), to=NAMES)
    def rename(self, data: st.DataObject, to: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        text = self.files.pop(name)
        (self.folder.path / name).unlink()
        self.put(to, text)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), to=NAMES)
    def copy(self, data: st.DataObject, to: str) -> None:
        self.put(to, self.files[data.draw(st.sampled_from(sorted(self.files)))])

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        os.utime(self.folder.path / data.draw(st.sampled_from(sorted(self.files))), (1, 1))

    def expected(self, within: str = "") -> dict[str, str]:
        """What the paths answer once a sync has seen the folder as it is."""
        if not self.files:
            return self.answers  # a drive may be unmounted
        answers = {path: text for path, text in self.answers.items() if not path.startswith(within)}
        for path, text in self.files.items():
            if not path.startswith(within):
                continue
            if BROKEN in text:
                if path in self.answers:
                    answers[path] = self.answers[path]
            elif text.strip():
                answers[path] = text
        return answers

    @rule()
    def sync_all(self) -> None:
        self.answers = self.expected()
        report = sync(self.folder.shelf, remove_many=True)
        assert sum(report.by_state.values()) == len(self.files)
        if not self.held:
            tidy(self.folder)

    @rule(within=st.sampled_from(["sub", "sub/deep", "other"]))
    def sync_within(self, within: str) -> None:
        self.answers = self.expected(f"{within}/")
        sync(self.folder.shelf, within=[within], remove_many=True)

    @rule()
    def sync_again_from_nothing(self) -> None:
        self.answers = self.expected()
        sync(self.folder.shelf, fresh=True, remove_many=True)

    @rule()
    def look_at_what_would_happen(self) -> None:
        sync(self.folder.shelf, dry_run=True)

    @rule(data=st.data(), within=st.sampled_from(["", "sub"]))
    def kill(self, data: st.DataObject, within: str) -> None:
        after = self.expected(f"{within}/" if within else "")
        line, most = data.draw(st.sampled_from(self.lines))
        times = data.draw(st.integers(1, min(most, 4)))
        generation = self.folder.shelf.ledger.generation
        killed(self.apart, _doomed, self.place, [within] if within else [], line, times)
        if self.folder.shelf.ledger.generation != generation:
            self.answers = after

    @rule()
    def hold(self) -> None:
        if self.folder.shelf.ledger.generation:
            self.held.append((self.folder.opened().view(), texts(self.answers)))

    @invariant()
    def readers_find_the_last_good_state(self) -> None:
        if self.reader.ledger.generation:
            assert {path: flat(text) for path, text in whole(self.folder).items()} == texts(self.answers)
            words = {hit.chunk.path for hit in self.reader.view().matching("alpha", 50)}
            assert words == {path for path, text in self.answers.items() if "alpha" in text}
        for view, answers in self.held:
            assert {path: flat(text) for path, text in folder_texts(list(view.scroll())).items()} == answers


def flat(text: str) -> str:
    return "".join(text.replace("|", " ").split())


def texts(answers: dict[str, str]) -> dict[str, str]:
    return {path: flat(text) for path, text in answers.items()}


@pytest.mark.slow
def test_the_index_is_what_a_dict_says(place: Path, apart: ForkServerContext, lines: list[tuple[Line, int]]) -> None:
    Notes.apart, Notes.lines, Notes.place = apart, lines, place
    Notes.TestCase.settings = settings(
        max_examples=20,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    Notes.TestCase().runTest()
    gc.collect()


# ----------------------------------------------------------------------------------------------------------- full disks


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


# ------------------------------------------------------------------------------------------------ questions meanwhile

ASKER = """
import sys, time
from pathlib import Path
from tests.folders import Folder

folder = Folder(Path(sys.argv[1]))
shelf, asked, seen = folder.shelf, 0, set()
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    view = shelf.view()
    hits = view.matching("round", 99)
    texts = {shelf.ledger.text(hit.chunk.version) for hit in hits}
    rounds = {text.split()[1] for text in texts if text}
    assert len(hits) == 20 and len(rounds) == 1, (len(hits), texts)
    near = view.nearest(shelf.embedder.encode_query("round")[0].tolist(), 99)
    assert {hit.chunk.text.split()[1] for hit in near} == rounds
    asked, seen = asked + 1, seen | rounds
print(asked, len(seen))
"""


@pytest.mark.slow
def test_questions_are_answered_from_whole_generations_while_syncs_publish(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    def turn(number: int) -> None:
        folder.write(**{f"n{note}": f"round {number} note {note}" for note in range(20)})
        sync(folder.shelf)

    turn(0)
    command = [sys.executable, "-c", ASKER, str(tmp_path), "4"]
    askers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    number = 0
    while any(asker.poll() is None for asker in askers):
        number += 1
        turn(number)
    found = [tuple(map(int, asker.communicate()[0].split())) for asker in askers]
    assert [asker.returncode for asker in askers] == [0, 0]
    assert all(asked > 20 and seen > 2 for asked, seen in found)
