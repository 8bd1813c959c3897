import datetime
import http.client
import ipaddress
import os
import re
import socket
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import llama_index.core
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from assistant import errors
from assistant.exchange import Exchange, Server, loads
from assistant.llm import Absent, Delta, LanguageModel, Usage, estimate_tokens, find
from assistant.settings import AssistantSettings
from assistant.watch import Thinking, Watch
from tests.fake_openai import FakeServer

ROOT = Path(__file__).parent.parent
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is FSDP?"}]
KEY = "sk-very-secret-0123456789"


def settings(url: str, **values: object) -> AssistantSettings:
    quick = {"llm_first_token_s": 0.6, "llm_stall_s": 0.6, "llm_connect_ms": 2000}
    return AssistantSettings.model_validate({"llm_url": url, **quick, **values})


def model_at(server: FakeServer, **values: object) -> LanguageModel:
    found = find(settings(server.url, **values))
    assert isinstance(found, LanguageModel), found
    return found


def reason_at(url: str, **values: object) -> str:
    found = find(settings(url, **values))
    assert isinstance(found, Absent)
    return found.reason


def answer(model: LanguageModel, max_tokens: int = 1000) -> str:
    return "".join(delta.text for delta in model.stream(ASK, max_tokens=max_tokens))


def eventually(what: Iterator[bool], seconds: float = 2) -> bool:
    until = time.monotonic() + seconds
    while not (true := next(what)) and time.monotonic() < until:
        time.sleep(0.01)
    return true


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


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_an_address_works_with_and_without_its_version_and_a_slash(end: str) -> None:
    with FakeServer("Yes.") as server:
        found = find(settings(server.url.removesuffix("/v1") + end))
        assert isinstance(found, LanguageModel)
        assert answer(found) == "Yes."
        assert found.count_tokens("two words") == 2


def test_a_path_before_or_after_the_version_is_kept() -> None:
    paths = ["http://h/llm", "http://h/openai/v1", "http://h/v1beta/openai", "http://h/a b"]
    assert [Server(settings(url)).path for url in paths] == [
        "/llm/v1", "/openai/v1", "/v1beta/openai", "/a%20b/v1",
    ]  # fmt: skip


def test_a_server_on_ipv6_is_found() -> None:
    try:
        server = FakeServer("Yes.", host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert answer(model_at(server)) == "Yes."


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with FakeServer("Yes.") as server:
        assert answer(model_at(server)) == "Yes."


@contextmanager
def free_port() -> Iterator[int]:
    with socket.socket() as taken:  # Bound and not listening: nobody else gets it, and it refuses.
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_where_nothing_listens_it_says_so_and_what_to_do() -> None:
    with free_port() as port:
        assert reason_at(f"http://127.0.0.1:{port}/v1") == (
            f"no model server at http://127.0.0.1:{port}/v1: nothing listens there; "
            "start one (vllm serve MODEL), or set STUDY_LLM_URL"
        )


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


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("127.0.0.1:8000", "that is no address; set STUDY_LLM_URL to http://host:port/v1"),
        ("", "that is no address"),
        ("ftp://127.0.0.1/v1", "that is no address"),
        ("http:///v1", "that is no address"),
        ("http://[::1/v1", "that is no address"),
        ("http://127.0.0.1:port/v1", "that is no address"),
        ("http://a host/v1", "that is no address"),
        ("http://a\n\nb c/v1", "that is no address"),
        ("http://no-such-host.invalid/v1", "its name is not known"),
        (f"http://{'x' * 64}.example/v1", "its name is not known"),
        (f"http://me:{KEY}/x@127.0.0.1/v1", "that is no address"),
        (f"http://me:{KEY}@127.0.0.1/v1", "its address holds a password"),
    ],
)
def test_a_bad_address_is_refused_in_one_line(url: str, part: str) -> None:
    reason = reason_at(url)
    assert part in reason
    assert "\n" not in reason
    assert KEY not in reason


