"""Settings are tried one after the other on the same cases: which is the cheapest that is not worse than the best?

Each combination is a run like any other and is kept as one. A sweep that was broken off goes on where it was: a run
of the same settings, notes, cases and code is not made again.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from assistant.settings import AssistantSettings
from eval.compare import NO_DIFFERENCE, TOO_FEW, Difference, compare
from eval.metrics import Estimate
from eval.publish import publish
from eval.runs import Runs
from eval.score import ANSWER, LOWER_IS_BETTER, NEITHER, RETRIEVAL
from eval.suite import Plan, Scored, run
from ingest.errors import StudyError
from ingest.sync import Progress

SWEPT = (
    *("chunk_tokens", "embed_model", "entailment_model", "llm_max_answer_tokens", "llm_model", "llm_temperature"),
    *("rerank_model", "top_k"),
)
"""Settings that can change a score, and can be tried."""


class BadSweep(StudyError):
    """The settings can't be tried so."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One combination of settings."""

    values: dict[str, str]
    """What was set, as it was written."""
    scored: Scored
    again: bool
    """Whether an earlier run was used."""

    def score(self, suite: str, metric: str) -> Estimate:
        """Return one of its scores.

        Raises:
            BadSweep: It has none of that name.
        """
        scores = self.scored.run.scores.get(suite, {})
        if metric not in scores:
            raise BadSweep(
                f"there is no score {suite} {metric}; there are: {', '.join(scores) or 'none of that suite'}"
            )
        return scores[metric]

    @property
    def told(self) -> str:
        """What was set, in words, and what became of a chunk size that the embedding model can't read."""
        made, asked = self.scored.run.settings.get("chunk_tokens"), self.values.get("chunk_tokens", "")
        less = f" (made: {made}, all that is read)" if made and asked.isdecimal() and int(asked) > made else ""
        return " ".join(f"{name}={value}" for name, value in self.values.items()) + less

    @property
    def cost(self) -> float:
        """What a question costs: tokens of prompt and answer where a model was asked, else words shown."""
        answer = self.scored.run.scores.get(ANSWER, {})
        if "prompt_tokens" in answer:
            return answer["prompt_tokens"].value + answer["answer_tokens"].value
        return self.scored.run.scores.get(RETRIEVAL, {}).get("words_shown", Estimate(0.0, 0.0, 0.0, 0)).value


@dataclass(frozen=True, slots=True)
class Result:
    """What a sweep found."""

    tried: tuple[Tried, ...]
    best: Tried
    against: tuple[Difference | None, ...]
    """Of each that was tried, in their order: how it differs from the best, paired; None: it is the best."""
    not_worse: tuple[Tried, ...]
    """The best, and those that the paired test does not show to be worse, cheapest first."""

    @property
    def too_few(self) -> int:
        """How many cases there were, where these are too few to say; else 0."""
        return max((one.n for one in self.against if one and one.verdict == TOO_FEW), default=0)


def combinations(given: Sequence[str], settings: AssistantSettings) -> list[tuple[dict[str, str], AssistantSettings]]:
    """Return every combination of values like 'chunk_tokens=128,256', as it was written and as settings.

    Raises:
        BadSweep: A name is no setting, or a value not one of its.
    """
    names, choices = [], []
    for one in given:
        name, equals, values = one.partition("=")
        if not equals or not values or name not in SWEPT:
            raise BadSweep(f"{one}: write --set NAME=VALUE,VALUE; the names are {', '.join(SWEPT)}")
        names.append(name)
        choices.append([value.strip() for value in values.split(",")])
    found = []
    for values_ in itertools.product(*choices):
        chosen = dict(zip(names, values_, strict=True))
        try:
            found.append((chosen, AssistantSettings(**(settings.model_dump() | chosen))))
        except ValidationError as error:
            first = error.errors()[0]
            raise BadSweep(f"{first['loc'][0]}: {first['msg']}") from None
    return found


def sweep(
    plan: Plan,
    tries: Sequence[tuple[dict[str, str], AssistantSettings]],
    runs: Runs,
    *,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> Iterator[Tried]:
    """Yield each combination when it is scored.

    Args:
        plan: What is scored.
        tries: What to set, from `combinations`.
        runs: Where runs are kept and found again.
        progress: Told how far it is.
        notice: Told in a line what went otherwise than planned.
    """

    from_before: set[str] = set()

    def known(settings_hash: str, code: str) -> Scored | None:
        found = runs.same(settings_hash, code)
        if found is None:
            return None
        from_before.add(found.id)
        return Scored(found, tuple(runs.rows_of(found.id)))

    for number, (chosen, settings) in enumerate(tries, start=1):
        if progress:
            progress("settings", number - 1, len(tries))
        scored = run(replace(plan, trial=True), settings, progress=progress, notice=notice, known=known)
        again = scored.run.id in from_before
        if not again:
            runs.add(scored.run, scored.rows)
            publish(settings, scored.run, scored.rows)
        yield Tried(chosen, scored, again)
        if progress:
            progress("settings", number, len(tries))


def judge(tried: Sequence[Tried], suite: str, metric: str) -> Result:
    """Return the best by one score, how the others differ from it, and those that are not shown to be worse.

    Raises:
        BadSweep: There is no such score, or neither way is better.
    """
    if metric in NEITHER:
        raise BadSweep(f"of {suite} {metric} neither more nor less is better; decide by another score (--by)")
    sign = -1 if metric in LOWER_IS_BETTER else 1
    best = max(tried, key=lambda one: (sign * one.score(suite, metric).value, -one.cost))
    against = tuple(None if one is best else _against(best, one, suite, metric) for one in tried)
    held = [one for one, it in zip(tried, against, strict=True) if it is None or it.verdict == NO_DIFFERENCE]
    return Result(tuple(tried), best, against, tuple(sorted(held, key=lambda one: (one.cost, one is not best))))


def _against(best: Tried, other: Tried, suite: str, metric: str) -> Difference:
    before, after = ([row for row in one.scored.rows if row.suite == suite] for one in (best, other))
    found = compare(before, after, only=[metric])
    if not found:
        raise BadSweep(f"{best.told} and {other.told} have no case with {suite} {metric} in common")
    return found[0]


def as_json(result: Result) -> dict[str, Any]:
    """Return what `ask eval sweep --json` prints."""
    held = {id(one) for one in result.not_worse}
    return {
        "tried": [
            {
                "set": one.values,
                "run": one.scored.run.id,
                "cost": round(one.cost, 2),
                "not_worse": id(one) in held,
                "against_best": asdict(against) if against else None,
                "suites": one.scored.run.as_json()["suites"],
            }
            for one, against in zip(result.tried, result.against, strict=True)
        ],
        "best": result.best.values,
        "cheapest": result.not_worse[0].values,
    }
