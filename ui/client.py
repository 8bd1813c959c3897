"""A question in a terminal finds the running app, whose models are loaded.

The app writes where it listens into `STUDY_HOME/app-….json`, named after the settings in force, so that a terminal with
other notes or settings finds nothing. All of this is standard library, and HTTP by hand: `http.client` takes longer
to import than the app to retrieve.
"""

import hashlib
import json
import os
import socket
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

PATIENCE = 0.1
"""An app that does not say within this time that it is there is not waited for. Seconds."""
SILENCE = 600.0
"""Longest silence in mid-answer: a model server's own limits are shorter. Seconds."""
NOT_OF_ANSWERS = ("home", "app", "ui_", "evaldata", "test_", "no_skip")
"""Beginnings of the settings' names that make no difference to an answer."""
ASK_HERE = frozenset({"NotIndexed", "TooManyQuestions"})
"""Errors of the app that a terminal has an answer to: indexing, and answering by itself."""
PREFIX = "study_"


class AppGone(Exception):
    """The app broke off."""


def as_set() -> dict[str, str]:
    """Return the settings that the user set, by their names in lower case, as the settings classes read them."""
    found: dict[str, str] = {}
    if Path(".env").is_file():
        from dotenv import dotenv_values

        found = {name.lower(): value or "" for name, value in dotenv_values(".env").items()}
    found |= {name.lower(): value for name, value in os.environ.items()}
    return {name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)}


def home_of(settings: Mapping[str, str]) -> Path:
    """Return STUDY_HOME."""
    if told := settings.get("home"):
        return Path(told).expanduser()
    from platformdirs import user_data_path

    return user_data_path("study-assistant")


def identity(settings: Mapping[str, str]) -> str:
    """Return a name that changes with every setting that can change an answer; paths count as what they lead to."""
    told = {name: _place(value) for name, value in settings.items() if not name.startswith(NOT_OF_ANSWERS)}
    told[""] = str(Path(__file__).resolve().parent)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode(errors="replace")).hexdigest()[:16]


def _place(value: str) -> str:
    try:
        path = Path(value).expanduser()
        return str(path.resolve()) if value and path.exists() else value
    except (OSError, RuntimeError, ValueError):
        return value


def file_of(settings: Mapping[str, str]) -> Path:
    """Return the file in which the app with these settings says where it is."""
    return home_of(settings) / f"app-{identity(settings)}.json"


def ask(question: str, **options: Any) -> Generator[dict[str, Any], None, None] | None:
    """Ask the running app; return what happens, as `ui.tell` tells it, or None where no app can answer.

    Raises:
        AppGone: (while the events are read) the app broke off before the answer was there.
    """
    settings = as_set()
    if settings.get("app", "").lower() in ("off", "false", "0", "no", "f", "n"):
        return None
    try:
        where = json.loads(file_of(settings).read_text(encoding="utf-8"))
        token = Path(where["token"]).read_text(encoding="ascii").strip()
        events = _events(where["host"], where["port"], token, {"question": question} | options)
        next(events)  # it is there
        first = next(events)
    except (OSError, ValueError, LookupError, TypeError, StopIteration, AppGone):
        return None
    if first["event"] == "error" and first["kind"] in ASK_HERE:
        events.close()
        return None
    return _again(first, events)


def is_there(told: Mapping[str, Any]) -> bool:
    """Return whether the app answers that said where it is, and this token is its own."""
    try:
        key = Path(told["token"]).read_text(encoding="ascii").strip()
        head = _head("GET", "/api/v1/here", told["host"], told["port"], key)
        with socket.create_connection((told["host"], told["port"]), timeout=1) as connection:
            connection.sendall(head)
            return b" 200 " in connection.recv(64)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _again(
    first: dict[str, Any], events: Generator[dict[str, Any], None, None]
) -> Generator[dict[str, Any], None, None]:
    yield first
    yield from events


def _events(host: str, port: int, token: str, request: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    body = json.dumps(request).encode(errors="replace")
    kinds = "Accept: application/x-ndjson\r\nContent-Type: application/json\r\n"
    head = _head("POST", "/api/v1/answer", host, port, token, f"{kinds}Content-Length: {len(body)}\r\n")
    with socket.create_connection((host, port), timeout=PATIENCE) as connection, connection.makefile("rb") as answer:
        connection.sendall(head + body)
        if b" 200 " not in answer.readline():
            raise AppGone
        while answer.readline().strip():
            pass
        yield json.loads(answer.readline())
        connection.settimeout(SILENCE)
        whole = False
        try:
            for line in answer:
                event = json.loads(line)
                whole = whole or event["event"] in ("answer", "error")
                yield event
        except (OSError, ValueError) as error:
            raise AppGone from error
        if not whole:
            raise AppGone


def _head(method: str, path: str, host: str, port: int, token: str, further: str = "") -> bytes:
    name = f"[{host}]" if ":" in host else host
    lines = f"{method} {path} HTTP/1.0\r\nHost: {name}:{port}\r\nAuthorization: Bearer {token}\r\n"
    return f"{lines}{further}\r\n".encode("ascii")
