"""One HTTP request to the model server, no step of which outlasts its deadline.

It stands on http.client, which is there at once (httpx takes 145 ms to import, openai 590). Every request
has a thread and a connection of its own. So a deadline holds for all of it: the look-up of a name, the TLS
handshake, a server that sends nothing but keep-alive comments (with a client's own timeouts each byte
starts the clock anew). Callers on many threads share nothing, and hanging up works at once.

The server is talked to directly: notes do not pass through a proxy because a variable happens to be set.
Redirects are not followed.
"""

import json
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import quote, urlsplit

from assistant.errors import AnswerCut, AnswerJunk, ServerError, ServerUnreachable
from assistant.settings import AssistantSettings

_CONNECT_S = 5.0
_LINE_BYTES = 4 << 20

Refusal = Callable[[int, str, str], ServerError]
"""Makes an error of ours from a status that is not 200, the body and the Retry-After header."""


class Server:
    """Where STUDY_LLM_URL leads, and the key to it."""

    def __init__(self, settings: AssistantSettings) -> None:
        address = settings.llm_url.strip().rstrip("/")
        self.url = " ".join(address.rpartition("@")[2].split())
        """For messages: without user name and password."""
        self._key = settings.llm_api_key
        try:
            parts = urlsplit(address)
            self.host, port = parts.hostname or "", parts.port
            known = parts.scheme in ("http", "https") and re.fullmatch(r"[\w.:%-]+", self.host)
        except ValueError:  # Its words may hold a part of a password.
            known = False
        if not known:
            remedy = "set STUDY_LLM_URL to http://host:port/v1 or https://host/v1"
            raise ServerUnreachable(self.url, "that is no address", remedy)
        if "@" in parts.netloc:
            raise ServerUnreachable(self.url, "its address holds a password", "use STUDY_LLM_API_KEY instead")
        key = self._key.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise ServerUnreachable(self.url, "the key is not printable ASCII", "set STUDY_LLM_API_KEY anew")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = port or (443 if self.tls else 80)
        path = quote(parts.path, safe="/%~")
        self.path = path if re.search(r"/v\d", path) else f"{path}/v1"
        """Starts every path of the protocol; '/v1' where the address names no version."""

    def headers(self) -> dict[str, str]:
        key = self._key.get_secret_value()
        auth = {"Authorization": f"Bearer {key}"} if key else {}
        return {"Content-Type": "application/json", "User-Agent": "study-assistant", **auth}

    def said(self, text: str, most: int = 200) -> str:
        """Return the server's words as the end of a message: one short line, without the key."""
        line, key = " ".join(text.split()), self._key.get_secret_value()
        line = line.replace(key, "***") if key else line
        return f": {line[:most]}" if line else ""


class Exchange:
    """A request on its way and its answer, line by line; all but the waiting happens on another thread."""

    def __init__(
        self,
        server: Server,
        path: str,
        body: object = None,
        *,
        refusal: Refusal,
        retries: int = 0,
    ) -> None:
        """Send; GET where there is no body.

        Args:
            server: Where to.
            path: From the root, already quoted.
            body: What to send as JSON.
            refusal: See there.
            retries: How often to send again, where `retry_after` of the error says that it is safe.
        """
        self._server = server
        self._refusal = refusal
        self._lines: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self._socket: socket.socket | None = None
        self._closed = Event()
        self.connected = False
        self.trouble: ServerError | None = None
        """Why the last try failed, while the next is awaited."""
        Thread(target=self._run, args=(path, body, retries), daemon=True).start()

    def line(self, until: float) -> bytes | None:
        """Return the next line, None after the last.

        Raises:
            Empty: Nothing came until then (a time of `monotonic`).
            ServerError: What went wrong.
        """
        item = self._lines.get(timeout=max(0.0, until - monotonic()))
        if isinstance(item, Exception):
            raise item
        return item

    def json(self, until: float) -> Any:
        """Return the whole answer; raises as `line` does."""
        try:
            return loads(b"\n".join(iter(lambda: self.line(until), None)))
        except ValueError as error:
            raise AnswerJunk(self._server.url, "not JSON") from error
        finally:
            self.close()

    def close(self) -> None:
        """Hang up, whatever the other thread is at."""
        self._closed.set()
        if self._socket:
            with suppress(OSError):  # It is closed already.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self, path: str, body: object, retries: int) -> None:
        while True:
            try:
                self._talk(path, body)
                return self._lines.put(None)
            except Exception as error:  # Whatever it is, the thread that waits must hear of it.
                self.trouble = self._ours(error)
                again = self.trouble.retry_after if self.trouble and retries else None
                if again is None or self._closed.wait(again):
                    return self._lines.put(self.trouble or error)
                retries -= 1

    def _talk(self, path: str, body: object) -> None:
        server = self._server
        with closing(HTTPConnection(server.host, server.port)) as connection:
            plain = socket.create_connection((server.host, server.port), _CONNECT_S)
            connection.sock = self._socket = plain
            plain.settimeout(None)  # Whoever waits has a deadline, and hangs up when it is over.
            if server.tls:
                tls = server.tls.wrap_socket(plain, server_hostname=server.host, do_handshake_on_connect=False)
                connection.sock = self._socket = tls
                tls.do_handshake()
            if self._closed.is_set():
                return
            self.connected = True
            method, sent = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
            connection.request(method, path, sent, server.headers())
            with connection.getresponse() as answer:
                if answer.status != 200:
                    text = answer.read(65536).decode(errors="replace")
                    raise self._refusal(answer.status, text, answer.headers.get("Retry-After", ""))
                rest = b""
                while data := answer.read1(65536):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._lines.put(line)
                    if len(rest) > _LINE_BYTES:
                        raise AnswerJunk(server.url, "a line without end")
                self._lines.put(rest)

    def _ours(self, error: Exception) -> ServerError | None:
        """Return our name for a fault of the network, None for what is no such fault."""
        url = self._server.url
        ours: ServerError | None = None
        if isinstance(error, ServerError):
            return error
        if self.connected:
            if isinstance(error, OSError | IncompleteRead | RemoteDisconnected):
                ours = AnswerCut(url)
            elif isinstance(error, HTTPException | ValueError):
                ours = AnswerJunk(url, f"not HTTP: {type(error).__name__}")
        elif isinstance(error, OSError | UnicodeError):
            ours = _unreachable(url, error)
        if ours:
            ours.__cause__ = error
        return ours


def _unreachable(url: str, error: OSError | UnicodeError) -> ServerUnreachable:
    """Say why no connection came about."""
    match error:
        case ConnectionRefusedError():
            return ServerUnreachable(url, "nothing listens there", retry_after=0.25)
        case socket.gaierror() | UnicodeError():
            return ServerUnreachable(url, "its name is not known", "check STUDY_LLM_URL")
        case ssl.SSLCertVerificationError():
            why = getattr(error, "verify_message", "unknown")  # Only the C code sets it.
            remedy = "set SSL_CERT_FILE to the certificate of its authority"
            return ServerUnreachable(url, f"its certificate is not trusted ({why})", remedy)
        case ssl.SSLError():
            why = getattr(error, "reason", "unknown")
            return ServerUnreachable(url, f"TLS failed ({why})", "should STUDY_LLM_URL say http://?")
    return ServerUnreachable(url, error.strerror or "it did not take a connection")


def loads(text: str | bytes) -> Any:
    """Parse JSON that may be hostile: deep nesting is a ValueError, half a surrogate pair becomes '?'."""
    text = text.decode() if isinstance(text, bytes) else text
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\ud" in text.lower():
        return json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    return found
