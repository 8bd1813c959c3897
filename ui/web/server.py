"""The process of the web app: one socket, one guard, pages and API behind it."""

import asyncio
import contextlib
import errno
import importlib.metadata
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui import client
from ui.errors import PortTaken
from ui.settings import UiSettings
from ui.token import token
from ui.users import Users
from ui.web.desk import Desk
from ui.web.door import App, Door
from ui.web.gate import Gate
from ui.web.guard import Guard, hosts_of, is_loopback
from ui.web.presence import present

if TYPE_CHECKING:
    import fastapi

LINGER = 3
"""Longest that open requests are waited for at the end. Seconds."""


def listen(settings: UiSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises:
        PortTaken: It can't.
    """
    host, port = settings.ui_host.strip("[]"), settings.ui_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        reason = "something else listens there" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
        raise PortTaken(host, port, reason) from error
    return listening


def reachable(listening: socket.socket) -> tuple[str, int]:
    """Return host and port at which this machine reaches a socket that listens."""
    host, port = listening.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port


def address_of(listening: socket.socket) -> str:
    """Return the address to open in a browser."""
    host, port = reachable(listening)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def pages(desk: Desk, uploads: Path) -> "fastapi.FastAPI":
    """Return the app with all pages and the API.

    Args:
        desk: What they work on.
        uploads: Where files are kept until they are notes.
    """
    from ui.web import load

    gradio = load.gradio(uploads)

    from fastapi import FastAPI
    from fastapi.responses import FileResponse

    from ui.web import app as ours
    from ui.web.api import add_api
    from ui.web.now import add_now
    from ui.web.tools import Tools

    version = importlib.metadata.version("study-assistant")
    tools = Tools(desk)
    app = FastAPI(
        title="Study assistant",
        version=version,
        docs_url=None,  # their page would come from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=tools.lifespan,
    )
    add_api(app, desk)
    add_now(app, desk)
    tools.add_to(app)

    @app.get("/app.js", include_in_schema=False)
    def script() -> FileResponse:
        return FileResponse(Path(__file__).parent / "app.js")

    blocks = ours.build(desk)
    settings = desk.settings
    blocks.queue(max_size=4 * settings.ui_questions, default_concurrency_limit=settings.ui_questions, api_open=False)
    blocks.delete_cache = (3600, 86400)  # uploads that never became notes go after a day
    private = (settings.home.expanduser().resolve(), desk.shelf.notes)
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=[str(path) for path in private],
        show_error=True,
        max_file_size=settings.max_file_mb << 20,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=ours.THEME,
        css=ours.CSS,
        auth_dependency=learner_of,
    )
    return app


def learner_of(request: "fastapi.Request") -> str:
    """Return whose request it is."""
    learner: str = request.scope["state"]["learner"]
    return learner


class Service:
    """The server, from listening to its end."""

    def __init__(
        self,
        desk: Desk,
        listening: socket.socket,
        *,
        load: Callable[[Desk, Path], Any] = pages,
        opened: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Args:
        desk: What is served.
        listening: Where; `listen` makes it.
        load: Makes the pages, in a thread.
        opened: Told the address when the pages are there.
        """
        self.desk, self.url, self._socket = desk, address_of(listening), listening
        self._load, self._tell = load, opened
        self._as_set, self._present = client.as_set(), contextlib.ExitStack()
        self._host: str = listening.getsockname()[0]
        self.failure: BaseException | None = None
        """Why the pages could not be made."""

    def app(self) -> App:
        """Return what the server runs."""
        settings, home = self.desk.settings, self.desk.settings.home.expanduser().resolve()
        door = Door(lambda: asyncio.run(self._pages()), opened=self._opened, failed=self._failed)
        gate = Gate(
            door,
            token=token(home),
            learner=settings.learner,
            users=Users(home),
            closed=not (is_loopback(self._host) or settings.ui_trust_network),
            session_hours=settings.ui_session_hours,
            address_header=settings.ui_address_header,
        )
        return Guard(gate, hosts=hosts_of(self._host, settings.ui_hosts), most_bytes=settings.ui_upload_mb << 20)

    async def _pages(self) -> Any:
        """Make the pages, in a loop: Gradio opens one for each of its locks where none runs, and closes none."""
        return self._load(self.desk, self._uploads)

    def _opened(self) -> None:
        self._tell(self.url)
        self.desk.warm_up(self._show)

    def _show(self) -> None:
        with contextlib.suppress(OSError):  # then terminals answer by themselves
            host, port = reachable(self._socket)
            self._present.enter_context(present(self._as_set, self.url, host, port, self.desk.shelf.notes))

    def _failed(self, error: BaseException) -> None:
        self.failure = error
        self.stop()

    def run(self) -> bool:
        """Serve until told to stop, then end in order; return whether nothing is left running in the background.

        Raises:
            StudyError: What kept the pages from being made.
        """
        import uvicorn

        class Server(uvicorn.Server):
            """Ends in order on a signal, where uvicorn's own would raise it again before all is put away."""

            def handle_exit(self, sig: int, frame: Any) -> None:
                self.force_exit = self.should_exit
                self.should_exit = True

        config = uvicorn.Config(
            self.app(),
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=LINGER,
            proxy_headers=False,
        )
        self._server = Server(config)
        with (
            self._socket,
            self._present,
            tempfile.TemporaryDirectory(prefix="study-", ignore_cleanup_errors=True) as uploads,
        ):
            self._uploads = Path(uploads)
            asyncio.run(self._server.serve(sockets=[self._socket]))
        if self.failure:
            raise self.failure
        return self.desk.finish(LINGER)

    def stop(self) -> None:
        """Stop serving; `run` returns."""
        self._server.should_exit = True
