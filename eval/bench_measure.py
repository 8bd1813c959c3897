"""A command becomes seconds and megabytes; two lists of them become a row of the table.

What is compared runs in turns (ours, theirs; theirs, ours; …), so that a machine that is busy with something
else slows both, and a ratio is the median of the turns' ratios.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, TypeVar

from assistant.settings import AssistantSettings
from ingest import embed

NOBODY = "http://127.0.0.1:9/v1"
"""Nothing listens on the discard port: no model server."""
ASK = str(Path(sys.executable).with_name("ask"))
THEIRS = (sys.executable, "-m", "eval.bench_llamaindex")
"""The plain llama-index script."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    ours: str
    theirs: str
    """What it is compared with; empty where the target is absolute."""
    ratio: str
    target: str
    met: bool | None
    """None: it could not be measured here."""

    def __str__(self) -> str:
        """Return the line in Markdown."""
        met = {True: "yes", False: "**no**", None: "–"}[self.met]
        cells = (self.what, self.ours, self.theirs, self.ratio, self.target, met)
        return "| " + " | ".join(cell or "–" for cell in cells) + " |"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    runs: int = 3
    """Turns of what takes seconds."""
    quick_runs: int = 10
    """Turns of what takes less than one."""
    asked_chunks: int = 5000
    """In the index that a cold question is asked of."""
    retrieved_chunks: tuple[int, ...] = (10_000, 100_000)
    files: int = 900
    """In the folder that is synced."""
    file_characters: int = 1500
    """Of such a file, on average."""
    embedded: int = 1000
    """Chunks whose vectors are compared."""
    questions: int = 100
    pages: int = 24
    """Of each kind of PDF."""


FULL = Sizes()
QUICK = Sizes(
    runs=1,
    quick_runs=2,
    asked_chunks=700,
    retrieved_chunks=(1000,),
    files=12,
    embedded=32,
    questions=6,
    pages=2,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bench keeps what it makes, and how much of it."""

    folder: Path
    sizes: Sizes

    def home(self, name: str) -> Path:
        """Return a STUDY_HOME of its own that shares the prepared embedding model."""
        home = self.folder / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "models").is_symlink():
            (home / "models").symlink_to(self.folder / "models")
        return home

    def forget(self, name: str) -> None:
        """Remove the index that is kept in a home: another version of ours may have made it."""
        for old in self.home(name).glob("index-*"):
            shutil.rmtree(old)

    def settings(self, name: str, notes: Path | None = None) -> AssistantSettings:
        """Return the settings of that home."""
        return AssistantSettings(home=self.home(name), notes=notes or self.folder / "notes" / name, llm_url=NOBODY)

    def environment(self, name: str) -> dict[str, str]:
        """Return the same as variables, for a command.

        Python may keep its bytecode, as it does wherever nobody forbids it; both sides gain by that.
        """
        settings = self.settings(name)
        hidden = ("STUDY_", "PYTHONDONTWRITEBYTECODE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
        return kept | {
            "STUDY_HOME": str(settings.home),
            "STUDY_NOTES": str(settings.notes),
            "STUDY_LLM_URL": NOBODY,
            "HF_HUB_OFFLINE": "1",
        }

    def once(self, name: str, key: str, make: Callable[["Place"], None]) -> None:
        """Make something that later benches find ready, unless it was made with this key before."""
        stamp = self.folder / f"{name}.made"
        if not stamp.is_file() or stamp.read_text() != key:
            stamp.unlink(missing_ok=True)
            apart(make, self)
            stamp.write_text(key)


def prepare(folder: Path, sizes: Sizes) -> Place:
    """Make the folder, with the embedding model exported to it."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    apart(embed.load, folder)
    return Place(folder, sizes)


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a fresh process: what it loads does not weigh on what is measured next."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


@dataclass(frozen=True, slots=True)
class Took:
    """What a whole process took."""

    seconds: float
    cpu: float
    """Seconds of all cores together, in user and system mode."""
    megabytes: float
    """Most memory at a time (resident set)."""
    output: str


def took(command: Sequence[str], environment: dict[str, str], folder: Path) -> Took:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; tells what it said.
    """
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {err.read()[-2000:]}")
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, out.read())


def in_turns(times: int, *ways: Callable[[], T]) -> list[list[T]]:
    """Call each of `ways` so many times, taking turns and changing who goes first; return each one's results."""
    found: list[list[T]] = [[] for _ in ways]
    for turn in range(times):
        order = list(enumerate(ways))
        for i, way in order if turn % 2 == 0 else reversed(order):
            found[i].append(way())
    return found


def times_faster(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of how many times less ours took, turn by turn."""
    return median(their / our for our, their in zip(ours, theirs, strict=True))


def process_row(what: str, ours: Sequence[Took], theirs: Sequence[Took], least: float) -> Row:
    """Compare whole processes: ours must be at least so many times faster."""
    ratio = times_faster([run.seconds for run in ours], [run.seconds for run in theirs])
    cpu = times_faster([run.cpu for run in ours], [run.cpu for run in theirs])
    target = f"≥ {least:g} times faster" if least > 1 else "never slower"
    return Row(what, told(ours), told(theirs), f"{ratio:.1f} (CPU {cpu:.1f})", target, ratio >= least)


def told(runs: Sequence[Took]) -> str:
    """Return the runs' times in words."""
    return f"{seconds([run.seconds for run in runs])}, CPU {median(run.cpu for run in runs):.2f} s"


def seconds(values: Sequence[float]) -> str:
    """Return median, least and most."""
    return f"{median(values):.2f} s ({min(values):.2f}–{max(values):.2f})"


def milliseconds(values: Sequence[float]) -> str:
    """Return p50 and p95 of times in seconds."""
    return f"p50 {share(values, 0.5) * 1000:.1f} ms, p95 {share(values, 0.95) * 1000:.1f} ms"


def share(values: Sequence[float], part: float) -> float:
    """Return the value that this part of `values` does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
