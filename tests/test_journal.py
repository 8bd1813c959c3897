"""The journal: what was answered comes back as it was, nothing in it changes, and its file may fail."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from assistant import database
from assistant import journal as journals
from assistant.answer import Answer, Event, answer
from assistant.errors import JournalFull, JournalUnavailable, NoSuchAnswer, NoSuchConversation
from assistant.journal import MIGRATIONS, Journal, folder_of
from assistant.remember import Remembered, remembered
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from tests.conftest import ROOT
from tests.fake_openai import FakeServer
from ui.cli import main

SAYS = "DDP keeps a full copy of the model on every GPU, and FSDP keeps one shard of the parameters [1]."


def document(question: str = "What is FSDP?", text: str = "FSDP shards [1].", **more: Any) -> dict[str, Any]:
    plain = {"question": question, "answer": text, "outcome": "answered", "model": "m", "usage": {"answer_tokens": 3}}
    return {**plain, "timings_ms": {"total": 12.5}, "citations": [{"n": 1, "quote": "FSDP shards"}], **more}


def test_an_answer_comes_back_whole(tmp_path: Path) -> None:
    made = Journal(tmp_path / "new")
    given = document(notice="a 😀\n\x00 end")
    id_ = made.asked(
        given, course="infra", generation=7, settings="abc", trace="f" * 32, failure="ServerStalled", asked=100.5
    )
    found = Journal(tmp_path / "new").answer(id_)
    assert found == journals.Kept(
        id=1,
        conversation=0,
        asked=100.5,
        course="infra",
        question="What is FSDP?",
        outcome="answered",
        model="m",
        generation=7,
        settings="abc",
        trace="f" * 32,
        failure="ServerStalled",
        timings_ms={"total": 12.5},
        usage={"answer_tokens": 3},
        document=given,
    )
    assert made.last() == found
    assert made.answer(2) is None
    assert [kept.id for kept in made.since(100.5)] == [1]
    assert made.since(101) == []


def test_half_a_character_from_a_model_does_not_keep_an_answer_out(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    found = made.answer(made.asked(document(text="half \ud83d of one")))
    assert found
    assert found.document["answer"] == "half ? of one"


def test_the_file_survives_power_cuts_and_is_for_its_owner_only(tmp_path: Path) -> None:
    made = Journal(tmp_path / "learners" / "me")
    assert made.rows("PRAGMA journal_mode") == [("wal",)]
    assert made.rows("PRAGMA synchronous") == [(2,)]
    assert (tmp_path / "learners" / "me").stat().st_mode & 0o777 == 0o700


def test_words_are_found_in_questions_and_answers_by_their_stem_and_beginning(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.asked(document("What is sharding?", "It splits tensors."))
    made.asked(document("What is paging?", "It splits the KV cache."))
    assert [kept.question for kept in made.search("shards")] == ["What is sharding?"]
    assert [kept.question for kept in made.search('split "KV" ca')] == ["What is paging?"]
    assert {kept.id for kept in made.search("splits")} == {1, 2}
    assert made.search("tensor cache") == []
    assert made.search("AND (* \"'") == []
    assert made.search("?!") == []


def test_a_conversation_in_which_nothing_was_answered_is_none(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.asked(document("One?"), conversation=made.start("FSDP"), asked=1.0)
    empty = made.start("its question failed")
    assert [talk.title for talk in made.conversations()] == ["FSDP"]
    assert (made.resumed().title, made.resumed().last) == ("FSDP", 1.0)
    with pytest.raises(NoSuchConversation):
        made.resumed(empty)


def test_a_conversation_keeps_its_answers_in_order(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    first = made.start("FSDP", course="infra")
    for question in ("One?", "Two?"):
        made.asked(document(question), conversation=first)
    made.asked(document("Alone?"))
    assert [kept.question for kept in made.conversation(first)] == ["One?", "Two?"]
    assert made.conversation(99) == []
    assert [(talk.title, talk.course, talk.answers) for talk in made.conversations()] == [("FSDP", "infra", 2)]


def test_feedback_stays_with_its_answer(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    id_ = made.asked(document())
    made.feedback(id_, False, "the number is wrong", "infra/fsdp.md")
    made.feedback(id_, True)
    assert [(given.answer, given.good, given.wrong, given.note) for given in made.feedbacks(id_)] == [
        (1, False, "the number is wrong", "infra/fsdp.md"),
        (1, True, "", ""),
    ]
    assert made.feedbacks(2) == []
    assert len(made.feedbacks()) == 2
    with pytest.raises(NoSuchAnswer, match="there is no answer 99 in the journal"):
        made.feedback(99, True)


@pytest.mark.parametrize("table", ["answers", "feedback"])
def test_what_is_written_can_neither_be_changed_nor_deleted(tmp_path: Path, table: str) -> None:
    made = Journal(tmp_path)
    made.feedback(made.asked(document()), True)
    for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
        with pytest.raises(JournalUnavailable), made.transaction() as db:
            db.execute(statement)
    assert len(made.rows(f"SELECT * FROM {table}")) == 1


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    made = Journal(tmp_path)

    def fail() -> None:
        with made.transaction() as db:
            db.execute("INSERT INTO conversations (started, title, course) VALUES (1, 'x', '')")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert made.conversations() == []


def test_a_table_that_is_added_later_joins_the_old_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Journal(tmp_path)
    old.asked(document())
    later = "CREATE TABLE later (id INTEGER PRIMARY KEY, grade INTEGER NOT NULL); CREATE INDEX g ON later (grade);"
    monkeypatch.setattr(journals, "MIGRATIONS", (*MIGRATIONS, later))
    new = Journal(tmp_path)
    assert new.rows("SELECT count(*) FROM later") == [(0,)]
    assert [kept.id for kept in new.since(0)] == [1]
    new.asked(document())
    monkeypatch.undo()
    [copy] = tmp_path.glob("journal.db.version-*")  # as it was before
    with contextlib.closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM answers").fetchone() == (1,)
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    with pytest.raises(JournalUnavailable, match="was written by a newer version of this program; update"):
        Journal(tmp_path)


def test_several_processes_may_open_a_new_journal_at_once(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def write() -> None:
        try:
            made = Journal(tmp_path)
            for _ in range(10):
                made.asked(document())
            made.close()
        except JournalUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Journal(tmp_path).rows("SELECT count(*) FROM answers") == [(40,)]


def test_one_journal_serves_several_threads(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    ids: list[int] = []
    threads = [threading.Thread(target=lambda: ids.append(made.asked(document()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 9))


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom assistant.journal import Journal\n"
        "from tests.test_journal import document\nmade = Journal(Path(sys.argv[1]))\n"
        "while True: print(made.asked(document()), flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    for line in child.stdout:
        if int(line) == 20:
            os.kill(child.pid, signal.SIGKILL)
            break
    last = [20, *map(int, child.stdout.read().split())][-1]
    child.stdout.close()
    child.wait(10)
    found = Journal(tmp_path)
    assert found.check() == ""
    assert found.rows("SELECT count(*) FROM answers")[0][0] in (last, last + 1)


def test_a_learner_sees_copies_and_checks_the_journal(
    settings: AssistantSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["journal", *arguments])

    made = Journal.of(settings)
    made.asked(document())
    assert ask().stdout.splitlines()[:1] == [str(made.path)]
    assert "1 answer, 0 reviews, 0 conversations\nnothing in it is damaged\n" in ask("--check").stdout
    copy = tmp_path / "copy.db"
    assert f"copied to {copy}" in ask("--backup", str(copy)).stdout
    assert f"{copy} is there already; name a file that is not" in ask("--backup", str(copy)).stderr
    assert "can't be written: No such file or directory" in ask("--backup", str(tmp_path / "no" / "copy.db")).stderr
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]
    told = json.loads(ask("--check", "--json").stdout)
    assert (told["learner"], told["answers"], told["sound"]) == ("me", 1, True)
    other = folder_of(settings.model_copy(update={"learner": "other"}))
    other.mkdir()
    body = bytearray(copy.read_bytes())
    body[8192:20000] = b"x" * 11808
    (other / "journal.db").write_bytes(body)
    monkeypatch.setenv("STUDY_LEARNER", "other")
    broken = ask("--check")
    assert broken.exit_code == 1
    assert "damaged" in broken.output
    copy.replace(other / "journal.db")
    assert "1 answer, " in ask("--check").stdout


def test_a_backup_is_a_whole_journal(tmp_path: Path) -> None:
    made = Journal(tmp_path / "a")
    made.asked(document())
    (tmp_path / "b").mkdir()
    made.backup(tmp_path / "b" / "journal.db")
    copy = Journal(tmp_path / "b")
    assert copy.check() == ""
    assert copy.last() == made.last()


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    made.asked(document())
    made.rows(f"PRAGMA max_page_count = {made.rows('PRAGMA page_count')[0][0]}")
    with pytest.raises(JournalFull, match=r"is full: nothing was added to the journal; free some space"):
        made.asked(document(text="x" * 100_000))
    assert [kept.id for kept in made.since(0)] == [1]


def test_a_file_that_is_no_journal_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(JournalUnavailable, match=r"it is damaged .*; move it away, or put a backup in its place"):
        Journal(tmp_path)


def test_a_locked_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal(tmp_path)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "PATIENCE", 0.05)
    with pytest.raises(JournalUnavailable, match="another program has locked it"):
        Journal(tmp_path).asked(document())
    other.close()


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "a\x00", "x" * 65, "-r", "a\n"])
def test_a_learner_s_name_must_be_a_file_name(name: str) -> None:
    with pytest.raises(ValidationError):
        AssistantSettings(learner=name)


@pytest.mark.parametrize("name", ["me", "Zoë", "anna.b+1@example.org", "李"])
def test_learners_have_folders_of_their_own(name: str, tmp_path: Path) -> None:
    assert folder_of(AssistantSettings(learner=name, home=tmp_path)) == tmp_path / "learners" / name


def test_the_digest_of_settings_changes_with_what_changes_answers_and_holds_no_secret() -> None:
    plain = AssistantSettings()
    assert len(plain.digest) == 12
    assert plain.digest == AssistantSettings(learner="you", home=Path("/x"), llm_api_key="k").digest  # type: ignore[arg-type]
    assert plain.digest != AssistantSettings(top_k=7).digest


# ------------------------------------------------------------------------------------- an answer on its way


def own(settings: AssistantSettings, tmp_path: Path, server: FakeServer | None = None) -> AssistantSettings:
    changes: dict[str, Any] = {"learner": tmp_path.name}
    if server:
        changes |= {"llm_url": server.url, "llm_connect_ms": 5000}
    return settings.model_copy(update=changes)


def asking(
    settings: AssistantSettings, question: str = "How does FSDP differ from DDP?"
) -> Generator[Event, None, None]:
    return answer(question, Shelf(settings), settings)


def test_an_answer_is_kept_as_it_is_shown(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    with FakeServer(SAYS) as server:
        settings = own(corpus_settings, tmp_path, server)
        *_, done, last = remembered(asking(settings), settings, course="infrastructure")
    assert isinstance(done, Answer)
    assert last == Remembered(1, "")
    (kept,) = Journal.of(settings).since(0)
    assert kept.document == done.as_json()
    assert (kept.course, kept.generation, kept.settings) == ("infrastructure", 1, settings.digest)
    assert (kept.outcome, kept.model, kept.failure) == ("answered", "fake-model", "")
    assert kept.usage == done.usage


def test_the_kind_of_failure_is_kept(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    settings = own(corpus_settings, tmp_path)
    list(remembered(asking(settings), settings))
    with FakeServer(SAYS, fault="cut-mid-stream") as server:
        settings = own(corpus_settings, tmp_path, server)
        list(remembered(asking(settings), settings))
    assert [kept.failure for kept in Journal.of(settings).since(0)] == ["ServerUnreachable", "AnswerCut"]


def test_an_answer_that_is_stopped_is_kept_as_far_as_it_came(
    corpus_settings: AssistantSettings, tmp_path: Path
) -> None:
    with FakeServer(SAYS, pause=0.05) as server:
        settings = own(corpus_settings, tmp_path, server)
        events = remembered(asking(settings), settings)
        written = ""
        for event in events:
            written += getattr(event, "text", "")
            if "full copy" in written:
                break
        events.close()
    (kept,) = Journal.of(settings).since(0)
    assert (kept.outcome, kept.failure, kept.document["notice"]) == ("answered", "Stopped", "stopped before its end")
    assert SAYS.startswith(kept.document["answer"])
    assert "full copy" in kept.document["answer"]


def test_a_reader_who_leaves_with_the_answer_in_hand_has_it_kept(
    corpus_settings: AssistantSettings, tmp_path: Path
) -> None:
    settings = own(corpus_settings, tmp_path)
    events = remembered(asking(settings), settings)
    for event in events:
        if isinstance(event, Answer):
            break
    events.close()
    assert len(Journal.of(settings).since(0)) == 1


def test_an_answer_that_can_t_be_kept_is_given_all_the_same(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    settings = own(corpus_settings, tmp_path)
    made = Journal.of(settings)
    made.rows(f"PRAGMA max_page_count = {made.rows('PRAGMA page_count')[0][0]}")
    *_, done, last = remembered(asking(settings), settings, journal=made)
    assert isinstance(done, Answer)
    assert done.outcome == "quoted"
    assert isinstance(last, Remembered)
    assert last.id == 0
    assert last.notice.startswith("this answer is not in the journal: the disk of ")


@pytest.mark.parametrize(
    "typed", ["o", "overf", "overfitt", "overfittin", "overfitting", "OVERFITTIN", "what overfittin"]
)
def test_while_a_word_is_typed_its_answer_stays_found(tmp_path: Path, typed: str) -> None:
    made = Journal(tmp_path)
    made.asked(document("What is overfitting?", "It learns the noise, too."))
    made.asked(document("Who?", "Me."))
    assert [kept.question for kept in made.search(typed)] == ["What is overfitting?"]


def test_a_conversation_leaves_the_history_and_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    made = Journal(tmp_path)
    first, second = made.start("one"), made.start("two")
    made.asked(document("What is FSDP?"), conversation=first)
    kept = made.asked(document("What is DDP?"), conversation=second)
    made.feedback(kept, False, "It is wrong", "a.md")
    made.remove(second)
    assert [one.title for one in made.conversations()] == ["one"]
    assert made.conversation(second) == []
    assert made.search("ddp") == []
    assert made.search("What DD") == []
    assert made.resumed().id == first
    assert [one.question for one in made.since(0)] == ["What is FSDP?", "What is DDP?"]
    assert [one.wrong for one in made.feedbacks()] == ["It is wrong"]
    made.remove(second, removed=False)
    assert [one.question for one in made.conversation(second)] == ["What is DDP?"]
    made.remove(first)
    assert Journal(tmp_path).resumed().id == second
    with pytest.raises(NoSuchConversation):
        made.remove(99)


def test_how_an_answer_came_about_is_kept_with_it(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    reply = f"{SAYS} {SAYS}"
    with FakeServer(reply) as server:
        settings = corpus_settings.model_copy(update={"llm_url": server.url, "llm_connect_ms": 9000})
        journal = Journal(tmp_path)
        shelf = Shelf(settings)
        (*_, done) = remembered(answer("How does FSDP differ from DDP?", shelf, settings), settings, journal=journal)
        (*_, quoted) = remembered(
            answer("How does FSDP differ from DDP?", shelf, settings, use_model=False), settings, journal=journal
        )
    assert isinstance(done, Remembered)
    assert isinstance(quoted, Remembered)
    made = journal.made(done.id)
    assert len(made["candidates"]) == 12
    assert made["candidates"][0]["path"] == "infrastructure/distributed-training.md"
    assert made["candidates"][0]["hit"] is True
    assert made["evidence"] > made["threshold"] > 0.4
    prompt = made["prompt"]
    assert prompt["tokens"] < prompt["most_tokens"]
    assert list(prompt["parts"]) == ["instructions", "passages", "conversation", "question"]
    assert prompt["parts"]["conversation"] == 0
    assert prompt["parts"]["question"] == len("Question: How does FSDP differ from DDP?")
    assert sum(prompt["parts"].values()) == sum(len(message["content"]) for message in prompt["messages"])
    assert journal.made(quoted.id)["prompt"] is None
    assert journal.made(99) == {}
    assert len(journal.rows("SELECT made FROM answers WHERE id = ?", done.id)[0][0]) < 20_000
