"""How fast and how well answers came: by hand, from a journal, for people and for Prometheus."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant.figures import Spread, exposition, figures
from assistant.journal import Journal, Measured
from assistant.settings import AssistantSettings
from tests.test_journal import document
from ui.cli import main
from ui.figures import gather, lines

SLOW = Measured(
    1.0,
    "answered",
    "m",
    "",
    {
        "open": 10,
        "retrieve": 30,
        "retrieve.embed": 5,
        "find_model": 1,
        "prompt": 9,
        "first_token": 150,
        "write": 2000,
        "total": 2300,
    },
    {"prompt_tokens": 1000, "cached_tokens": 250, "answer_tokens": 101},
)
QUOTED = Measured(2.0, "quoted", None, "ServerUnreachable", {"open": 1, "retrieve": 9, "quote": 20, "total": 30}, {})


def test_figures_by_hand() -> None:
    found = figures([SLOW, QUOTED])
    assert (found.answers, found.outcomes, found.failures) == (
        2,
        {"answered": 1, "quoted": 1},
        {"ServerUnreachable": 1},
    )
    assert found.first_passage_ms == Spread(25, 38.5, 2)
    assert found.first_token_ms == Spread(200, 200, 1)
    assert found.tokens_per_s == Spread(50, 50, 1)
    assert found.total_ms == Spread(1165, 2186.5, 2)
    assert found.cached == 0.25


def test_what_the_reader_stopped_is_no_failure_of_the_server(tmp_path: Path) -> None:
    stopped = Measured(3.0, "answered", "m", "Stopped", {"open": 1, "retrieve": 9}, {})
    assert figures([QUOTED, stopped]).failures == {"ServerUnreachable": 1}
    journal = Journal(tmp_path)
    journal.asked(document(), failure="Stopped")
    assert b"Stopped" not in exposition([journal])[0]


def test_no_answer_has_no_figures() -> None:
    found = figures([])
    assert (found.answers, found.outcomes, found.first_passage_ms, found.cached) == (0, {}, None, None)


def test_a_rewritten_question_takes_its_rewriting_along() -> None:
    told = Measured(1.0, "quoted", None, "", {"open": 1, "rewrite": 500, "retrieve": 9, "total": 600}, {})
    assert figures([told]).first_passage_ms == Spread(510, 510, 1)


def test_prometheus_reads_counters_and_histograms_and_no_one_s_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "anna")
    for one in (SLOW, QUOTED):
        given = document(
            "Who is Anna?", outcome=one.outcome, model=one.model, usage=one.usage, timings_ms=one.timings_ms
        )
        journal.asked(given, failure=one.failure, course="secret")
    text, kind = exposition([journal, Journal(tmp_path / "ben")])
    assert kind.startswith("text/plain")
    shown = text.decode().splitlines()
    for line in (
        'study_answers_total{outcome="answered"} 1.0',
        'study_failures_total{kind="ServerUnreachable"} 1.0',
        'study_tokens_total{kind="cached"} 250.0',
        'study_first_passage_seconds_bucket{le="0.01"} 1.0',
        'study_first_passage_seconds_bucket{le="0.05"} 2.0',
        'study_first_passage_seconds_bucket{le="+Inf"} 2.0',
        "study_first_token_seconds_sum 0.2",
        'study_tokens_per_second_bucket{le="25.0"} 0.0',
        'study_tokens_per_second_bucket{le="50.0"} 1.0',
        "study_tokens_per_second_sum 50.0",
        "study_answer_seconds_count 2.0",
    ):
        assert line in shown
    assert not [word for word in (b"Anna", b"anna", b"ben", b"secret") if word in text]


def test_the_status_shows_the_last_30_days(tmp_path: Path) -> None:
    settings = AssistantSettings(home=tmp_path)
    journal = Journal.of(settings)
    given = document(outcome=SLOW.outcome, usage=SLOW.usage, timings_ms=SLOW.timings_ms)
    journal.asked(given, asked=time.time() - 31 * 86400)
    journal.asked(given, failure="AnswerCut")
    found = gather(settings)
    assert json.loads(json.dumps(found))["first_token_ms"] == {"p50": 200, "p95": 200, "n": 1}
    assert lines(found) == [
        "answers of the last 30 days: 1 answered",
        "  first passage  half within 40 ms, 95% within 40 ms",
        "  first token    half within 200 ms, 95% within 200 ms",
        "  whole answer   half within 2,300 ms, 95% within 2,300 ms",
        "  model's speed  50 tokens/s (median)",
        "  prompt cache   25% of the prompts' tokens",
        "  model server   1 broken off",
    ]


def test_who_never_asked_has_no_figures_and_still_no_journal(tmp_path: Path) -> None:
    settings = AssistantSettings(home=tmp_path)
    assert lines(gather(settings)) == []
    assert not (tmp_path / "learners").exists()


def test_a_journal_that_can_t_be_read_is_told(tmp_path: Path) -> None:
    settings = AssistantSettings(home=tmp_path)
    journal = Journal.of(settings)
    journal.close()
    journal.path.write_bytes(b"not a database " * 1000)
    assert lines(gather(settings))[0].startswith("answers: ")


def test_the_command_shows_them(
    corpus_settings: AssistantSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_HOME", str(corpus_settings.home))
    monkeypatch.setenv("STUDY_LEARNER", tmp_path.name)
    assert CliRunner().invoke(main, ["What is FSDP?"]).exit_code == 0
    assert "answers of the last 30 days: 1 quoted\n  first passage  half within " in (
        CliRunner().invoke(main, ["status"]).stdout
    )
    assert json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)["answers"]["outcomes"] == {"quoted": 1}
