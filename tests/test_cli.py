import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from assistant.settings import AssistantSettings
from tests.conftest import NOBODY, ROOT
from tests.fake_openai import FakeServer
from ui.cli import main

SCHEMA = json.loads((ROOT / "tests" / "answer.schema.json").read_text())


@pytest.fixture
def corpus(corpus_settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The starter course is indexed."""
    monkeypatch.setenv("STUDY_HOME", str(corpus_settings.home))
    monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")


@pytest.fixture
def notes(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty notes folder, nothing indexed."""
    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))
    return settings.notes


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_bare_question_is_ask_answer(corpus: None) -> None:
    bare, spelt = ask("What is FSDP?", "--json"), ask("answer", "What is FSDP?", "--json")
    assert json.loads(bare.stdout)["citations"] == json.loads(spelt.stdout)["citations"]


def test_words_without_quotes_are_one_question(corpus: None) -> None:
    assert json.loads(ask("what", "is", "FSDP", "--json").stdout)["question"] == "what is FSDP"


def test_json_is_one_document_that_follows_the_schema(corpus: None) -> None:
    done = ask("How does FSDP differ from DDP?", "--json")
    assert done.exit_code == 0
    assert done.stderr == ""
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    text = ask("text", document["citations"][0]["path"]).stdout
    for citation in document["citations"]:
        assert text[citation["start"] : citation["end"]] == citation["quote"]


def test_the_plain_answer_says_that_no_model_answered_and_names_its_sources(corpus: None) -> None:
    done = ask("How does FSDP differ from DDP?")
    assert done.stdout.startswith(
        "(no model answered, so these are sentences of your notes, word for word: no model server at "
    )
    assert "[1] infrastructure/distributed-training.md, § Sharded data parallelism: ZeRO and FSDP" in done.stdout


