import json
from pathlib import Path

import pytest

from assistant import llm
from assistant.errors import ServerRefused
from assistant.settings import AssistantSettings
from eval.cases import BadCases, Case, read_cases
from eval.choosing import by_model
from eval.suite import spread
from tests.fake_openai import FakeServer
from tests.scored import CASES, ask, scored

ALL_OF_THREE = pytest.approx({"value": 1.0, "low": 0.4385, "high": 1.0, "n": 3}, abs=1e-4)
"""Wilson's interval: three of three prove little."""


def test_the_command_prints_every_score_with_its_interval_and_keeps_the_rows(zoo: Path) -> None:
    found = scored(zoo)
    assert set(found) == {"run", "settings", "suites", "rows"}
    assert set(found["suites"]) >= {"retrieval", "refusal", "answer", "mcq"}
    assert found["suites"]["retrieval"]["hit@5"] == ALL_OF_THREE
    assert found["suites"]["retrieval"]["passage_recall@10"]["n"] == 2  # those with gold sentences
    assert found["suites"]["refusal"]["false_answer"]["n"] == 1
    assert found["suites"]["answer"]["gold_in_cited"] == ALL_OF_THREE
    assert found["suites"]["answer"]["quote_exact"]["value"] == 1.0
    assert found["suites"]["mcq"]["accuracy"] == pytest.approx(
        {"value": 1.0, "low": 0.2065, "high": 1.0, "n": 1}, abs=1e-4
    )
    rows = [json.loads(line) for line in Path(found["rows"]).read_text().splitlines()]
    assert [row["case"] for row in rows if row["suite"] == "refusal"] == ["z1", "l1", "o1", "n1"]
    shown = ask("show", found["run"], "--worst", "1")
    assert "Who won the football cup" in shown.output or "oak" in shown.output
    assert found["run"] in ask("history").output
    told = json.loads(ask("show", found["run"], "--json").stdout)
    assert [set(point) for point in told["thresholds"]][:1] == [{"threshold", "false_answer", "false_refusal"}]
    assert told["risk_coverage"][-1][0] == 1.0


