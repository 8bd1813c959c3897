"""An answer, or a quiz, and what led to it → its trace: steps with their times, made from what was measured."""

import contextlib
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from assistant.answer import Answer, Asked, Found
from assistant.cards import Made
from assistant.items import Item
from assistant.settings import AssistantSettings
from ingest import trace
from ingest.trace import Step, Trace

_PARTS = ("embed", "dense", "sparse", "fuse", "rerank", "choose")


def send(
    answer: Answer,
    found: Found | None,
    asked: Asked | None,
    settings: AssistantSettings,
    *,
    began: float,
    name: str = "answer",
    course: str = "",
    conversation: int = 0,
) -> str:
    """Have the trace of an answer sent; return its id, empty where that failed.

    Args:
        answer: As it was given.
        found: What was found for it.
        asked: What the model was asked, if one was.
        settings: In force.
        began: When the question came, in seconds since the epoch.
        name: What the trace is called.
        course: Where the search stayed.
        conversation: Of which the answer is a part; 0: none.
    """
    id_, times = trace.new_id(), _Times(answer.timings_ms, began)
    metadata = {
        "outcome": answer.outcome,
        "course": course,
        "generation": answer.generation,
        "settings": settings.digest,
        "notice": answer.notice,
        "failure": answer.failure,
    }
    root = Step(
        name,
        began,
        times.end,
        input=answer.question,
        output=answer.marked,
        metadata={key: value for key, value in metadata.items() if value},
        error=answer.notice if answer.failure else "",
        steps=tuple(_steps(answer, found, asked, settings, times)),
    )
    session = f"{settings.learner}-{conversation}" if conversation else ""
    try:
        trace.send(settings, Trace(id_, root, settings.learner, session, _scores(answer)))
    except OSError:
        return ""
    return id_


class _Times:
    """When each step began and ended: laps follow each other without a gap."""

    def __init__(self, laps: dict[str, float], began: float) -> None:
        self.of: dict[str, tuple[float, float]] = {}
        self.end = began
        for step, took in laps.items():
            if "." not in step and step != "total":
                self.of[step] = self.end, self.end + took / 1000
                self.end += took / 1000
        self.parts: dict[str, tuple[float, float]] = {}
        at = self.of.get("retrieve", (began, began))[0]
        for part in _PARTS:
            spent = laps.get(f"retrieve.{part}", 0.0) / 1000
            if spent:
                self.parts[part] = at, at + spent
                at += spent


def _steps(
    answer: Answer, found: Found | None, asked: Asked | None, settings: AssistantSettings, times: _Times
) -> Sequence[Step]:
    steps: list[Step] = []
    for name, (start, end) in times.of.items():
        if name == "rewrite":
            steps.append(Step(name, start, end, input=answer.question, output=answer.standalone or answer.question))
        elif name == "retrieve":
            steps.append(
                Step(
                    "retrieval",
                    start,
                    end,
                    "retriever",
                    input=answer.standalone or answer.question,
                    output=[_passage(n, one) for n, one in enumerate(answer.as_json()["passages"], start=1)],
                    metadata=_verdict(found),
                    steps=tuple(Step(part, *when) for part, when in times.parts.items()),
                )
            )
        elif name == "prompt" and asked:
            sent = {"tokens": asked.prompt.tokens, "passages": asked.prompt.passages}
            steps.append(Step(name, start, end, metadata=sent))
        elif name == "check":
            told = {"sentences": len(answer.sentences), "supported": sum(one.supported for one in answer.sentences)}
            steps.append(Step(name, start, end, "evaluator", input=answer.answer, output=told))
        elif name not in ("first_token", "write"):
            steps.append(Step(name, start, end))
    if asked and ("write" in times.of or "first_token" in times.of):
        steps.append(_generation(answer, asked, settings, times))
    return steps


def _generation(answer: Answer, asked: Asked, settings: AssistantSettings, times: _Times) -> Step:
    first = times.of.get("first_token")
    write = times.of.get("write") or first or (times.end, times.end)
    counted = {
        "input": answer.usage.get("prompt_tokens", 0) - answer.usage.get("cached_tokens", 0),
        "input_cached_tokens": answer.usage.get("cached_tokens", 0),
        "output": answer.usage.get("answer_tokens", 0),
    }
    return Step(
        "generation",
        first[0] if first else write[0],
        write[1],
        "generation",
        input=list(asked.prompt.messages),
        output=answer.answer,
        error=answer.notice if answer.failure else "",
        model=asked.model,
        parameters={
            "temperature": settings.llm_temperature,
            "seed": settings.llm_seed,
            "max_tokens": settings.llm_max_answer_tokens,
        },
        usage={kind: tokens for kind, tokens in counted.items() if tokens},
        first_token=first[1] if first else 0.0,
    )


def _verdict(found: Found | None) -> dict[str, float]:
    return {"evidence": round(found.verdict.evidence, 4), "needed": found.verdict.threshold} if found else {}


def _passage(n: int, passage: dict[str, Any]) -> dict[str, Any]:
    names = ("path", "locator", "score", "cosine", "bm25", "dense_rank", "sparse_rank", "version")
    return {"n": n, **{name: passage[name] for name in names}}


def _scores(answer: Answer) -> dict[str, float]:
    if not answer.sentences:
        return {}
    return {"supported": sum(sentence.supported for sentence in answer.sentences) / len(answer.sentences)}


def traced_quiz(
    made: Generator[Made, None, None], settings: AssistantSettings, wish: Mapping[str, Any], model: str
) -> Generator[Made, None, None]:
    """Pass the items of a quiz on, and have their making traced where tracing is on.

    Args:
        made: What is found or made, and what was rejected; closed with this.
        settings: In force.
        wish: What the quiz shall be like.
        model: Who writes the items; empty: they are made by rule.
    """
    if not trace.on(settings):
        yield from made
        return
    began = last = time.time()
    steps: list[Step] = []
    rejected: Counter[str] = Counter()
    with contextlib.closing(made):
        try:
            for one in made:
                item, reason = (one, "") if isinstance(one, Item) else (one.item, one.reason)
                rejected[reason] += 1
                told = {"kind": item.kind, "id": item.id, **({"rejected": reason} if reason else {})}
                steps.append(Step("check", last, time.time(), "evaluator", output=item.question, metadata=told))
                yield one
                last = time.time()  # how long the learner took is no part of it
        finally:
            passed = rejected.pop("", 0)
            metadata = {"settings": settings.digest, **({"model": model} if model else {})}
            counts = {"items": passed, "rejected": dict(rejected)}
            root = Step("quiz", began, time.time(), input=wish, output=counts, metadata=metadata, steps=tuple(steps))
            share = {"passed": passed / len(steps)} if steps else {}
            with contextlib.suppress(OSError):
                trace.send(settings, Trace(trace.new_id(), root, settings.learner, scores=share))