def test_a_model_s_answer_is_printed_with_the_quotes_behind_it(corpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = (
        "FSDP keeps only one shard of the parameters, gradients and optimizer state on every GPU [1]. Bananas rule [1]."
    )
    with FakeServer(reply) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        done = ask("How does FSDP differ from DDP?")
    assert "optimizer state on every GPU [1]. Bananas rule [1] [unsupported]" in done.stdout.replace("\n", " ")
    assert "“DDP keeps a full copy of the model on every GPU" in done.stdout


def test_what_the_notes_do_not_say_is_said_so_with_the_nearest_notes(corpus: None) -> None:
    done = ask("What is the best pizza in Naples?")
    assert done.exit_code == 0
    assert done.stdout.startswith("Your notes don't say. The nearest notes:\n  ")


def test_explain_shows_ranks_scores_and_times(corpus: None) -> None:
    shown = ask("What is FSDP?", "--explain", "--no-llm").stdout
    for part in ("cosine (rank)", "BM25 (rank)", "evidence that the notes answer it", "retrieve.dense", "total"):
        assert part in shown


def test_explain_shows_the_prompt_with_its_tokens(corpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("FSDP shards [1].") as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        shown = ask("What is FSDP?", "--explain").stdout
    assert re.search(r"The prompt: \d+ tokens, \d passages", shown)
    assert "Question: What is FSDP?" in shown


def test_fewer_passages_may_be_asked_for(corpus: None) -> None:
    assert len(json.loads(ask("What is FSDP?", "-k", "1", "--json").stdout)["passages"]) == 1


@pytest.mark.parametrize("arguments", [("answer",), ("What?", "-k", "0"), ("ingest", "--fresh", "x"), ("--nonsense",)])
def test_bad_usage_exits_with_2(notes: Path, arguments: tuple[str, ...]) -> None:
    assert ask(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("  ", 'Error: the question is empty; write it like this: ask "What is FSDP?"\n'),
        ("x" * 100_000, "Error: the question has 100,000 characters, at most 4,000 are read; shorten it\n"),
    ],
)
def test_a_bad_question_is_one_line_on_stderr_and_exit_1(notes: Path, question: str, line: str) -> None:
    done = ask("answer", question, "--json")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", line)


def test_a_missing_notes_folder_is_one_line(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_NOTES", str(notes / "gone"))
    done = ask("ingest")
    assert done.exit_code == 1
    what_to_do = "mount it, or set STUDY_NOTES to the folder of your notes"
    assert done.stderr == f"Error: the notes folder {notes / 'gone'} is not there; {what_to_do}\n"


def test_a_file_in_place_of_the_notes_folder_is_one_line(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (notes / "zebra.md").write_text("Zebras have stripes.")
    monkeypatch.setenv("STUDY_NOTES", str(notes / "zebra.md"))
    for arguments in (["ingest"], ["What do zebras have?"]):
        done = ask(*arguments)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == (
            f"Error: {notes / 'zebra.md'} is a file; set STUDY_NOTES to the folder that your notes are in\n"
        )


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("statsu", "asked as a question; if you meant the command: ask status\n"),
        ("ingset", "asked as a question; if you meant the command: ask ingest\n"),
        ("FSDP", ""),
        ("stats of it", ""),
    ],
)
def test_a_mistyped_command_is_hinted_at(corpus: None, word: str, hint: str) -> None:
    assert ask(word).stderr == hint


def test_notes_that_changed_since_the_last_sync_are_counted_in_one_line(notes: Path) -> None:
    for name in ("zebra", "lion", "gnu"):
        (notes / f"{name}.md").write_text(f"# {name}\n\nThe {name} lives in the savanna of Africa.\n")
    ask("ingest")
    question = "Where does the zebra live?"
    assert ask(question).stderr == ""
    assert json.loads(ask(question, "--json").stdout)["changed_since_sync"] == 0
    (notes / "lion.md").write_text("# lion\n\nThe lion sleeps.\n")
    assert ask(question).stderr == "1 note changed since the last sync; run: ask ingest\n"
    (notes / "gnu.md").unlink()
    (notes / "ibex.md").write_text("The ibex climbs.\n")
    (notes / "photo.jpg").write_bytes(b"no note")
    done = ask(question, "--json")
    assert json.loads(done.stdout)["changed_since_sync"] == 3
    assert done.stderr == "3 notes changed since the last sync; run: ask ingest\n"
    ask("ingest", "--yes")
    assert ask(question).stderr == ""


def test_a_notes_folder_that_went_away_is_told_and_the_last_sync_answers(notes: Path) -> None:
    (notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    ask("ingest")
    notes.rename(notes.parent / "elsewhere")
    done = ask("What do zebras have?")
    assert "Zebras have black and white stripes. [1]" in done.stdout
    assert done.stderr == (
        f"answered from the last sync: the notes folder {notes} is not there; "
        "mount it, or set STUDY_NOTES to the folder of your notes\n"
    )


def test_an_empty_notes_folder_is_one_line(notes: Path) -> None:
    done = ask("What is FSDP?")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: there is no note to answer from in {notes}; put some there, or set STUDY_NOTES"
    )


def test_a_bad_setting_is_one_line(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_TOP_K", "many")
    done = ask("What is FSDP?")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: STUDY_TOP_K: Input should be a valid integer")


def test_files_that_cannot_be_read_are_listed_and_the_rest_is_indexed(notes: Path) -> None:
    (notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    (notes / "empty.md").write_bytes(b"")
    (notes / "blob.txt").write_bytes(bytes(range(256)) * 40)
    (notes / "latin.md").write_bytes(
        "# Café\n\nEn été, les zèbres dorment à l'ombre des grands arbres.\n".encode("latin-1")
    )
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    (notes / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    report = json.loads(ask("ingest", "--json").stdout)
    states = {note["path"]: note["state"] for note in report["notes"]}
    assert states == {
        "zebra.md": "indexed",
        "empty.md": "empty",
        "blob.txt": "failed",
        "latin.md": "indexed",
        "broken.pdf": "failed",
        "photo.jpg": "skipped",
    }
    assert report["files"] == sum(report["by_state"].values()) == 6
    assert all(note["reason"] for note in report["notes"] if note["path"] != "zebra.md")
    listed = ask("status").stdout
    for name in ("empty.md", "blob.txt", "latin.md", "broken.pdf"):
        assert name in listed
    assert json.loads(ask("What do zebras have?", "--json").stdout)["outcome"] == "quoted"


def test_a_path_outside_the_notes_is_refused(notes: Path) -> None:
    done = ask("ingest", "/etc")
    assert done.exit_code == 1
    assert "is not inside the notes folder" in done.stderr


def test_dry_run_changes_nothing(notes: Path) -> None:
    (notes / "zebra.md").write_text("Zebras have stripes.")
    report = json.loads(ask("ingest", "--dry-run", "--json").stdout)
    assert [(note["path"], note["state"]) for note in report["notes"]] == [("zebra.md", "added")]
    assert json.loads(ask("status", "--json").stdout)["generation"] == 0


def test_text_is_printed_exactly(notes: Path) -> None:
    written = "# Zebras\r\n\r\nStripes 🦓\tand \x1b[31mred\x1b[0m\r\n"
    (notes / "zebra.md").write_bytes(written.encode())
    ask("ingest")
    assert CliRunner().invoke(main, ["text", "zebra.md"]).stdout_bytes == written.replace("\r\n", "\n").encode()


def test_text_of_a_note_that_is_not_indexed_is_one_line(notes: Path) -> None:
    (notes / "zebra.md").write_text("Zebras have stripes.")
    done = ask("text", "zebra.md")
    assert (done.exit_code, done.stderr) == (1, "Error: zebra.md is not indexed; run: ask ingest\n")


def test_errors_carry_no_control_character_of_a_folder_s_name_to_the_terminal(notes: Path) -> None:
    (notes / "r\x07ed").mkdir()
    (notes / "r\x07ed" / "zebra.md").write_text("Zebras have stripes.")
    ask("ingest")
    for done in (ask("Zebras?", "--course", "nope"), ask("text", "r\x07ed/none.md")):
        assert done.exit_code == 1
        assert "red" in done.stderr
        assert "\x07" not in done.stderr


def test_status_tells_of_notes_index_server_and_calibration(corpus: None) -> None:
    document = json.loads(ask("status", "--json").stdout)
    assert document["by_state"] == {"indexed": document["by_state"]["indexed"]}
    assert "foundations" in document["courses"]
    assert "all-MiniLM-L6-v2" in document["built_with"]
    assert "nothing listens" in document["model_server"]
    assert "answerable refused" in document["calibration"]
    assert document["runs"][0]["error"] == ""
    assert document["nights"] == []


def test_status_says_that_the_notes_folder_is_not_there(notes: Path) -> None:
    assert ask("status").stdout.splitlines()[0] == f"notes         {notes}"
    notes.rmdir()
    done = ask("status")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == f"notes         {notes} (not there; mount it, or set STUDY_NOTES)"


def test_status_shows_what_the_last_nights_did(notes: Path) -> None:
    (notes / "zebra.md").write_text("Zebras have stripes.")
    assert ask("nightly", "--run-now").exit_code == 0
    (night,) = json.loads(ask("status", "--json").stdout)["nights"]
    assert (night["ok"], night["steps"][0]["name"], night["steps"][0]["detail"]["files"]) == (True, "sync", 1)
    assert re.search(r"last nights\n  2\d{3}-.* s sync ok \(1 file, ", ask("status").stdout)


def test_the_shape_of_ingest_as_json_is_the_documented_one(notes: Path) -> None:
    (notes / "zebra.md").write_text("Zebras have stripes.")
    report = json.loads(ask("ingest", "--json").stdout)
    shape = "generation files by_state notes chunks embedded written deleted seconds"
    assert list(report) == shape.split()
    assert list(report["notes"][0]) == "path state reason chunks pages_lost".split()


EVIL = "Zebras \x1b]0;owned\x07have \x1b[31mred\x1b[0m stripes \x9b2Jand \u202eemanrus\u202c hooves, says the keeper.\n"


def test_no_escape_sequence_of_a_note_reaches_the_terminal(notes: Path) -> None:
    (notes / "evil\x1b[2J.md").write_text("# Zebras \x1b[2J\n\n" + EVIL)
    ask("ingest")
    plain = ask("What stripes do zebras have?", "--explain").stdout + ask("status").stdout
    shown = on_a_terminal("What stripes do zebras have?", notes)
    assert "Zebras have red stripes and emanrus hooves" in plain
    for text in (plain, shown):
        assert not re.search(r"\x1b\]|\x1b\[2J|\x9b|\u202e|\x07", text)
    assert "\x1b" not in plain


def on_a_terminal(question: str, notes: Path) -> str:
    """Run `ask` on a pseudo-terminal and return all that it wrote."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "24"}
    command = [sys.executable, "-c", "from ui.cli import main; main()", "answer", question]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=follower, stderr=follower, stdin=follower)
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert process.wait(60) == 0
    return written.decode()


def test_the_terminal_shows_the_answer_as_it_is_written(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    ask("ingest")
    with FakeServer("Zebras have **black** and white stripes [1].", pause=0.1) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
        shown = on_a_terminal("What do zebras have?", notes)
    assert "Zebras have \x1b[1m**black**\x1b[0m and white stripes" in shown
    assert "Zebras have \r" in shown  # on the way there
    assert "zebra.md" in shown


def test_an_answer_taller_than_the_screen_is_printed_whole_in_the_end(
    notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    ask("ingest")
    reply = "\n".join(f"{n}. Zebras have black and white stripes [1]." for n in range(1, 31))
    with FakeServer(reply, pause=0.002) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
        shown = on_a_terminal("What do zebras have?", notes)
    end = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown[shown.rindex("\x1b[2K") :])
    assert [f"{n}. Zebras have" in end for n in (1, 15, 30)] == [True, True, True]


def test_escapes_that_a_model_writes_never_reach_the_terminal(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    ask("ingest")
    with FakeServer("Zebras \x1b]0;owned\x07have \x1b[2Jblack \u202eand white stripes [1].", pause=0.05) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
        shown = on_a_terminal("What do zebras have?", notes)
    assert "Zebras have black and white stripes" in shown
    assert not re.search(r"\x1b\]|\x1b\[2J|\x07|\u202e", shown)


def shell(line: str) -> "subprocess.CompletedProcess[str]":
    """Run a line in bash, in which `ask` is the command."""
    function = f"ask() {{ {sys.executable} -c 'from ui.cli import run; run()' \"$@\"; }}\n"
    return subprocess.run(["bash", "-c", function + line], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_json_and_explain_together_are_one_document_on_stdout_and_the_rest_on_stderr(corpus: None) -> None:
    done = ask("What is FSDP?", "--json", "--explain")
    jsonschema.validate(json.loads(done.stdout), SCHEMA)
    assert "How this was found" in done.stderr


def test_a_reader_that_goes_away_early_is_no_news(corpus: None) -> None:
    done = shell("ask 'What is FSDP?' --explain | head -1")
    assert done.stdout.startswith("(no model answered")
    assert done.stderr == ""


def test_an_output_that_nobody_reads_or_that_is_full_is_no_traceback(corpus: None) -> None:
    assert shell("ask 'What is FSDP?' >&-").stderr == ""
    if Path("/dev/full").exists():
        done = shell("ask 'What is FSDP?' > /dev/full")
        assert (done.returncode, done.stderr) == (
            1,
            "Error: reading or writing failed: No space left on device; see that the disk and the output have room\n",
        )


def test_ctrl_c_while_a_library_is_imported_is_no_traceback(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends() -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("initialization failed") from error
        except ImportError:
            raise ImportError("import numpy failed")  # noqa: B904

    monkeypatch.setattr("ui.open.settings", ends)
    result = ask("status")
    assert (result.exit_code, result.stderr, result.stdout) == (1, "Aborted!\n", "")


def test_ctrl_c_after_the_last_word_is_no_traceback() -> None:
    code = (
        "import atexit, os, signal, sys; from ui import cli\n"
        "sys.argv[1:] = ['--version']\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "cli.run()"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
    assert "version" in ended.stdout


@pytest.mark.parametrize("question", ["How does FSDP differ from DDP?", "What is the best pizza in Naples?"])
def test_the_readme_shows_answers_as_they_are(corpus: None, question: str) -> None:
    shown = ask(question).stdout.replace(NOBODY, "http://127.0.0.1:8000/v1")
    assert f'```console\n$ ask "{question}"\n{shown}```\n' in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_help_as_it_is() -> None:
    shown = CliRunner().invoke(main, ["--help"], prog_name="ask").output
    assert shown.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


COLLECTING = """
import gc, sys
from ui.cli import run

try:
    run()
finally:
    print("collects" if gc.isenabled() else "does not", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["FSDP", "shards"], "collects"),  # the notes are indexed first
        (["FSDP", "shards"], "does not"),
        (["status"], "does not"),
        (["ingest"], "collects"),
        (["learners"], "collects"),
        (["ui", "--help"], "collects"),
    ],
)
def test_only_a_process_that_ends_soon_looks_for_no_garbage(notes: Path, arguments: list[str], told: str) -> None:
    (notes / "a.md").write_text("FSDP shards parameters across ranks.")
    if told == "does not":
        assert ask("ingest").exit_code == 0
    done = subprocess.run([sys.executable, "-c", COLLECTING, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == told
