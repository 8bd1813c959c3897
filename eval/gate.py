"""The gate: is anything worse than what was accepted, beyond chance?

The baseline is a file of the rows of an accepted run, made for git: a head, then a line for each row, so that a
change of it can be read. A case that is new since then, or gone, is not compared.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.compare import WORSE, Difference, compare
from eval.runs import Run
from eval.score import ANSWER, MCQ, REFUSAL, RETRIEVAL, Row
from ingest.errors import StudyError

BASELINE = Path(__file__).resolve().parent / "gold" / "baseline.jsonl"
"""What was accepted for the shipped notes and questions."""
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
    MCQ: ("accuracy",),
}
"""The scores that are held against the baseline. Fewer scores, fewer alarms by chance."""
LEAST_COMMON = 0.5
"""Share of the baseline's rows that the run must have, or the two are about different cases."""


class NoBaseline(StudyError):
    """Nothing was accepted yet."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is no accepted baseline at {path}; accept a run: ask eval accept RUN")


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


def save_baseline(path: Path, run: Run, rows: Sequence[Row]) -> int:
    """Write a run's rows as the baseline; return how many."""
    head = {"run": run.id, "code": run.code, "model": run.model, "settings": _portable(run.settings)}
    kept = [_kept(row) for row in rows if row.suite in GATED]
    _write(path, [head, *map(_line, kept)])
    return len(kept)


def load_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        NoBaseline: There is none.
    """
    try:
        head, *lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    except (FileNotFoundError, ValueError):
        raise NoBaseline(path) from None
    return Baseline(head, tuple(Row(question="", tags=(), **line) for line in lines))


def extend_baseline(path: Path, rows: Sequence[Row]) -> int:
    """Add the rows of cases that are new to a baseline; return how many."""
    baseline = load_baseline(path)
    known = {(row.suite, row.case) for row in baseline.rows}
    new = [_kept(row) for row in rows if row.suite in GATED and (row.suite, row.case) not in known]
    if new:
        _write(path, [baseline.head, *map(_line, baseline.rows), *map(_line, new)])
    return len(new)


def check(baseline: Baseline, rows: Sequence[Row], path: Path) -> list[Difference]:
    """Return every gated score against the baseline.

    Args:
        baseline: What was accepted.
        rows: Of the new run.
        path: Of the baseline, for what is said where it does not fit.

    Raises:
        OtherCases: Less than half of the baseline's rows are in the run.
    """
    suites = {row.suite for row in rows}
    accepted = [row for row in baseline.rows if row.suite in suites]
    given = {(row.suite, row.case) for row in rows}
    common = sum((row.suite, row.case) in given for row in accepted)
    if not accepted or common < LEAST_COMMON * len(accepted):
        raise OtherCases(path, common, len(accepted))
    return [one for one in compare(accepted, rows) if one.metric in GATED[one.suite]]


def worse(found: Sequence[Difference]) -> list[Difference]:
    """Return those that are worse beyond chance."""
    return [one for one in found if one.verdict == WORSE]


def _portable(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without what is true of one machine only."""
    return {name: value for name, value in settings.items() if name not in ("notes", "cases")}


def _kept(row: Row) -> Row:
    values = {name: round(value, 5) for name, value in row.values.items() if name in GATED[row.suite]}
    return Row(row.suite, row.case, "", (), values, {name: round(value, 5) for name, value in row.facts.items()})


def _line(row: Row) -> dict[str, Any]:
    return {"suite": row.suite, "case": row.case, "values": row.values, "facts": row.facts}


def _write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    draft.replace(path)
