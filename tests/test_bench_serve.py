from pathlib import Path

import pytest

from assistant.settings import AssistantSettings
from eval.bench_notes import QUESTIONS
from eval.bench_serve import (
    Clock,
    Timing,
    at_once,
    environment_of,
    ours,
    request_of,
    rows,
    straight,
    through_app,
)
from eval.bench_web import running
from eval.metrics import estimate
from ingest.shelf import Shelf
from tests.fake_openai import FakeServer


def test_the_rate_is_that_of_the_whole_answer_also_where_it_came_in_a_burst() -> None:
    assert Timing(first_s=0.5, last_s=2.5, tokens=40).rate == 16
    assert Timing(first_s=2.5, last_s=2.5, tokens=40).rate == 16


def test_a_clock_without_a_piece_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="sent no token"):
        Clock().timing(3)


def test_the_server_is_asked_straight_and_its_own_count_taken() -> None:
    body = {"model": "fake-model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9, "stream": True}
    with FakeServer("one two three", pause=0.05) as server:
        timing = straight(("127.0.0.1", server.server_port), "", body | {"stream_options": {"include_usage": True}})
    assert timing.tokens == 3
    assert 0.04 < timing.first_s < timing.last_s
    with FakeServer(fault="500") as server, pytest.raises(RuntimeError, match="the server answered 500"):
        straight(("127.0.0.1", server.server_port), "", body)


def test_so_many_are_asked_at_a_time_and_come_back_in_order() -> None:
    assert [timing.tokens for timing in at_once(4, lambda n: Timing(0, 1, n), range(10))] == list(range(10))


def test_a_row_has_means_and_the_interval_of_the_paired_difference() -> None:
    times = {
        "straight": [Timing(0.1, 1.0, 10), Timing(0.2, 1.0, 10)],
        "answer": [Timing(0.13, 1.25, 10), Timing(0.23, 1.25, 10)],
        "API": [Timing(0.15, 2.0, 10), Timing(0.25, 2.0, 10)],
    }
    assert list(rows(1, times)) == [
        "| 1 | first token | 150.0 ms | 180.0 ms | +30.0 [+30.0, +30.0] | 200.0 ms | +50.0 [+50.0, +50.0] |",
        "| 1 | tokens/s each | 10.0 | 8.0 | -2.0 [-2.0, -2.0] | 5.0 | -5.0 [-5.0, -5.0] |",
    ]


@pytest.mark.slow
def test_what_we_add_ourselves_is_within_50_ms(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    """The server computes nothing, so what is found is our own work and not a fight for the cores."""
    home = tmp_path / "home"
    home.mkdir()
    for inner in corpus_settings.home.iterdir():
        if inner.name != "learners":
            (home / inner.name).symlink_to(inner)
    says = "DDP keeps a full copy of the model on every GPU, and FSDP keeps one shard of the parameters [1]."
    with FakeServer(says, pause=0.02, context=8192) as server:
        settings = corpus_settings.model_copy(
            update={"home": home, "llm_url": server.url, "llm_connect_ms": 10_000, "llm_max_answer_tokens": 48}
        )
        shelf = Shelf(settings)
        bodies = {question: request_of(question, shelf, settings) for question in QUESTIONS[:4]}
        added: dict[str, list[float]] = {"answer": [], "API": []}
        with running(environment_of(settings), tmp_path) as app:
            through_app(QUESTIONS[0], app)
            for question, body in list(bodies.items()) * 3:
                bare = straight(("127.0.0.1", server.server_port), "", body).first_s
                added["answer"].append(ours(question, shelf, settings).first_s - bare)
                added["API"].append(through_app(question, app).first_s - bare)
    assert {way: estimate(some).value < 0.05 for way, some in added.items()} == {"answer": True, "API": True}
