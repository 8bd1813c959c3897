"""The gate: is anything worse than what was accepted, beyond chance?

The baseline is a file of the rows of an accepted run, made for git: a head, then a line for each row, so that a
change of it can be read. Compared is like with like: the cases that both have, and answers of the same model. What
can't be compared is named; a case that is still asked and has no score any more counts as a fall.
"""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.cases import BadCases, read_lines, write_lines
from eval.compare import BETTER, CHANCE, NO_DIFFERENCE, TOO_FEW, WORSE, Difference, compare, fallen
from eval.runs import Run
from eval.score import ANSWER, MCQ, REFUSAL, RETRIEVAL, Row
from eval.together import together
from ingest.errors import StudyError

GATED = {
    RETRIEVAL: ("ndcg@10", "mrr@10", "hit@5", "recall@10", "passage_ndcg@10", "passage_recall@10"),
    REFUSAL: ("false_answer", "false_refusal", "auroc", "aurc"),
    ANSWER: (
        "token_f1",
        "gold_in_cited",
        "quote_exact",
        "citation_recall",
        "citation_precision",
        "false_answer",
        "false_refusal",
    ),
    MCQ: ("accuracy", "unparsed"),
}
"""The scores that are held against the baseline, tested together (eval/together.py)."""
WRITTEN = (ANSWER, MCQ)
"""Suites whose rows depend on the model that wrote them."""
LEAST_COMMON = 0.5
"""Share of the baseline's rows that the run must have, or the two are about different cases."""


class NoBaseline(StudyError):
    """Nothing was accepted yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no accepted baseline at {path}; accept a run of these cases: ask eval accept RUN")


class OtherCases(StudyError):
    """The baseline is about other cases."""

    def __init__(self, path: Path, common: int, total: int) -> None:
        super().__init__(
            f"the run has {common} of the {total} rows of {path}; accept a run of these cases: ask eval accept RUN"
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was accepted."""

    head: dict[str, Any]
    """Run, code, settings, model."""
    rows: tuple[Row, ...]

    def model_of(self, row: Row) -> str:
        """Return which model wrote an answer; empty: none did."""
        return str(row.detail.get("model", self.head["model"]))


@dataclass(frozen=True, slots=True)
class Checked:
    """A run, held against what was accepted."""

    differences: tuple[Difference, ...]
    lost: tuple[str, ...]
    """What was accepted, is still asked, and has no score now: suite, case and scores."""
    gone: tuple[str, ...]
    """Cases that were accepted and are not asked any more."""
    fell: dict[tuple[str, str], list[str]]
    """The cases that did worse, by suite and score: of scores that are worse, or rest on too few cases to say."""
    model: str
    """In a line, that another model wrote the accepted answers; often empty."""

    @property
    def worse(self) -> list[Difference]:
        """Those that are worse beyond chance."""
        return [one for one in self.differences if one.verdict == WORSE]

    @property
    def better(self) -> list[Difference]:
        """Those that are better beyond chance."""
        return [one for one in self.differences if one.verdict == BETTER]

    @property
    def too_few(self) -> list[Difference]:
        """Those that rest on too few cases to say."""
        return [one for one in self.differences if one.verdict == TOO_FEW]

    @property
    def passed(self) -> bool:
        """Whether nothing fell."""
        return not self.worse and not self.lost


def baseline_of(cases: Path) -> Path:
    """Return where what was accepted for a file of cases is kept: beside it."""
    return cases.with_name("baseline.jsonl")


