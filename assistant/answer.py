"""A question becomes a cited answer, or a plain 'your notes don't say'.

    make it stand alone → retrieve → do the notes answer it? → prompt → stream → resolve and check the citations

The same function serves terminal, web, nightly run and eval; it yields what happens and ends with the answer.
"""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from assistant import prompt as prompting
from assistant.cite import UNSUPPORTED, Citation, Cited, Sentence, resolve
from assistant.errors import STOPPED, ContextOverflow, NoSuchCourse, QuestionRejected, ServerError
from assistant.follow import Turn, standalone
from assistant.prompt import NOT_IN_NOTES, Prompt
from assistant.quote import quote
from assistant.refuse import Verdict, judge, load_calibration
from assistant.retrieve import Passage, Reranker, Retrieval, retrieve
from assistant.settings import AssistantSettings
from assistant.stopwatch import Stopwatch
from assistant.support import Entailment
from assistant.visible import visible
from ingest.embed import Embedder
from ingest.shelf import Shelf

if TYPE_CHECKING:
    from assistant.llm import Absent, LanguageModel

ANSWERED, QUOTED, NOT_IN_THE_NOTES = "answered", "quoted", "not_in_notes"
MOST_CHARACTERS = 4000
"""Longest question."""
NEAREST = 3
"""How many notes are named where the notes don't answer."""
QUOTES = "sentences of your notes, word for word"
WEAK = "your notes come near this question and may not answer it: see whether the words below do"
NOTHING_REFUSED = "nothing is refused: the embedding model has no calibration; run: ask calibrate"
NO_MODEL = "no model answered, so these are sentences of your notes, word for word"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question came to."""

    question: str
    answer: str = ""
    """With [n] marks; empty where the notes don't answer."""
    marked: str = ""
    """The same, with unsupported sentences marked: what people are shown."""
    outcome: str = QUOTED
    """answered (by the model), quoted (from the notes, no model) or not_in_notes."""
    model: str | None = None
    """Which model wrote it; None: none did."""
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()
    """What was retrieved, best first."""
    nearest: tuple[str, ...] = ()
    """Where the notes don't answer: the notes that come nearest."""
    notice: str = ""
    """One line about what went otherwise than planned: no model, a broken answer. Often empty."""
    usage: dict[str, int] = field(default_factory=dict)
    """Tokens that the server counted: prompt_tokens, cached_tokens, answer_tokens; empty where it counted none."""
    timings_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds of each step, and their total. `retrieve` contains the steps named `retrieve.…`."""
    generation: int = 0
    """Of the index that was searched."""
    failure: str = ""
    """What went wrong with the model server, by the error's name (ServerStalled); empty where nothing did."""
    weak: bool = False
    """Whether the evidence that the notes answer the question is only just enough."""
    standalone: str = ""
    """In a conversation: what was searched for, where that is not the question itself."""

    def as_json(self) -> dict[str, Any]:
        """Return what `ask --json` prints."""
        return {
            "question": self.question,
            **({"standalone": self.standalone} if self.standalone else {}),
            "answer": self.answer,
            "marked": self.marked,
            "outcome": self.outcome,
            "weak": self.weak,
            "model": self.model,
            "sentences": [asdict(sentence) | {"citations": list(sentence.citations)} for sentence in self.sentences],
            "citations": [asdict(citation) for citation in self.citations],
            "passages": [passage_json(n, passage) for n, passage in enumerate(self.passages, start=1)],
            "nearest": list(self.nearest),
            "notice": self.notice,
            "usage": self.usage,
            "timings_ms": {step: round(took, 2) for step, took in self.timings_ms.items()},
        }


