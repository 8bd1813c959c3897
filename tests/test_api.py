import http.client
import json
import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from tests.conftest import ROOT
from tests.fake_openai import FakeServer
from tests.served import Served, api_alone, served, settings_in

QUESTION = {"question": "Which stripes do zebras have?"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(settings_in(tmp_path_factory.mktemp("api")), load=api_alone) as running:
        yield running


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.splitlines()]


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", "Basic wrong", "Bearer \u00e9"])
def test_without_the_token_nothing_is_told(app: Served, authorization: str) -> None:
    for method, path in (("POST", "/api/v1/answer"), ("GET", "/api/v1/status"), ("GET", "/metrics"), ("POST", "/mcp")):
        refused = app.request(method, path, authorization=authorization.encode("latin-1").decode("latin-1"))
        assert (refused.status, refused.json["kind"]) == (401, "TokenNeeded")
        assert refused.headers["www-authenticate"] == "Bearer"


def test_an_answer_is_the_document_that_ask_prints(app: Served) -> None:
    found = app.api("POST", "/api/v1/answer", QUESTION)
    assert found.status == 200
    jsonschema.validate(found.json, json.loads((ROOT / "tests" / "answer.schema.json").read_text()))
    assert found.json["outcome"] == "quoted"
    assert found.json["citations"][0]["quote"] == "Zebras have black and white stripes."


def test_each_event_comes_on_a_line_the_answer_as_text_too(app: Served) -> None:
    found = app.api("POST", "/api/v1/answer", QUESTION | {"explain": True}, accept="application/x-ndjson")
    told = lines(found.body)
    assert [event["event"] for event in told] == ["here", "found", "answer", "changed", "remembered"]
    assert told[1]["passages"][0]["path"] == "zoo/zebra.md"
    assert "“" not in told[2]["text"]
    assert "[1] zoo/zebra.md" in told[2]["text"]
    assert told[2]["explain"].startswith("How this was found")
    assert told[3] == {"event": "changed", "count": 0, "notice": ""}
    assert told[4]["id"] > 0


def test_the_answer_is_kept_once_in_the_journal_of_the_learner(app: Served) -> None:
    question = "At what hour does the last tram leave?"
    told = lines(app.api("POST", "/api/v1/answer", {"question": question}, accept="application/x-ndjson").body)
    journal = app.service.desk.journal("me")
    assert [kept.id for kept in journal.search("tram") if kept.question == question] == [told[-1]["id"]]


