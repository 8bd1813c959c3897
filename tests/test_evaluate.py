import contextlib
import json
import re
import sqlite3
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from assistant import llm
from assistant.answer import Answer
from assistant.cite import Sentence, resolve
from assistant.errors import ServerRefused
from assistant.retrieve import Passage
from assistant.settings import AssistantSettings
from eval.answering import row as answer_row
from eval.cases import BadCases, Case, read_cases
from eval.choosing import by_model, can_choose
from eval.choosing import rows as choosing_rows
from eval.compare import NO_DIFFERENCE, TOO_FEW, WORSE, NothingInCommon, compare, require_common
from eval.passages import find
from eval.refusal import curve
from eval.retrieval import searcher
from eval.runs import NoSuchRun, Run, Runs, RunsUnavailable
from eval.score import Row, summarise
from eval.stamp import code_version
from eval.suite import spread
from ingest.chunk import Chunk, Place
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fake_openai import FakeServer
from ui.cli import main

NOTES = {
    "animals/zebra.md": "# Zebras\n\nZebras have black and white stripes. They live in herds of twenty.\n",
    "animals/lion.md": "# Lions\n\nA lion sleeps twenty hours a day. Lions hunt at night in prides.\n",
    "plants/oak.md": "# Oaks\n\nAn oak bears acorns after forty years. Its wood is hard.\n",
}
CASES = [
    {
        "id": "z1",
        "question": "What stripes do zebras have?",
        "answer": "black and white",
        "gold_passages": [{"path": "animals/zebra.md", "quote": "Zebras have black and white stripes."}],
        "options": [{"text": "black and white stripes", "correct": True}, {"text": "blue dots", "correct": False}],
        "tags": ["single fact"],
    },
    {
        "id": "l1",
        "question": "How many hours a day does a lion sleep?",
        "answer": "twenty hours",
        "gold_docs": ["animals/lion.md"],
        "gold_sentences": ["A lion sleeps twenty hours a day ."],
    },
    {
        "id": "o1",
        "question": "When does an oak bear acorns?",
        "answer": "after forty years",
        "gold_docs": ["plants/oak.md"],
    },
    {"id": "n1", "question": "Who won the football cup in Brazil?", "answerable": False},
]


ALL_OF_THREE = pytest.approx({"value": 1.0, "low": 0.4385, "high": 1.0, "n": 3}, abs=1e-4)
"""Wilson's interval: three of three prove little."""