@pytest.mark.parametrize("key", ["one\ntwo", "ключ"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    reason = reason_at("http://127.0.0.1:9/v1", llm_api_key=key)
    assert "set STUDY_LLM_API_KEY anew" in reason
    assert key not in reason


@contextmanager
def black_hole() -> Iterator[str]:
    """Take connections and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def full_backlog() -> Iterator[str]:
    """Drop the first packet of every new connection, as a firewall does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        for client in waiting:
            client.close()


@contextmanager
def slow_list() -> Iterator[str]:
    with FakeServer(models_pause=30) as server:
        yield server.url


@contextmanager
def slow_resolver() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:  # No fake resolver can be handed to the C library.
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(2))
        yield "http://model.example/v1"


@pytest.mark.parametrize(
    ("server", "part"),
    [
        (black_hole, "took the connection but did not say what it serves within 300 ms"),
        (slow_list, "took the connection but did not say what it serves within 300 ms"),
        (full_backlog, "did not answer within 300 ms"),
        (slow_resolver, "did not answer within 300 ms"),
    ],
)
def test_a_silent_server_is_absent_after_300_ms(server: type, part: str) -> None:
    with server() as url:
        start = time.monotonic()
        reason = reason_at(url, llm_connect_ms=300)
        assert 0.25 < time.monotonic() - start < 0.45
    assert part in reason
    assert reason.endswith("; if it is only slow, raise STUDY_LLM_CONNECT_MS")


def test_no_http_library_is_imported_to_find_or_ask_a_model() -> None:
    code = """
import sys
from assistant.llm import find
from assistant.settings import AssistantSettings
model = find(AssistantSettings(llm_url=sys.argv[1], llm_connect_ms=5000))
print("".join(delta.text for delta in model.stream([{"role": "user", "content": "Hi"}])))
print(sorted({"httpx", "httpcore", "requests", "openai", "rich"} & set(sys.modules)))
"""
    with FakeServer("Yes.") as server:
        ran = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True, cwd=ROOT
        )
    assert ran.stdout == "Yes.\n[]\n"


# TLS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "fake.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https_works_with_a_certificate_that_is_trusted(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with FakeServer("Yes.", tls=tls) as server:
        assert answer(model_at(server)) == "Yes."
    with FakeServer("One two three", tls=tls, fault="cut-mid-stream") as server:
        with pytest.raises(errors.AnswerCut) as caught:
            answer(model_at(server))
        assert caught.value.partial == "One two "
    with FakeServer(tls=tls, pause=0.05, reply="word " * 500) as server:
        stream = model_at(server).stream(ASK)
        assert next(delta.text for delta in stream if delta.text) == "word "
        stream.close()
        assert eventually(iter(lambda: server.disconnects == 1, None))


def test_https_with_a_certificate_that_is_not_trusted_names_the_remedy(tls: ssl.SSLContext) -> None:
    with FakeServer(tls=tls) as server:
        reason = reason_at(server.url)
    assert "its certificate is not trusted (self-signed certificate); set SSL_CERT_FILE" in reason


def test_https_to_a_server_without_it_names_the_remedy() -> None:
    with FakeServer() as server:
        reason = reason_at(server.url.replace("http:", "https:"))
    assert re.search(r"TLS failed \(\w+\); should STUDY_LLM_URL say http://\?", reason)


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
        list(model.stream(ASK, max_tokens=9, schema={"type": "object"}, stop=["\n\n"]))
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
        "stop": ["\n\n"],
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


def test_characters_that_some_libraries_take_for_line_ends_stay_in_the_answer() -> None:
    text = "a\u2028b\u2029c\x85d\x1b[31m\r\n\x0ce"
    with FakeServer(text) as server:
        assert answer(model_at(server)) == text


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    event = r'raw:data: {"choices": [{"delta": {"content": "\ud83d "}}]}'
    with FakeServer("one two three", fault=event) as server:
        assert answer(model_at(server)) == "one two ? three"
    assert loads(r'{"a": "\ud83d\ude80 \ud83d"}') == {"a": "🚀 ?"}


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
        assert eventually(iter(lambda: (server.disconnects, server.running) == (1, 0), None), 0.5)


