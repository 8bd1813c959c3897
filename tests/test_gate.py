import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assistant.answer import Answer, answer
from assistant.journal import Journal
from assistant.settings import AssistantSettings
from eval.cases import BadCases, read_cases
from eval.gate import NoBaseline, OtherCases, baseline_of, check, extend_baseline, load_baseline, save_baseline
from eval.mine import NothingToScore, case_from, cases_path, keep_case, score_mine
from eval.runs import Run
from eval.score import Row, summarise
from eval.suite import GOLD
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fake_openai import FakeServer
from ui.cli import main
from ui.nightly import run_night, step_line, steps_of


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
    assert [one.metric for one in check(baseline, rows(90), path).differences] == ["mrr@10"]  # hit@1 is not held
    assert check(baseline, rows(88), path).passed
    fallen = check(baseline, rows(75), path)
    assert [one.metric for one in fallen.worse] == ["mrr@10"]
    assert fallen.fell["retrieval", "mrr@10"] == [str(i) for i in range(75, 90)]
    assert not fallen.passed
    risen = check(baseline, rows(100), path)
    assert risen.passed
    assert [one.metric for one in risen.better] == ["mrr@10"]


def test_what_rounding_does_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    found = [Row("retrieval", str(i), "?", (), {"ndcg@10": 0.6309297535714575}) for i in range(100)]
    save_baseline(path, run_of(found), found)
    assert check(load_baseline(path), found, path).worse == []


def test_a_baseline_that_can_not_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    save_baseline(path, run_of(rows(90)), rows(90))
    path.write_text(path.read_text() + "<<<<<<< HEAD\n")
    with pytest.raises(BadCases, match=r"baseline\.jsonl, line 102: not JSON .*accept a run anew"):
        load_baseline(path)
    assert save_baseline(path, run_of(rows(80)), rows(80)) == 100  # which a person asked for
    assert len(load_baseline(path).rows) == 100


