"""How good are the answers, without a judge? Each case is asked as a person asks it, and what comes is measured.

With a model the answer is the model's; without one it is made of quotes, and the same scores say how far these
carry. An answer that the server broke off is scored as what the reader got, and counted (`failed`). Citation scores
are ALCE's (Gao et al. 2023), with the check that marks sentences for people.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial

from assistant.answer import ANSWERED, NOT_IN_THE_NOTES, QUOTED, Answer, Asked, Found, answer
from assistant.cite import readable
from assistant.follow import Turn
from assistant.grade import Model
from assistant.retrace import send
from assistant.retrieve import Passage
from assistant.settings import AssistantSettings
from assistant.support import Entailment, supports
from assistant.words import stems
from eval.cases import Case
from eval.judge import judge, scores
from eval.metrics import citation_precision, citation_recall, exact_match, token_f1
from eval.score import ANSWER, Row
from ingest.shelf import Shelf
from ingest.trace import on

AT_ONCE = 4
"""Questions that a model server is asked at the same time."""

Ask = Callable[[Case], tuple[Answer, str]]
"""Returns an answer, and the id of its trace; empty where it was not traced."""


def asker(shelf: Shelf, settings: AssistantSettings, *, use_model: bool) -> Ask:
    """Return what answers a case, as `ask` would, and has it traced where tracing is on."""

    def ask(case: Case) -> tuple[Answer, str]:
        began, found, asked = time.time(), None, None
        for event in answer(case.question, shelf, settings, use_model=use_model, history=history(case)):
            if isinstance(event, Found):
                found = event
            elif isinstance(event, Asked):
                asked = event
        assert isinstance(event, Answer)
        traced = on(settings) and send(event, found, asked, settings, began=began, name="eval answer")
        return event, traced or ""

    return ask


def history(case: Case) -> tuple[Turn, ...]:
    """Return the questions that came before a follow-up; what was answered is not known."""
    return tuple(Turn(question, "") for question in case.asked_before)


def rows(
    shelf: Shelf, cases: Sequence[Case], ask: Ask, *, at_once: int = 1, entailment: Entailment | None = None
) -> Iterator[tuple[Row, Answer]]:
    """Yield a row for each case, with the answer that it is made from.

    Args:
        shelf: The notes, synced: quotes are compared with their text.
        cases: The questions.
        ask: Answers one.
        at_once: How many are asked at the same time.
        entailment: The model that marks the sentences of answers, where one is set.
    """

    def one(case: Case) -> tuple[Row, Answer]:
        started = time.perf_counter()
        given, trace = ask(case)
        ms = (time.perf_counter() - started) * 1000
        return replace(row(case, given, shelf.ledger.text, ms, entailment), trace=trace), given

    with ThreadPoolExecutor(max_workers=at_once) as pool:
        yield from pool.map(one, cases)


def row(
    case: Case, given: Answer, text_of: Callable[[str], str | None], ms: float, entailment: Entailment | None = None
) -> Row:
    """Return what an answer to a case is worth."""
    answered = given.outcome != NOT_IN_THE_NOTES
    values = {"answered": float(answered)}
    if case.answerable:
        values["false_refusal"] = float(not answered)
    else:
        values["false_answer"] = float(answered)
    if case.answerable and case.answers:
        said = _said(given)
        values |= {"token_f1": token_f1(said, case.answers), "exact_match": exact_match(said, case.answers)}
        cited = [readable(passage) for _, passage in cited_passages(given)]
        shown = [readable(passage) for passage in given.passages]
        values |= {"gold_in_cited": holds(case.answers, cited), "gold_in_shown": holds(case.answers, shown)}
        values["gold_cover"] = cover(case.answers, cited)
    if answered:
        values |= _of_citations(given, text_of, entailment if given.outcome == ANSWERED else None)
        values["words"] = float(len(given.answer.split()))
    if given.model or given.failure:
        values["failed"] = float(bool(given.failure))
    values |= {name: float(given.usage[name]) for name in ("prompt_tokens", "answer_tokens") if name in given.usage}
    detail = {
        "outcome": given.outcome,
        "answer": given.marked,
        "gold": list(case.answers),
        "citations": [f"[{one.n}] {one.path}, {one.locator}: {one.quote}" for one in given.citations],
        "passages": [f"{passage.chunk.path} ({passage.score:.3f})" for passage in given.passages],
        "model": given.model,
        "notice": given.notice,
        "timings_ms": {step: round(took, 1) for step, took in given.timings_ms.items()},
    }
    return Row(ANSWER, case.id, case.question, case.kinds, values, {}, detail, ms)


def judged(row: Row, given: Answer, model: Model) -> Row:
    """Return the row with what the judge says of the answer; a refusal and a case without an answer are not judged."""
    golds = row.detail["gold"]
    if not golds or given.outcome == NOT_IN_THE_NOTES:
        return row
    texts = [readable(passage) for passage in given.passages]
    said = _said(given)
    opinions = judge(model, row.question, texts, golds[0], said)
    values = {f"judge_{name}": value for name, value in scores(opinions).items()}
    facts = {"words": float(len(said.split())), "judged": values.get("judge_correctness", math.nan)}
    told = {"judge": [asdict(one) if one else "unparsed" for one in opinions]}
    return replace(
        row,
        values=row.values | values,
        facts=facts if "judge_correctness" in values else {},
        detail=row.detail | told,
    )


def _said(given: Answer) -> str:
    """Return an answer's sentences without their marks."""
    return " ".join(sentence.text for sentence in given.sentences) or given.answer


def _of_citations(
    given: Answer, text_of: Callable[[str], str | None], entailment: Entailment | None
) -> dict[str, float]:
    by_number = dict(cited_passages(given))
    texts = {
        n: passage.chunk.text if given.outcome == QUOTED else readable(passage) for n, passage in by_number.items()
    }
    claims = [(sentence.text, [texts[n] for n in sentence.citations if n in texts]) for sentence in given.sentences]
    exact = [
        float((text_of(by_number[one.n].chunk.version) or "")[one.start : one.end] == one.quote)
        for one in given.citations
        if one.n in by_number
    ]
    check = partial(supports, entailment=entailment)
    found = {
        "citation_recall": citation_recall(claims, check),
        "citation_precision": citation_precision(claims, check),
        "supported": sum(sentence.supported for sentence in given.sentences) / max(1, len(given.sentences)),
    }
    return found | ({"quote_exact": sum(exact) / len(given.citations)} if given.citations else {})


def cited_passages(given: Answer) -> list[tuple[int, Passage]]:
    """Return each citation's number with the passage that it quotes."""
    return [
        (citation.n, passage)
        for citation in given.citations
        for passage in given.passages
        if passage.chunk.path == citation.path and passage.chunk.start <= citation.start < passage.chunk.end
    ]


def holds(golds: Sequence[str], texts: Sequence[str]) -> float:
    """Return 1 if all content words of one of the right answers stand in one of the texts."""
    held = [stems(text) for text in texts]
    return float(any(stems(gold) <= one for gold in golds for one in held if stems(gold)))


def cover(golds: Sequence[str], texts: Sequence[str]) -> float:
    """Return the largest share of a right answer's content words that the texts hold together."""
    held = stems("\n".join(texts))
    return max((len(stems(gold) & held) / len(stems(gold)) for gold in golds if stems(gold)), default=0.0)