@pytest.mark.parametrize("fault", ["stall-before-headers", "stall-before-first-token"])
def test_an_answer_can_be_closed_before_its_first_token(fault: str) -> None:
    with FakeServer(fault=fault) as server:
        stream = model_at(server, llm_first_token_s=30).stream(ASK)
        assert next(stream) == Delta()
        stream.close()
        assert eventually(iter(lambda: server.disconnects == 1, None), 0.5)


def test_a_reader_that_takes_its_time_is_not_a_stall() -> None:
    with FakeServer("one two three") as server:
        words = []
        for delta in model_at(server, llm_stall_s=0.1).stream(ASK):
            words.append(delta.text)
            time.sleep(0.15)
    assert "".join(words) == "one two three"


# Thinking


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_reasoning_field_is_no_part_of_the_answer(name: str) -> None:
    with FakeServer("Yes.", reasoning="Let me see.", reasoning_as=name) as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.reasoning for delta in deltas) == "Let me see. "
    assert "".join(delta.text for delta in deltas) == "Yes."


def test_inline_thinking_is_no_part_of_the_answer() -> None:
    with FakeServer("<think>\nLet me see.\n</think>\n\nYes. [1]") as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.reasoning for delta in deltas) == "\nLet me see.\n"
    assert "".join(delta.text for delta in deltas) == "Yes. [1]"


def test_thinking_whose_opening_tag_was_in_the_prompt_is_taken_back() -> None:
    with FakeServer("Let me see.\n</think>\n\nYes. [1]") as server:
        text = thought = ""
        for delta in model_at(server).stream(ASK):
            text = delta.text if delta.restart else text + delta.text
            thought += delta.reasoning
    assert (text, thought) == ("Yes. [1]", "Let me see.\n")


@pytest.mark.parametrize(
    "text",
    [
        "The model writes <think> first, then </think>, then the answer.",
        "```\n<think>\nfirst\n</think>\nthen\n```",
        "a < b and b > c",
        "<thinker> is no tag",
        "<",
    ],
)
def test_an_answer_about_the_tags_is_left_alone(text: str) -> None:
    with FakeServer(text) as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.text for delta in deltas) == text
    assert not any(delta.restart or delta.reasoning for delta in deltas)


fragments = st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "</", "a", " ", "\n", "é"]))


