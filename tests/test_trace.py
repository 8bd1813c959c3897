"""Traces reach Langfuse over real HTTP, with what was measured and nothing secret; where it is gone, nobody waits."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from assistant.answer import answer
from assistant.follow import Turn
from assistant.items import Item, Items
from assistant.journal import Journal
from assistant.quiz import Wish, quiz
from assistant.remember import Remembered, remembered
from assistant.settings import AssistantSettings
from ingest import personal, trace
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync
from ingest.trace import Step, Trace
from tests.conftest import ROOT
from tests.fake_openai import FakeServer
from tests.fakes import HashedEmbedder
from tests.listening import listening

SAYS = "DDP keeps a full copy of the model on every GPU, and FSDP keeps one shard of the parameters [1]."
KEY = "sk-lf-1f0c2b34-5d6e-47f8-9a0b-c1d2e3f40516"


class FakeLangfuse(ThreadingHTTPServer):
    """Langfuse's two endpoints that are written to: it keeps the spans and the scores that it is sent."""

    daemon_threads = True

    def __init__(self, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.spans: list[Any] = []
        self.scores: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> Any:
        """Return the one span of that name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


class _Handler(BaseHTTPRequestHandler):
    server: FakeLangfuse

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Take spans or scores."""
        fake = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        fake.paths.append(self.path)
        fake.keys.add(self.headers["Authorization"])
        answer = b""
        if self.path == "/api/public/otel/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                fake.spans += [span for scope in resource.scope_spans for span in scope.spans]
        else:
            scores = json.loads(body)
            fake.scores += scores
            answer = json.dumps({"accepted": len(scores), "rejected": 0, "results": []}).encode()
        self.send_response(fake.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def langfuse(status: int = 200) -> AbstractContextManager[FakeLangfuse]:
    """A server that is there."""
    return listening(FakeLangfuse(status))


def traced(home: Path, url: str) -> IngestSettings:
    return IngestSettings(
        home=home, langfuse_public_key="pk-lf-1", langfuse_secret_key=SecretStr(KEY), langfuse_host=url
    )


def soon(true: Any, seconds: float = 30) -> None:
    """Wait until something is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value for one in span.attributes}


def one_trace(**more: Any) -> Trace:
    inner = Step("retrieval", 1000.1, 1000.4, "retriever", output=[{"path": "a.md"}])
    root = Step("answer", 1000.0, 1001.5, input="What?", output="That [1].", metadata={"generation": 7}, steps=(inner,))
    return Trace("a" * 32, root, **{"user": "me", "session": "me-3", "scores": {"supported": 0.5}, **more})


def test_a_trace_arrives_with_its_spans_times_user_session_and_scores(tmp_path: Path) -> None:
    with langfuse() as server:
        settings = traced(tmp_path, server.url)
        trace.send(settings, one_trace())
        soon(lambda: server.scores and not trace.waiting(settings))
        root, inner = server.named("answer"), server.named("retrieval")
    assert root.trace_id.hex() == "a" * 32
    assert (inner.parent_span_id, root.parent_span_id) == (root.span_id, b"")
    assert (root.start_time_unix_nano, root.end_time_unix_nano) == (1000 * 10**9, 1001_500_000_000)
    assert inner.end_time_unix_nano - inner.start_time_unix_nano == pytest.approx(0.3e9, abs=1000)
    told = attributes(root)
    assert told["langfuse.observation.input"] == "What?"
    assert told["langfuse.observation.output"] == "That [1]."
    assert told["langfuse.observation.metadata.generation"] == "7"
    assert (told["user.id"], told["session.id"], told["langfuse.trace.name"]) == ("me", "me-3", "answer")
    assert attributes(inner)["langfuse.observation.type"] == "retriever"
    assert json.loads(attributes(inner)["langfuse.observation.output"]) == [{"path": "a.md"}]
    (score,) = server.scores
    assert (score["traceId"], score["name"], score["value"]) == ("a" * 32, "supported", 0.5)
    assert len(server.keys) == 1


def test_a_score_by_itself_arrives(tmp_path: Path) -> None:
    with langfuse() as server:
        settings = traced(tmp_path, server.url)
        trace.score(settings, "b" * 32, "thumb", 0.0, "the port is wrong")
        trace.score(settings, "", "thumb", 0.0)  # an answer that was not traced
        soon(lambda: not trace.waiting(settings))
        soon(lambda: server.scores)
    (score,) = server.scores
    assert (score["traceId"], score["value"], score["comment"]) == ("b" * 32, 0.0, "the port is wrong")


def test_secrets_and_signs_of_persons_neither_wait_nor_leave(tmp_path: Path) -> None:
    text = f"write to anna@example.org or +49 30 1234567; {KEY}"
    with langfuse() as server:
        settings = traced(tmp_path, server.url)
        (tmp_path / "traces").mkdir()
        (tmp_path / "traces" / "failed").touch()  # so that it waits
        root = Step("answer", 1.0, 2.0, input=text, output={"deep": [text]}, metadata={"notice": text}, error=text)
        trace.send(settings, Trace("c" * 32, root, user="anna@example.org", session="anna@example.org-3"))
        (waiting,) = trace.waiting(settings)
        held = waiting.read_text()
        (tmp_path / "traces" / "failed").unlink()
        trace.score(settings, "c" * 32, "thumb", 1.0, text)
        soon(lambda: server.scores)
        sent = str(server.spans) + json.dumps(server.scores)
    for part in ("anna", "1234567", KEY):
        assert part not in held
        assert part not in sent
    assert "write to [e-mail hidden] or [phone hidden]; [Langfuse key hidden]" in held
    told = attributes(server.named("answer"))
    assert told["user.id"].startswith("learner ")
    assert told["session.id"].startswith("learner ")
    assert told["session.id"] != told["user.id"]  # so one learner's conversation is not another's


def test_the_last_mask_sees_the_spans_of_other_libraries_too() -> None:
    from langfuse.types import MaskOtelSpansParams

    span = SimpleNamespace(attributes={"http.url": "http://x/?to=anna@example.org", "n": 7, "plain": "words"})
    found = trace._mask_spans(params=MaskOtelSpansParams(spans={"one": span}))  # type: ignore[dict-item]
    assert found
    assert dict(found.span_patches["one"].set_attributes) == {"http.url": "http://x/?to=[e-mail hidden]"}  # type: ignore[index,union-attr]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail anna.b+x@sub.example.org now", "mail [e-mail hidden] now"),
        ("call +49 (0)30 123-4567.", "call [phone hidden]."),
        ("call (415) 555-2671 or 415-555-2671", "call [phone hidden] or [phone hidden]"),
        ("card 4111 1111 1111 1112", "card 4111 1111 1111 1112"),
        ("card 5500 0055 5555 5559", "card 5500 0055 5555 5559"),
        ("card 4539 1488 0343 6467", "card [card hidden]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [account hidden]"),
        ("IBAN DE88 3704 0044 0532 0130 00", "IBAN DE88 3704 0044 0532 0130 00"),
        ("from 8.8.8.8, 10.0.0.1, 127.0.0.1", "from [address hidden], 10.0.0.1, 127.0.0.1"),
        ("989 TFLOP/s, 3.35 TB/s, 2026-11-21, 128,256, version 1.2.3.4.5", None),
        ("1024 2048 4096 8192 16384 32768 65536", None),
        ("user@host:~$ git clone git@github.com", "user@host:~$ git clone [e-mail hidden]"),
    ],
)
def test_what_reaches_a_person_is_known_by_its_form(text: str, masked: str | None) -> None:
    assert personal.mask(text) == (text if masked is None else masked)


def test_masking_takes_time_in_proportion() -> None:
    started = time.process_time()
    for text in ("a@" * 50_000, "1 " * 50_000, "1-" * 50_000, "DE89 " * 20_000, "+1" * 50_000, "a.b-" * 25_000 + "@"):
        personal.mask(text)
    assert time.process_time() - started < 5


# ------------------------------------------------------------------------------------------- Langfuse is gone


def test_what_could_not_be_sent_waits_and_goes_with_the_next(tmp_path: Path) -> None:
    with langfuse(status=401) as server:
        settings = traced(tmp_path, server.url)
        trace.send(settings, one_trace())
        soon((tmp_path / "traces" / "failed").exists)
        assert len(trace.waiting(settings)) == 1
        sent = len(server.paths)
        trace.send(settings, one_trace())  # so shortly after, nobody tries again
        time.sleep(0.3)
        assert len(server.paths) == sent
        server.status = 200
        os.utime(tmp_path / "traces" / "failed", (0, 0))
        trace.send(settings, one_trace(scores={}))
        soon(lambda: not trace.waiting(settings))
        assert not (tmp_path / "traces" / "failed").exists()


def test_only_so_many_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "WAITING", 3)
    settings = traced(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "failed").touch()
    for n in range(5):
        trace.send(settings, Trace(f"{n:032x}", Step("answer", 1.0, 2.0)))
    held = [json.loads(path.read_text())["trace"]["id"] for path in trace.waiting(settings)]
    assert [int(id_, 16) for id_ in held] == [2, 3, 4]


@pytest.fixture(params=["down", "refusing", "black hole"])
def gone(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Langfuse that takes nothing: not there, refusing, or there and silent."""
    if request.param == "down":
        yield "http://127.0.0.1:9"
    elif request.param == "refusing":
        with langfuse(status=403) as server:
            yield server.url
    else:
        with socket.socket() as hole:
            hole.bind(("127.0.0.1", 0))
            hole.listen(64)
            yield f"http://127.0.0.1:{hole.getsockname()[1]}"


def test_a_langfuse_that_is_gone_costs_a_file_and_no_more(gone: str, tmp_path: Path) -> None:
    settings = traced(tmp_path, gone)
    trace.send(settings, one_trace())  # the first makes the folder
    took = []
    for _ in range(5):
        started = time.perf_counter()
        trace.send(settings, one_trace())
        took.append(time.perf_counter() - started)
    assert min(took) < 0.05
    code = (
        "import sys, time\nfrom ingest import trace\nfrom ingest.settings import IngestSettings\n"
        "settings = IngestSettings(home=sys.argv[1], langfuse_public_key='pk', langfuse_secret_key='sk-1',"
        " langfuse_host=sys.argv[2])\n"
        "trace.send(settings, trace.Trace('d' * 32, trace.Step('answer', 1.0, 2.0)))\n"
        "print(time.time(), flush=True)\n"
    )
    exits: list[float] = []
    while not exits or (min(exits) >= 0.5 and len(exits) < 5):  # a busy machine may be slow, but not each time
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path, gone], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        exits.append(time.time() - float(done.stdout))
    assert min(exits) < 0.5
    assert len(trace.waiting(settings)) == 6 + len(exits)


# ------------------------------------------------------------------------------------------------- what is traced


def asked(corpus: AssistantSettings, tmp_path: Path, server: FakeLangfuse, **more: Any) -> AssistantSettings:
    """The starter course, asked with tracing on, by a learner of this test's own; traces wait in its own folder."""
    home = tmp_path / "traced"
    home.mkdir()
    for inner in corpus.home.iterdir():
        if inner.name != "learners":
            (home / inner.name).symlink_to(inner)
    keys = {"langfuse_public_key": "pk", "langfuse_secret_key": SecretStr("sk-1"), "langfuse_host": server.url}
    return corpus.model_copy(update={"home": home, **keys, **more})


def test_an_answer_is_traced_step_by_step(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    with langfuse() as server, FakeServer([json.dumps({"question": "How does FSDP differ from DDP?"}), SAYS]) as model:
        settings = asked(corpus_settings, tmp_path, server, llm_url=model.url, llm_connect_ms=5000)
        history = [Turn("What is FSDP?", "It shards.")]
        began = time.time()
        events = answer("And how does it differ from DDP?", Shelf(settings), settings, history=history)
        *_, last = remembered(events, settings, conversation=0)
        assert isinstance(last, Remembered)
        journal = Journal.of(settings)
        kept = journal.answer(last.id)
        assert kept
        journal.feedback(last.id, False, "too short")
        soon(lambda: len(server.scores) == 2)
    assert {span.trace_id.hex() for span in server.spans} == {kept.trace}
    root = server.named("answer")
    assert abs(root.start_time_unix_nano / 1e9 - began) < 1
    children = [span for span in server.spans if span.parent_span_id == root.span_id]
    assert [span.name for span in sorted(children, key=lambda span: span.start_time_unix_nano)] == [
        "open",
        "rewrite",
        "retrieval",
        "find_model",
        "prompt",
        "generation",
        "check",
    ]
    assert all(
        root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
        for span in children
    )
    generation = attributes(server.named("generation"))
    assert generation["langfuse.observation.model.name"] == "fake-model"
    assert json.loads(generation["langfuse.observation.usage_details"])["output"] == 20
    assert json.loads(generation["langfuse.observation.model.parameters"])["seed"] == 0
    assert "Question: And how does it differ from DDP?" in generation["langfuse.observation.input"]
    assert generation["langfuse.observation.completion_start_time"]
    found = json.loads(attributes(server.named("retrieval"))["langfuse.observation.output"])
    assert found[0]["path"] == "infrastructure/distributed-training.md"
    assert {span.name for span in server.spans} >= {"embed", "dense", "sparse", "fuse"}
    assert json.loads(attributes(root)["langfuse.observation.metadata.settings"]) == settings.digest
    assert {(score["name"], score["value"], score.get("comment")) for score in server.scores} == {
        ("supported", 1.0, None),
        ("thumb", 0.0, "too short"),
    }


def test_a_failure_is_an_error_of_its_span(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    with langfuse() as server, FakeServer(SAYS, fault="cut-mid-stream") as model:
        settings = asked(corpus_settings, tmp_path, server, llm_url=model.url, llm_connect_ms=5000)
        list(remembered(answer("What is FSDP?", Shelf(settings), settings), settings))
        soon(lambda: server.spans)
    told = attributes(server.named("generation"))
    assert told["langfuse.observation.level"] == "ERROR"
    assert "broke off" in told["langfuse.observation.status_message"]


def test_a_quiz_is_traced_with_what_was_rejected(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    with langfuse() as server:
        settings = asked(corpus_settings, tmp_path, server)
        made = quiz(Shelf(settings), settings, Items.of(tmp_path), Wish(3, "PagedAttention"))
        passed = [one for one in made if isinstance(one, Item)]
        soon(lambda: server.spans and server.scores)
    root = server.named("quiz")
    assert len(passed) == 3
    assert json.loads(attributes(root)["langfuse.observation.output"])["items"] == 3
    assert json.loads(attributes(root)["langfuse.observation.input"])["topic"] == "PagedAttention"
    questions = [attributes(span).get("langfuse.observation.output") for span in server.spans if span.name == "check"]
    assert {item.question for item in passed} <= set(questions)
    assert [score["name"] for score in server.scores] == ["passed"]


def test_a_sync_is_traced(settings: AssistantSettings) -> None:
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    with langfuse() as server:
        keys = {"langfuse_public_key": "pk", "langfuse_secret_key": SecretStr("sk-1"), "langfuse_host": server.url}
        told = settings.model_copy(update=keys)
        sync(Shelf(told, embedder=HashedEmbedder()))
        soon(lambda: server.spans)
    root = server.named("sync")
    assert json.loads(attributes(root)["langfuse.observation.output"])["embedded"] == 1
    assert {span.name for span in server.spans} == {"sync", "reading", "embedding"}


def test_off_nothing_is_written_started_or_imported(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom ui.cli import main\nmain(['answer', 'What is FSDP?', '--json'], standalone_mode=False)\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    environment = {
        "PATH": "/usr/bin:/bin",
        "STUDY_HOME": str(corpus_settings.home),
        "STUDY_LEARNER": tmp_path.name,
        "STUDY_LLM_URL": corpus_settings.llm_url,
        "STUDY_LANGFUSE_PUBLIC_KEY": "pk",  # one of three is not enough
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert '"outcome": "quoted"' in done.stdout
    loaded = done.stderr.splitlines()[-1]
    assert [name for name in ("langfuse", "opentelemetry", "httpx", "requests") if f"'{name}'" in loaded] == []
    assert not (corpus_settings.home / "traces").exists()
