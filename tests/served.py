"""The app, served for real on a free port by a thread of the tests."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder
from ui.settings import UiSettings
from ui.token import token
from ui.web.api import add_api
from ui.web.desk import Desk
from ui.web.server import Service, listen

NOTES = {
    "zoo/zebra.md": "# Zebras\n\nZebras have black and white stripes. A zebra lives in a herd of many animals.\n",
    "zoo/lion.md": "# Lions\n\nLions hunt at night. A group of lions is called a pride, and sleeps all day.\n",
    "city/tram.md": "# Trams\n\nTrams run on rails through the city. The last tram leaves at midnight.\n",
}


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Served:
    """A running app."""

    port: int
    token: str
    service: Service

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request as a program would; `host` and other headers by name, with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, named = json.dumps(body), {"content-type": "application/json"} | named
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Reply(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """The same with the token."""
        return self.request(method, path, body, authorization=f"Bearer {self.token}", **headers)


def settings_in(folder: Path, **more: Any) -> UiSettings:
    """Return settings of an installation with a few notes, no model server, and a free port."""
    for name, text in NOTES.items():
        path = folder / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    told: dict[str, Any] = {
        "home": folder / "home",
        "notes": folder / "notes",
        "llm_url": "http://127.0.0.1:9/v1",
        "ui_port": 0,
    }
    return UiSettings(**told | more)


def api_alone(desk: Desk, uploads: Path) -> FastAPI:
    """Return an app without pages: it is there at once."""
    app = FastAPI(openapi_url="/api/openapi.json")
    add_api(app, desk)
    return app


@contextmanager
def served(settings: UiSettings, **how: Any) -> Iterator[Served]:
    """Serve an indexed folder until the end; `how` is for `Service`."""
    shelf = Shelf(settings, embedder=HashedEmbedder(dim=64))
    sync(shelf)
    shelf.close()
    opened = threading.Event()
    desk = Desk(settings, shelf=Shelf(settings, embedder=HashedEmbedder(dim=64)))
    listening = listen(settings)
    service = Service(desk, listening, opened=lambda url: opened.set(), **how)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert opened.wait(60)
        yield Served(listening.getsockname()[1], token(settings.home), service)
    finally:
        service.stop()
        thread.join(30)
        assert not thread.is_alive()