@given(fragments.map("".join), st.data())
def test_thinking_is_split_off_alike_wherever_the_stream_cuts(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    split = Thinking()
    parts = [split.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    parts.append(split.feed("", last=True))
    answer, thought = ("".join(column) for column in zip(*parts, strict=True))

    rest, expected = text.lstrip(), ""
    while rest.startswith("<think>"):
        inner, _, rest = rest.removeprefix("<think>").partition("</think>")
        expected, rest = expected + inner, rest.lstrip()
    assert (answer, thought) == (rest, expected)


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


def test_a_server_that_went_away_is_refused_after_short_retries() -> None:
    with FakeServer() as server:
        model = model_at(server)
    start = time.monotonic()
    with pytest.raises(errors.ServerUnreachable, match="nothing listens there"):
        answer(model)
    assert 0.4 < time.monotonic() - start < 1


def test_a_server_that_comes_back_is_asked_again() -> None:
    with FakeServer("Yes.", fault=["503", "429", ""]) as server:
        assert answer(model_at(server)) == "Yes."
    assert len(server.chats) == 3


def test_a_server_is_asked_three_times_and_no_more() -> None:
    with FakeServer(fault="429") as server:
        with pytest.raises(errors.ServerBusy):
            answer(model_at(server))
        assert len(server.chats) == 3


def test_a_server_that_wants_a_longer_pause_is_not_asked_again() -> None:
    with FakeServer(fault="429", retry_after="60") as server:
        with pytest.raises(errors.ServerBusy):
            answer(model_at(server))
        assert len(server.chats) == 1


def test_the_deadline_holds_during_a_pause_and_names_the_true_trouble() -> None:
    with FakeServer(fault="503", retry_after="5") as server:
        start = time.monotonic()
        with pytest.raises(errors.ServerBusy):
            answer(model_at(server))
        assert time.monotonic() - start < 1.6


def test_what_broke_off_is_not_asked_again() -> None:
    with FakeServer("One two three", fault=["cut-mid-stream", ""]) as server:
        with pytest.raises(errors.AnswerCut):
            answer(model_at(server))
        assert len(server.chats) == 1


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


def test_an_answer_lost_to_thinking_names_the_setting() -> None:
    with (
        FakeServer("<think> and so on and on") as server,
        pytest.raises(errors.AnswerEmpty, match="went into thinking; raise STUDY_LLM_MAX_ANSWER_TOKENS"),
    ):
        answer(model_at(server), max_tokens=3)


@pytest.mark.parametrize("reply", ["loop ", "The same sentence again and again. ", "<think>Hm, wait. "])
def test_a_model_that_repeats_itself_is_stopped(reply: str) -> None:
    with FakeServer(reply, fault="endless") as server:
        with pytest.raises(errors.AnswerEndless, match="fake-model repeats itself and was stopped"):
            answer(model_at(server))
        assert eventually(iter(lambda: server.disconnects == 1, None))


def test_a_server_that_ignores_its_limit_is_stopped() -> None:
    numbers = " ".join(map(str, range(50_000)))
    with (
        FakeServer(numbers, fault="endless", context=None) as server,
        pytest.raises(errors.AnswerEndless, match="wrote more than it was allowed") as caught,
    ):
        answer(model_at(server), max_tokens=50)
    assert 1700 < len(caught.value.partial) <= 1800


def test_no_note_is_taken_for_a_loop() -> None:
    notes = sorted((ROOT / "corpus").rglob("*.md"))
    assert notes
    for note in notes:
        watch = Watch("model", 100_000)
        for piece in re.findall(r"\s*\S+", note.read_text()):
            watch.feed(piece)


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


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ in ("builtins", "http.client", "ssl", "socket"):
            yield from subclasses(child)


@pytest.mark.parametrize("connected", [False, True])
def test_every_error_of_the_network_is_one_of_ours(connected: bool) -> None:
    with free_port() as port:
        server = Server(settings(f"http://127.0.0.1:{port}/v1"))
        exchange = Exchange(server, "/", refusal=lambda *_: errors.ServerError())
        exchange.connected = connected
        foreign = {*subclasses(OSError), *(subclasses(http.client.HTTPException) if connected else ())}
        assert len(foreign) > 15
        for kind in foreign:
            error = kind.__new__(kind)
            assert isinstance(exchange._ours(error), errors.ServerError), kind
        assert exchange._ours(ZeroDivisionError()) is None


def test_every_error_has_its_line_in_the_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert [kind.__name__ for kind in kinds] == re.findall(r"[A-Z]\w+(?=  )", errors.__doc__ or "")


@pytest.mark.parametrize(
    "fault",
    [
        "401", "404", "429", "500", f"body:{KEY}", f"raw:{KEY}", f'raw:data: {{"{KEY}": 1}}',
        f'raw:data: {{"error": "your key {KEY} is bad"}}', "cut-mid-stream", "stall-mid-stream", "not-http",
    ],
)  # fmt: skip
def test_the_key_is_in_no_message_no_repr_and_no_traceback(fault: str) -> None:
    with FakeServer("One two three", key=KEY, fault=fault) as server:
        model = model_at(server, llm_api_key=KEY)
        with pytest.raises(errors.ServerError) as caught:
            answer(model)
        assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    shown = [*traceback.format_exception(caught.value), repr(caught.value), repr(model), repr(vars(model))]
    assert KEY not in "".join(shown)


def test_a_wrong_key_that_the_server_says_back_is_not_repeated() -> None:
    with FakeServer(key="another") as server:
        assert KEY not in reason_at(server.url, llm_api_key=KEY)


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