@pytest.fixture
def world(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three notes in corpus/ and four questions, and the settings in the environment."""
    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    folder = settings.home.parent / "set"
    for name, text in NOTES.items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "queries.jsonl").write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return folder


def ask(*words: str) -> Result:
    return CliRunner().invoke(main, ["eval", *words], catch_exceptions=False)


def scored(world: Path, *words: str) -> dict[str, Any]:
    """Run the command on the world's cases; return its JSON."""
    done = ask("--notes", f"{world}/corpus", "--cases", f"{world}/queries.jsonl", "--no-llm", "--json", *words)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_the_command_prints_every_score_with_its_interval_and_keeps_the_rows(world: Path) -> None:
    found = scored(world)
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


def test_the_same_notes_are_embedded_once(world: Path, settings: AssistantSettings) -> None:
    scored(world, "--suite", "retrieval")
    first = list((settings.home / "eval" / "index").iterdir())
    (world / "corpus" / "animals" / "zebra.md").touch()
    scored(world, "--suite", "retrieval")
    assert list((settings.home / "eval" / "index").iterdir()) == first
    (world / "corpus" / "animals" / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    scored(world, "--suite", "retrieval")
    assert len(list((settings.home / "eval" / "index").iterdir())) == 2
    assert not list(settings.home.glob("index-*"))  # the learner's own index is not touched


def test_cases_that_can_not_be_read_are_named(world: Path) -> None:
    with pytest.raises(BadCases, match=r"no file of cases at .*nothing\.jsonl"):
        read_cases(world / "nothing.jsonl")
    (world / "bad.jsonl").write_text('{"id": 1, "question": "a"}\n{"question": "b"}\n')
    with pytest.raises(BadCases, match="line 2: lacks 'id'"):
        read_cases(world / "bad.jsonl")
    (world / "bad.jsonl").write_text("{\n")
    with pytest.raises(BadCases, match="line 1: not JSON"):
        read_cases(world / "bad.jsonl")


def test_a_folder_without_notes_is_told_of(world: Path) -> None:
    (world / "empty").mkdir()
    done = ask("--notes", f"{world}/empty", "--cases", f"{world}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert (
        done.stderr
        == f"Error: {world}/empty has no note that can be read, so there is nothing to score; name another: --notes\n"
    )


def test_a_suite_that_can_score_no_case_is_told_of_and_no_run_is_kept(world: Path) -> None:
    (world / "open.jsonl").write_text(json.dumps(CASES[1]) + "\n")
    done = ask("--notes", f"{world}/corpus", "--cases", f"{world}/open.jsonl", "--no-llm", "--suite", "mcq")
    assert done.exit_code == 1
    assert done.stderr == f"Error: {world}/open.jsonl has no case that mcq can score\n"
    assert "no runs yet" in ask("history").stdout


def test_one_s_own_cases_are_asked_for_before_there_are_any(world: Path) -> None:
    for words in (["--mine", "--no-llm"], ["gate", "--mine"]):
        done = ask(*words)
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: you have no cases of your own; to make a wrong answer one: ask feedback")


def test_questions_about_notes_that_are_not_there_are_told_of(world: Path) -> None:
    lines = [*CASES, {"id": "x", "question": "What is a zebra?", "gold_docs": ["animals/gone.md"]}]
    (world / "moved.jsonl").write_text("".join(json.dumps(case) + "\n" for case in lines))
    done = ask("--notes", f"{world}/corpus", "--cases", f"{world}/moved.jsonl", "--suite", "retrieval", "--json")
    assert done.exit_code == 0
    assert "1 of 5 questions name no note that is there (animals/gone.md)" in done.stderr
    assert json.loads(done.stdout)["suites"]["retrieval"]["hit@10"]["value"] == 0.75


def test_a_case_of_another_subject_needs_an_id_of_its_own(world: Path) -> None:
    (world / "ood_queries.jsonl").write_text('{"id": "z1", "question": "Who won the cup?"}\n')
    done = ask("--notes", f"{world}/corpus", "--cases", f"{world}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert "both have a case z1" in done.stderr


def test_notes_and_cases_belong_together(world: Path) -> None:
    assert ask("--notes", f"{world}/corpus").exit_code == 2


def test_quotes_are_found_whatever_their_blanks_and_punctuation() -> None:
    text = "Any change over a one-year period, 1.5 times, recurs."
    assert find("a one - year period , 1 . 5 times", text) == (16, 44)
    assert find("two-year", text) is None
    assert find("…", text) is None


def test_a_limit_is_spread_over_the_cases() -> None:
    assert [case.id for case in spread([_case(i) for i in range(10)], 3)] == ["0", "3", "6"]


def _case(i: int) -> Case:
    return Case(str(i), "?", "open", True, (), (), (), ())


def row(case: str, value: float, suite: str = "retrieval", **facts: float) -> Row:
    return Row(suite, case, "?", ("open",), {"hit@1": value}, facts)


def test_a_difference_is_claimed_only_where_the_interval_leaves_zero() -> None:
    before = [row(str(i), 1.0) for i in range(100)]
    slightly = [row(str(i), float(i > 0)) for i in range(100)]
    clearly = [row(str(i), float(i > 20)) for i in range(100)]
    assert compare(before, before)[0].verdict == NO_DIFFERENCE
    assert compare(before, slightly)[0].verdict == NO_DIFFERENCE
    found = compare(before, clearly)[0]
    assert found.verdict == WORSE
    assert (found.before, found.after, found.n) == (1.0, 0.79, 100)
    assert found.p < 1e-5
    assert -0.3 < found.low < -0.21 < found.high < -0.12


def test_of_fewer_than_six_cases_nothing_is_claimed() -> None:
    def verdict(n: int) -> str:
        return compare([row(str(i), 1.0) for i in range(n)], [row(str(i), 0.0) for i in range(n)])[0].verdict

    assert [verdict(n) for n in (1, 3, 5, 6)] == [TOO_FEW, TOO_FEW, TOO_FEW, WORSE]


def test_a_score_that_is_no_mean_is_tested_by_swapping_pairs() -> None:
    def refusals(good: float, n: int) -> list[Row]:
        facts = [{"evidence": good + i / 100, "answerable": 1.0, "wrong": 0.0} for i in range(n)]
        facts += [{"evidence": 0.5 + i / 100, "answerable": 0.0, "wrong": 1.0} for i in range(n)]
        return [Row("refusal", str(i), "?", (), {}, fact) for i, fact in enumerate(facts)]

    def found(n: int) -> tuple[float, float, str]:
        both = compare(refusals(0.9, n), refusals(0.4, n))
        auroc = next(one for one in both if one.metric == "auroc")
        return auroc.before, auroc.after, auroc.verdict

    assert found(2) == (1.0, 0.0, TOO_FEW)
    assert found(10) == (1.0, 0.0, WORSE)
    scores = summarise(refusals(0.9, 3))["refusal"]
    assert scores["auroc"] == pytest.approx((1.0, 0.4385, 1.0, 6), abs=1e-4)  # rests on the three of the rarer kind


def test_runs_without_a_common_case_are_not_compared() -> None:
    with pytest.raises(NothingInCommon):
        require_common([row("a", 1.0)], [row("b", 1.0)], "x", "y")


def test_the_threshold_curve_has_both_error_rates() -> None:
    rows = [
        row("a", 1, "refusal", evidence=0.9, answerable=1, wrong=0),
        row("b", 1, "refusal", evidence=0.4, answerable=1, wrong=0),
        row("c", 1, "refusal", evidence=0.5, answerable=0, wrong=1),
    ]
    assert curve(rows) == [(0.4, 1.0, 0.0), (0.5, 1.0, 0.5), (0.9, 0.0, 0.5)]
    scores = summarise(rows)["refusal"]
    assert scores["auroc"].value == 0.5
    assert scores["aurc"].value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def a_run(name: str, started: float = 1.0) -> Run:
    rows = [row("a", 1.0)]
    return Run(name, started, 2.0, "q.jsonl", {"top_k": 6}, "h", "c0de", 3, "", summarise(rows), {"prompt_tokens": 7})


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


class Scripted:
    """A model that says what it is told to."""

    name = "scripted"

    def __init__(self, said: object) -> None:
        self.said = said
        self.prompts: list[str] = []

    def complete(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any], max_tokens: int | None = None
    ) -> tuple[dict[str, Any], None]:
        """Return the scripted object."""
        self.prompts.append(messages[-1]["content"])
        return {"choice": self.said}, None


def test_a_run_whose_rows_can_not_be_written_is_not_kept(tmp_path: Path) -> None:
    with contextlib.closing(Runs(tmp_path)) as runs:
        runs.rows_path("r1").mkdir(parents=True)
        with pytest.raises(RunsUnavailable, match=r"r1\.jsonl can't be written: Is a directory"):
            runs.add(a_run("r1"), [row("a", 1.0)])
        assert runs.last(9) == []
        assert [path.name for path in runs.rows_path("r1").parent.iterdir()] == ["r1.jsonl"]
        assert runs.add(a_run("r2"), [row("a", 1.0)]).read_text().startswith('{"suite": "retrieval"')


def test_a_choice_that_is_no_option_counts_as_unparsed(world: Path) -> None:
    case = read_cases(world / "queries.jsonl")[0]
    assert can_choose(case)
    assert by_model(Scripted("B"))(case, ()) == 1
    for said in ("C", "", "AB", 1, None, ["A"]):
        assert by_model(Scripted(said))(case, ()) is None
    model = Scripted("A")
    assert by_model(model)(case, ()) == 0
    assert "A. black and white stripes\nB. blue dots" in model.prompts[0]


def test_a_reply_that_can_not_be_read_is_neither_right_nor_wrong(world: Path, embedder: Embedder) -> None:
    cases = read_cases(world / "queries.jsonl")
    shelf = Shelf(AssistantSettings(home=world / "home", notes=world / "corpus"), embedder=embedder)
    sync(shelf)

    def values(with_notes: int | None, without: int | None) -> dict[str, float]:
        search = searcher(shelf, top_k=3)
        (found,) = choosing_rows(cases, lambda case, passages: with_notes if passages else without, search)
        return found.values

    assert values(0, 1) == {"accuracy": 1.0, "without_notes": 0.0, "gain": 1.0, "unparsed": 0.0}
    assert values(None, 0) == {"without_notes": 1.0, "unparsed": 0.5}
    assert values(1, None) == {"accuracy": 0.0, "unparsed": 0.5}
    assert values(None, None) == {"unparsed": 1.0}
    shelf.close()


def test_a_follow_up_is_searched_for_as_what_it_means(world: Path) -> None:
    case = {"id": "f", "question": "And when does it sleep?", "gold_docs": ["plants/oak.md"]}
    told = case | {"history": ["When does an oak bear acorns?"]}
    (world / "queries.jsonl").write_text(json.dumps(case) + "\n")
    raw = scored(world, "--suite", "retrieval")["suites"]["retrieval"]
    (world / "queries.jsonl").write_text(json.dumps(told) + "\n")
    asked = scored(world, "--suite", "retrieval")["suites"]["retrieval"]
    assert (raw["hit@1"]["value"], asked["hit@1"]["value"]) == (0.0, 1.0)


class Believer:
    """An entailment model to which every passage says everything."""

    def supports(self, sentence: str, passage: str) -> bool:
        """Say yes."""
        return True


def test_citations_are_checked_by_what_marks_the_sentences(world: Path) -> None:
    case = read_cases(world / "queries.jsonl")[0]
    chunk = Chunk("animals/zebra.md", "v", 0, 0, 22, "Zebras live in herds.", "", (Place(0, "line 1", ()),))
    cited = resolve("Lions hunt at night in prides [1].", [Passage(chunk, 0.9, 0.8, 0.7, 1, 1)])
    given = Answer(
        case.question, cited.text, cited.marked, "answered", "m", cited.sentences, cited.citations,
        (Passage(chunk, 0.9, 0.8, 0.7, 1, 1),), (), "", {}, {},
    )  # fmt: skip
    assert answer_row(case, given, lambda version: "", 1.0).values["citation_recall"] == 0.0
    assert answer_row(case, given, lambda version: "", 1.0, Believer()).values["citation_recall"] == 1.0
    link = replace(chunk, text="Zebras (see [this](http://x.example/y)) live in herds.")
    linked = replace(
        given, outcome="quoted", sentences=(Sentence(link.text, (1,), supported=True),),
        citations=(replace(given.citations[0], quote=link.text, end=len(link.text)),),
        passages=(replace(given.passages[0], chunk=link),),
    )  # fmt: skip
    assert answer_row(case, linked, lambda version: "", 1.0).values["citation_recall"] == 1.0  # word for word
    quoted = replace(given, outcome="quoted")  # no model wrote it, so no model marked it
    assert answer_row(case, quoted, lambda version: "", 1.0, Believer()).values["citation_recall"] == 0.0


def test_an_answer_leads_to_its_trace(
    world: Path, monkeypatch: pytest.MonkeyPatch, settings: AssistantSettings
) -> None:
    assert {row["trace"] for row in rows_of(scored(world, "--suite", "answer"))} == {""}
    monkeypatch.setenv("STUDY_LANGFUSE_PUBLIC_KEY", "pk-lf-1")
    monkeypatch.setenv("STUDY_LANGFUSE_SECRET_KEY", "sk-lf-1")
    monkeypatch.setenv("STUDY_LANGFUSE_HOST", "http://127.0.0.1:9")
    traces = {row["trace"] for row in rows_of(scored(world, "--suite", "answer"))}
    sent = [json.loads(path.read_text()) for path in (settings.home / "traces").glob("*.json")]
    assert {one["trace"]["id"] for one in sent if "trace" in one} == traces
    assert {one["trace"]["root"]["name"] for one in sent if "trace" in one} == {"eval answer"}
    assert len(traces) == 4


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(found["rows"]).read_text().splitlines()]


def test_whatever_can_change_a_score_changes_the_hash(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_hash() -> str:
        return str(scored(world, "--suite", "refusal")["settings"]["hash"])

    seen = [settings_hash(), settings_hash()]
    assert seen[0] == seen[1]
    (world / "ood_queries.jsonl").write_text('{"id": "x", "question": "Who paints?"}\n')
    seen.append(settings_hash())
    (world / "docs.jsonl").write_text('{"path": "plants/oak.md", "unit": "plants"}\n')
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_TOP_K", "3")
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_CHUNK_TOKENS", "64")
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_LLM_SEED", "7")  # no model is asked
    assert settings_hash() == seen[-1]
    assert len(set(seen)) == 5


def test_the_code_is_told_by_its_commit_and_what_was_changed_or_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.stamp.ROOT", tmp_path)
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "a.py").write_text("1\n")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    bare = code_version()
    assert re.fullmatch(r"code [0-9a-f]{12}", bare)
    (tmp_path / "eval" / "a.py").write_text("2\n")
    assert code_version() != bare
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = code_version()
    assert re.fullmatch(r"[0-9a-f]{10}", clean)
    (tmp_path / "notes.txt").write_text("no code\n")
    assert code_version() == clean
    (tmp_path / "eval" / "b.py").write_text("1\n")
    added = code_version()
    assert re.fullmatch(rf"{clean}\+[0-9a-f]{{6}}", added)
    (tmp_path / "eval" / "b.py").write_text("2\n")
    assert code_version() != added


def test_a_chunk_size_that_the_model_can_not_read_is_named(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_CHUNK_TOKENS", "512")
    done = ask(
        "--notes", f"{world}/corpus", "--cases", f"{world}/queries.jsonl", "--no-llm", "--suite", "retrieval", "--json"
    )
    assert "chunk_tokens=512: all-MiniLM-L6-v2 reads no more than 254" in done.stderr
    assert json.loads(done.stdout)["settings"]["chunk_tokens"] == 254


def test_an_answer_without_a_source_has_no_citation_scores(world: Path, embedder: Embedder) -> None:
    case = read_cases(world / "queries.jsonl")[0]
    refused = Answer(case.question, "", "", "not_in_notes", None, (), (), (), (), "", {}, {})
    found = answer_row(case, refused, lambda version: "", 1.0)
    assert found.values["false_refusal"] == 1.0
    assert found.values["token_f1"] == 0.0
    assert "citation_recall" not in found.values


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


def test_a_model_answers_chooses_and_judges(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer(as_a_model) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        what = [
            "--notes",
            f"{world}/corpus",
            "--cases",
            f"{world}/queries.jsonl",
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
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    what = ["--notes", f"{world}/corpus", "--cases", f"{world}/queries.jsonl"]
    with FakeServer("Zebras have stripes [1].", fault=["cut-mid-stream", ""]) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        found = json.loads(ask(*what, "--suite", "answer", "--json").stdout)
    answer = found["suites"]["answer"]
    assert answer["failed"]["value"] == pytest.approx(1 / answer["failed"]["n"])
    with FakeServer("{}", key="another") as server:
        case = read_cases(world / "queries.jsonl")[0]
        settings = AssistantSettings(llm_url=server.url)
        server.key = ""
        model = llm.find(settings)
        server.key = "another"
        assert isinstance(model, llm.LanguageModel)
        with pytest.raises(ServerRefused):
            by_model(model)(case, ())


def test_a_question_that_can_not_be_asked_is_told_before_the_work(world: Path) -> None:
    (world / "queries.jsonl").write_text('{"id": "1", "question": "?"}\n')
    done = ask("--notes", f"{world}/corpus", "--cases", f"{world}/queries.jsonl", "--no-llm")
    assert done.exit_code == 1
    assert "the question is empty" in done.output