def test_the_same_notes_are_embedded_once(zoo: Path, settings: AssistantSettings) -> None:
    scored(zoo, "--suite", "retrieval")
    first = list((settings.home / "eval" / "index").iterdir())
    (zoo / "corpus" / "animals" / "zebra.md").touch()
    scored(zoo, "--suite", "retrieval")
    assert list((settings.home / "eval" / "index").iterdir()) == first
    (zoo / "corpus" / "animals" / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    scored(zoo, "--suite", "retrieval")
    assert len(list((settings.home / "eval" / "index").iterdir())) == 2
    assert not list(settings.home.glob("index-*"))  # the learner's own index is not touched


def test_cases_that_can_not_be_read_are_named(zoo: Path) -> None:
    with pytest.raises(BadCases, match=r"no file of cases at .*nothing\.jsonl"):
        read_cases(zoo / "nothing.jsonl")
    (zoo / "bad.jsonl").write_text('{"id": 1, "question": "a"}\n{"question": "b"}\n')
    with pytest.raises(BadCases, match="line 2: lacks 'id'"):
        read_cases(zoo / "bad.jsonl")
    (zoo / "bad.jsonl").write_text("{\n")
    with pytest.raises(BadCases, match="line 1: not JSON"):
        read_cases(zoo / "bad.jsonl")


def test_a_folder_without_notes_is_told_of(zoo: Path) -> None:
    (zoo / "empty").mkdir()
    done = ask("--notes", f"{zoo}/empty", "--cases", f"{zoo}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert (
        done.stderr
        == f"Error: {zoo}/empty has no note that can be read, so there is nothing to score; name another: --notes\n"
    )


def test_a_suite_that_can_score_no_case_is_told_of_and_no_run_is_kept(zoo: Path) -> None:
    (zoo / "open.jsonl").write_text(json.dumps(CASES[1]) + "\n")
    done = ask("--notes", f"{zoo}/corpus", "--cases", f"{zoo}/open.jsonl", "--no-llm", "--suite", "mcq")
    assert done.exit_code == 1
    assert done.stderr == f"Error: {zoo}/open.jsonl has no case that mcq can score\n"
    assert "no runs yet" in ask("history").stdout


def test_one_s_own_cases_are_asked_for_before_there_are_any(zoo: Path) -> None:
    for words in (["--mine", "--no-llm"], ["gate", "--mine"]):
        done = ask(*words)
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: you have no cases of your own; to make a wrong answer one: ask feedback")


def test_questions_about_notes_that_are_not_there_are_told_of(zoo: Path) -> None:
    lines = [*CASES, {"id": "x", "question": "What is a zebra?", "gold_docs": ["animals/gone.md"]}]
    (zoo / "moved.jsonl").write_text("".join(json.dumps(case) + "\n" for case in lines))
    done = ask("--notes", f"{zoo}/corpus", "--cases", f"{zoo}/moved.jsonl", "--suite", "retrieval", "--json")
    assert done.exit_code == 0
    assert "1 of 5 questions name no note that is there (animals/gone.md)" in done.stderr
    assert json.loads(done.stdout)["suites"]["retrieval"]["hit@10"]["value"] == 0.75


def test_a_case_of_another_subject_needs_an_id_of_its_own(zoo: Path) -> None:
    (zoo / "ood_queries.jsonl").write_text('{"id": "z1", "question": "Who won the cup?"}\n')
    done = ask("--notes", f"{zoo}/corpus", "--cases", f"{zoo}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert "both have a case z1" in done.stderr


def test_notes_and_cases_belong_together(zoo: Path) -> None:
    assert ask("--notes", f"{zoo}/corpus").exit_code == 2


def test_a_limit_is_spread_over_the_cases() -> None:
    assert [case.id for case in spread([_case(i) for i in range(10)], 3)] == ["0", "3", "6"]


def _case(i: int) -> Case:
    return Case(str(i), "?", "open", True, (), (), (), ())


def test_a_follow_up_is_searched_for_as_what_it_means(zoo: Path) -> None:
    case = {"id": "f", "question": "And when does it sleep?", "gold_docs": ["plants/oak.md"]}
    told = case | {"history": ["When does an oak bear acorns?"]}
    (zoo / "queries.jsonl").write_text(json.dumps(case) + "\n")
    raw = scored(zoo, "--suite", "retrieval")["suites"]["retrieval"]
    (zoo / "queries.jsonl").write_text(json.dumps(told) + "\n")
    asked = scored(zoo, "--suite", "retrieval")["suites"]["retrieval"]
    assert (raw["hit@1"]["value"], asked["hit@1"]["value"]) == (0.0, 1.0)


def test_a_chunk_size_that_the_model_can_not_read_is_named(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_CHUNK_TOKENS", "512")
    done = ask(
        "--notes", f"{zoo}/corpus", "--cases", f"{zoo}/queries.jsonl", "--no-llm", "--suite", "retrieval", "--json"
    )
    assert "chunk_tokens=512: all-MiniLM-L6-v2 reads no more than 254" in done.stderr
    assert json.loads(done.stdout)["settings"]["chunk_tokens"] == 254


def as_a_model(messages: list[dict[str, str]]) -> str:
    """A model that answers with its first passage, chooses A and judges kindly, except of what it can't read."""
    if messages[0]["content"].startswith("You grade"):
        if "When does an oak" in messages[1]["content"]:
            return "4 out of 5"
        labels = {"correctness": "right", "completeness": "all", "relevance": "yes"}
        return json.dumps({"claims": [{"claim": "it is so", "supported": True}]} | labels)
    if "multiple-choice" in messages[0]["content"]:
        return json.dumps({"choice": "A" if "<passage" in messages[1]["content"] else "B"})
    passage = messages[-1]["content"].split("\n")[-4]
    return f"{passage.split('. ')[0].rstrip('.')}. [1]"


def test_a_model_answers_chooses_and_judges(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer(as_a_model) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        what = [
            "--notes",
            f"{zoo}/corpus",
            "--cases",
            f"{zoo}/queries.jsonl",
            "--suite",
            "answer",
            "--suite",
            "mcq",
        ]
        done = ask(*what, "--judge", "--json")
        shown = ask(*what, "--judge")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    answer, mcq = found["suites"]["answer"], found["suites"]["mcq"]
    assert found["settings"]["model"] == "fake-model"
    assert found["settings"]["tokens"]["prompt_tokens"] > 0
    assert (mcq["accuracy"]["value"], mcq["without_notes"]["value"], mcq["gain"]["value"]) == (1.0, 0.0, 1.0)
    assert answer["judge_correctness"] == pytest.approx(
        {"value": 1.0, "low": 0.3424, "high": 1.0, "n": 2}, abs=1e-4
    )  # the oak was not read
    assert answer["judge_unparsed"]["value"] == pytest.approx(1 / 3)
    assert answer["judge_order_matters"]["value"] == 0.0
    kappa = found["settings"]["judge_kappa"]["correctness"]
    assert (kappa["value"], kappa["n"]) == (0.0, 95)  # always kind: no better than chance
    assert "judge’s agreement with people: kappa 0.00 [-0.20, 0.20], 95 answers" in shown.output
    rows = [json.loads(line) for line in Path(found["rows"]).read_text().splitlines()]
    asked = sum(row["values"].get("prompt_tokens", 0) for row in rows)
    assert found["settings"]["tokens"]["prompt_tokens"] > 10 * asked  # 95 judged answers, twice, and the choices


def test_answers_that_break_off_are_counted_and_a_server_that_is_gone_ends_the_run(
    zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = ["--notes", f"{zoo}/corpus", "--cases", f"{zoo}/queries.jsonl"]
    with FakeServer("Zebras have stripes [1].", fault=["cut-mid-stream", ""]) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        found = json.loads(ask(*what, "--suite", "answer", "--json").stdout)
    answer = found["suites"]["answer"]
    assert answer["failed"]["value"] == pytest.approx(1 / answer["failed"]["n"])
    with FakeServer("{}", key="another") as server:
        case = read_cases(zoo / "queries.jsonl")[0]
        settings = AssistantSettings(llm_url=server.url)
        server.key = ""
        model = llm.find(settings)
        server.key = "another"
        assert isinstance(model, llm.LanguageModel)
        with pytest.raises(ServerRefused):
            by_model(model)(case, ())


def test_a_question_that_can_not_be_asked_is_told_before_the_work(zoo: Path) -> None:
    (zoo / "queries.jsonl").write_text('{"id": "1", "question": "?"}\n')
    done = ask("--notes", f"{zoo}/corpus", "--cases", f"{zoo}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert "the question is empty" in done.output
