"""A run reaches Langfuse over real HTTP as experiments over a dataset, by the SDK's own runner."""

import gzip
import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import SecretStr

from eval.publish import publish
from eval.runs import Run
from eval.score import Row, summarise
from ingest import trace
from ingest.settings import IngestSettings
from tests.listening import listening
from tests.test_trace import attributes, soon

NOW = "2026-11-21T06:00:00.000Z"


class FakeLangfuse(ThreadingHTTPServer):
    """The endpoints that a dataset, an experiment and its scores are written to, and read from again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.items: dict[str, dict[str, Any]] = {}
        self.spans: list[Any] = []
        self.scores: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeLangfuse

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        fake, url = self.server, urlsplit(self.path)
        if url.path == "/api/public/projects":
            self._say({"data": [{"id": "p1", "name": "p", "organization": {"id": "o", "name": "o"}, "metadata": {}}]})
        elif url.path.startswith("/api/public/v2/datasets/"):
            self._say(_dataset(url.path.split("/")[-1]))
        else:
            found = [
                item for item in fake.items.values() if item["datasetName"] == parse_qs(url.query)["datasetName"][0]
            ]
            self._say({"data": found, "meta": {"page": 1, "limit": 50, "totalItems": len(found), "totalPages": 1}})

    def do_POST(self) -> None:
        fake = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                fake.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._say({})
        elif self.path == "/api/public/v2/datasets":
            self._say(_dataset(json.loads(body)["name"]))
        elif self.path == "/api/public/dataset-items":
            item = json.loads(body)
            fake.items[item["id"]] = item | {
                "status": "ACTIVE",
                "datasetId": "d1",
                "createdAt": NOW,
                "updatedAt": NOW,
                "mediaReferences": [],
            }
            self._say(fake.items[item["id"]])
        else:
            told = json.loads(body)
            events = told["batch"] if isinstance(told, dict) else [{"id": "", "body": one} for one in told]
            fake.scores += [event["body"] for event in events]
            done = [{"id": event["id"], "status": 201} for event in events]
            self._say({"successes": done, "errors": [], "accepted": len(done), "rejected": 0, "results": []})

    def _say(self, document: Any) -> None:
        answer = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def _dataset(name: str) -> dict[str, Any]:
    return {"id": "d1", "name": name, "metadata": {}, "projectId": "p1", "createdAt": NOW, "updatedAt": NOW}


def sending(folder: Path, host: str = "http://127.0.0.1:9") -> IngestSettings:
    """Settings with which runs are sent; by default to a host that nobody is at."""
    return IngestSettings(
        home=folder / "home",
        langfuse_public_key="pk-lf-1",
        langfuse_secret_key=SecretStr("sk-lf-1"),
        langfuse_host=host,
    )


def a_run(folder: Path) -> tuple[Run, list[Row]]:
    cases = folder / "gold" / "queries.jsonl"
    cases.parent.mkdir()
    lines = [
        {"id": "q1", "question": "What is FSDP?", "answer": "sharding", "gold_docs": ["a.md"]},
        {"id": "q2", "question": "Write to ann@example.org?", "answerable": False},
    ]
    cases.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = {"evidence": 0.5, "answerable": 1.0, "wrong": 0.0}
    rows = [
        Row("refusal", "q1", "What is FSDP?", ("open",), {"false_refusal": 0.0}, facts, {"answered": True}),
        Row("refusal", "q2", "?", ("open",), {"false_answer": 1.0}, facts | {"answerable": 0.0}, {"answered": True}),
    ]
    return Run("r1", 1.0, 2.0, str(cases), {}, "h", "c0de", 1, "", summarise(rows), {}), rows


def test_a_run_arrives_as_an_experiment_over_its_cases(tmp_path: Path) -> None:
    with listening(FakeLangfuse()) as server:
        settings = sending(tmp_path, server.url)
        run, rows = a_run(tmp_path)
        assert publish(settings, run, rows) == 1
        soon(lambda: not trace.waiting(settings) and len(server.scores) >= 6)
    assert sorted(item["metadata"]["case"] for item in server.items.values()) == ["q1", "q2"]
    assert {item["datasetName"] for item in server.items.values()} == {"gold-queries"}
    assert "ann@example.org" not in json.dumps(list(server.items.values()))
    tasks = [attributes(span) for span in server.spans if span.name == "experiment-item-task"]
    assert {task["langfuse.experiment.name"] for task in tasks} == {"r1 refusal"}
    assert {task["langfuse.experiment.item.id"] for task in tasks} == set(server.items)
    assert {task["langfuse.experiment.dataset.id"] for task in tasks} == {"d1"}
    assert len({span.trace_id for span in server.spans}) == 2  # a trace a case
    of_cases = {(one["name"], one["value"]) for one in server.scores if one.get("traceId")}
    assert of_cases == {("false_refusal", 0.0), ("false_answer", 1.0)}
    of_run = {one["name"] for one in server.scores if one.get("datasetRunId")}
    assert of_run == {"false_refusal", "false_answer", "auroc", "refused_at_95", "aurc"}


def test_quiz_items_and_notes_have_a_dataset_of_their_own(tmp_path: Path) -> None:
    settings = sending(tmp_path)
    run, _ = a_run(tmp_path)
    rows = [Row("quiz", "i1", "What is FSDP?", ("mcq",), {"accepted": 1.0}, {}, {"answer": "sharding"}, trace="t1")]
    assert publish(settings, replace(run, scores=summarise(rows)), rows) == 1
    soon(lambda: (trace.folder_of(settings) / "failed").exists())
    (waiting,) = trace.waiting(settings)
    told = json.loads(waiting.read_text())["experiment"]
    assert (told["dataset"], told["run"]) == ("gold-queries-quiz", "r1 quiz")
    assert [(one["case"], one["expected"], one["scores"]) for one in told["outcomes"]] == [
        ("i1", "sharding", {"accepted": 1.0})
    ]
    assert told["outcomes"][0]["metadata"]["trace"] == "t1"


def test_without_langfuse_nothing_is_written(tmp_path: Path) -> None:
    run, rows = a_run(tmp_path)
    assert publish(IngestSettings(home=tmp_path / "home"), run, rows) == 0
    assert not (tmp_path / "home").exists()


def test_where_langfuse_is_gone_the_run_waits(tmp_path: Path) -> None:
    settings = sending(tmp_path)
    run, rows = a_run(tmp_path)
    assert publish(settings, run, rows) == 1
    soon(lambda: (trace.folder_of(settings) / "failed").exists())
    assert len(trace.waiting(settings)) == 1
