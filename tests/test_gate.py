import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant.answer import Answer, answer
from assistant.journal import Journal
from assistant.settings import AssistantSettings
from eval.cases import read_cases
from eval.gate import BASELINE, NoBaseline, OtherCases, check, extend_baseline, load_baseline, save_baseline, worse
from eval.mine import NothingToScore, baseline_path, case_from, cases_path, keep_case, score_mine
from eval.runs import Run
from eval.score import Row, summarise
from eval.suite import GOLD
from ingest.shelf import Shelf
from ingest.sync import sync
from ui.cli import main
from ui.nightly import run_night, steps_of


def rows(hits: int, of: int = 100) -> list[Row]:
    """Rows of which the first `hits` found their note."""
    values = [{"mrr@10": float(i < hits), "hit@1": float(i < hits)} for i in range(of)]
    return [Row("retrieval", str(i), "?", ("open",), value) for i, value in enumerate(values)]


def run_of(found: list[Row]) -> Run:
    settings = {"notes": "/home/x/notes", "top_k": 6}
    return Run("r1", 1.0, 2.0, "/home/x/q.jsonl", settings, "h", "c0de", 1, "", summarise(found), {})


def test_the_gate_fails_only_beyond_chance(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    assert save_baseline(path, run_of(rows(90)), rows(90)) == 100
    baseline = load_baseline(path)
    assert baseline.head == {"run": "r1", "code": "c0de", "model": "", "settings": {"top_k": 6}}
    assert [one.metric for one in check(baseline, rows(90), path)] == ["mrr@10"]  # hit@1 is not held
    assert worse(check(baseline, rows(88), path)) == []
    assert [one.metric for one in worse(check(baseline, rows(75), path))] == ["mrr@10"]
    assert worse(check(baseline, rows(100), path)) == []


def test_what_rounding_does_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    found = [Row("retrieval", str(i), "?", (), {"ndcg@10": 0.6309297535714575}) for i in range(100)]
    save_baseline(path, run_of(found), found)
    assert worse(check(load_baseline(path), found, path)) == []


def test_a_baseline_of_other_cases_is_told_apart_from_a_fall(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    with pytest.raises(NoBaseline, match="ask eval accept"):
        load_baseline(path)
    save_baseline(path, run_of(rows(90)), rows(90))
    with pytest.raises(OtherCases, match="40 of the 100 rows"):
        check(load_baseline(path), rows(40, of=40), path)
    assert extend_baseline(path, rows(100, of=110)) == 10
    assert extend_baseline(path, rows(100, of=110)) == 0
    assert len(load_baseline(path).rows) == 110


@pytest.fixture
def asked(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> AssistantSettings:
    """Settings with two notes, indexed, and one wrong answer with a thumbs-down in the journal."""
    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes and live in herds.\n")
    (settings.notes / "lion.md").write_text("# Lions\n\nA lion sleeps twenty hours a day and hunts at night.\n")
    shelf = Shelf(settings)
    sync(shelf)
    *_, last = answer("When do zebras sleep?", shelf, settings, use_model=False)
    assert isinstance(last, Answer)
    journal = Journal.of(settings)
    kept = journal.asked(last.as_json())
    journal.feedback(kept, False, wrong="that is about stripes", note="lion.md")
    journal.close()
    return settings


def test_a_thumbs_down_becomes_a_case_and_is_scored_every_night(asked: AssistantSettings) -> None:
    done = CliRunner().invoke(main, ["eval", "keep"], catch_exceptions=False)
    assert done.output.startswith("kept: journal-1 in ")
    case = read_cases(cases_path(asked))[0]
    assert (case.question, case.gold_docs, case.answerable) == ("When do zebras sleep?", ("lion.md",), True)
    line = json.loads(cases_path(asked).read_text())
    assert line["wrong"] == "that is about stripes"
    assert line["shown"][0]["path"] == "zebra.md"

    again = CliRunner().invoke(main, ["eval", "keep", "1", "--not-in-notes"], catch_exceptions=False)
    assert again.output.startswith("kept anew: journal-1")
    assert [case.answerable for case in read_cases(cases_path(asked))] == [False]

    night = run_night(steps_of(Shelf(asked), asked), tell=print)
    assert [step.name for step in night.steps][-1] == "gate"
    assert night.ok
    gate = night.steps[-1].detail
    assert (gate["cases"], gate["worse"]) == (1, 0)
    assert len(load_baseline(baseline_path(asked)).rows) == 2  # refusal and answer
    scored = CliRunner().invoke(main, ["eval", "--mine", "--no-llm", "--json"], catch_exceptions=False)
    assert json.loads(scored.stdout)["suites"]["refusal"]["false_answer"]["n"] == 1


def test_without_cases_of_ones_own_the_night_goes_on(asked: AssistantSettings) -> None:
    assert score_mine(asked) is None
    assert run_night(steps_of(Shelf(asked), asked), tell=print).steps[-1].detail == {
        "cases": 0,
        "worse": 0,
        "runs": [],
        "warnings": [],
    }


def test_what_falls_in_the_night_is_warned_of_and_stays_as_it_is(
    asked: AssistantSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "Which animal sleeps twenty hours a day?"
    for name in ("me", "ann"):
        path = cases_path(asked.model_copy(update={"learner": name}))
        for i in range(8):
            keep_case(path, {"id": f"q{i}", "question": question, "gold_docs": ["lion.md"]})
    shelf = Shelf(asked)
    assert run_night(steps_of(shelf, asked)).steps[-1].detail["worse"] == 0
    (asked.notes / "lion.md").rename(asked.notes / "cat.md")
    gate = run_night(steps_of(shelf, asked)).steps[-1]
    assert gate.ok
    assert gate.detail["cases"] == 16
    assert "retrieval mrr@10 fell from 1.000 to 0.000 on the cases of ann" in capsys.readouterr().err
    assert run_night(steps_of(shelf, asked)).steps[-1].detail["worse"] == gate.detail["worse"] > 0


def test_a_wrong_answer_without_a_right_one_is_no_case(asked: AssistantSettings) -> None:
    journal = Journal.of(asked)
    kept = journal.last()
    journal.close()
    assert kept is not None
    with pytest.raises(NothingToScore, match="--not-in-notes"):
        case_from(kept)
    assert case_from(kept, answer="twenty hours")["answerable"]
    assert keep_case(cases_path(asked), case_from(kept, note="lion.md"))
    assert not keep_case(cases_path(asked), case_from(kept, note="zebra.md"))
    assert [case.gold_docs for case in read_cases(cases_path(asked))] == [("zebra.md",)]


def test_the_command_says_when_nothing_was_given_a_thumbs_down(settings: AssistantSettings) -> None:
    done = CliRunner().invoke(main, ["eval", "keep"])
    assert done.exit_code == 1
    assert "no answer has a thumbs-down yet" in done.output


def test_the_gate_passes_and_fails_by_its_exit_status(asked: AssistantSettings, tmp_path: Path) -> None:
    cases = tmp_path / "queries.jsonl"
    question = "Which animal sleeps twenty hours a day?"
    lines = [{"id": f"q{i}", "question": question, "gold_docs": ["lion.md"]} for i in range(8)]
    cases.write_text("".join(json.dumps(line) + "\n" for line in lines))
    baseline = str(tmp_path / "baseline.jsonl")
    what = ["--notes", str(asked.notes), "--cases", str(cases)]
    runner = CliRunner()
    assert (
        "there is no accepted baseline" in runner.invoke(main, ["eval", "gate", *what, "--baseline", baseline]).output
    )
    runner.invoke(main, ["eval", *what, "--suite", "retrieval", "--no-llm"], catch_exceptions=False)
    accepted = runner.invoke(main, ["eval", "accept", "last", "--baseline", baseline], catch_exceptions=False)
    assert "8 rows of run" in accepted.output
    gate = ["eval", "gate", *what, "--baseline", baseline, "--suite", "retrieval"]
    passed = runner.invoke(main, gate, catch_exceptions=False)
    assert passed.exit_code == 0
    assert "nothing is worse beyond chance" in passed.output
    cases.write_text(cases.read_text().replace("lion.md", "zebra.md"))
    failed = runner.invoke(main, gate, catch_exceptions=False)
    assert failed.exit_code == 1
    assert "retrieval mrr@10" in failed.output
    assert "worse beyond chance" in failed.output


def test_the_shipped_baseline_is_of_the_shipped_questions() -> None:
    shipped = {case.id for case in read_cases(GOLD)}
    refused = {row.case for row in load_baseline(BASELINE).rows if row.suite == "refusal"}
    assert len(shipped & refused) > 0.9 * len(shipped)
