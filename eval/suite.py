"""A set of cases becomes a run: index, ask, score, keep.

The scores of a suite are made from its rows alone, so that whatever is kept can be scored again.
"""

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from assistant.answer import check_question
from assistant.errors import QuestionRejected
from assistant.follow import standalone
from assistant.refuse import Calibration, load_calibration
from assistant.settings import AssistantSettings
from eval import answering, choosing, quizzing, refusal, retrieval, stamp
from eval import judge as judging
from eval.cases import OTHERS, UNITS, BadCases, Case, read_cases, read_others, read_units
from eval.runs import Run
from eval.score import ANSWER, MCQ, QUIZ, REFUSAL, RETRIEVAL, SUITES, Row, summarise
from eval.scratch import open_index
from ingest.shelf import Shelf
from ingest.sync import Progress

if TYPE_CHECKING:
    from assistant.llm import LanguageModel
    from assistant.retrieve import Reranker
    from assistant.support import Entailment

ROOT = Path(__file__).resolve().parent.parent
GOLD = ROOT / "eval" / "gold" / "queries.jsonl"
"""The cases that are shipped, for the notes that are shipped."""
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be scored."""

    notes: Path
    cases: Path
    suites: tuple[str, ...] = SUITES
    limit: int = 0
    """Most cases of each file, spread evenly over it; 0: all."""
    use_model: bool = True
    """False: though a model may be there."""
    mine: bool = False
    """Score the learner's own index as it is, rather than a throw-away one."""
    judged: bool = False
    """Let the model judge the answers, too."""
    trial: bool = False
    """It only tries settings: no part of how scores went over time."""
    written_only: bool = False
    """Leave the answers out where no model is served to write them."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A run with its rows."""

    run: Run
    rows: tuple[Row, ...]
    asked: frozenset[str] = frozenset()
    """Ids of the cases that it was given; empty where an earlier run was used."""


@dataclass
class Bench:
    """What the suites work with."""

    shelf: Shelf
    settings: AssistantSettings
    cases: Sequence[Case]
    others: Sequence[Case]
    """Questions of other subjects, from ood_queries.jsonl."""
    units: dict[str, str]
    model: "LanguageModel | None"
    reranker: "Reranker | None"
    tell: Progress
    judged: bool
    limit: int
    suites: tuple[str, ...]
    tokens: Counter[str] = field(default_factory=Counter)
    """What the answers took; what else was asked of the model is in `model.spent`."""

    @property
    def calibration(self) -> Calibration | None:
        """The threshold in force: the user's own, else the one that is shipped."""
        return load_calibration(self.shelf.embedder.model.sha256, self.settings.home)

    @property
    def at_once(self) -> int:
        """How many questions are asked at the same time."""
        return answering.AT_ONCE if self.model else 1

    @cached_property
    def search(self) -> retrieval.Search:
        """Finds the passages of a case; of a follow-up, those of what it means."""

        def asked(case: Case) -> str:
            return standalone(case.question, answering.history(case), self.model).question

        return retrieval.searcher(self.shelf, top_k=self.settings.top_k, reranker=self.reranker, ask=asked)

    def watched(self, suite: str, rows: Iterable[Thing], total: int) -> Iterator[Thing]:
        """Yield rows, telling how far it is."""
        for done, row in enumerate(rows, start=1):
            self.tell(suite, done, total)
            yield row


def run(
    plan: Plan,
    settings: AssistantSettings,
    *,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda line: None,
    known: Callable[[str, str], Scored | None] = lambda settings_hash, code: None,
) -> Scored:
    """Score a set of cases.

    Args:
        plan: What.
        settings: What the user set.
        progress: Told how far it is.
        notice: Told in a line what went otherwise than planned.
        known: Gives a run of the same settings and code, where that will do.

    Raises:
        StudyError: The cases or the notes can't be read.
    """
    started = time.time()
    tell = progress or (lambda step, done, total: None)
    cases, others = _read(plan)
    model = _model(settings, notice) if plan.use_model else None
    suites = tuple(suite for suite in plan.suites if model or suite != ANSWER or not plan.written_only)
    units = read_units(plan.cases.with_name(UNITS))
    judged = plan.judged and model is not None and ANSWER in suites
    with contextlib.ExitStack() as closing:
        if plan.mine:
            shelf = Shelf(settings)
            closing.callback(shelf.close)
            content = f"generation {shelf.ledger.generation}"
        else:
            shelf, content = open_index(settings, plan.notes, progress=progress)
            closing.callback(shelf.close)
        if settings.chunk_tokens > shelf.chunk_tokens:
            notice(
                f"chunk_tokens={settings.chunk_tokens}: {shelf.embedder.model.name} reads no more than "
                f"{shelf.chunk_tokens}, so chunks have at most that many"
            )
        if lost := _lost(cases, units, shelf):
            of = f"{len(lost)} of {len(cases)} questions"
            notice(f"{of} name no note that is there ({lost[0]}): they count as not found; is it the right folder?")
        bench = Bench(
            shelf, settings, cases, others, units, model, _reranker(settings), tell, judged, plan.limit, suites
        )
        return _scored(bench, plan, content, started, known)


