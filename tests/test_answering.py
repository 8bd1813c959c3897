import json
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.answer import Answer
from assistant.cite import Sentence, resolve
from assistant.retrieve import Passage
from assistant.settings import AssistantSettings
from eval.answering import row as answer_row
from eval.cases import read_cases
from ingest.chunk import Chunk, Place
from ingest.embed import Embedder
from tests.scored import rows_of, scored


class Believer:
    """An entailment model to which every passage says everything."""

    def supports(self, sentence: str, passage: str) -> bool:
        """Say yes."""
        return True


def test_citations_are_checked_by_what_marks_the_sentences(zoo: Path) -> None:
    case = read_cases(zoo / "queries.jsonl")[0]
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


def test_an_answer_leads_to_its_trace(zoo: Path, monkeypatch: pytest.MonkeyPatch, settings: AssistantSettings) -> None:
    assert {row["trace"] for row in rows_of(scored(zoo, "--suite", "answer"))} == {""}
    monkeypatch.setenv("STUDY_LANGFUSE_PUBLIC_KEY", "pk-lf-1")
    monkeypatch.setenv("STUDY_LANGFUSE_SECRET_KEY", "sk-lf-1")
    monkeypatch.setenv("STUDY_LANGFUSE_HOST", "http://127.0.0.1:9")
    traces = {row["trace"] for row in rows_of(scored(zoo, "--suite", "answer"))}
    sent = [json.loads(path.read_text()) for path in (settings.home / "traces").glob("*.json")]
    assert {one["trace"]["id"] for one in sent if "trace" in one} == traces
    assert {one["trace"]["root"]["name"] for one in sent if "trace" in one} == {"eval answer"}
    assert len(traces) == 4


def test_an_answer_without_a_source_has_no_citation_scores(zoo: Path, embedder: Embedder) -> None:
    case = read_cases(zoo / "queries.jsonl")[0]
    refused = Answer(case.question, "", "", "not_in_notes", None, (), (), (), (), "", {}, {})
    found = answer_row(case, refused, lambda version: "", 1.0)
    assert found.values["false_refusal"] == 1.0
    assert found.values["token_f1"] == 0.0
    assert "citation_recall" not in found.values
