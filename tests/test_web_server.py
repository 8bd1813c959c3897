import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.conftest import NOBODY, ROOT
from tests.served import Served, served, settings_in
from ui.cli import main
from ui.token import token
from ui.web.door import Door

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The whole app, pages and all."""
    with served(settings_in(tmp_path_factory.mktemp("web"))) as running:
        yield running


def config_of(app: Served) -> dict[str, object]:
    page = app.request("GET", "/", accept="text/html").text
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", page, re.DOTALL)
    assert found
    told: dict[str, object] = json.loads(found[1])
    return told


def test_the_page_is_there_and_asks_nothing_of_another_host(app: Served) -> None:
    page = app.request("GET", "/", accept="text/html")
    assert page.status == 200
    assert "Study assistant" in page.text
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(https?:)?//', page.text)
    assert loaded == []


def test_nothing_calls_home_and_nothing_is_shared(app: Served) -> None:
    config = config_of(app)
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []
    assert config["enable_queue"] is True
    assert config["username"] == "me"
    assert config["run_history"] is False
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_no_page_s_function_can_be_called_by_name(app: Served) -> None:
    assert app.request("GET", "/gradio_api/info").json == {"named_endpoints": {}, "unnamed_endpoints": {}}


@pytest.mark.parametrize("name", ["home/api-token", "notes/zoo/zebra.md", "home/learners/me/journal.db"])
def test_no_file_of_the_installation_is_served(app: Served, name: str) -> None:
    home = app.service.desk.settings.home
    (home / "learners" / "me").mkdir(parents=True, exist_ok=True)
    path = home.parent / name
    for way in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file/{path}", f"/static/../../{path}"):
        assert app.request("GET", way).status in (403, 404)


def test_an_upload_that_is_too_long_is_refused_and_one_that_fits_is_kept_apart(app: Served) -> None:
    def upload(data: bytes) -> tuple[int, object]:
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.md"\r\n\r\n' + data + b"\r\n--x--\r\n"
        sent = app.request("POST", "/gradio_api/upload", body, content_type="multipart/form-data; boundary=x")
        return sent.status, sent.body

    status, kept = upload(b"# A note\n")
    assert status == 200
    path = Path(json.loads(str(kept, "utf-8"))[0])  # type: ignore[call-overload]
    assert path.read_bytes() == b"# A note\n"
    assert not path.is_relative_to(app.service.desk.settings.home)
    assert not path.is_relative_to(app.service.desk.shelf.notes)
    folder = next(parent for parent in path.parents if parent.name.startswith("study-"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    status, _ = upload(b"x" * (65 << 20))
    assert status in (400, 413)


def test_gradio_s_files_may_be_kept_by_the_browser_and_pages_not(app: Served) -> None:
    page = app.request("GET", "/", accept="text/html")
    script = re.search(r'src="\./(assets/[^"]+\.js)"', page.text)
    assert script
    assert app.request("GET", f"/{script[1]}").headers["cache-control"].endswith("immutable")
    assert page.headers["cache-control"] == "no-store"


def test_editors_and_agents_find_four_tools_and_use_them(app: Served) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def use(path: str) -> tuple[set[str], dict[str, object], str, str]:
        headers = {"Authorization": f"Bearer {app.token}"}
        address = f"http://127.0.0.1:{app.port}{path}"
        async with (
            streamablehttp_client(address, headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            search = await session.call_tool("search_notes", {"question": "zebras", "top_k": 1})
            asked = await session.call_tool("ask_notes", {"question": "Which stripes do zebras have?"})
            wrong = await session.call_tool("ask_notes", {"question": "zebras", "course": "sea"})
            quiz = await session.call_tool("make_quiz", {"wanted": 2})
            assert {"items", "rejected"} == set(json.loads(getattr(quiz.content[0], "text", "")))
            due = await session.call_tool("due_reviews", {})
            assert json.loads(getattr(due.content[0], "text", "")) == {"due": [], "later": 0, "next": None}
            texts = [getattr(result.content[0], "text", "") for result in (search, asked, wrong)]
            assert [search.isError, asked.isError, wrong.isError] == [False, False, True]
            return names, json.loads(texts[0]), texts[1], texts[2]

    for path in ("/mcp", "/gradio_api/mcp/"):
        names, search, asked, wrong = asyncio.run(use(path))
        assert names == {"search_notes", "ask_notes", "make_quiz", "due_reviews"}
        assert [passage["path"] for passage in search["passages"]] == ["zoo/zebra.md"]  # type: ignore[attr-defined]
        assert json.loads(asked)["citations"][0]["quote"] == "Zebras have black and white stripes."
        assert wrong == "no note belongs to a course sea; courses: city, zoo"


def test_no_page_reaches_the_tools(app: Served) -> None:
    assert app.request("POST", "/mcp", {}).status == 401
    assert app.api("POST", "/mcp", {}, origin="http://evil.example").status == 403
    assert app.api("POST", "/gradio_api/mcp/", {}, host="evil.example").status == 421


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = token(tmp_path)
    file = tmp_path / "api-token"
    assert len(made) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert token(tmp_path) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_taken_port_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["ui", "--port", str(port)])
    assert (done.exit_code, done.stderr) == (
        1,
        f"Error: 127.0.0.1 port {port} can't be listened on: something else listens there; "
        "set STUDY_UI_PORT to another (0: any that is free)\n",
    )


def test_until_the_pages_are_there_a_page_waits_and_requests_are_held() -> None:
    import threading

    ready = threading.Event()
    sent: list[Any] = []

    class App:
        """Says that it is there."""

        @property
        def router(self) -> "App":
            return self

        @contextlib.asynccontextmanager
        async def lifespan_context(self, app: object) -> AsyncIterator[None]:
            yield

        async def __call__(self, scope: object, receive: object, send: object) -> None:
            await send({"type": "http.response.start", "status": 299, "headers": []})  # type: ignore[operator]

    def load() -> App:
        assert ready.wait(10)
        return App()

    async def life() -> None:
        door = Door(load, opened=lambda: None, failed=lambda error: None)
        messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        started = asyncio.Event()

        async def said(message: dict[str, object]) -> None:
            if message["type"] == "lifespan.startup.complete":
                started.set()

        async def send(message: dict[str, object]) -> None:
            sent.append(message.get("status") or message.get("body"))

        await messages.put({"type": "lifespan.startup"})
        living = asyncio.create_task(door({"type": "lifespan"}, messages.get, said))
        await asyncio.wait_for(started.wait(), 5)
        await door({"type": "http", "path": "/"}, messages.get, send)
        held = asyncio.create_task(door({"type": "http", "path": "/api/v1/here"}, messages.get, send))
        await asyncio.sleep(0.05)
        assert not held.done()
        ready.set()
        await asyncio.wait_for(held, 5)
        await messages.put({"type": "lifespan.shutdown"})
        await asyncio.wait_for(living, 5)

    asyncio.run(life())
    assert sent[0] == 200
    assert b"Opening your notes" in sent[1]
    assert sent[2:] == [299]


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_says_where_and_ends_in_order(tmp_path: Path, models: Path, told: signal.Signals) -> None:
    settings = settings_in(tmp_path)
    settings.home.mkdir()
    (settings.home / "models").symlink_to(models)
    environment = os.environ | {
        "STUDY_HOME": str(settings.home),
        "STUDY_NOTES": str(settings.notes),
        "STUDY_LLM_URL": NOBODY,
    }
    command = [sys.executable, "-c", "from ui.cli import main; main()", "ui", "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        line = process.stderr.readline()
        assert re.fullmatch(r"the app is at http://127\.0\.0\.1:\d+; Ctrl-C stops it\n", line)
        until = time.monotonic() + 60
        while not list(settings.home.glob("app-*.json")) and time.monotonic() < until:
            time.sleep(0.05)
        assert [stat.S_IMODE(path.stat().st_mode) for path in settings.home.glob("app-*.json")] == [0o600]
        process.send_signal(told)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
        assert list(settings.home.glob("app-*.json")) == []
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
