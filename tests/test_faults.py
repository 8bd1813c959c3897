"""Whatever the model server does wrong, a question ends in time, says what happened and what to do, and shows
the passages."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assistant.answer import Answer, answer
from assistant.follow import Turn
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from tests.fake_openai import FakeServer
from ui.cli import main

QUESTION = "How does FSDP differ from DDP?"
SAYS = "DDP keeps a full copy of the model on every GPU, and FSDP keeps one shard of the parameters [1]."
CONNECT_S, FIRST_S, STALL_S = 0.5, 0.7, 0.6
"""What the settings of these tests allow: to find the server, until the first token, between two tokens."""


def ask(
    settings: AssistantSettings, url: str, *, question: str = QUESTION, history: Sequence[Turn] = (), **changes: Any
) -> tuple[Answer, float]:
    """Return the answer, and the seconds that it took."""
    limits = {"llm_connect_ms": int(CONNECT_S * 1000), "llm_first_token_s": FIRST_S, "llm_stall_s": STALL_S}
    settings = settings.model_copy(update={"llm_url": url, **limits, **changes})
    shelf = Shelf(settings)
    shelf.embedder.encode_query("loaded before the clock starts")
    began = time.monotonic()
    *_, done = answer(question, shelf, settings, history=history)
    assert isinstance(done, Answer)
    return done, time.monotonic() - began


def check(done: Answer, *parts: str) -> None:
    """The notice is one line that has these parts; the passages are there, and what is cited is in the notes."""
    assert "\n" not in done.notice
    for part in parts:
        assert part in done.notice
    assert len(done.passages) >= 3
    assert done.passages[0].chunk.path == "infrastructure/distributed-training.md"


NEVER_ANSWERS = {
    "refused": ("http://127.0.0.1:9/v1", "nothing listens there", "start one (vllm serve MODEL), or set STUDY_LLM_URL"),
    "DNS": ("http://no-such-host.invalid/v1", "its name is not known", "check STUDY_LLM_URL"),
}


@pytest.mark.parametrize("fault", NEVER_ANSWERS)
def test_where_no_server_can_be_reached_the_notes_are_quoted(corpus_settings: AssistantSettings, fault: str) -> None:
    url, happened, remedy = NEVER_ANSWERS[fault]
    done, took = ask(corpus_settings, url)
    check(done, "no model answered", happened, remedy)
    assert (done.outcome, done.model, bool(done.citations)) == ("quoted", None, True)
    assert took < CONNECT_S + 1


def test_a_server_without_tls_is_told_from_one_with_it(corpus_settings: AssistantSettings) -> None:
    with FakeServer(SAYS) as server:
        done, took = ask(corpus_settings, server.url.replace("http:", "https:"))
    check(done, "TLS failed", "should STUDY_LLM_URL say http://?")
    assert (done.outcome, bool(done.citations)) == ("quoted", True)
    assert took < CONNECT_S + 1


def test_a_wrong_key_names_the_setting_of_the_key(corpus_settings: AssistantSettings) -> None:
    with FakeServer(SAYS, key="right") as server:
        done, took = ask(corpus_settings, server.url)
    check(done, "answered 401", "set STUDY_LLM_API_KEY to its key")
    assert done.outcome == "quoted"
    assert took < CONNECT_S + 1


def test_a_model_that_is_not_served_names_those_that_are(corpus_settings: AssistantSettings) -> None:
    with FakeServer(SAYS, models=["qwen"]) as server:
        done, took = ask(corpus_settings, server.url, llm_model="llama")
    check(done, "the model llama is not served", "it has: qwen", "set STUDY_LLM_MODEL")
    assert done.outcome == "quoted"
    assert took < CONNECT_S + 1


BEFORE_A_WORD = {
    "401": ("answered 401", "set STUDY_LLM_API_KEY", 0),
    "404": ("answered 404", "check STUDY_LLM_URL and STUDY_LLM_MODEL", 0),
    "429": ("answered 429: it is busy or still loading", "try again in a minute", FIRST_S),
    "503": ("answered 503: it is busy or still loading", "try again in a minute", FIRST_S),
    "500": ("answered 500", "see its log", 0),
    "overflow": ("the prompt is too long for the model", "set STUDY_LLM_CONTEXT_TOKENS=4096", 0),
    "stall-before-headers": ("sent no token within 0.7 s", "raise STUDY_LLM_FIRST_TOKEN_S", FIRST_S),
    "stall-before-first-token": ("sent no token within 0.7 s", "raise STUDY_LLM_FIRST_TOKEN_S", FIRST_S),
    "only-comments": ("sent no token within 0.7 s", "raise STUDY_LLM_FIRST_TOKEN_S", FIRST_S),
    "no-answer": ("broke off before the answer was whole", "see whether it still runs", 0),
    "not-http": ("does not speak the OpenAI protocol", "check STUDY_LLM_URL", 0),
    'body:{"choices": [': ("does not speak the OpenAI protocol", "check STUDY_LLM_URL", 0),
}


@pytest.mark.parametrize("fault", BEFORE_A_WORD)
def test_a_fault_before_the_first_word_leads_to_quotes(corpus_settings: AssistantSettings, fault: str) -> None:
    happened, remedy, timeout = BEFORE_A_WORD[fault]
    with FakeServer(SAYS, fault=fault) as server:
        done, took = ask(corpus_settings, server.url)
    check(done, "no model answered", happened, remedy)
    assert (done.outcome, done.model) == ("quoted", None)
    assert all(sentence.supported for sentence in done.sentences)
    assert done.citations
    assert took < timeout + 1


@pytest.mark.parametrize("retry_after", ["0", "2", "3600", "Sat, 21 Nov 2026 06:00:00 GMT"])
@pytest.mark.parametrize("status", ["429", "503"])
def test_a_busy_server_is_asked_again_only_within_the_time(
    corpus_settings: AssistantSettings, status: str, retry_after: str
) -> None:
    with FakeServer(SAYS, fault=status, retry_after=retry_after) as server:
        done, took = ask(corpus_settings, server.url)
        asked = len(server.chats)
    check(done, f"answered {status}")
    assert took < FIRST_S + 1
    assert asked == {"0": 3, "2": 1, "3600": 1}.get(retry_after, 2)


@pytest.mark.parametrize("fault", ["stall-before-headers", "stall-before-first-token"])
@pytest.mark.parametrize("rewriting", [8.0, 0.3])
def test_a_follow_up_waits_for_a_silent_server_once(
    corpus_settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch, fault: str, rewriting: float
) -> None:
    monkeypatch.setattr("assistant.follow.REWRITE_S", rewriting)
    with FakeServer(SAYS, fault=fault) as server:
        done, took = ask(corpus_settings, server.url, history=[Turn("What is ZeRO?", "It shards.")])
    check(done, "no model answered", "sent no token within 0.7 s", "raise STUDY_LLM_FIRST_TOKEN_S")
    assert took < FIRST_S + 1


def test_a_server_that_is_busy_once_answers_after_all(corpus_settings: AssistantSettings) -> None:
    with FakeServer(SAYS, fault=["503", ""]) as server:
        done, _ = ask(corpus_settings, server.url)
    assert (done.outcome, done.answer, done.notice) == ("answered", SAYS, "")


IN_MID_ANSWER = {
    "stall-mid-stream": ("fell silent for 0.6 s in mid-answer", "raise STUDY_LLM_STALL_S", STALL_S),
    "cut-mid-stream": ("broke off before the answer was whole", "see whether it still runs", 0),
    "raw:data: {oops": ("does not speak the OpenAI protocol", "check STUDY_LLM_URL", 0),
    'raw:data: {"error": {"message": "the engine died", "code": 500}}': ("the engine died", "see its log", 0),
}


@pytest.mark.parametrize("fault", IN_MID_ANSWER)
def test_a_fault_in_mid_answer_keeps_what_was_said(corpus_settings: AssistantSettings, fault: str) -> None:
    happened, remedy, timeout = IN_MID_ANSWER[fault]
    with FakeServer(SAYS, fault=fault) as server:
        done, took = ask(corpus_settings, server.url)
        assert len(server.chats) == 1
    check(done, happened, remedy)
    assert (done.outcome, done.answer) == ("answered", "DDP keeps")
    assert took < timeout + 1


def test_a_question_that_the_context_has_no_room_for_is_told_as_such(corpus_settings: AssistantSettings) -> None:
    with FakeServer(SAYS, context=150) as server:
        done, took = ask(corpus_settings, server.url, question="How does FSDP differ from DDP? " * 8)
    check(
        done, "no model answered", "the question is too long for fake-model, which has room for 150 tokens; shorten it"
    )
    assert (done.outcome, done.failure) == ("quoted", "ContextOverflow")
    assert took < 1


@pytest.mark.parametrize("fault", ["cut-mid-stream", "stall-mid-stream"])
def test_a_fault_while_the_model_thinks_leads_to_quotes_and_no_thought_is_shown(
    corpus_settings: AssistantSettings, fault: str
) -> None:
    with FakeServer("<think>Let me see what the passages say of it.</think>" + SAYS, fault=fault) as server:
        done, took = ask(corpus_settings, server.url)
    check(done, "no model answered", "in mid-answer" if fault.startswith("stall") else "broke off")
    assert (done.outcome, bool(done.citations)) == ("quoted", True)
    assert "Let me" not in str(done.as_json())
    assert took < STALL_S + 1


@pytest.mark.parametrize("reply", ["", " \n\n ", "<think>Nothing comes to mind.</think>"])
def test_an_empty_answer_leads_to_quotes(corpus_settings: AssistantSettings, reply: str) -> None:
    with FakeServer(reply) as server:
        done, took = ask(corpus_settings, server.url)
    check(done, "gave an empty answer", "ask again, or serve another model")
    assert (done.outcome, bool(done.citations)) == ("quoted", True)
    assert took < 1


def test_a_model_that_goes_round_in_circles_is_stopped(corpus_settings: AssistantSettings) -> None:
    with FakeServer("FSDP shards the parameters. ", fault="endless") as server:
        done, took = ask(corpus_settings, server.url)
        until = time.monotonic() + 2
        while server.running and time.monotonic() < until:
            time.sleep(0.01)
        assert server.running == 0
    check(done, "repeats itself and was stopped", "ask in other words, or serve another model")
    assert (done.outcome, done.answer) == ("answered", "FSDP shards the parameters.")  # said once
    assert took < 1 + FIRST_S


@pytest.mark.parametrize("fault", ["", "stall-before-first-token"])
def test_a_server_that_counts_no_tokens_in_time_is_not_waited_for(
    corpus_settings: AssistantSettings, fault: str
) -> None:
    with FakeServer(SAYS, fault=fault, tokenize_pause=60) as server:
        done, took = ask(corpus_settings, server.url)
        assert [request.path for request in server.requests].count("/tokenize") == 1
    assert done.outcome == ("quoted" if fault else "answered")
    assert took < FIRST_S + 1


@pytest.mark.parametrize(
    ("fault", "said", "most"),
    [
        ("stall-before-first-token", "sent no token within 0.7 s", 2),
        ("stall-mid-stream", "fell silent for 0.6 s in mid-answer", 2),
        ("cut-mid-stream", "broke off before the answer was whole", 4),
        ("401", "answered 401: set STUDY_LLM_API_KEY", 4),
        ("429", "answered 429: it is busy or still loading", 12),
        ("", "is not the JSON that was asked for", 4),
    ],
)
def test_where_the_model_fails_a_quiz_is_made_by_rule_and_a_silent_server_is_not_asked_again(
    corpus_settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch, fault: str, said: str, most: int
) -> None:
    for name, value in (("HOME", corpus_settings.home), ("LLM_FIRST_TOKEN_S", FIRST_S), ("LLM_STALL_S", STALL_S)):
        monkeypatch.setenv(f"STUDY_{name}", str(value))
    command = ["quiz", "What is PagedAttention?", "-n", "2", "--new", "--json"]
    with FakeServer('{"items": [', fault=fault) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
        done = CliRunner().invoke(main, command)
        assert 1 <= len(server.chats) <= most
    assert done.exit_code == 0
    assert done.stderr.startswith("the model failed, so the questions that are missing are made by rule: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    made = json.loads(done.stdout)["items"]
    assert len({item["question"] for item in made}) == 2


def test_every_fault_of_the_fake_server_is_tried_here() -> None:
    listed = (Path(__file__).parent / "fake_openai.py").read_text().split("Its faults:")[1].split('"""')[0]
    named = set(re.findall(r"[a-z]+(?:-[a-z]+)+|302", re.sub(r"\(.*?\)", "", listed)))
    tried = {*BEFORE_A_WORD, *IN_MID_ANSWER}
    assert named - tried == {"302", "no-finish", "cut-after-finish", "stall-after-finish"}  # test_llm.py has these