def test_what_is_wrong_with_a_question_is_one_line_and_its_kind(app: Served) -> None:
    empty = app.api("POST", "/api/v1/answer", {"question": " "})
    assert (empty.status, empty.json["kind"]) == (400, "QuestionRejected")
    nowhere = app.api("POST", "/api/v1/answer", QUESTION | {"course": "sea"}, accept="application/x-ndjson")
    assert lines(nowhere.body)[1] == {
        "event": "error",
        "error": "no note belongs to a course sea; courses: city, zoo",
        "kind": "NoSuchCourse",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/answer", QUESTION | {"top_k": 99}, "body top_k: Input should be less than or equal to 50"),
        ("POST", "/answer", {}, "body question: Field required"),
        ("POST", "/answer", "{", "body 1: JSON decode error"),
        ("POST", "/quiz", {"wanted": 0, "kinds": 3}, "body wanted: Input should be greater than or equal to 1"),
        ("GET", "/reviews?most=-1", None, "query most: Input should be greater than or equal to 1"),
    ],
)
def test_a_request_that_is_not_as_described_is_refused_in_the_shape_of_all_errors(
    app: Served, method: str, path: str, body: Any, said: str
) -> None:
    refused = app.api(method, f"/api/v1{path}", body, content_type="application/json")
    assert (refused.status, set(refused.json), refused.json["kind"]) == (422, {"error", "kind"}, "RequestRejected")
    assert refused.json["error"].startswith(said)
    assert "\n" not in refused.json["error"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/answer"), ("DELETE", "/api/v1/notes/zebra")])
def test_an_address_that_is_not_there_is_an_error_like_all_others(app: Served, method: str, path: str) -> None:
    refused = app.api(method, path)
    assert (refused.status, refused.json) == (
        404,
        {"error": f"there is no {method} {path}; see /api/openapi.json", "kind": "NoSuchAddress"},
    )
    assert app.request(method, path).status == 401


def test_a_search_returns_passages_and_keeps_nothing(app: Served) -> None:
    before = app.service.desk.journal("me").last()
    found = app.api("POST", "/api/v1/search", {"question": "zebras", "top_k": 1, "course": "zoo"}).json
    assert [passage["path"] for passage in found["passages"]] == ["zoo/zebra.md"]
    assert found["answerable"] is True
    assert app.service.desk.journal("me").last() == before


def test_the_status_is_that_of_ask_status(app: Served) -> None:
    found = app.api("GET", "/api/v1/status").json
    assert (found["generation"], found["by_state"], found["courses"]) == (1, {"indexed": 3}, ["city", "zoo"])


def test_a_sync_is_started_and_tells_how_it_ended(app: Served) -> None:
    notes = app.service.desk.shelf.notes
    (notes / "zoo" / "emu.md").write_text("# Emus\n\nAn emu lays green eggs in a nest on the ground.\n")
    begun = app.api("POST", "/api/v1/sync", {})
    assert (begun.status, begun.json["running"]) == (202, True)
    app.service.desk.syncs.wait(30)
    told = app.api("GET", "/api/v1/sync").json
    assert told["generation"] == 2
    assert told["elsewhere"] == 0
    assert told["here"]["report"]["by_state"] == {"indexed": 1, "unchanged": 3}
    assert [step["name"] for step in told["here"]["steps"]] == ["reading", "embedding"]
    found = app.api("POST", "/api/v1/answer", {"question": "Which eggs does an emu lay?"}).json
    assert found["citations"][0]["path"] == "zoo/emu.md"


def test_a_quiz_is_that_of_ask_quiz_and_what_is_due_has_no_answers(app: Served) -> None:
    notes = app.service.desk.shelf.notes
    shutil.copy(ROOT / "corpus" / "infrastructure" / "distributed-training.md", notes / "zoo")
    app.api("POST", "/api/v1/sync", {})
    app.service.desk.syncs.wait(30)
    found = app.api("POST", "/api/v1/quiz", {"wanted": 2, "use_model": False}).json
    assert 0 < len(found["items"]) <= 2
    assert {"id", "kind", "question", "options", "answer", "explanation", "evidence"} <= set(found["items"][0])
    assert app.api("GET", "/api/v1/reviews").json == {"due": [], "later": 0, "next": None}
    item = app.service.desk.items().get(found["items"][0]["id"])
    assert item
    app.service.desk.reviews().add(item.item, 1, correct=False, at=time.time() - 86400)
    due = app.api("GET", "/api/v1/reviews").json["due"]
    assert [one["id"] for one in due] == [item.item.id]
    assert "answer" not in due[0]
    wrong = app.api("POST", "/api/v1/quiz", {"kinds": ["essay"]})
    assert (wrong.status, wrong.json["kind"]) == (400, "QuestionRejected")
    app.service.desk.reviews().add(item.item, 1, correct=False, at=time.time() + 86400)  # the clock was put back since
    put_back = app.api("GET", "/api/v1/reviews")
    assert (put_back.status, put_back.json["kind"]) == (409, "ClockWrong")
    app.service.desk.reviews().add(item.item, 1, correct=False)
    assert app.api("GET", "/api/v1/reviews").status == 200


def test_prometheus_is_told_of_answers_and_of_nothing_private(app: Served) -> None:
    app.api("POST", "/api/v1/answer", QUESTION)
    found = app.api("GET", "/metrics")
    assert found.headers["content-type"].startswith("text/plain")
    assert 'study_answers_total{outcome="quoted"}' in found.text
    assert "ebra" not in found.text


def test_the_api_describes_itself(app: Served) -> None:
    told = app.request("GET", "/api/openapi.json").json
    assert set(told["paths"]) == {
        *("/api/v1/answer", "/api/v1/search", "/api/v1/status", "/api/v1/sync", "/api/v1/quiz", "/api/v1/reviews"),
        "/metrics",
    }
    assert told["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in told["paths"].items():
        for how in methods.values():
            assert how["security"] == [{"token": []}], path
            assert how["summary"].endswith("."), path
    responses = told["paths"]["/api/v1/answer"]["post"]["responses"]
    assert {"400", "401", "409", "422", "429", "503"} <= set(responses)
    shapes = [of["content"]["application/json"]["schema"] for status, of in responses.items() if status != "200"]
    assert shapes == [{"$ref": "#/components/schemas/Refusal"}] * 6
    ask = told["components"]["schemas"]["Ask"]["properties"]
    assert ask["course"]["description"] == "Sub-folder of the notes to stay in; empty: all."


def test_who_hangs_up_stops_the_model(app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("Zebras have stripes [1]. " * 200, pause=0.05) as server:
        settings = app.service.desk.settings.model_copy(update={"llm_url": server.url, "llm_connect_ms": 5000})
        monkeypatch.setattr(app.service.desk, "settings", settings)
        connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
        headers = {
            "authorization": f"Bearer {app.token}",
            "content-type": "application/json",
            "accept": "application/x-ndjson",
        }
        connection.request("POST", "/api/v1/answer", json.dumps(QUESTION), headers)
        answer = connection.getresponse()
        while json.loads(answer.readline())["event"] != "wrote":
            pass
        answer.close()
        connection.close()
        until = time.monotonic() + 10
        while app.service.desk.answering and time.monotonic() < until:
            time.sleep(0.02)
    assert app.service.desk.answering == 0


def test_more_questions_than_there_is_room_for_are_refused(app: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = app.service.desk
    monkeypatch.setattr(desk, "settings", desk.settings.model_copy(update={"ui_learner_questions": 2}))
    inside, leave = threading.Barrier(3), threading.Event()

    def ask() -> None:
        with desk.seat("me"):
            inside.wait(10)
            leave.wait(10)

    busy = [threading.Thread(target=ask) for _ in range(2)]
    for thread in busy:
        thread.start()
    inside.wait(10)
    refused = app.api("POST", "/api/v1/answer", QUESTION)
    leave.set()
    for thread in busy:
        thread.join(10)
    assert (refused.status, refused.json["kind"]) == (429, "TooManyQuestions")
    assert app.api("POST", "/api/v1/answer", QUESTION).status == 200
