"""A question becomes a cited answer, or a plain 'your notes don't say'.

    retrieve → decide whether the notes answer it → prompt → stream → resolve and check the citations

The same function serves terminal, web, nightly run and eval; it yields what happens and ends with the answer.
"""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from assistant import prompt as prompting
from assistant.cite import Citation, Cited, Sentence, resolve
from assistant.errors import QuestionRejected, ServerError
from assistant.prompt import NOT_IN_NOTES, Prompt
from assistant.quote import quote
from assistant.refuse import Verdict, judge, load_calibration
from assistant.retrieve import Passage, Reranker, Retrieval, retrieve
from assistant.settings import AssistantSettings
from assistant.support import Entailment
from assistant.visible import visible
from ingest.embed import Embedder
from ingest.shelf import Shelf

ANSWERED, QUOTED, NOT_IN_THE_NOTES = "answered", "quoted", "not_in_notes"
MOST_CHARACTERS = 4000
"""Longest question."""
NEAREST = 3
"""How many notes are named where the notes don't answer."""
NO_MODEL = "no model answered, so these are sentences of your notes, word for word"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to."""

    question: str
    answer: str
    """With [n] marks; empty where the notes don't answer."""
    marked: str
    """The same, with unsupported sentences marked: what people are shown."""
    outcome: str
    """answered (by the model), quoted (from the notes, no model) or not_in_notes."""
    model: str | None
    """Which model wrote it; None: none did."""
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    """What was retrieved, best first."""
    nearest: tuple[str, ...]
    """Where the notes don't answer: the notes that come nearest."""
    notice: str
    """One line about what went otherwise than planned: no model, a broken answer. Often empty."""
    timings_ms: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return what `ask --json` prints."""
        return {
            "question": self.question,
            "answer": self.answer,
            "outcome": self.outcome,
            "model": self.model,
            "sentences": [asdict(sentence) | {"citations": list(sentence.citations)} for sentence in self.sentences],
            "citations": [asdict(citation) for citation in self.citations],
            "passages": [_passage_json(n, passage) for n, passage in enumerate(self.passages, start=1)],
            "nearest": list(self.nearest),
            "notice": self.notice,
            "timings_ms": {step: round(took, 2) for step, took in self.timings_ms.items()},
        }


def _passage_json(n: int, passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "n": n,
        "path": chunk.path,
        "locator": chunk.place_at(chunk.start).locator,
        "heading": chunk.heading_line,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "version": chunk.version,
        "score": round(passage.score, 4),
        "cosine": round(passage.cosine, 4),
        "bm25": round(passage.bm25, 4),
        "dense_rank": passage.dense_rank,
        "sparse_rank": passage.sparse_rank,
        "same_as": list(passage.same_as),
    }


@dataclass(frozen=True, slots=True)
class Found:
    """The passages are there."""

    retrieval: Retrieval
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt was sent."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Wrote:
    """The model wrote a piece."""

    text: str = ""
    thinking: str = ""
    restart: bool = False
    """Forget the text so far: it was thinking."""


Event = Found | Asked | Wrote | Answer


@dataclass
class _Stopwatch:
    laps: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        """Note milliseconds since the question came."""
        self.laps[name] = (time.perf_counter() - self.started) * 1000


def check_question(question: str) -> str:
    """Return the question without invisible characters.

    Raises:
        QuestionRejected: Nothing is left of it, or it is too long.
    """
    clean = " ".join(visible(question.encode(errors="replace").decode()).split())
    if not any(letter.isalnum() for letter in clean):
        raise QuestionRejected('the question is empty; write it like this: ask "What is FSDP?"')
    if len(clean) > MOST_CHARACTERS:
        raise QuestionRejected(
            f"the question has {len(clean):,} characters, at most {MOST_CHARACTERS:,} are read; shorten it"
        )
    return clean


def answer(
    question: str,
    shelf: Shelf,
    settings: AssistantSettings,
    *,
    top_k: int = 0,
    course: str = "",
    use_model: bool = True,
) -> Generator[Event, None, None]:
    """Answer a question; the last event is the `Answer`. Closing the generator stops the model.

    Args:
        question: As the user wrote it.
        shelf: The notes.
        settings: What the user set.
        top_k: Most passages to answer from; 0: `settings.top_k`.
        course: Sub-folder of the notes to stay in; empty: all.
        use_model: False: quote, though a model may be there.

    Raises:
        QuestionRejected: The question is empty or too long.
        NotIndexed, IndexMismatch, IndexUnavailable, EmbedderUnavailable: There is nothing to answer from.
    """
    question = check_question(question)
    watch = _Stopwatch()
    with ThreadPoolExecutor(max_workers=1) as pool:  # the server is looked for while the passages are
        finding = pool.submit(_find_model, settings) if use_model else None
        view, embedder = shelf.view(), shelf.embedder
        retrieval = retrieve(
            question,
            view,
            embedder,
            top_k=top_k or settings.top_k,
            course=course,
            reranker=_reranker(settings),
            text_of=shelf.ledger.text,
        )
        calibration = load_calibration(embedder.model, settings.home)
        verdict = judge(retrieval, calibration)
        watch.lap("retrieved")
        yield Found(retrieval, verdict)
        model = finding.result() if finding else "--no-llm was given"
    watch.laps |= {f"retrieve.{step}": took for step, took in retrieval.timings_ms.items()}

    draft = Answer(question, "", "", QUOTED, None, (), (), retrieval.passages, (), "", watch.laps)
    if not retrieval.passages or not verdict.answerable:
        watch.lap("total")
        yield _not_in_notes(draft)
        return
    if isinstance(model, str):
        draft = _quoted(draft, quote(question, retrieval, embedder), f"{NO_MODEL}: {model}")
    else:
        draft = yield from _ask(draft, model, retrieval, settings, watch, shelf.embedder)
    if not verdict.calibrated:
        note = "nothing is refused: the embedding model has no calibration; run: ask calibrate"
        draft = replace(draft, notice="; ".join(filter(None, (draft.notice, note))))
    watch.lap("total")
    yield draft


def _reranker(settings: AssistantSettings) -> Reranker | None:
    if not settings.rerank_model:
        return None
    from assistant import rerank

    return rerank.load(settings.rerank_model)


def _entailment(settings: AssistantSettings) -> Entailment | None:
    if not settings.entailment_model:
        return None
    from assistant import entail

    return entail.load(settings.entailment_model)


def _find_model(settings: AssistantSettings) -> Any:
    """Return the model, or one line that says why there is none."""
    from assistant import llm

    found = llm.find(settings)
    return found.reason if isinstance(found, llm.Absent) else found


def _not_in_notes(draft: Answer) -> Answer:
    nearest = tuple(dict.fromkeys(passage.chunk.path for passage in draft.passages))[:NEAREST]
    return replace(draft, outcome=NOT_IN_THE_NOTES, nearest=nearest)


def _quoted(draft: Answer, cited: Cited, notice: str) -> Answer:
    return replace(
        draft,
        answer=cited.text,
        marked=cited.marked,
        outcome=QUOTED,
        model=None,
        sentences=cited.sentences,
        citations=cited.citations,
        notice=notice,
    )


def _ask(
    draft: Answer,
    model: Any,
    retrieval: Retrieval,
    settings: AssistantSettings,
    watch: _Stopwatch,
    embedder: Embedder,
) -> Generator[Event, None, Answer]:
    most = model.context_tokens - min(settings.llm_max_answer_tokens, model.context_tokens // 2)
    prompt = prompting.build(draft.question, draft.passages, count_tokens=model.count_tokens, most_tokens=most)
    watch.lap("prompted")
    yield Asked(prompt)
    room = min(settings.llm_max_answer_tokens, max(16, model.context_tokens - prompt.tokens))
    text, notice = "", ""
    try:
        with closing(model.stream(prompt.messages, max_tokens=room)) as deltas:
            for delta in deltas:
                if (delta.text or delta.reasoning) and "first_token" not in watch.laps:
                    watch.lap("first_token")
                if delta.restart:
                    text = ""
                text += delta.text
                if delta.text or delta.reasoning or delta.restart:
                    yield Wrote(delta.text, delta.reasoning, delta.restart)
                if delta.finish_reason == "length":
                    notice = "the answer was cut at its limit (STUDY_LLM_MAX_ANSWER_TOKENS)"
                if delta.usage:
                    watch.laps["prompt_tokens"] = delta.usage.prompt_tokens
                    watch.laps["answer_tokens"] = delta.usage.completion_tokens
    except ServerError as error:
        text, notice = error.partial, str(error)
    watch.lap("written")
    if NOT_IN_NOTES in text[: len(NOT_IN_NOTES) + 20] or NOT_IN_NOTES.replace("_", " ") in text[:30]:
        return replace(_not_in_notes(draft), model=model.name)
    if not text.strip():
        return _quoted(draft, quote(draft.question, retrieval, embedder), f"{NO_MODEL}: {notice}")
    cited = resolve(text, draft.passages[: prompt.passages], _entailment(settings))
    return replace(
        draft,
        answer=cited.text,
        marked=cited.marked,
        outcome=ANSWERED,
        model=model.name,
        sentences=cited.sentences,
        citations=cited.citations,
        notice=notice,
    )
