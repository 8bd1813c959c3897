"""The running app: how soon it is there, how fast a terminal asks through it, twenty people at once.

Started as its user starts it (`ask ui`), in a process of its own, and asked over HTTP.
"""

import http.client
import json
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from eval import bench_notes
from eval.bench_ask import (
    CHUNK_CHARACTERS,
    OWN,
    ask_in_turns,
    count_chunks,
    made_with,
    make_asked,
    random_vectors,
)
from eval.bench_measure import (
    ASK,
    Place,
    Row,
    apart,
    milliseconds,
    process_row,
    seconds,
    share,
    took,
)
from eval.bench_notes import QUESTIONS, turns
from eval.bench_stub import model_server
from ingest.shelf import Shelf
from ingest.sync import sync

CHUNKS_A_NOTE = 18
"""Most of a note of twenty times `CHUNK_CHARACTERS`; how many there are depends on the sentences at hand."""
PARTS = 3
"""Times that notes are added, until there are enough."""
PEOPLE = 20
PACE_S = 0.025
"""Between two pieces of the stand-in for a model."""
PIECES = 160
FREEZE_S = 0.5
"""A silence that a reader would take for a stop."""


@dataclass(frozen=True)
class App:
    """A running app."""

    port: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """Of a question to the API whose answer comes as events."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/x-ndjson",
            "Content-Type": "application/json",
        }

    def events(self, question: str) -> Iterator[tuple[float, str]]:
        """Ask; yield the name of each event and when it came, in seconds since the question was sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        started = time.perf_counter()
        connection.request("POST", "/api/v1/answer", json.dumps({"question": question}), self.headers)
        with connection.getresponse() as answer:
            for line in answer:
                yield time.perf_counter() - started, json.loads(line)["event"]
        connection.close()

    def pictures(self, question: str) -> Iterator[tuple[float, str]]:
        """Ask on the page, as a browser does; yield 'shown' for each picture of the answer, and when it came."""
        page = self._get("/config")
        box = next(part["id"] for part in page["components"] if part["props"].get("elem_id") == "question")
        asking = next(one for one in page["dependencies"] if [box, "submit"] in one["targets"])
        session = secrets.token_hex(6)
        told = {
            "data": [question, "All notes", None, ""],
            "fn_index": asking["id"],
            "session_hash": session,
            "trigger_id": box,
        }
        started = time.perf_counter()
        self._get("/gradio_api/queue/join", json.dumps(told))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        with connection.getresponse() as answer:
            for line in answer:
                if b'"process_generating"' in line:
                    yield time.perf_counter() - started, "shown"
                if b'"process_completed"' in line:
                    if b'"success":true' not in line:
                        raise RuntimeError(line.decode()[:200])
                    break
        connection.close()

    def _get(self, path: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST" if body else "GET", path, body, {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            return json.load(answer)


@contextmanager
def running(environment: Mapping[str, str], folder: Path) -> Iterator[App]:
    """Run the app until the end, its models loaded.

    Args:
        environment: Names its home, its notes and its model server.
        folder: Where it runs, and writes what it prints: app.log.
    """
    home = Path(environment["STUDY_HOME"])
    for old in home.glob("app-*.json"):
        old.unlink()
    environment = {**environment, "STUDY_UI_LEARNER_QUESTIONS": str(2 * PEOPLE), "STUDY_UI_PORT": "0"}
    with (folder / "app.log").open("w+b") as log:
        process = subprocess.Popen([ASK, "ui"], env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 120
            while not (found := list(home.glob("app-*.json"))):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the app did not start:\n{(folder / 'app.log').read_text()}")
                time.sleep(0.05)
            told = json.loads(found[0].read_text())
            yield App(told["port"], (home / "api-token").read_text().strip())
        finally:
            process.terminate()
            process.wait(30)


# ------------------------------------------------------------------------------------------------------- start


def start(place: Place) -> Iterator[Row]:
    """Start the app as a user does, until a browser is shown something, and until the pages are there."""
    firsts, pages = zip(*(_start(place) for _ in range(place.sizes.runs + 1)), strict=True)
    yield Row(
        "web app: from the command to the first page that a browser is given, and to the app's own",
        f"{seconds(firsts[1:])}; {seconds(pages[1:])}",
        "",
        "",
        "≤ 2 s",
        median(pages[1:]) <= 2,
    )


def _start(place: Place) -> tuple[float, float]:
    environment = place.environment("help") | {"STUDY_UI_PORT": "0"}
    started = time.perf_counter()
    command = [ASK, "ui", "--port", str(port := _free_port())]
    process = subprocess.Popen(command, env=environment, cwd=place.folder, stderr=subprocess.DEVNULL)
    try:
        first = 0.0
        while process.poll() is None and time.perf_counter() < started + 60:
            page = _page(port)
            if page and not first:
                first = time.perf_counter() - started
            if page and b"gradio_config" in page:
                return first, time.perf_counter() - started
            time.sleep(0.01)
        raise RuntimeError("the app did not start")
    finally:
        process.terminate()
        process.wait(30)


def _page(port: int) -> bytes:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/", headers={"Accept": "text/html"})
        with connection.getresponse() as answer:
            return answer.read()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# ------------------------------------------------------------------------------------------- through the terminal


def through(place: Place) -> Iterator[Row]:
    """Ask at a terminal while the app runs, each time in a new process."""
    place.once("ask", f"{place.sizes.asked_chunks} {made_with()}", make_asked)
    with running(place.environment("ask"), place.folder):
        took(OWN, place.environment("ask"), place.folder)
        ours, theirs = ask_in_turns(place)
    yield process_row("`ask --no-llm` through the running app, the same chunks, whole process", ours, theirs, 50)


# -------------------------------------------------------------------------------------------------- many people


def make_web(place: Place) -> None:
    """Index our corpus with real vectors, and new notes beside it with random ones."""
    settings = place.settings("web")
    shutil.rmtree(settings.notes, ignore_errors=True)
    place.forget("web")
    shutil.copytree(bench_notes.CORPUS, settings.notes / "corpus")
    shelf = Shelf(settings)
    wanted, there = place.sizes.retrieved_chunks[0], sync(shelf).chunks
    shelf.embedder.encode_documents = random_vectors  # type: ignore[method-assign]
    for part in range(PARTS):
        if there < wanted:
            folder, files = settings.notes / f"part-{part}", (wanted - there) // CHUNKS_A_NOTE + 1
            bench_notes.write(folder, files, 20 * CHUNK_CHARACTERS, seed=2 + part)
            there = sync(shelf).chunks


def people(place: Place) -> Iterator[Row]:
    """Ask one question after the other, then twenty at once, of a model that writes at a steady pace."""
    place.once("web", f"{place.sizes.retrieved_chunks[0]} {made_with()}", make_web)
    chunks = f"{apart(count_chunks, place, 'web'):,} chunks"
    environment = place.environment("web") | {"STUDY_LLM_CONNECT_MS": "5000"}
    with (
        model_server(pieces=PIECES, pace_s=PACE_S) as url,
        running(environment | {"STUDY_LLM_URL": url}, place.folder) as app,
    ):
        alone = [_first(app.events(q), "found", 1) for q in turns(QUESTIONS, 2 * place.sizes.questions)]
        drawn = [_first(app.pictures(q), "shown", 2) for q in turns(QUESTIONS, place.sizes.questions // 2)]
        asked = _together(app.events, "found", 1)
        shown = _together(app.pictures, "shown", 2)  # the first picture says that it looks for passages
    yield Row(
        f"web app, warm, {chunks}: from a question to its passages, over the API; on the page",
        f"{milliseconds(alone)}; {milliseconds(drawn)}",
        "",
        "",
        "p95 ≤ 300 ms",
        share(alone, 0.95) <= 0.3 and share(drawn, 0.95) <= 0.3,
    )
    for where, found in (("over the API", asked), ("on the page", shown)):
        most = max(silence for _, silence in found)
        yield Row(
            f"the same, {PEOPLE} people at once {where}, the model writing every {PACE_S * 1000:.0f} ms: "
            "to the passages; longest silence of any answer",
            f"{milliseconds([first for first, _ in found])}; {most * 1000:.0f} ms",
            "",
            "",
            f"no silence ≥ {FREEZE_S * 1000:.0f} ms",
            most < FREEZE_S,
        )


def _first(events: Iterator[tuple[float, str]], passages: str, number: int) -> float:
    """Return the seconds until the passages are there; then hang up."""
    found = 0
    for at, name in events:
        found += name == passages
        if found == number:
            events.close()  # type: ignore[attr-defined]
            return at
    raise RuntimeError("an answer ended without its passages")


def _together(
    ask: Callable[[str], Iterator[tuple[float, str]]], passages: str, number: int
) -> list[tuple[float, float]]:
    """Return, for each of many people who ask at the same moment, the seconds to the passages and of the longest
    silence after them.

    Args:
        ask: Asks one question.
        passages: The event that brings the passages.
        number: Which of those events does, from 1.
    """
    found: list[tuple[float, float]] = []
    ready = threading.Barrier(PEOPLE)

    def one(question: str) -> None:
        ready.wait()
        events = [(at, name) for at, name in ask(question) if name in (passages, "wrote")]
        first = [at for at, name in events if name == passages][number - 1]
        times = [at for at, name in events if name == "wrote" or at >= first]
        silences = [later - before for before, later in pairwise(times[1:])]  # what the model thinks is no silence
        found.append((first, max(silences, default=float("inf"))))

    threads = [threading.Thread(target=one, args=[question]) for question in turns(QUESTIONS, PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < PEOPLE:
        raise RuntimeError(f"{PEOPLE - len(found)} of {PEOPLE} people got no answer")
    return found


def web(place: Place) -> Iterator[Row]:
    """Measure all of it."""
    yield from start(place)
    yield from through(place)
    yield from people(place)
