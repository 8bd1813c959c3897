"""The OpenAI protocol: which model, the answer piece by piece, every fault of a server, JSON, tokens."""

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import llama_index.core
import pytest

from assistant import errors
from assistant.llm import Delta, Usage, estimate_tokens
from assistant.settings import AssistantSettings
from tests.fake_openai import FakeServer
from tests.talking import ASK, KEY, answer, eventually, model_at, reason_at

ROOT = Path(__file__).parent.parent


# Finding a server


def test_the_first_model_that_the_server_lists_is_found_with_its_context() -> None:
    with FakeServer(models=["qwen", "llama"], context=8192) as server:
        model = model_at(server)
    assert (model.name, model.context_tokens) == ("qwen", 8192)


@pytest.mark.parametrize(
    ("told", "wanted", "context"), [(None, 0, 4096), (8192, 0, 8192), (8192, 2048, 2048), (8192, 32768, 8192)]
)
def test_the_context_is_the_servers_unless_a_setting_makes_it_smaller(
    told: int | None, wanted: int, context: int
) -> None:
    with FakeServer(context=told) as server:
        assert model_at(server, llm_context_tokens=wanted).context_tokens == context


def test_a_missing_or_wrong_key_is_told_from_an_absent_server() -> None:
    with FakeServer(key=KEY) as server:
        assert reason_at(server.url) == (
            f"the model server at {server.url} answered 401: set STUDY_LLM_API_KEY to its key"
        )
        assert model_at(server, llm_api_key=KEY).name == "fake-model"


def test_a_model_that_is_not_served_is_answered_with_those_that_are() -> None:
    with FakeServer(models=["qwen", "llama"]) as server:
        assert reason_at(server.url, llm_model="gpt") == (
            f"the model gpt is not served at {server.url}; it has: qwen, llama; set STUDY_LLM_MODEL"
        )
    with FakeServer(models=[]) as server:
        assert reason_at(server.url) == f"the server at {server.url} serves no model; load one"


# Streaming


def test_an_answer_comes_piece_by_piece_and_ends_with_its_reason_and_usage() -> None:
    with FakeServer("FSDP shards the weights. [1]") as server:
        deltas = [delta for delta in model_at(server).stream(ASK) if delta != Delta()]
    assert [delta.text for delta in deltas] == ["FSDP ", "shards ", "the ", "weights. ", "[1]", ""]
    assert [delta.finish_reason for delta in deltas] == [None] * 5 + ["stop"]
    assert deltas[-1].usage == Usage(prompt_tokens=5, completion_tokens=5, cached_tokens=0)


def test_how_much_a_model_thinks_is_said_where_it_is_set() -> None:
    with FakeServer() as server:
        for effort in ("", "low"):
            list(model_at(server, llm_reasoning_effort=effort).stream(ASK))
    assert [chat.get("reasoning_effort") for chat in server.chats] == [None, "low"]


def test_the_request_is_repeatable_bounded_and_asks_for_usage() -> None:
    with FakeServer() as server:
        model = model_at(server, llm_seed=7)
        list(model.stream(ASK, max_tokens=9, schema={"type": "object"}))
        list(model.stream(ASK))
    assert server.chats[0] == {
        "model": "fake-model",
        "messages": ASK,
        "max_tokens": 9,
        "temperature": 0,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
    }
    assert server.chats[1]["max_tokens"] == 1024
    assert not {"response_format", "stop"} & server.chats[1].keys()


def test_an_answer_that_reaches_its_limit_says_so() -> None:
    with FakeServer("one two three four") as server:
        last = list(model_at(server).stream(ASK, max_tokens=2))[-1]
    assert last.finish_reason == "length"
    assert last.usage == Usage(5, 2, 0)


def test_what_was_spent_is_added_up() -> None:
    with FakeServer("one two three four") as server:
        model = model_at(server)
        assert not model.spent
        for _ in range(2):
            list(model.stream(ASK, max_tokens=2))
    assert model.spent == {"prompt_tokens": 10, "cached_tokens": 0, "answer_tokens": 4}


