"""A run is kept, and sent to Langfuse where that is configured: an experiment for each suite, over its cases."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from eval.cases import Case, read_cases, read_others
from eval.runs import Run, Runs
from eval.score import QUIZ, Row
from ingest.experiment import Experiment, Outcome
from ingest.settings import IngestSettings
from ingest.trace import experiment, on


def keep(settings: IngestSettings, run: Run, rows: Sequence[Row]) -> Path:
    """Keep a run among the runs and have it sent; return the file of its rows."""
    with contextlib.closing(Runs(settings.home)) as runs:
        path = runs.add(run, rows)
    publish(settings, run, rows)
    return path


def publish(settings: IngestSettings, run: Run, rows: Sequence[Row]) -> int:
    """Have a run sent; return how many experiments it makes. None where Langfuse is not configured.

    Quiz items and notes are no cases: they have a dataset of their own.
    """
    if not on(settings):
        return 0
    path = Path(run.cases)
    cases = {case.id: case for case in [*read_cases(path), *read_others(path)]}
    for suite, found in run.scores.items():
        outcomes = tuple(_outcome(cases.get(row.case), row) for row in rows if row.suite == suite)
        scores = {name: one.value for name, one in found.items()}
        about = {"suite": suite, "settings": run.settings_hash, "code": run.code, "model": run.model or "none"}
        about |= {name: str(run.settings[name]) for name in ("top_k", "chunk_tokens", "trial") if name in run.settings}
        dataset = f"{_name(path)}-quiz" if suite == QUIZ else _name(path)
        with contextlib.suppress(OSError):  # the run is kept, whatever becomes of this
            experiment(settings, Experiment(dataset, f"{run.id} {suite}", outcomes, scores, about))
    return len(run.scores)


def _name(cases: Path) -> str:
    """Return what the dataset is called: the file and its folder."""
    return f"{cases.parent.name}-{cases.stem}"


def _outcome(case: Case | None, row: Row) -> Outcome:
    about = {"tags": ", ".join(row.tags), "ms": f"{row.ms:.1f}"} | ({"trace": row.trace} if row.trace else {})
    if case is None:
        return Outcome(row.case, row.question, row.detail.get("answer"), row.detail, row.values, about)
    expected = {"answers": list(case.answers), "notes": list(case.gold_units), "answerable": case.answerable}
    return Outcome(case.id, case.question, expected, row.detail, row.values, about)
