"""What the Quality tab says of the last gate and of answers without a model server."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from assistant.journal import Journal
from eval.gate import baseline_of, save_baseline
from eval.mine import cases_path
from eval.runs import Runs
from ingest.shelf import Shelf
from tests.fakes import HashedEmbedder
from tests.served import settings_in
from tests.test_gate import rows, run_of
from ui.web.desk import Desk
from ui.web.quality import last_gate, use_html, visible


def test_the_last_gate_is_told_of_the_newest_run_that_has_something_to_be_held_against(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert last_gate(settings) == "none yet; to have one: ask eval gate"
    save_baseline(baseline_of(cases_path(settings)), run_of(rows(90)), rows(90))
    runs = Runs(settings.home)
    own = str(cases_path(settings).resolve())

    def score(hits: int, moment: float, cases: str = own, **more: object) -> None:
        run = replace(run_of(rows(hits)), id=f"r{moment:.0f}", started=moment, cases=cases)
        runs.add(replace(run, settings=run.settings | more), rows(hits))

    with closing(runs):
        score(90, 1000.0)
        assert last_gate(settings).endswith(": passed, nothing is worse beyond chance")
        score(75, 2000.0)
        assert last_gate(settings).endswith(": worse beyond chance: retrieval mrr@10 0.900 → 0.750")
        score(90, 3000.0, trial="top_k=3")
        score(90, 4000.0, cases="/elsewhere/q.jsonl")
        assert last_gate(settings).endswith("0.900 → 0.750")


def test_a_learner_sees_twenty_runs_whatever_the_others_scored(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    runs = Runs(settings.home)
    others = str(cases_path(settings.model_copy(update={"learner": "other"})).resolve())
    with closing(runs):
        for n, cases in enumerate(("/elsewhere/q.jsonl",) * 25 + (others,) * 300):
            runs.add(replace(run_of(rows(1)), id=f"r{n:03}", started=float(n), cases=cases), rows(1))
        assert [run.id for run in visible(runs, settings)] == [f"r{n:03}" for n in range(24, 4, -1)]


def test_an_answer_without_a_model_server_is_no_failure(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    desk = Desk(settings, shelf=Shelf(settings, embedder=HashedEmbedder(dim=64)))
    document: dict[str, Any] = {
        "question": "?",
        "answer": "",
        "outcome": "quoted",
        "model": None,
        "usage": {},
        "timings_ms": {},
    }
    with closing(Journal.of(desk.settings)) as journal:
        for failure in ("ServerUnreachable", "ServerUnreachable", "ServerStalled", "Stopped"):
            journal.asked(document, failure=failure)
    table = use_html(desk, "me")
    assert "<th scope='row'>Without a model server</th><td>2 answers</td>" in table
    assert "<th scope='row'>Failures</th><td>1 silent</td>" in table
    assert "<th scope='row'>Model</th><td>none is served; " in table
    desk.finish(1)
