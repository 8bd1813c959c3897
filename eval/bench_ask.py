"""How fast a question is answered: cold, warm, while a sync runs, and by how much we delay a model server."""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import numpy as np

from assistant.answer import Answer, answer
from assistant.retrieve import retrieve
from assistant.settings import AssistantSettings
from eval import bench_notes
from eval.bench_measure import (
    ASK,
    THEIRS,
    Place,
    Row,
    Took,
    apart,
    in_turns,
    milliseconds,
    process_row,
    seconds,
    share,
    timed,
    took,
)
from eval.bench_notes import QUESTIONS, turns
from eval.bench_stub import model_server
from ingest import chunk as chunking
from ingest import index, ledger
from ingest.chunk import Chunk
from ingest.index import BATCH, EdgeStore, Entry
from ingest.shelf import Shelf
from ingest.sync import sync

if TYPE_CHECKING:
    from ingest.encode import Vectors

QUESTION = QUESTIONS[0]
OWN = (ASK, "--no-llm", QUESTION)
CHUNK_CHARACTERS = 490
"""Of a chunk of the new notes, about."""
FIRST_TOKEN_S = 0.05
"""How long the stand-in for a model server thinks."""


# ------------------------------------------------------------------------------------------------- a cold answer


def random_vectors(texts: Sequence[str]) -> "Vectors":
    """Return unit vectors that have nothing to do with the texts: searching them takes as long."""
    dice = np.random.default_rng(len(texts[0]) if texts else 0)
    found = dice.standard_normal((len(texts), 384), dtype=np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def make_asked(place: Place) -> None:
    """Index our corpus with real vectors and new notes beside it with random ones; copy all to llama-index."""
    settings = place.settings("ask")
    shutil.rmtree(settings.notes, ignore_errors=True)
    place.forget("ask")
    for path in bench_notes.CORPUS.rglob("*.md"):
        target = settings.notes / "corpus" / path.relative_to(bench_notes.CORPUS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    shelf = Shelf(settings)
    there = sync(shelf).chunks
    missing = max(0, place.sizes.asked_chunks - there)
    bench_notes.write(settings.notes, max(1, missing // 20), 20 * CHUNK_CHARACTERS, seed=1)
    shelf.embedder.encode_documents = random_vectors  # type: ignore[method-assign]
    sync(shelf)
    storage = place.folder / "theirs-ask"
    shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir()
    with (storage / "points.jsonl").open("w", encoding="utf-8") as file:
        for chunk, vector in shelf.view().scroll():
            point = {"id": chunk.id, "path": chunk.path, "text": chunk.text, "vector": list(vector)}
            file.write(json.dumps(point) + "\n")
    took([*THEIRS, "copy", str(storage), str(storage / "points.jsonl")], place.environment("ask"), storage)


def ask_in_turns(place: Place) -> tuple[list[Took], list[Took]]:
    """Ask the same question of the same chunks by our command and by the llama-index script."""
    environment, storage = place.environment("ask"), place.folder / "theirs-ask"
    ours, theirs = in_turns(
        place.sizes.runs,
        lambda: took(OWN, environment, place.folder),
        lambda: took([*THEIRS, "ask", str(storage), QUESTION], environment, place.folder),
    )
    return ours, theirs


def cold_answer(place: Place) -> Iterator[Row]:
    """Ask a question of 5,000 chunks, each time in a new process."""
    place.once("ask", f"{place.sizes.asked_chunks} {made_with()}", make_asked)
    told = json.loads(took([*OWN, "--json"], place.environment("ask"), place.folder).output)
    if told["outcome"] != "quoted":
        raise RuntimeError(f"the cold question came to {told['outcome']}")
    ours, theirs = ask_in_turns(place)
    what = f"cold `ask --no-llm`, {apart(count_chunks, place, 'ask'):,} chunks, whole process"
    yield process_row(what, ours, theirs, 16)
    most = max(run.megabytes for run in ours)
    their_most = max(run.megabytes for run in theirs)
    yield Row(
        "its memory (peak resident set)",
        f"{most:.0f} MB",
        f"{their_most:.0f} MB",
        f"{their_most / most:.1f}",
        "≤ 300 MB",
        most <= 300,
    )


def made_with() -> str:
    """Return what an index depends on, in words."""
    return f"{index.FORMAT}.{chunking.VERSION}.{ledger.SCHEMA}, {len(bench_notes.sources())} sources"


def count_chunks(place: Place, name: str) -> int:
    """Return how many chunks the index of a home has."""
    return Shelf(place.settings(name)).view().count()


def help_text(place: Place) -> Iterator[Row]:
    """Show the help."""
    environment = place.environment("help")
    ours, bare = in_turns(
        place.sizes.quick_runs + 1,
        lambda: took([ASK, "--help"], environment, place.folder).seconds,
        lambda: took([sys.executable, "-c", "pass"], environment, place.folder).seconds,
    )
    most = median(ours[1:])
    yield Row("`ask --help`", seconds(ours[1:]), f"bare Python: {seconds(bare[1:])}", "", "≤ 0.25 s", most <= 0.25)


# ------------------------------------------------------------------------------------------------ warm retrieval


def make_index(place: Place, count: int) -> None:
    """Write an index of so many new chunks with random vectors, by the store's own way."""
    folder = place.folder / f"index-{count}"
    folder.mkdir(exist_ok=True)
    draft = EdgeStore(folder).draft(1, 0, 384)
    waiting: list[Chunk] = []
    for number, chunk in enumerate(bench_notes.chunks(count, seed=count), start=1):
        waiting.append(chunk)
        if len(waiting) == BATCH or number == count:
            vectors = random_vectors([chunk.text for chunk in waiting])
            draft.add([Entry(chunk, chunk.words, vec.tolist()) for chunk, vec in zip(waiting, vectors, strict=True)])
            waiting = []
    draft.finish(count, [])


def retrieval(place: Place) -> Iterator[Row]:
    """Retrieve for one question after the other in a process that runs, embedding included."""
    for count, most_ms in zip(place.sizes.retrieved_chunks, (15, 40), strict=False):
        place.once(f"index-{count}", made_with(), partial(make_index, count=count))
        found, steps = apart(warm_times, place, count)
        taken = ", ".join(f"{step} {took:.1f}" for step, took in steps.items())
        yield Row(
            f"hybrid retrieval in a warm process, {count:,} chunks, embedding included ({taken})",
            milliseconds(found),
            "",
            "",
            f"p50 ≤ {most_ms} ms",
            share(found, 0.5) * 1000 <= most_ms,
        )


def warm_times(place: Place, count: int) -> tuple[list[float], dict[str, float]]:
    """Return seconds of each retrieval, and the median milliseconds of each of its steps."""
    embedder = Shelf(place.settings("retrieval")).embedder
    view = EdgeStore(place.folder / f"index-{count}").view(1)

    def ask(question: str) -> dict[str, float]:
        return retrieve(question, view, embedder, top_k=6).timings_ms

    for question in QUESTIONS:
        ask(question)
    found, steps = [], []
    for question in turns(QUESTIONS, 2 * place.sizes.questions):
        started = time.perf_counter()
        steps.append(ask(question))
        found.append(time.perf_counter() - started)
    return found, {step: median(step_of[step] for step_of in steps) for step in steps[0]}


# -------------------------------------------------------------------------------------------- while a sync runs


def while_syncing(place: Place) -> Iterator[Row]:
    """Ask while everything is embedded again: by another process, and by a thread of our own."""
    settings = place.settings("during")
    if not settings.notes.is_dir():
        bench_notes.write(settings.notes, max(8, place.sizes.files // 2), place.sizes.file_characters, seed=2)
    apart(index_notes, place)
    for how, during in (("another process", _process_syncs), ("the same process", _thread_syncs)):
        idle, busy, errors = apart(ask_during, place, during)
        ratio = share(busy, 0.95) / share(idle, 0.95)
        yield Row(
            f"{len(busy)} questions while {how} syncs, {len(errors)} errors {errors[:1] or ''}",
            milliseconds(busy),
            f"idle: {milliseconds(idle)}",
            f"{ratio:.1f} times slower (p95)",
            "≤ 3 times, 0 errors",
            ratio <= 3 and not errors,
        )


def index_notes(place: Place) -> None:
    """Index the notes with random vectors."""
    place.forget("during")
    shelf = Shelf(place.settings("during"))
    shelf.embedder.encode_documents = random_vectors  # type: ignore[method-assign]
    sync(shelf)


def _process_syncs(place: Place) -> Callable[[], bool]:
    """Start `ask ingest --fresh`, and return what says whether it still runs."""
    process = subprocess.Popen([ASK, "ingest", "--fresh"], env=place.environment("during"), stdout=subprocess.DEVNULL)
    return lambda: process.poll() is None


def _thread_syncs(place: Place) -> Callable[[], bool]:
    shelf = Shelf(place.settings("during"))
    thread = threading.Thread(target=lambda: sync(shelf, fresh=True))
    thread.start()
    return thread.is_alive


def ask_during(
    place: Place, start: Callable[[Place], Callable[[], bool]]
) -> tuple[list[float], list[float], list[str]]:
    """Return seconds of each answer while nothing else runs and while a sync does, and what went wrong."""
    settings = place.settings("during")
    shelf = Shelf(settings)
    errors: list[str] = []

    def asking(question: str) -> float:
        started = time.perf_counter()
        try:
            list(answer(question, shelf, settings, use_model=False))
        except Exception as error:  # whatever it is, it is what is counted here
            errors.append(f"{type(error).__name__}: {error}")
        return time.perf_counter() - started

    for question in QUESTIONS:
        asking(question)
    idle = [asking(question) for question in turns(QUESTIONS, place.sizes.questions)]
    running, busy = start(place), []
    while running():
        busy.append(asking(random.choice(QUESTIONS)))
        time.sleep(0.02)  # a person reads
    idle += [asking(question) for question in turns(QUESTIONS, place.sizes.questions)]
    return idle, busy or idle, errors


# ---------------------------------------------------------------------------------------- before a model writes


def first_token(place: Place) -> Iterator[Row]:
    """Ask a model server, through us and directly."""
    apart(make_small, place)
    with model_server(wait_s=FIRST_TOKEN_S) as url:
        ours, direct = apart(first_tokens, place, url)
    delay = (median(ours) - median(direct)) * 1000
    yield Row(
        "time to the model server's first token, after retrieval",
        milliseconds(ours),
        f"asked directly: {milliseconds(direct)}",
        f"{delay:.1f} ms more",
        "≤ 50 ms more",
        delay <= 50,
    )


def make_small(place: Place) -> None:
    """Index our own notes on distributed training."""
    place.forget("first-token")
    sync(Shelf(place.settings("first-token", bench_notes.CORPUS / "infrastructure")))


def first_tokens(place: Place, url: str) -> tuple[list[float], list[float]]:
    """Return seconds from the end of retrieval to the first token, and from a plain request to its first line."""
    settings: AssistantSettings = place.settings("first-token", bench_notes.CORPUS / "infrastructure")
    settings = settings.model_copy(update={"llm_url": url})
    shelf = Shelf(settings)

    def ours() -> float:
        *_, last = answer(QUESTION, shelf, settings)
        assert isinstance(last, Answer)
        steps = [step for step in last.timings_ms if "." not in step]
        after = steps[steps.index("retrieve") + 1 : steps.index("first_token") + 1]
        return sum(last.timings_ms[step] for step in after) / 1000

    body = json.dumps({"model": "stub", "stream": True, "messages": [{"role": "user", "content": QUESTION}]})
    headers = {"Content-Type": "application/json"}

    def direct() -> float:
        request = Request(f"{url}/chat/completions", body.encode(), headers)
        return timed(lambda: urlopen(request).readline())

    found = in_turns(place.sizes.quick_runs + 1, ours, direct)
    return found[0][1:], found[1][1:]
