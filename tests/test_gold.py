"""The question set of the starter course is true of its notes; what a changed note breaks is named."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from assistant.words import stems
from eval.anchor import anchor, texts_of
from eval.cases import read_cases
from eval.judge import LABELS
from ingest.read import read, reader_of
from tests.conftest import ROOT

GOLD = ROOT / "eval" / "gold"
NOTES = ROOT / "corpus"
KINDS = {
    "single fact": 40,
    "several notes": 15,
    "comparison": 30,
    "numeric": 40,
    "follow-up": 15,
    "table": 30,
    "code": 25,
    "near miss": 25,
    "false premise": 20,
}
"""How many questions of each kind there are at least."""
CASE = {
    *("id", "question", "options", "kind", "tags", "answerable", "answer", "answers", "gold_passages"),
    *("gold_sentences", "gold_docs", "gold_units", "near_docs", "all_of_option"),
}


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLD / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    return lines("queries.jsonl")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every note of the starter course, as it is stored."""
    files = [path for path in sorted(NOTES.rglob("*")) if path.is_file() and reader_of(path)]
    return {path.relative_to(NOTES).as_posix(): read(path, path.read_bytes()).text for path in files}


def test_every_quote_stands_once_in_its_note_exactly_where_the_case_says(
    cases: list[dict[str, Any]], texts: dict[str, str]
) -> None:
    remedy = "after an edit of corpus/ run: python -m eval.anchor corpus eval/gold/queries.jsonl --write"
    assert [message for case in cases for message in anchor(case, texts)[1]] == [], remedy
    assert [case["id"] for case in cases if anchor(case, texts)[0] != case] == [], remedy


def test_every_kind_every_note_and_every_format_is_asked_about(
    cases: list[dict[str, Any]], texts: dict[str, str]
) -> None:
    tags = Counter(tag for case in cases for tag in case["tags"])
    assert {kind: tags[kind] for kind, least in KINDS.items() if tags[kind] < least} == {}
    assert set(tags) - set(KINDS) == {"typos"}
    assert all(set(case["tags"]) & set(KINDS) for case in cases)
    asked = Counter(path for case in cases for path in case["gold_docs"])
    assert {path for path in texts if asked[path] < 5} == set()
    formats = {Path(path).suffix for path in asked}
    assert formats == {".md", ".pdf", ".docx", ".pptx", ".html", ".ipynb", ".vtt"}