def test_sixteen_threads_share_one_model() -> None:
    with FakeServer(lambda messages: messages[-1]["content"], pause=0.01) as server:
        model = model_at(server)

        def ask(number: int) -> str:
            prompt = [{"role": "user", "content": f"question {number} has {number} words"}]
            return "".join(delta.text for delta in model.stream(prompt))

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(64)))
    assert answers == [f"question {number} has {number} words" for number in range(64)]


def test_closing_the_answer_stops_the_server() -> None:
    with FakeServer("word " * 1000, pause=0.02) as server:
        stream = model_at(server).stream(ASK)
        assert next(delta.text for delta in stream if delta.text) == "word "
        stream.close()
        assert eventually(lambda: (server.disconnects, server.running) == (1, 0), 0.5)


@pytest.mark.parametrize("fault", ["stall-before-headers", "stall-before-first-token"])
def test_an_answer_can_be_closed_before_its_first_token(fault: str) -> None:
    with FakeServer(fault=fault) as server:
        stream = model_at(server, llm_first_token_s=30).stream(ASK)
        assert next(stream) == Delta()
        stream.close()
        assert eventually(lambda: server.disconnects == 1, 0.5)


def test_a_reader_that_takes_its_time_is_not_a_stall() -> None:
    with FakeServer("one two three") as server:
        words = []
        for delta in model_at(server, llm_stall_s=0.1).stream(ASK):
            words.append(delta.text)
            time.sleep(0.15)
    assert "".join(words) == "one two three"


# Faults

DEEP = "raw:data: " + "[" * 100_000
LONG = "raw:data: " + "x" * 5_000_000


@pytest.mark.parametrize(
    ("fault", "error", "message", "partial"),
    [
        ("401", errors.ServerRefused, "answered 401: set STUDY_LLM_API_KEY", ""),
        ("403", errors.ServerRefused, "answered 403: set STUDY_LLM_API_KEY", ""),
        ("404", errors.ModelMissing, "does not have fake-model (it answered 404: fault 404)", ""),
        ("429", errors.ServerBusy, "answered 429: it is busy or still loading; try again", ""),
        ("503", errors.ServerBusy, "answered 503: it is busy or still loading; try again", ""),
        ("500", errors.ServerFailed, "answered 500: fault 500; see its log", ""),
        ("302", errors.ServerFailed, "answered 302: a redirect, which is not followed", ""),
        ("400", errors.ServerFailed, "answered 400: fault 400", ""),
        ("stall-before-headers", errors.ServerStalled, "sent no token within 0.6 s", ""),
        ("stall-before-first-token", errors.ServerStalled, "raise STUDY_LLM_FIRST_TOKEN_S", ""),
        ("only-comments", errors.ServerStalled, "sent no token within 0.6 s", ""),
        ("stall-mid-stream", errors.ServerStalled, "silent for 0.6 s in mid-answer", "One two "),
        ("cut-mid-stream", errors.AnswerCut, "broke off before the answer was whole", "One two "),
        ("no-finish", errors.AnswerCut, "broke off before the answer was whole", "One two three"),
        ("no-answer", errors.AnswerCut, "broke off before the answer was whole", ""),
        ("not-http", errors.AnswerJunk, "not HTTP: BadStatusLine", ""),
        ("body:<!doctype html>\n<title>nginx", errors.AnswerJunk, "not an event stream: <!doctype html>", ""),
        ('body:{"choices": []}', errors.AnswerJunk, 'not an event stream: {"choices": []}', ""),
        ("body:", errors.AnswerCut, "broke off before the answer was whole", ""),
        ("raw:Traceback (most recent", errors.AnswerJunk, "not an event stream: Traceback", "One two "),
        ("raw:data: {'choices': oops}", errors.AnswerJunk, "an event of another shape: {'ch", "One two "),
        ('raw:data: {"choices": [{"delta": "x"}]}', errors.AnswerJunk, "another shape", "One two "),
        ('raw:data: {"choices": [{"delta": {"content": 7}}]}', errors.AnswerJunk, "another", "One two "),
        ('raw:data: {"choices": [], "usage": {"prompt_tokens": 1e999}}', errors.AnswerJunk, "", "One two "),
        ('raw:data: {"choices": 7}', errors.AnswerJunk, "another shape", "One two "),
        ("raw:data: [1]", errors.AnswerJunk, "another shape", "One two "),
        (DEEP, errors.AnswerJunk, "another shape", "One two "),
        (LONG, errors.AnswerJunk, "a line without end", "One two "),
        ('raw:data: {"error": {"message": "died", "code": 500}}', errors.ServerFailed, "died", "One two "),
        ('raw:data: {"error": "died"}', errors.ServerFailed, "answered 500: died", "One two "),
        (
            'raw:data: {"choices": [{"delta": {}, "finish_reason": "abort"}]}\n\ndata: [DONE]',
            errors.AnswerCut,
            "broke off",
            "One two ",
        ),
    ],
)
def test_every_fault_of_a_server_ends_in_time_with_its_error_and_keeps_the_text(
    fault: str, error: type[errors.ServerError], message: str, partial: str
) -> None:
    with FakeServer("One two three", fault=fault) as server:
        model = model_at(server)
        text, start = "", time.monotonic()
        with pytest.raises(errors.ServerError) as caught:  # noqa: PT012 - the text until then counts
            for delta in model.stream(ASK):
                text += delta.text
        assert time.monotonic() - start < 1.6
    assert type(caught.value) is error
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.partial == text == partial


