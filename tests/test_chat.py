"""A conversation in the terminal: kept, gone on with, and not ended by what goes wrong; feedback on what it said."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assistant.journal import Journal
from assistant.settings import AssistantSettings
from tests.conftest import ROOT
from tests.fake_openai import FakeServer
from ui.cli import main

SAYS = "DDP keeps a full copy of the model on every GPU, and FSDP keeps one shard of the parameters [1]."


@pytest.fixture
def mine(corpus_settings: AssistantSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssistantSettings:
    """The starter course, read by a learner of this test's own."""
    monkeypatch.setenv("STUDY_HOME", str(corpus_settings.home))
    monkeypatch.setenv("STUDY_LEARNER", tmp_path.name)
    monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
    return corpus_settings.model_copy(update={"learner": tmp_path.name})


def ask(*arguments: str, say: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=say)


def test_questions_build_on_each_other_and_are_kept_as_one_conversation(mine: AssistantSettings) -> None:
    done = ask("chat", say="What is FSDP?\nAnd how does it differ from DDP?\n")
    assert done.exit_code == 0
    assert "? And how does it differ from DDP?\n" in done.stdout
    assert "DDP keeps a full copy of the model on every GPU; FSDP keeps only one shard" in done.stdout
    journal = Journal.of(mine)
    (talk,) = journal.conversations()
    assert (talk.title, talk.answers) == ("What is FSDP?", 2)
    assert journal.conversation(talk.id)[1].document["standalone"] == "And how does it differ from DDP? (FSDP)"


