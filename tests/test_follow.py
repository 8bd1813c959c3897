"""Follow-up questions: what is searched for, by the model and by the rule; what the prompt tells of the past."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from assistant import follow
from assistant.answer import Answer, answer
from assistant.follow import Turn, by_rule, standalone, told, turns
from assistant.journal import Journal
from assistant.llm import LanguageModel, find
from assistant.remember import remembered
from assistant.settings import AssistantSettings
from eval.followups import by_hand, load, measure, raw
from ingest.shelf import Shelf
from tests.conftest import ROOT
from tests.fake_openai import FakeServer

FSDP = Turn("What is FSDP?", "FSDP shards a model [1].")


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("And how does it differ from DDP?", "And how does it differ from DDP? (FSDP)"),
        ("Does it save memory?", "Does it save memory? (FSDP)"),
        ("And DDP?", "And DDP? (FSDP)"),
        ("Why?", "Why? (FSDP)"),
        ("How much does that cost?", "How much does that cost? (FSDP)"),
        ("What is tensor parallelism?", "What is tensor parallelism?"),
        ("What is the best pizza in Naples?", "What is the best pizza in Naples?"),
        ("Is FSDP slower than that?", "Is FSDP slower than that?"),
    ],
)
def test_the_rule_lends_a_question_that_points_back_the_topic_before_it(question: str, searched: str) -> None:
    assert by_rule(question, FSDP) == searched


def test_the_topic_is_carried_from_question_to_question() -> None:
    second = Turn("Which of them isolates memory?", "MIG does.", "Which of them isolates memory? (MIG time-slicing)")
    assert by_rule("And faults?", second) == "And faults? (isolates memory MIG time-slicing)"


def test_a_question_without_a_past_stays_as_it_is() -> None:
    assert standalone("And how does it differ?", ()).question == "And how does it differ?"


def with_model(settings: AssistantSettings, server: FakeServer) -> tuple[AssistantSettings, LanguageModel]:
    settings = settings.model_copy(update={"llm_url": server.url, "llm_connect_ms": 5000})
    model = find(settings)
    assert isinstance(model, LanguageModel)
    return settings, model


def test_a_model_rewrites_the_question_under_a_schema(settings: AssistantSettings) -> None:
    with FakeServer('{"question": "How does FSDP differ from DDP?"}') as server:
        _, model = with_model(settings, server)
        assert standalone("And how does it differ?", [FSDP], model).question == "How does FSDP differ from DDP?"
        body = server.chats[0]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["question"]
    assert "Earlier question: What is FSDP?\nEarlier answer: FSDP shards a model." in body["messages"][-1]["content"]
    assert body["messages"][-1]["content"].endswith("Last question: And how does it differ?")


@pytest.mark.parametrize(
    "reply", ["no JSON", '{"question": 7}', '{"question": "  "}', '["x"]', json.dumps({"question": "long " * 100})]
)
def test_a_model_that_rewrites_badly_leaves_it_to_the_rule(settings: AssistantSettings, reply: str) -> None:
    with FakeServer(reply) as server:
        assert (
            standalone("Does it save memory?", [FSDP], with_model(settings, server)[1]).question
            == "Does it save memory? (FSDP)"
        )


@pytest.mark.parametrize("fault", ["500", "cut-mid-stream"])
def test_a_server_that_fails_leaves_it_to_the_rule(settings: AssistantSettings, fault: str) -> None:
    with FakeServer('{"question": "x y z"}', fault=fault) as server:
        assert (
            standalone("Does it save memory?", [FSDP], with_model(settings, server)[1]).question
            == "Does it save memory? (FSDP)"
        )


def test_a_model_that_dawdles_is_not_waited_for(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "REWRITE_S", 0.2)
    with FakeServer("{}", fault="stall-before-first-token") as server:
        _, model = with_model(settings, server)
        started = time.monotonic()
        assert standalone("Does it save memory?", [FSDP], model).question == "Does it save memory? (FSDP)"
    assert time.monotonic() - started < 2


def test_what_is_told_of_the_past_is_bounded_and_the_last_turns_stay() -> None:
    history = [Turn(f"Question {n}?", "word " * 1000) for n in range(9)]
    text = told(history)
    assert [n for n in range(9) if f"Question {n}?" in text] == [5, 6, 7, 8]
    assert len(text) < 4 * 600
    assert told(history, most_bytes=700).count("Question") == 1
    assert told(history, most_bytes=10) == ""
    assert told([Turn("What now?", "")]) == "Earlier question: What now?\nEarlier answer: (the notes don't say)"


def test_marks_and_escapes_of_earlier_answers_are_not_told() -> None:
    assert (
        told([Turn("What\x1b[31m?", "It shards [1][2]. So [3]")])
        == "Earlier question: What?\nEarlier answer: It shards. So"
    )


# ---------------------------------------------------------------------------------------------- in an answer


def ask(settings: AssistantSettings, question: str, history: Any) -> Answer:
    done = list(answer(question, Shelf(settings), settings, history=history))[-1]
    assert isinstance(done, Answer)
    return done


def test_a_follow_up_is_answered_as_what_it_means(corpus_settings: AssistantSettings) -> None:
    done = ask(corpus_settings, "And what changed in version 2?", [FSDP])
    assert done.question == "And what changed in version 2?"
    assert done.as_json()["standalone"] == "And what changed in version 2? (FSDP)"
    assert "FSDP2" in done.answer
    assert "rewrite" in done.timings_ms


def test_a_question_that_stands_by_itself_has_no_other_form(corpus_settings: AssistantSettings) -> None:
    assert "standalone" not in ask(corpus_settings, "What is tensor parallelism?", [FSDP]).as_json()


def test_the_model_is_given_the_past_between_passages_and_question(corpus_settings: AssistantSettings) -> None:
    def reply(messages: list[dict[str, str]]) -> str:
        rewriting = messages[0]["content"].startswith("You rewrite")
        return (
            '{"question": "How does FSDP differ from DDP?"}' if rewriting else "DDP keeps a full copy of the model [1]."
        )

    with FakeServer(reply) as server:
        done = ask(with_model(corpus_settings, server)[0], "And how does it differ from DDP?", [FSDP])
        prompt = server.chats[1]["messages"][-1]["content"]
    assert done.standalone == "How does FSDP differ from DDP?"
    assert prompt.endswith(
        "</passage>\n\nEarlier question: What is FSDP?\nEarlier answer: FSDP shards a model.\n\n"
        "Question: And how does it differ from DDP?"
    )


def test_a_model_that_thinks_first_rewrites_too(corpus_settings: AssistantSettings) -> None:
    thoughts = " ".join(f"thought-{number}" for number in range(300))
    with FakeServer('{"question": "How does FSDP differ from DDP?"}', reasoning=thoughts) as server:
        model = with_model(corpus_settings, server)[1]
        assert (
            standalone("And how does it differ from DDP?", [FSDP], model).question == "How does FSDP differ from DDP?"
        )


def test_a_conversation_comes_back_from_the_journal(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    settings = corpus_settings.model_copy(update={"learner": tmp_path.name})
    journal = Journal.of(settings)
    id_ = journal.start("FSDP")
    shelf = Shelf(settings)
    for question in ("What is FSDP?", "And what changed in version 2?"):
        history = turns(journal.conversation(id_))
        list(
            remembered(answer(question, shelf, settings, history=history), settings, conversation=id_, journal=journal)
        )
    first, second = turns(journal.conversation(id_))
    assert (first.question, first.standalone) == ("What is FSDP?", "")
    assert second.standalone == "And what changed in version 2? (FSDP)"
    assert first.answer.endswith("[3]")


# ---------------------------------------------------------------------------------------------- the set


def test_the_set_has_enough_follow_ups_and_every_quote_stands_in_its_note() -> None:
    made, held = load(), load(held=True)
    assert sum(len(talk) - 1 for talk in made) == 80
    assert sum(len(talk) - 1 for talk in held) == 26
    missing = [
        asked.quote
        for talk in made + held
        for asked in talk
        if asked.quote not in (ROOT / "corpus" / asked.path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_follow_ups_are_measured_one_by_one_with_what_was_said_before() -> None:
    talk = load()[0]
    seen: list[tuple[str, int]] = []

    def found(question: str, asked: Any) -> tuple[bool, bool, bool]:
        seen.append((question, len(asked.quote)))
        return True, False, True

    assert measure([talk], by_hand, found) == [(True, False, True)] * 3
    assert [question for question, _ in seen] == [asked.standalone for asked in talk[1:]]
    measure([talk], raw, found)
    assert seen[3][0] == "And how does it differ from DDP?"
