"""One request to the server: addresses, TLS, deadlines, retries, the key; what the network does wrong."""

import datetime
import http.client
import ipaddress
import re
import socket
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assistant import errors
from assistant.exchange import Exchange, Server, loads
from assistant.llm import LanguageModel, find
from tests.fake_openai import FakeServer
from tests.talking import ASK, KEY, answer, eventually, model_at, reason_at, settings

ROOT = Path(__file__).parent.parent


# Addresses


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


# A server that is not there


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
        assert eventually(lambda: server.disconnects == 1)


def test_https_with_a_certificate_that_is_not_trusted_names_the_remedy(tls: ssl.SSLContext) -> None:
    with FakeServer(tls=tls) as server:
        reason = reason_at(server.url)
    assert "its certificate is not trusted (self-signed certificate); set SSL_CERT_FILE" in reason


def test_https_to_a_server_without_it_names_the_remedy() -> None:
    with FakeServer() as server:
        reason = reason_at(server.url.replace("http:", "https:"))
    assert re.search(r"TLS failed \(\w+\); should STUDY_LLM_URL say http://\?", reason)


# What comes over the line


def test_characters_that_some_libraries_take_for_line_ends_stay_in_the_answer() -> None:
    text = "a\u2028b\u2029c\x85d\x1b[31m\r\n\x0ce"
    with FakeServer(text) as server:
        assert answer(model_at(server)) == text


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    event = r'raw:data: {"choices": [{"delta": {"content": "\ud83d "}}]}'
    with FakeServer("one two three", fault=event) as server:
        assert answer(model_at(server)) == "one two ? three"
    assert loads(r'{"a": "\ud83d\ude80 \ud83d"}') == {"a": "🚀 ?"}


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


# Trying again


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


# Faults of the network


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