def test_every_case_has_the_form_that_the_readme_gives(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        follows = "follow-up" in case["tags"]
        missing = "near miss" in case["tags"]
        assert set(case) == CASE | ({"history", "standalone"} if follows else set()) | (
            {"absent"} if missing else set()
        )
        assert case["answerable"] is not missing
        assert bool(case["answer"]) is bool(case["gold_passages"]) is not missing
        assert case["answers"][:1] == ([case["answer"]] if case["answer"] else [])
        assert case["gold_sentences"] == [passage["quote"] for passage in case["gold_passages"]]
        assert case["gold_docs"] == list(dict.fromkeys(passage["path"] for passage in case["gold_passages"]))
        assert case["gold_units"] == case["gold_docs"]
        assert bool(case["near_docs"]) is missing
        assert len(case["gold_docs"]) > 1 or "several notes" not in case["tags"]


def test_ids_are_unique_and_no_question_is_asked_twice(cases: list[dict[str, Any]]) -> None:
    everything = [*cases, *lines("ood_queries.jsonl")]
    assert len({case["id"] for case in everything}) == len(everything)
    words = {case["id"]: frozenset(stems(case.get("standalone") or case["question"])) for case in everything}
    alike = [
        (one, other)
        for (one, its), (other, others) in combinations(words.items(), 2)
        if len(its & others) >= 0.7 * len(its | others)
    ]
    assert alike == []


def test_no_question_copies_the_words_of_the_passage_that_answers_it(cases: list[dict[str, Any]]) -> None:
    copied = []
    for case in cases:
        asked = re.findall(r"\w+", case["question"].lower())
        for quote in case["gold_sentences"]:
            said = " ".join(re.findall(r"\w+", quote.lower()))
            copied += [case["id"] for i in range(len(asked) - 6) if " ".join(asked[i : i + 7]) in said]
    assert copied == []


def test_no_note_holds_what_a_near_miss_asks_for(cases: list[dict[str, Any]], texts: dict[str, str]) -> None:
    held = [
        (case["id"], path, match[0])
        for case in cases
        if not case["answerable"]
        for path, text in texts.items()
        if (match := re.search(case["absent"], text))
    ]
    assert held == []
    assert all(path in texts for case in cases for path in case["near_docs"])


def test_questions_of_other_subjects_have_no_answer_in_the_notes() -> None:
    others = lines("ood_queries.jsonl")
    assert len(others) == 44
    assert [case["id"] for case in others if case["answerable"] or case["answer"] or case["gold_docs"]] == []


def test_the_set_is_read_as_any_other() -> None:
    read_in = {case.id: case for case in read_cases(GOLD / "queries.jsonl")}
    case = read_in["role-and-roadmap-8"]
    assert case.gold_units == ("foundations/role-and-roadmap.md", "career/leadership-and-strategy.md")
    assert case.gold_sentences[1] == (
        "Keep ADRs in the repository, number them, and never rewrite an accepted one; supersede it."
    )
    assert not read_in["certifications-10"].answerable
    assert not any(case.answerable for case in read_cases(GOLD / "ood_queries.jsonl", answerable=False))


def test_a_moved_quote_is_followed_and_a_lost_one_is_named(tmp_path: Path) -> None:
    notes, file = tmp_path / "notes", tmp_path / "cases.jsonl"
    notes.mkdir()
    (notes / "a.md").write_text("# A\n\nNew words first.\n\nZebras have stripes.\n", encoding="utf-8")
    stripes = {"path": "a.md", "quote": "Zebras have stripes.", "start": 5, "end": 25}
    hooves = {"path": "a.md", "quote": "Zebras have hooves.", "start": 26, "end": 45}
    gone = {"path": "b.md", "quote": "Lions roar.", "start": 0, "end": 11}
    given = [{"id": "z-1", "gold_passages": [stripes]}, {"id": "z-2", "gold_passages": [hooves, gone]}]
    file.write_text("".join(json.dumps(case) + "\n" for case in given), encoding="utf-8")
    command = [sys.executable, "-m", "eval.anchor", str(notes), str(file), "--write"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "2 questions; the quotes of 1 moved\n"
    assert done.stderr == (
        "z-2: a.md no longer says 'Zebras have hooves.'; revise the question or its quote\n"
        "z-2: b.md is gone, which said 'Lions roar.'; revise the question or its quote\n"
    )
    assert done.returncode == 1
    first, second = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert first["gold_passages"] == [stripes | {"start": 23, "end": 43}]
    assert second["gold_passages"] == [hooves, gone]


def test_a_quote_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Yes. Yes.\n", encoding="utf-8")
    case = {"id": "y", "gold_passages": [{"path": "a.md", "quote": "Yes.", "start": 0, "end": 4}]}
    assert anchor(case, texts_of(tmp_path, [case])) == (
        case,
        ["y: a.md says 2 times 'Yes.'; revise the question or its quote"],
    )


def test_the_judged_answers_rest_on_questions_of_the_set_and_their_passages(cases: list[dict[str, Any]]) -> None:
    known = {case["id"]: case for case in cases if case["answerable"]}
    quotes = {quote for case in cases for quote in case["gold_sentences"]}
    judged = lines("judge.jsonl")
    for line in judged:
        case = known[line["case"]]
        assert (line["question"], line["reference"]) == (case["question"], case["answer"]), line["id"]
        assert line["passages"][: len(case["gold_sentences"])] == case["gold_sentences"], line["id"]
        assert set(line["passages"]) <= quotes, line["id"]
    assert len({line["id"] for line in judged}) == len({line["answer"] for line in judged}) == len(judged) >= 60


def test_the_judged_answers_are_a_mix_that_length_does_not_give_away() -> None:
    judged = lines("judge.jsonl")
    sorts = Counter(line["sort"] for line in judged)
    assert set(sorts) == {
        *("right", "verbose", "unsupported but true", "incomplete", "subtly wrong", "swapped", "premise accepted"),
        *("off topic", "refused"),
    }
    for name, values in LABELS.items():
        assert {line[name] for line in judged} == set(values)
    assert [line["id"] for line in judged if (line["correctness"] == "right") != (line["completeness"] == "all")] == []
    assert min(Counter(line["faithful"] for line in judged).values()) >= 25
    words = {
        label: [len(line["answer"].split()) for line in judged if line["correctness"] == label]
        for label in ("right", "wrong")
    }
    assert 0.5 < mean(words["right"]) / mean(words["wrong"]) < 2