@pytest.mark.parametrize("fault", ["cut-after-finish", "stall-after-finish"])
def test_an_answer_that_is_whole_is_kept_though_the_usage_never_comes(fault: str) -> None:
    with FakeServer("One two three", fault=fault) as server:
        start = time.monotonic()
        deltas = list(model_at(server).stream(ASK))
        assert time.monotonic() - start < 1.6
    assert "".join(delta.text for delta in deltas) == "One two three"
    assert (deltas[-1].finish_reason, deltas[-1].usage) == ("stop", None)


def test_done_without_a_reason_ends_an_answer_too() -> None:
    with FakeServer("One two three", fault="raw:data: [DONE]") as server:
        assert answer(model_at(server)) == "One two "


@pytest.mark.parametrize("reply", ["", " \n", "<think>Nothing to say.</think>"])
def test_an_empty_answer_is_an_error(reply: str) -> None:
    with FakeServer(reply) as server, pytest.raises(errors.AnswerEmpty, match="gave an empty answer; ask"):
        answer(model_at(server))


def test_a_prompt_over_the_context_says_by_how_much() -> None:
    with (
        FakeServer(context=1000) as server,
        pytest.raises(errors.ContextOverflow, match="; set STUDY_LLM_CONTEXT_TOKENS=1000") as caught,
    ):
        list(model_at(server).stream([{"role": "user", "content": "word " * 1200}], max_tokens=100))
    assert (caught.value.limit, caught.value.wanted) == (1000, 1200)


@pytest.mark.parametrize(
    ("said", "limit", "wanted"),
    [
        ("This model's maximum context length is 4096 tokens. However, your request has 4645 input tokens. "
         "Please reduce the length of the input messages.", 4096, 4645),
        ("This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 "
         "in the messages, 10000 in the completion).", 16384, 112946),
        ("'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is "
         "8192 tokens and your request has 5000 input tokens (4096 > 8192 - 5000).", 8192, 5000),
        ("You passed 4645 input tokens and requested 100 output tokens. However, the model's context length "
         "is only 4096 tokens, resulting in a maximum input length of 3996 tokens.", 4096, 4645),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
         4096, 5000),
        ("context_length_exceeded", 0, 0),
    ],
)  # fmt: skip
def test_each_servers_words_for_an_overflow_are_understood(said: str, limit: int, wanted: int) -> None:
    event = f'raw:data: {{"error": {{"message": "{said}", "code": 400}}}}'
    with (
        FakeServer("One two three", fault=event) as server,
        pytest.raises(errors.ContextOverflow) as caught,
    ):
        answer(model_at(server))
    assert (caught.value.limit, caught.value.wanted) == (limit, wanted)


def test_every_failure_of_a_server_has_a_word_for_people_and_another_name_stays() -> None:
    names = [kind.__name__ for kind in errors.ServerError.__subclasses__()]
    words = [errors.in_a_word(name) for name in names]
    assert len(set(words)) == len(names) == 12
    assert [word for word in words if word != word.lower() and word != "no JSON"] == []
    assert [errors.in_a_word(name) for name in ("ServerStalled", "ElseWhere")] == ["silent", "ElseWhere"]