def test_a_conversation_is_gone_on_with(mine: AssistantSettings) -> None:
    ask("chat", "--course", "infrastructure", say="What is FSDP?\n")
    ask("chat", say="What is MIG?\n")
    done = ask("chat", "--resume", "1", say="And what changed in version 2?\n")
    assert "FSDP2" in done.stdout
    assert done.stderr.startswith("conversation 1: What is FSDP?\n? What is FSDP?\n")
    kept = Journal.of(mine).conversation(1)
    assert [one.question for one in kept] == ["What is FSDP?", "And what changed in version 2?"]
    assert kept[1].course == "infrastructure"
    assert "(FSDP)" in Journal.of(mine).conversation(1)[1].document["standalone"]
    assert ask("chat", "--resume", say="").stderr.startswith("conversation 1: ")  # the last that was spoken in
    listed = ask("chat", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["1", "2"]


def test_words_with_a_slash(mine: AssistantSettings) -> None:
    done = ask("chat", say="/sources\nWhat is FSDP?\n/sources\n/nope\n/help\n/quit\nWhat is MIG?\n")
    assert "no answer yet that cites anything" in done.stdout
    assert "[1] infrastructure/distributed-training.md, § " in done.stdout
    assert "there is no /nope" in done.stdout
    assert done.stdout.count("/sources  the words that the last answer stands on\n/quiz  ") == 2
    assert "MIG" not in done.stdout


def test_the_sources_of_a_conversation_that_is_gone_on_with_are_those_of_its_last_answer(
    mine: AssistantSettings,
) -> None:
    ask("chat", say="What is FSDP?\n")
    assert "[1] infrastructure/distributed-training.md, § " in ask("chat", "--resume", say="/sources\n").stdout


def test_an_answer_that_cites_nothing_has_no_sources(mine: AssistantSettings) -> None:
    done = ask("chat", say="What is FSDP?\nWhat is the best pizza in Naples?\n/sources\n")
    assert done.stdout.endswith("? /sources\nthe last answer cites nothing\n\n")


def test_a_course_that_no_note_belongs_to_is_told_before_anything_is_asked(mine: AssistantSettings) -> None:
    done = ask("chat", "--course", "nope", say="What is FSDP?\n")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: no note belongs to a course nope; courses: architecture, ")
    assert Journal.of(mine).conversations() == []


def test_a_quiz_is_about_the_last_question_and_the_conversation_goes_on(mine: AssistantSettings) -> None:
    done = ask("chat", "--no-llm", say="/quiz\nWhat is PagedAttention?\n/quiz\nq\n\nWhat is MIG?\n")
    assert "ask something first" in done.stdout
    assert "infrastructure/model-serving.md" in done.stdout
    assert "\n1. " in done.stdout
    assert "gpus-on-kubernetes.md" in done.stdout


def test_a_new_conversation_has_no_past(mine: AssistantSettings) -> None:
    ask("chat", say="What is FSDP?\n/new\nAnd what changed in version 2?\n")
    journal = Journal.of(mine)
    assert [talk.answers for talk in journal.conversations()] == [1, 1]
    assert "standalone" not in journal.conversation(2)[0].document


def test_a_question_that_can_t_be_asked_does_not_end_it_and_is_not_kept(mine: AssistantSettings) -> None:
    done = ask("chat", say="?!\nWhat is FSDP?\n")
    assert "the question is empty" in done.stderr
    assert "FSDP" in done.stdout
    assert [talk.title for talk in Journal.of(mine).conversations()] == ["What is FSDP?"]


def test_an_empty_conversation_leaves_nothing(mine: AssistantSettings) -> None:
    assert ask("chat", say="\n\n").exit_code == 0
    assert Journal.of(mine).conversations() == []
    assert ask("chat", "--list").stdout == "no conversation yet; begin one with: ask chat\n"
    assert ask("chat", "--resume").stderr == "Error: the journal has no conversation yet; see: ask chat --list\n"


def test_a_conversation_that_can_t_be_kept_goes_on(mine: AssistantSettings) -> None:
    journal = Journal.of(mine)
    journal.close()
    journal.path.write_bytes(b"not a database " * 1000)
    done = ask("chat", say="What is FSDP?\n")
    assert "ZeRO-3" in done.stdout
    assert "this conversation is not kept: " in done.stderr
    assert ask("chat", "--resume").exit_code == 1


def test_an_answer_that_can_t_be_kept_is_printed_with_one_line_of_notice(mine: AssistantSettings) -> None:
    journal = Journal.of(mine)
    journal.close()
    journal.path.write_bytes(b"not a database " * 1000)
    done = ask("What is FSDP?", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["citations"]
    assert done.stderr.startswith("this answer is not in the journal: ")
    assert done.stderr.count("\n") == 1


def test_thinking_is_shown_by_explain_and_not_in_the_answer(
    mine: AssistantSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeServer(SAYS, reasoning="Let me see what passage one says.") as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        plain, explained = ask("What is FSDP?"), ask("What is FSDP?", "--explain")
    assert "Let me see" not in plain.stdout
    assert "What the model thought\n  Let me see what passage one says." in explained.stdout


def test_ctrl_c_stops_the_answer_and_not_the_conversation(mine: AssistantSettings) -> None:
    with FakeServer(["word " * 2000, SAYS], pause=0.02) as server:
        environment = {**os.environ, "STUDY_LLM_URL": server.url, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        terminal, child_end = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-c", "from ui.cli import run; run()", "chat"],
            stdin=child_end,
            stdout=child_end,
            stderr=child_end,
            env=environment,
            start_new_session=True,
        )
        os.close(child_end)
        try:
            seen = read_until(terminal, b"/quit leaves", 60)
            os.write(terminal, b"What is FSDP?\n")
            assert "the model is at work …".encode() in read_until(terminal, b"word word", 60)
            child.send_signal(signal.SIGINT)
            read_until(terminal, b"stopped", 60)
            os.write(terminal, b"And how does it differ from DDP?\n")
            seen = read_until(terminal, b"distributed-training.md", 60)
            os.write(terminal, b"/quit\n")
            assert child.wait(60) == 0
        finally:
            child.kill()
            child.wait()
            os.close(terminal)
        assert b"full copy of the model" in seen
        assert server.disconnects >= 1
    kept = Journal.of(mine).since(0)
    assert [one.failure for one in kept] == ["Stopped", ""]
    assert kept[0].document["answer"].startswith("word word")
    assert kept[1].document["standalone"] == "And how does it differ from DDP? (FSDP)"  # what was stopped was asked


def read_until(terminal: int, wanted: bytes, seconds: float) -> bytes:
    """Return what a terminal showed up to some words."""
    seen, until = b"", time.monotonic() + seconds
    while wanted not in seen:
        left = until - time.monotonic()
        assert left > 0, f"{wanted!r} did not come within {seconds} s: {seen!r}"
        if select.select([terminal], [], [], left)[0]:
            seen += os.read(terminal, 65536)
    return seen


# ------------------------------------------------------------------------------------------------- feedback


def test_feedback_goes_to_the_last_answer(mine: AssistantSettings) -> None:
    ask("What is FSDP?")
    done = ask("feedback", "down", "--wrong", "too short", "--note", str(mine.notes / "infrastructure" / "mlops.md"))
    assert done.stdout == "noted for answer 1: down (What is FSDP?)\n"
    ask("feedback", "up")
    assert [(given.good, given.wrong, given.note) for given in Journal.of(mine).feedbacks(1)] == [
        (False, "too short", "infrastructure/mlops.md"),
        (True, "", ""),
    ]


def test_feedback_that_makes_no_sense_is_refused(mine: AssistantSettings) -> None:
    assert ask("feedback", "up").stderr == "Error: nothing was asked yet\n"
    ask("What is FSDP?")
    assert ask("feedback", "up", "--wrong", "all").exit_code == 2
    assert ask("feedback", "down", "--note", "infrastructure/none.md").stderr == (
        "Error: infrastructure/none.md is no note; see: ask status\n"
    )
    assert Journal.of(mine).feedbacks() == []