def save_baseline(path: Path, run: Run, rows: Sequence[Row]) -> int:
    """Write a run's rows as the baseline; return how many. Rows of suites that the run does not have stay."""
    head = {"run": run.id, "code": run.code, "model": run.model, "settings": _portable(run.settings)}
    given = {row.suite for row in rows}
    stay: list[Row] = []
    with contextlib.suppress(NoBaseline, BadCases):
        before = load_baseline(path)
        stay = [_kept(row, before.model_of(row)) for row in before.rows if row.suite not in given]
    kept = [_kept(row, run.model) for row in rows if row.suite in GATED]
    write_lines(path, [head, *map(_line, kept), *map(_line, stay)])
    return len(kept)


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        NoBaseline: There is none.
        BadCases: It can't be read.
    """
    if not path.is_file():
        raise NoBaseline(path)
    try:
        head, *lines = (line for _, line in read_lines(path))
        return Baseline(head, tuple(Row(question="", tags=(), **line) for line in lines))
    except (BadCases, TypeError, ValueError) as error:
        raise BadCases(f"what was accepted can't be read ({error}); accept a run anew: ask eval accept RUN") from None


def extend_baseline(path: Path, run: Run, rows: Sequence[Row]) -> int:
    """Add the rows of cases that are new to a baseline; return how many."""
    baseline = load_baseline(path)
    known = {(row.suite, row.case) for row in baseline.rows}
    new = [_kept(row, run.model) for row in rows if row.suite in GATED and (row.suite, row.case) not in known]
    if new:
        write_lines(path, [baseline.head, *map(_line, baseline.rows), *map(_line, new)])
    return len(new)


def check(
    baseline: Baseline,
    rows: Sequence[Row],
    path: Path,
    *,
    model: str = "",
    asked: Collection[str] = (),
    limited: bool = False,
) -> Checked:
    """Hold a run against what was accepted.

    Args:
        baseline: What was accepted.
        rows: Of the new run.
        path: Of the baseline, for what is said where it does not fit.
        model: Which model wrote the answers of the new run; empty: none did.
        asked: Ids of the cases that the new run was given.
        limited: These are only some of the cases that it might have been given.

    Raises:
        OtherCases: Less than half of the baseline's rows are in the run, or if `limited` of those that were asked.
    """
    suites = {row.suite for row in rows}
    accepted = [row for row in baseline.rows if row.suite in suites]
    others = [row for row in accepted if row.suite in WRITTEN and baseline.model_of(row) != model]
    like = [row for row in accepted if row not in others]
    given = {(row.suite, row.case): row for row in rows}
    expected = [row for row in like if not limited or row.case in asked]
    common = sum((row.suite, row.case) in given for row in expected)
    if not accepted or common < LEAST_COMMON * len(expected) or (limited and not common):
        raise OtherCases(path, common, len(expected))
    found = _held(like, rows)
    telling = [one for one in found if one.verdict in (WORSE, TOO_FEW)]
    fell = {(one.suite, one.metric): fallen(like, rows, one.suite, one.metric) for one in telling}
    absent = [row for row in like if (row.suite, row.case) not in given]
    lost = [f"{row.suite} {row.case}" for row in absent if row.case in asked]
    lost += [
        f"{row.suite} {row.case}: {', '.join(names)}"
        for row in like
        if row.suite == RETRIEVAL and (now := given.get((row.suite, row.case)))
        if (names := [name for name in row.values if name not in now.values])
    ]
    gone = dict.fromkeys(row.case for row in absent if row.case not in asked)
    return Checked(
        tuple(found),
        tuple(lost),
        tuple(gone),
        {key: cases for key, cases in fell.items() if cases},
        _other_model(sorted({baseline.model_of(row) for row in others}), model, len(others)),
    )


def _held(before: Sequence[Row], after: Sequence[Row]) -> list[Difference]:
    """Return the differences of the scores that are held, tested together: one alarm, one chance of a false one."""
    found = [one for one in compare(before, after) if one.metric in GATED[one.suite]]
    tested = [one for one in found if one.verdict != TOO_FEW]
    chances = dict(zip(tested, together(before, after, tested), strict=True))
    return [_settled(one, max(one.p, chances.get(one, 0.0))) for one in found]


def _settled(one: Difference, p: float) -> Difference:
    may_be_chance = one.verdict in (BETTER, WORSE) and p > CHANCE
    return replace(one, p=p, verdict=NO_DIFFERENCE if may_be_chance else one.verdict)


def _other_model(before: Sequence[str], now: str, count: int) -> str:
    if not count:
        return ""
    was = ", ".join(name or "no model" for name in before)
    return f"the model changed ({was} → {now or 'no model'}): {count} accepted answers are not compared"


def _portable(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without what is true of one machine only."""
    return {name: value for name, value in settings.items() if name not in ("notes", "cases")}


def _kept(row: Row, model: str) -> Row:
    values = {name: round(value, 5) for name, value in row.values.items() if name in GATED[row.suite]}
    facts = {name: round(value, 5) for name, value in row.facts.items()}
    return Row(row.suite, row.case, "", (), values, facts, {"model": model} if row.suite in WRITTEN else {})


def _line(row: Row) -> dict[str, Any]:
    line = {"suite": row.suite, "case": row.case, "values": row.values, "facts": row.facts}
    return line | ({"detail": row.detail} if row.detail else {})