def _read(plan: Plan) -> tuple[list[Case], list[Case]]:
    """Return the cases and those of other subjects, all of which can be asked: mistakes are told before the work."""
    every = read_cases(plan.cases), read_others(plan.cases)
    if not every[0]:
        raise BadCases(f"{plan.cases} has no cases")
    if both := {case.id for case in every[0]} & {case.id for case in every[1]}:
        beside = plan.cases.with_name(OTHERS)
        raise BadCases(f"{beside} and {plan.cases} both have a case {min(both)}; each needs an id of its own")
    cases, others = (spread([_askable(case) for case in of], plan.limit) for of in every)
    return cases, others


def _askable(case: Case) -> Case:
    try:
        return replace(case, question=check_question(case.question))
    except QuestionRejected as error:
        raise BadCases(f"case {case.id}: {error}") from None


def _lost(cases: Iterable[Case], units: Mapping[str, str], shelf: Shelf) -> list[str]:
    """Return a gold unit of each answerable case of which no gold unit is among the notes."""
    there = {units.get(path, path) for path in shelf.ledger.notes()}
    wanted = [case for case in cases if case.answerable and case.gold_units]
    return [case.gold_units[0] for case in wanted if not there & set(case.gold_units)]


def _scored(
    bench: Bench, plan: Plan, content: str, started: float, known: Callable[[str, str], Scored | None]
) -> Scored:
    model = bench.model
    about, code = stamp.about(bench, plan, content), stamp.code_version()
    digest = stamp.hash_of(about)
    if found := known(digest, code):
        return found
    agreed = judging.agreement(model).kappas if bench.judged and model else {}
    rows = tuple(row for suite in bench.suites for row in WORK[suite](bench))
    if not rows:
        raise BadCases(f"{plan.cases} has no case that {', '.join(bench.suites) or 'these suites'} can score")
    run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(started))}-{uuid.uuid4().hex[:4]}"
    made = Run(
        id=run_id,
        started=started,
        seconds=time.time() - started,
        cases=str(plan.cases.expanduser().resolve()),
        settings=about,
        settings_hash=digest,
        code=code,
        generation=bench.shelf.ledger.generation,
        model=model.name if model else "",
        scores=summarise(rows),
        tokens=dict(bench.tokens + (model.spent if model else Counter())),
        judge=agreed,
    )
    return Scored(made, rows, frozenset(case.id for case in [*bench.cases, *bench.others]))


def _retrieval(bench: Bench) -> Iterable[Row]:
    found = retrieval.rows(bench.shelf, bench.cases, bench.units, bench.search)
    return bench.watched(RETRIEVAL, found, sum(case.answerable and bool(case.gold_units) for case in bench.cases))


def _refusal(bench: Bench) -> Iterable[Row]:
    every = [*bench.cases, *bench.others]
    return bench.watched(REFUSAL, refusal.rows(every, bench.units, bench.calibration, bench.search), len(every))


def _answer(bench: Bench) -> Iterator[Row]:
    ask = answering.asker(bench.shelf, bench.settings, use_model=bench.model is not None)
    entailment = _entailment(bench.settings) if bench.model else None
    found = answering.rows(bench.shelf, bench.cases, ask, at_once=bench.at_once, entailment=entailment)
    for row, given in bench.watched(ANSWER, found, len(bench.cases)):
        bench.tokens.update(given.usage)
        yield answering.judged(row, given, bench.model) if bench.judged and bench.model else row


def _mcq(bench: Bench) -> Iterable[Row]:
    pick = choosing.by_model(bench.model) if bench.model else choosing.by_meaning(bench.shelf.embedder)
    total = sum(map(choosing.can_choose, bench.cases))
    return bench.watched(MCQ, choosing.rows(bench.cases, pick, bench.search, at_once=bench.at_once), total)


def _quiz(bench: Bench) -> Iterable[Row]:
    wanted = bench.limit or quizzing.WANTED
    return bench.watched(QUIZ, quizzing.rows(bench.shelf, bench.settings, bench.model, wanted=wanted), 0)


WORK: dict[str, Callable[[Bench], Iterable[Row]]] = {
    RETRIEVAL: _retrieval,
    REFUSAL: _refusal,
    ANSWER: _answer,
    MCQ: _mcq,
    QUIZ: _quiz,
}
"""What makes the rows of each suite."""


def spread(cases: Sequence[Case], limit: int) -> list[Case]:
    """Return at most `limit` cases, evenly spread, in their order; 0: all."""
    if not limit or limit >= len(cases):
        return list(cases)
    return [cases[i * len(cases) // limit] for i in range(limit)]


def _model(settings: AssistantSettings, notice: Callable[[str], None]) -> "LanguageModel | None":
    from assistant.llm import Absent, find

    found = find(settings)
    if isinstance(found, Absent):
        notice(f"no model answers ({found.reason}); scored without one")
        return None
    return found


def _reranker(settings: AssistantSettings) -> "Reranker | None":
    if not settings.rerank_model:
        return None
    from assistant import rerank

    return rerank.load(settings.rerank_model)


def _entailment(settings: AssistantSettings) -> "Entailment | None":
    if not settings.entailment_model:
        return None
    from assistant import entail

    return entail.load(settings.entailment_model)