def test_every_error_has_its_line_in_the_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert [kind.__name__ for kind in kinds] == re.findall(r"[A-Z]\w+(?=  )", errors.__doc__ or "")


# JSON


@pytest.mark.parametrize("reply", ['{"a": [1, 2]}', '```json\n{"a": [1, 2]}\n```\n', '```\n{"a": [1, 2]}\n```'])
def test_json_is_parsed_and_a_code_fence_taken_off(reply: str) -> None:
    with FakeServer(reply) as server:
        found, usage = model_at(server).complete(ASK, schema={"type": "object"})
    assert found == {"a": [1, 2]}
    assert usage is not None
    assert usage.prompt_tokens == 5


@pytest.mark.parametrize("reply", ['{"a": [1, 2', "[1, 2]", 'Here it is: {"a": 1}', "{'a': 1}"])
def test_what_is_no_json_object_is_an_error_that_keeps_the_text(reply: str) -> None:
    with (
        FakeServer(reply) as server,
        pytest.raises(errors.AnswerUnparsable, match="is not the JSON that was asked for") as caught,
    ):
        model_at(server).complete(ASK, schema={})
    assert caught.value.partial == reply


def test_json_that_was_cut_at_its_limit_names_the_setting() -> None:
    with (
        FakeServer('{"a": 1, "b": 2}') as server,
        pytest.raises(errors.AnswerUnparsable, match="cut at its limit; raise STUDY_LLM_MAX_ANSWER"),
    ):
        model_at(server).complete(ASK, schema={}, max_tokens=2)


# Counting


def test_tokens_are_counted_by_the_server_where_it_can() -> None:
    with FakeServer() as server:
        model = model_at(server)
        assert model.count_tokens("three short words") == 3
        assert model.count_tokens(ASK) == 5
    assert [request.path for request in server.requests] == ["/v1/models", "/tokenize", "/tokenize"]


def test_tokens_are_estimated_where_the_server_cannot_count() -> None:
    with FakeServer(tokenizes=False) as server:
        model = model_at(server)
        assert model.count_tokens("three short words") == 6
        assert model.count_tokens(ASK) == 64 + 16 + 4 + 16 + 7
    assert len(server.requests) == 2  # Not asked again.


def test_the_estimate_is_never_under_what_real_tokenizers_count(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache))
    import tiktoken

    texts = {path.name: path.read_text() for path in [*ROOT.glob("corpus/**/*.md"), *ROOT.glob("*/*.py")]}
    texts |= {
        "zh": "机器学习是人工智能的一个分支，研究如何让计算机从数据中学习。" * 9,
        "ru": "Машинное обучение — раздел искусственного интеллекта. " * 9,
        "de": "Überanpassung ist beim maschinellen Lernen die größte Schwierigkeit. " * 9,
        "ar": "التعلم الآلي هو فرع من الذكاء الاصطناعي " * 9,
        "hi": "मशीन लर्निंग कृत्रिम बुद्धिमत्ता की एक शाखा है। " * 9,
        "emoji": "🎉🚀👩‍👩‍👧‍👦🤖" * 9,
        "table": "| 12.5 | 0.93 | 1,024 | ≥ 3 × |\n|---|---|---|---|\n" * 9,
        "maths": r"\frac{\partial L}{\partial w_{ij}} = \sum_{k=1}^{n} \alpha_k^{2} \nabla_\theta" * 9,
        "hex": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" * 9,
        "digits": "3.14159265358979323846264338327950288419716939937510" * 9,
    }  # fmt: skip
    for name in ("cl100k_base", "o200k_base"):
        encoding = tiktoken.get_encoding(name)
        for label, text in texts.items():
            true = len(encoding.encode(text, disallowed_special=()))
            assert true <= estimate_tokens(text), (name, label)
            if label.endswith(".md"):
                assert estimate_tokens(text) <= 2 * true, (name, label)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_LLM_URL", "http://gpu:8000/v1")
    monkeypatch.setenv("STUDY_LLM_API_KEY", KEY)
    read = AssistantSettings()
    assert read.llm_url == "http://gpu:8000/v1"
    assert KEY not in repr(read)
    assert os.environ["STUDY_LLM_API_KEY"] == KEY
