"""A run → Langfuse, where it is configured: an experiment for each suite, over the dataset of its cases."""

from collections.abc import Sequence
from pathlib import Path

from eval.cases import Case, read_cases
from eval.runs import Run
from eval.score import QUIZ, Row
from ingest.experiment import Experiment, Outcome
from ingest.settings import IngestSettings
from ingest.trace import experiment, on


def publish(settings: IngestSettings, run: Run, rows: Sequence[Row]) -> int:
    """Have a run sent; return how many experiments it makes. None where Langfuse is not configured.

    Quiz items are no answers to cases, so that suite stays here.
    """
    if not on(settings):
        return 0
    path = Path(run.cases)
    beside = path.with_name("ood_queries.jsonl")
    others = read_cases(beside, answerable=False) if beside.is_file() else []
    cases = {case.id: case for case in [*read_cases(path), *others]}
    suites = [suite for suite in run.scores if suite != QUIZ]
    for suite in suites:
        own = [row for row in rows if row.suite == suite and row.case in cases]
        scores = {name: one.value for name, one in run.scores[suite].items()}
        outcomes = tuple(_outcome(cases[row.case], row) for row in own)
        about = {"suite": suite, "settings": run.settings_hash, "code": run.code, "model": run.model or "none"}
        experiment(settings, Experiment(_name(path), f"{run.id} {suite}", outcomes, scores, about))
    return len(suites)


def _name(cases: Path) -> str:
    """Return what the dataset is called: the file and its folder."""
    return f"{cases.parent.name}-{cases.stem}"


def _outcome(case: Case, row: Row) -> Outcome:
    expected = {"answers": list(case.answers), "notes": list(case.gold_units), "answerable": case.answerable}
    about = {"tags": ", ".join(row.tags), "ms": f"{row.ms:.1f}"}
    return Outcome(case.id, case.question, expected, row.detail, row.values, about)