def passage_json(n: int, passage: Passage) -> dict[str, Any]:
    """Return the n-th passage of an answer, ready for JSON."""
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
    draft: "Answer"
    """What is known of the answer so far; its timings go on growing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt was sent."""

    prompt: Prompt
    model: str
    """Whom it was sent to."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """The model wrote a piece."""

    text: str = ""
    thinking: str = ""
    restart: bool = False
    """Forget the text so far: it was thinking."""


Event = Found | Asked | Wrote | Answer


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
    history: Sequence[Turn] = (),
) -> Generator[Event, None, None]:
    """Answer a question; the last event is the `Answer`. Closing the generator stops the model.

    Args:
        question: As the user wrote it.
        shelf: The notes.
        settings: What the user set.
        top_k: Most passages to answer from; 0: `settings.top_k`.
        course: Sub-folder of the notes to stay in; empty: all.
        use_model: False: quote, though a model may be there.
        history: What was said before in this conversation, oldest first.

    Raises:
        QuestionRejected, NoSuchCourse: It can't be asked so.
        NotIndexed, IndexMismatch, IndexUnavailable, EmbedderUnavailable: There is nothing to answer from.
    """
    question = check_question(question)
    watch = Stopwatch()
    with ThreadPoolExecutor(max_workers=1) as pool:  # the server is looked for while the passages are
        finding = pool.submit(_find_model, settings) if use_model else None
        view, embedder = shelf.view(), shelf.embedder
        reranker, entailment = _reranker(settings), _entailment(settings) if use_model else None
        course = course_of(course, shelf)
        watch.lap("open")
        alone = standalone(question, history, finding.result()[0] if history and finding else None)
        if history:
            watch.lap("rewrite")
        retrieval = retrieve(
            alone.question,
            view,
            embedder,
            top_k=top_k or settings.top_k,
            course=course,
            reranker=reranker,
            text_of=shelf.ledger.text,
        )
        verdict = judge(retrieval, load_calibration(embedder.model.sha256, settings.home))
        watch.lap("retrieve")
        watch.laps |= {f"retrieve.{step}": took for step, took in retrieval.timings_ms.items()}
        other = alone.question if alone.question != question else ""
        draft = Answer(
            question, passages=retrieval.passages, timings_ms=watch.laps, generation=view.generation, standalone=other
        )
        yield Found(retrieval, verdict, draft)
        model, absent = finding.result() if finding else (None, None)
        watch.lap("find_model")

    if not retrieval.passages or not verdict.answerable:
        done = _not_in_notes(draft, retrieval)
    elif model is None:
        notice = f"{NO_MODEL}: {absent.reason}" if absent else QUOTES
        quoted = quote(alone.question, retrieval, embedder)
        done = _with(draft, quoted, notice=notice, failure=absent.kind if absent else "")
        watch.lap("quote")
    else:
        done = yield from _ask(draft, model, retrieval, settings, watch, embedder, entailment, history, alone.silence)
    weak = verdict.weak and done.outcome != NOT_IN_THE_NOTES
    note = WEAK if weak else "" if verdict.calibrated else NOTHING_REFUSED
    watch.total()
    yield replace(done, weak=weak, notice="; ".join(filter(None, (done.notice, note))))


def stopped(found: Found, asked: Asked, text: str) -> Answer:
    """Return the answer that a reader stopped while it was written, its sentences checked as far as they go."""
    cited = _cut_off(resolve(text, found.draft.passages[: asked.prompt.passages]))
    told = {"outcome": ANSWERED, "model": asked.model, "notice": "stopped before its end", "failure": STOPPED}
    return _with(found.draft, cited, **told)


def course_of(name: str, shelf: Shelf) -> str:
    """Return a course as it is named in the index.

    Raises:
        NoSuchCourse: No note belongs to it.
    """
    name = name.strip("/")
    if name and name not in (courses := shelf.ledger.courses()):
        raise NoSuchCourse(name, courses)
    return name


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


def _find_model(settings: AssistantSettings) -> "tuple[LanguageModel | None, Absent | None]":
    """Return the model, or why there is none."""
    from assistant import llm

    found = llm.find(settings)
    return (None, found) if isinstance(found, llm.Absent) else (found, None)


def _not_in_notes(draft: Answer, retrieval: Retrieval) -> Answer:
    nearest = tuple(dict.fromkeys(passage.chunk.path for passage in retrieval.candidates))[:NEAREST]
    return replace(draft, outcome=NOT_IN_THE_NOTES, nearest=nearest)


def _with(draft: Answer, cited: Cited, **told: Any) -> Answer:
    """Return an answer with its text and citations, and what else is told of it."""
    told |= {"sentences": cited.sentences, "citations": cited.citations}
    return replace(draft, answer=cited.text, marked=cited.marked, **told)


def _cut_off(cited: Cited) -> Cited:
    """Return a text that ends in mid-sentence: that its last one is not supported says nothing."""
    return replace(cited, marked=cited.marked.removesuffix(UNSUPPORTED).rstrip())


def _ask(
    draft: Answer,
    model: "LanguageModel",
    retrieval: Retrieval,
    settings: AssistantSettings,
    watch: Stopwatch,
    embedder: Embedder,
    entailment: Entailment | None,
    history: Sequence[Turn],
    silence: float,
) -> Generator[Event, None, Answer]:
    """Have the model answer; quote where it wrote nothing."""
    told = draft, model, settings, watch, history, silence
    written = yield from _write(*told, model.context_tokens)
    if written.less:
        written = yield from _write(*told, written.less)
    watch.lap("write")
    text, draft = written.text, replace(draft, failure=written.failure)
    if not text.strip():
        quoted = quote(draft.standalone or draft.question, retrieval, embedder)
        return _with(draft, quoted, notice=f"{NO_MODEL}: {written.notice}")
    said = text.replace(NOT_IN_NOTES, "").strip(" *`\n") if NOT_IN_NOTES in text else text
    cited = resolve(said, draft.passages[: written.passages], entailment)
    watch.lap("check")
    draft = replace(draft, model=model.name, usage=written.usage)
    if said != text and not any(sentence.supported for sentence in cited.sentences):
        return _not_in_notes(draft, retrieval)
    return _with(draft, _cut_off(cited) if written.failure else cited, outcome=ANSWERED, notice=written.notice)


@dataclass(frozen=True, slots=True)
class _Written:
    """What the model wrote."""

    text: str
    passages: int
    """How many of the passages it was given."""
    usage: dict[str, int]
    notice: str
    failure: str = ""
    less: int = 0
    """Its true context in tokens, as the server told it when the prompt was too long: ask again; 0: there is no use."""


def _write(
    draft: Answer,
    model: "LanguageModel",
    settings: AssistantSettings,
    watch: Stopwatch,
    history: Sequence[Turn],
    silence: float,
    context: int,
) -> Generator[Event, None, _Written]:
    most = context - min(settings.llm_max_answer_tokens, context // 2)
    prompt = prompting.build(
        draft.question, draft.passages, count_tokens=model.count_tokens, most_tokens=most, history=history
    )
    watch.lap("prompt")
    yield Asked(prompt, model.name)
    room = min(settings.llm_max_answer_tokens, max(16, context - prompt.tokens))
    text, notice, shown = "", "", False
    usage: dict[str, int] = {}
    try:
        with closing(model.stream(prompt.messages, max_tokens=room, waited=silence)) as deltas:
            for delta in deltas:
                if (delta.text or delta.reasoning) and "first_token" not in watch.laps:
                    watch.lap("first_token")
                text = delta.text if delta.restart else text + delta.text
                # A text that may yet become the word for 'not in the notes' is held back.
                if shown or not NOT_IN_NOTES.startswith(text.strip(" *`\n")):
                    yield Wrote(delta.text if shown and not delta.restart else text, delta.reasoning, delta.restart)
                    shown = True
                elif delta.reasoning:
                    yield Wrote(thinking=delta.reasoning)
                if delta.finish_reason == "length":
                    notice = "the answer was cut at its limit (STUDY_LLM_MAX_ANSWER_TOKENS)"
                if delta.usage:
                    usage = delta.usage.told
    except ServerError as error:
        notice, less = str(error), 0
        if isinstance(error, ContextOverflow):
            less = (error.limit or context) - max(0, error.wanted - prompt.tokens)
            if prompt.tokens > most:  # with little more than the question in it
                notice = f"the question is too long for {model.name}, which has room for {context} tokens; shorten it"
        less = less if 0 < less < context else 0
        return _Written(error.partial, prompt.passages, usage, notice, type(error).__name__, less)
    return _Written(text, prompt.passages, usage, notice)
