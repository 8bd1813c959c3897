import contextlib
import sqlite3
from pathlib import Path

import pytest

from eval.runs import NoSuchRun, Runs, RunsUnavailable
from tests.scored import a_run, row


def test_runs_are_kept_whole_and_for_ever(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with pytest.raises(NoSuchRun, match=r"^there is no run yet; make one: ask eval --no-llm$"):
        runs.get("last")
    runs.add(a_run("r1"), [row("a", 1.0), row("b", 0.0)])
    runs.add(a_run("r2", 2.0), [row("a", 0.5)])
    assert runs.get("r1") == a_run("r1")
    assert [run.id for run in runs.last(9)] == ["r2", "r1"]
    assert runs.get("last").id == "r2"
    assert [one.values for one in runs.rows_of("r1")] == [{"hit@1": 1.0}, {"hit@1": 0.0}]
    assert runs.same("h", "c0de") == a_run("r2", 2.0)
    assert runs.same("h", "other") is None
    for name in ("r", "r3", ""):
        with pytest.raises(NoSuchRun):
            runs.get(name)
    db = sqlite3.connect(tmp_path / "eval" / "runs.db")
    for statement in ("DELETE FROM rows", "UPDATE runs SET seconds = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()
    runs.close()


def test_a_run_whose_rows_can_not_be_written_is_not_kept(tmp_path: Path) -> None:
    with contextlib.closing(Runs(tmp_path)) as runs:
        runs.rows_path("r1").mkdir(parents=True)
        with pytest.raises(RunsUnavailable, match=r"r1\.jsonl can't be written: Is a directory"):
            runs.add(a_run("r1"), [row("a", 1.0)])
        assert runs.last(9) == []
        assert [path.name for path in runs.rows_path("r1").parent.iterdir()] == ["r1.jsonl"]
        assert runs.add(a_run("r2"), [row("a", 1.0)]).read_text().startswith('{"suite": "retrieval"')