def test_a_baseline_of_other_cases_is_told_apart_from_a_fall(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    with pytest.raises(NoBaseline, match="ask eval accept"):
        load_baseline(path)
    save_baseline(path, run_of(rows(90)), rows(90))
    with pytest.raises(OtherCases, match="40 of the 100 rows"):
        check(load_baseline(path), rows(40, of=40), path)
    assert extend_baseline(path, run_of(rows(100)), rows(100, of=110)) == 10
    assert extend_baseline(path, run_of(rows(100)), rows(100, of=110)) == 0
    assert len(load_baseline(path).rows) == 110


def test_a_limited_run_is_held_against_what_it_was_asked(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    save_baseline(path, run_of(rows(100)), rows(100))
    asked = [str(i) for i in range(20)]
    found = check(load_baseline(path), rows(20, of=20), path, asked=asked, limited=True)
    assert found.passed
    assert len(found.gone) == 80
    assert not check(load_baseline(path), rows(5, of=20), path, asked=asked, limited=True).passed
    with pytest.raises(OtherCases):
        check(load_baseline(path), rows(20, of=20), path, asked=["x"], limited=True)


def test_of_three_cases_the_gate_says_that_they_are_too_few(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    save_baseline(path, run_of(rows(3, of=3)), rows(3, of=3))
    found = check(load_baseline(path), rows(1, of=3), path)
    assert found.passed
    assert [one.metric for one in found.too_few] == ["mrr@10"]
    assert found.fell["retrieval", "mrr@10"] == ["1", "2"]


def test_a_case_that_is_asked_and_has_no_score_any_more_fails_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "baseline.jsonl"
    save_baseline(path, run_of(rows(100)), rows(100))
    fewer = rows(98, of=98)
    found = check(load_baseline(path), fewer, path, asked=[str(i) for i in range(100)])
    assert found.lost == ("retrieval 98", "retrieval 99")
    assert not found.passed
    removed = check(load_baseline(path), fewer, path, asked=[str(i) for i in range(98)])  # by a person
    assert (removed.lost, removed.gone, removed.passed) == ((), ("98", "99"), True)
    blind = [replace(row, values={"hit@1": 1.0}) if row.case == "7" else row for row in rows(100)]
    assert check(load_baseline(path), blind, path).lost == ("retrieval 7: mrr@10",)


def test_answers_of_another_model_are_not_compared(tmp_path: Path) -> None:
    def answers(f1: float) -> list[Row]:
        return [Row("answer", str(i), "?", (), {"token_f1": f1}) for i in range(20)]

    path = tmp_path / "baseline.jsonl"
    quoted, written = run_of(answers(0.9)), replace(run_of(answers(0.2)), id="r2", model="tiny")
    save_baseline(path, quoted, [*answers(0.9), *rows(90)])
    found = check(load_baseline(path), [*answers(0.2), *rows(90)], path, model="tiny")
    assert found.passed
    assert {one.suite for one in found.differences} == {"retrieval"}
    assert found.model == "the model changed (no model → tiny): 20 accepted answers are not compared"
    assert not check(load_baseline(path), answers(0.2), path).passed  # of the same, a fall is a fall
    save_baseline(path, written, answers(0.2))
    again = check(load_baseline(path), answers(0.1), path, model="tiny")
    assert (again.model, [one.metric for one in again.worse]) == ("", ["token_f1"])
    assert len(load_baseline(path).rows) == 120  # what was accepted of retrieval stays


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
    assert len(load_baseline(baseline_of(cases_path(asked))).rows) == 1  # refusal; no model is there to answer
    scored = CliRunner().invoke(main, ["eval", "--mine", "--no-llm", "--json"], catch_exceptions=False)
    assert json.loads(scored.stdout)["suites"]["refusal"]["false_answer"]["n"] == 1


def test_without_cases_of_ones_own_the_night_goes_on(asked: AssistantSettings) -> None:
    assert score_mine(asked) is None
    assert run_night(steps_of(Shelf(asked), asked), tell=print).steps[-1].detail == {
        "cases": 0,
        "worse": 0,
        "runs": [],
        "warnings": [],
        "notices": [],
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


def test_the_night_compares_what_the_same_model_wrote(
    asked: AssistantSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "Which animal sleeps twenty hours a day?"
    keep_case(cases_path(asked), {"id": "a", "question": question, "gold_docs": ["lion.md"], "answer": "lion"})
    shelf, written = Shelf(asked), baseline_of(cases_path(asked))

    def night(url: str) -> dict[str, Any]:
        settings = asked.model_copy(update={"llm_url": url})
        return dict(run_night(steps_of(shelf, settings)).steps[-1].detail)

    def suites() -> list[str]:
        return [row.suite for row in load_baseline(written).rows]

    night(asked.llm_url)
    assert suites() == ["retrieval", "refusal"]  # quotes are not what a model wrote
    with FakeServer("A lion sleeps twenty hours a day [1].", models=["one"]) as server:
        assert night(server.url)["notices"] == []
    assert suites() == ["retrieval", "refusal", "answer"]
    with FakeServer("A tiger sleeps twenty hours a day [1].", models=["two"]) as server:
        told = night(server.url)
    assert told["worse"] == 0
    assert told["notices"] == [
        "the model changed (one → two): 1 accepted answers are not compared; to compare from now on: "
        f"ask eval accept {told['runs'][0]}"
    ]


def test_a_better_night_is_accepted_by_one_command(asked: AssistantSettings) -> None:
    question = "Which animal sleeps twenty hours a day?"
    path = cases_path(asked)
    for i in range(12):
        note = "lion.md" if i < 1 else "cat.md"
        keep_case(path, {"id": f"q{i}", "question": question, "gold_docs": [note]})
    shelf = Shelf(asked)
    run_night(steps_of(shelf, asked))
    (asked.notes / "lion.md").rename(asked.notes / "cat.md")
    gate = asdict(run_night(steps_of(shelf, asked)).steps[-1])
    assert gate["detail"]["worse"] == 0
    (notice,) = gate["detail"]["notices"]
    run = gate["detail"]["runs"][0]
    assert notice.startswith("retrieval ndcg@10")
    assert notice.endswith(f"better than what was accepted; to hold later nights against it: ask eval accept {run}")
    assert step_line(gate).endswith(notice)
    done = CliRunner().invoke(main, ["eval", "accept", "--mine"], catch_exceptions=False)
    assert f"rows of run {run}" in done.output
    assert run_night(steps_of(shelf, asked)).steps[-1].detail["notices"] == []


def test_the_night_names_few_cases_that_fell(asked: AssistantSettings, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(3):
        note, question = (
            ("lion.md", "Which animal sleeps twenty hours a day?") if i else ("zebra.md", "Who has stripes?")
        )
        keep_case(cases_path(asked), {"id": f"q{i}", "question": question, "gold_docs": [note]})
    shelf = Shelf(asked)
    run_night(steps_of(shelf, asked))
    (asked.notes / "lion.md").rename(asked.notes / "cat.md")
    assert run_night(steps_of(shelf, asked)).steps[-1].detail["worse"] == 0
    told = "retrieval mrr@10 did worse in q1, q2 (3 cases are too few to say if by chance) on the cases of me"
    assert told in capsys.readouterr().err


def test_only_a_whole_run_of_the_same_cases_is_accepted(asked: AssistantSettings) -> None:
    def run(*words: str) -> str:
        return CliRunner().invoke(main, ["eval", *words]).output

    assert "no run scored all of" in run("accept", "--mine")
    keep_case(cases_path(asked), {"id": "a", "question": "When do zebras sleep?", "gold_docs": ["lion.md"]})
    keep_case(cases_path(asked), {"id": "b", "question": "When do lions hunt?", "gold_docs": ["lion.md"]})
    run("--mine", "--no-llm", "--limit", "1")
    assert "scored some cases only" in run("accept", "last")
    assert "no run scored all of" in run("accept", "--mine")
    run("--mine", "--no-llm")
    assert f"{baseline_of(cases_path(asked))}: 4 rows of run" in run("accept", "--mine")


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


def test_all_that_was_said_of_an_answer_is_in_its_case(asked: AssistantSettings) -> None:
    runner = CliRunner()
    assert "noted" in runner.invoke(main, ["feedback", "down", "--note", "zebra.md"]).output
    assert "kept: journal-1" in runner.invoke(main, ["eval", "keep"]).output
    line = json.loads(cases_path(asked).read_text())
    assert (line["wrong"], line["gold_docs"]) == ("that is about stripes", ["zebra.md"])  # the last word of each
    done = runner.invoke(main, ["eval", "keep", "--note", "unicorn.md"])
    assert (done.exit_code, "unicorn.md is no note" in done.output) == (1, True)


def test_the_command_says_when_nothing_was_given_a_thumbs_down(settings: AssistantSettings) -> None:
    done = CliRunner().invoke(main, ["eval", "keep"])
    assert done.exit_code == 1
    assert "no answer has a thumbs-down yet" in done.output


def test_the_gate_passes_and_fails_by_its_exit_status(
    asked: AssistantSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    runner.invoke(main, ["eval", "accept", "last"], catch_exceptions=False)
    assert (tmp_path / "baseline.jsonl").read_text().count("\n") == 9  # beside the cases, with its head
    for name, value in (("PUBLIC_KEY", "pk-lf-1"), ("SECRET_KEY", "sk-lf-1"), ("HOST", "http://127.0.0.1:9")):
        monkeypatch.setenv(f"STUDY_LANGFUSE_{name}", value)
    failed = runner.invoke(main, gate, catch_exceptions=False)
    sweep = ["eval", "sweep", *what, "--no-llm", "--set", "top_k=1,2", "--suite", "retrieval"]
    assert runner.invoke(main, sweep, catch_exceptions=False).exit_code == 0
    sent = [json.loads(path.read_text())["experiment"]["metadata"] for path in (asked.home / "traces").glob("*.json")]
    assert sorted((one["trial"], one["top_k"]) for one in sent) == [("False", "6"), ("True", "1"), ("True", "2")]
    assert failed.exit_code == 1
    assert "retrieval mrr@10" in failed.output
    assert "worse beyond chance" in failed.output


def test_the_shipped_baseline_is_of_the_shipped_questions() -> None:
    shipped = {case.id for case in read_cases(GOLD)}
    refused = {row.case for row in load_baseline(baseline_of(GOLD)).rows if row.suite == "refusal"}
    assert len(shipped & refused) > 0.9 * len(shipped)
