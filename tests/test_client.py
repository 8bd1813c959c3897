import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.conftest import NOBODY, ROOT
from tests.fake_openai import FakeServer
from tests.served import api_alone
from tests.test_cli import on_a_terminal
from ui import cli, client
from ui.cli import main
from ui.settings import UiSettings
from ui.web.desk import Desk
from ui.web.server import Service, listen

QUESTION = "What do zebras have?"


@pytest.fixture
def notes(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of the environment name an installation with one note, indexed."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(models)
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes, and live in herds.\n")
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDY_NOTES", str(folder))
    monkeypatch.setenv("STUDY_LLM_URL", NOBODY)
    monkeypatch.setenv("STUDY_UI_PORT", "0")
    assert CliRunner().invoke(main, ["ingest"]).exit_code == 0
    return folder


@contextmanager
def running() -> Iterator[Service]:
    """Run the app with the settings of the environment, without its pages."""
    settings = UiSettings()
    service = Service(Desk(settings), listen(settings), load=api_alone)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not client.file_of(client.as_set()).exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield service
    finally:
        service.stop()
        thread.join(30)


@pytest.fixture
def app(notes: Path) -> Iterator[Service]:
    with running() as service:
        yield service


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def without_times(text: str) -> str:
    return re.sub(r'( +| *"[\w.]+": )[\d.]+(?=,?\n)', "", text)


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that this process would answer itself fails."""

    def fail(question: str, **options: object) -> None:
        raise AssertionError("it was not answered by the app")

    monkeypatch.setattr(cli, "_answer_here", fail)


@pytest.mark.parametrize("options", [(), ("--json",), ("--no-llm", "--explain"), ("-k", "1", "--json", "--explain")])
def test_the_app_s_answer_is_printed_as_the_terminal_s_own(
    app: Service, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as off:
        off.setenv("STUDY_APP", "off")
        own = ask(QUESTION, *options)
    asked = app.desk.journal().last()
    through = ask(QUESTION, *options)
    assert own.exit_code == through.exit_code == 0
    assert "black and white stripes" in own.stdout
    assert without_times(through.stdout) == without_times(own.stdout)
    assert without_times(through.stderr) == without_times(own.stderr)
    last = app.desk.journal().last()
    assert asked
    assert last
    assert last.id == asked.id + 1


def test_the_app_answers(app: Service, nothing_here: None) -> None:
    assert json.loads(ask(QUESTION, "--json").stdout)["citations"][0]["path"] == "zebra.md"


def test_an_error_of_the_app_is_the_same_line(app: Service, nothing_here: None) -> None:
    done = ask(QUESTION, "--course", "sea")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: no note belongs to a course sea; courses: none: the notes have no sub-folders\n"


def test_notes_that_changed_are_told_of_through_the_app_too(app: Service, notes: Path, nothing_here: None) -> None:
    (notes / "lion.md").write_text("# Lions\n\nLions hunt at night, and sleep by day.\n")
    assert ask(QUESTION).stderr == "1 note changed since the last sync; run: ask ingest\n"


def test_an_answer_is_shown_while_the_app_s_model_writes_it(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeServer("Zebras have **black** and white stripes [1].", pause=0.1) as server:
        monkeypatch.setenv("STUDY_LLM_URL", server.url)
        monkeypatch.setenv("STUDY_LLM_CONNECT_MS", "5000")
        with running() as service:
            shown = on_a_terminal(QUESTION, notes)
            last = service.desk.journal().last()
    assert "Zebras have \x1b[1m**black**\x1b[0m and white stripes" in shown
    assert "Zebras have \r" in shown  # on the way there
    assert last
    assert last.outcome == "answered"


def test_the_client_loads_next_to_nothing(app: Service) -> None:
    code = (
        "import sys\nfrom ui.cli import main\nmain(['answer', 'What do zebras have?'], standalone_mode=False)\n"
        "print([m for m in ('numpy', 'pydantic', 'rich', 'http', 'email', 'ssl', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60
    )
    assert "black and white stripes" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("name", "value"), [("STUDY_TOP_K", "3"), ("STUDY_LEARNER", "anna"), ("STUDY_APP", "off")])
def test_with_other_settings_the_terminal_answers_by_itself(
    app: Service, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert client.ask(QUESTION) is None
    assert "black and white stripes" in ask(QUESTION).stdout


def test_the_same_folder_by_another_path_is_the_same_setting(
    app: Service, notes: Path, monkeypatch: pytest.MonkeyPatch, nothing_here: None
) -> None:
    link = notes.parent / "link"
    link.symlink_to(notes)
    monkeypatch.setenv("STUDY_NOTES", str(link))
    assert ask(QUESTION).exit_code == 0


def test_settings_of_a_dot_env_file_count(notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = client.identity(client.as_set())
    (tmp_path / ".env").write_text('STUDY_TOP_K="3"\nOTHER=1\nSTUDY_UI_PORT=99\n')
    monkeypatch.chdir(tmp_path)
    assert client.as_set()["top_k"] == "3"
    assert client.identity(client.as_set()) != before
    (tmp_path / ".env").write_text("OTHER=1\n")
    assert client.identity(client.as_set()) == before


def say_where(port: int, home: Path) -> None:
    (home / "api-token").write_text("x\n")
    told = {"url": "", "host": "127.0.0.1", "port": port, "pid": 1, "token": str(home / "api-token")}
    client.file_of(client.as_set()).write_text(json.dumps(told))


def test_a_file_that_a_killed_app_left_is_harmless(notes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    say_where(port, notes.parent / "home")
    assert client.ask(QUESTION) is None
    for junk in ("", "{", "[]", '{"port": "x"}'):
        client.file_of(client.as_set()).write_text(junk)
        assert client.ask(QUESTION) is None


def test_an_app_that_says_nothing_is_not_waited_for(notes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        say_where(silent.getsockname()[1], notes.parent / "home")
        started = time.perf_counter()
        assert client.ask(QUESTION) is None
        assert time.perf_counter() - started < 0.5


def test_an_app_that_breaks_off_is_forgotten(notes: Path) -> None:
    def break_off(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        connection.recv(65536)
        connection.sendall(
            b'HTTP/1.1 200 OK\r\n\r\n{"event": "here"}\n{"event": "wrote", "text": "Ze", "restart": false}\n'
        )
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=break_off, args=[listening], daemon=True).start()
        say_where(listening.getsockname()[1], notes.parent / "home")
        assert "black and white stripes" in ask(QUESTION).stdout


def test_notes_that_were_never_indexed_are_indexed_by_the_app_and_an_empty_folder_is_one_line(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Desk, "warm_up", lambda self, then: (self._warm.set(), then()))
    monkeypatch.setenv("STUDY_NOTES", str(tmp_path / "others"))
    (tmp_path / "others").mkdir()
    with running():
        empty = ask("Which eggs does an emu lay?")
        (tmp_path / "others" / "emu.md").write_text("# Emus\n\nAn emu lays green eggs in a nest on the ground.\n")
        full = ask("Which eggs does an emu lay?")
    assert empty.stderr.splitlines()[-1] == (
        f"Error: there is no note to answer from in {tmp_path / 'others'}; put some there, or set STUDY_NOTES"
    )
    assert "An emu lays green eggs" in full.stdout


def test_a_second_app_says_that_one_runs(app: Service) -> None:
    done = ask("ui")
    assert done.exit_code == 1
    assert done.stderr == f"Error: the app runs already at {app.url} (process {os.getpid()})\n"
