"""Whatever ends a sync, readers keep the last good state, and the next sync ends with exactly what the folder says.

Syncs die here by SIGKILL, in a process of their own: at a random line of ingest/, or at a random moment.
"""

import contextlib
import gc
import multiprocessing
import os
import random
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
from ingest.errors import StudyError
from ingest.index import View
from ingest.sync import sync
from tests.conftest import ROOT
from tests.folders import Folder, folder_texts, tidy, whole

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
