"""What every request passes first: no other web site gets in, and nothing of a page gets out.

A page of another site that the user has open can send requests to 127.0.0.1, and by rebinding its own name to that
address even read the answers. So the `Host` must be one of ours (rebinding), and `Origin` and `Sec-Fetch-Site` must be
our own (forged requests). Going out, the policy lets a page load and send nothing but from and to here, so an image or
a form that a note or a model wrote can't tell anybody what is on the screen.
"""

import contextlib
import re
import secrets
from collections.abc import Sequence
from ipaddress import ip_address

from ui.web.door import App, Receive, Scope, Send, reply

POLICY = (
    "default-src 'self'; "
    # Gradio makes functions of the `js` of an event, which is what eval stands for; without a nonce no script in a
    # page and no handler in its text runs.
    "script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'self'; "
    "worker-src 'self' blob:; frame-src 'none'; object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, a form's own Origin would be null
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
LASTING = {"/assets/": "private, max-age=31536000, immutable", "/static/": "private, max-age=86400"}
"""How long a browser may keep files of Gradio itself (the first have a hash in their names); nothing else is kept."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""How browsers call this machine."""
PAGES = 4 << 20
"""Longest page of which the scripts get the nonce. Bytes."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address that is listened on."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(listening: str, further: str) -> frozenset[str]:
    """Return the names that the app may be called by.

    Args:
        listening: The address that it listens on.
        further: Names that the user allowed, with commas between them.
    """
    names = {name.strip().lower() for name in further.split(",")} - {""}
    own = {f"[{listening}]" if ":" in listening else listening.lower()} - {"0.0.0.0", "[::]"}
    return LOOPBACK | names | own


class Guard:
    """Refuses what comes from elsewhere; closes what goes out."""

    def __init__(self, app: App, *, hosts: frozenset[str], most_bytes: int) -> None:
        """Args:
        app: What to guard.
        hosts: Names that the app may be called by, without port.
        most_bytes: Longest request.
        """
        self._app, self._hosts, self._most_bytes = app, hosts, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["type"] != "http":  # nothing here speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        way_out = _WayOut(scope, send)
        if refusal := self._refusal(scope, headers):
            await reply(way_out.send, *refusal)
            return
        if way_out.is_page:  # or the scripts in it could not be given their nonce
            scope = scope | {"headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        await self._pass(scope, _Measured(receive, self._most_bytes), way_out)

    async def _pass(self, scope: Scope, measured: "_Measured", way_out: "_WayOut") -> None:
        """Hand the request on; where it turns out to be too long, whatever is answered becomes that."""
        refused = False

        async def send(message: dict[str, object]) -> None:
            nonlocal refused
            if not measured.exceeded or way_out.started:
                await way_out.send(message)
            elif not refused:
                refused = True
                await reply(way_out.send, 413, self._too_long)

        with contextlib.suppress(TooLong):
            await self._app(scope, measured, send)

    @property
    def _too_long(self) -> str:
        return f"a request may carry at most {self._most_bytes >> 20} MiB (STUDY_UI_UPLOAD_MB)\n"

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name_of(host) not in self._hosts:
            return 421, f"this app is not called {host or 'nothing'}; if it is yours, add the name to STUDY_UI_HOSTS\n"
        origin = headers.get("origin")
        if origin is not None and origin.split("://", 1)[-1].lower() != host.lower():
            return 403, f"a page of {origin} may not send requests here\n"
        site = headers.get("sec-fetch-site", "none")
        navigates = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if site not in ("none", "same-origin") and not (scope["method"] in ("GET", "HEAD") and navigates):
            return 403, "another web site may not send requests here\n"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most_bytes:
            return 413, self._too_long
        return None


def _name_of(host: str) -> str:
    """Return a host's name without its port."""
    return re.sub(r":\d*$", "", host.lower())


class TooLong(Exception):
    """A request carries more than it said, or than it may."""


class _Measured:
    """Receives a request, no more of it than it may carry."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most

    @property
    def exceeded(self) -> bool:
        """Return whether it carries more than it may."""
        return self._left < 0

    async def __call__(self) -> dict[str, object]:
        message: dict[str, object] = await self._receive()
        body = message.get("body", b"")
        if isinstance(body, bytes):
            self._left -= len(body)
        if self.exceeded:
            raise TooLong
        return message


class _WayOut:
    """Sends an answer with the headers that close it; the scripts of a page get its nonce."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._nonce = secrets.token_urlsafe(16)
        self._start: dict[str, object] | None = None
        self._page = bytearray()
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        self.is_page = scope["method"] == "GET" and b"text/html" in accept
        """Whether a browser asks for a page to show."""
        self.started = False
        """Whether the answer has begun."""

    async def send(self, message: dict[str, object]) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = self._headers(message.get("headers", []))  # type: ignore[arg-type]
            message = message | {"headers": headers}
            if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                self._start = message  # its length changes
                return
        elif self._start is not None and message["type"] == "http.response.body":
            body = message.get("body", b"")
            assert isinstance(body, bytes)
            self._page += body
            if message.get("more_body") and len(self._page) <= PAGES:
                return
            await self._send_page(bool(message.get("more_body")))
            return
        await self._send(message)

    async def _send_page(self, more: bool) -> None:
        page = with_nonce(bytes(self._page), self._nonce)
        start, self._start = self._start, None
        assert start is not None
        headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]  # type: ignore[attr-defined]
        if not more:
            headers.append((b"content-length", str(len(page)).encode()))
        await self._send(start | {"headers": headers})
        await self._send({"type": "http.response.body", "body": page, "more_body": more})

    def _headers(self, given: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        ours = HEADERS | {"content-security-policy": POLICY.format(nonce=self._nonce)}
        kinds = (kept for top, kept in LASTING.items() if self._scope["path"].startswith(top))
        ours |= {"cache-control": next(kinds, "no-store")}
        kept = [
            (name.lower(), value)
            for name, value in given
            if name.lower().decode("latin-1") not in ours and not name.lower().startswith(b"access-control-")
        ]
        return kept + [(name.encode(), value.encode()) for name, value in ours.items()]


def with_nonce(page: bytes, nonce: str) -> bytes:
    """Return a page whose own scripts may run, app.js first of all on a page of Gradio's.

    Gradio's own way to add a script, `head`, adds it while its components load, which call for ours then."""
    page = page.replace(b"<base ", b'<script src="app.js"></script>\n<base ', 1)  # only Gradio's pages have a base
    return re.sub(rb"<script(?=[\s>])", b'<script nonce="%s"' % nonce.encode(), page)
