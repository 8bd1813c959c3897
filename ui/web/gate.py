"""Who is asking: the owner of the token, a user who logged in, or, on this machine alone, its one learner.

Behind the guard, before everything else. What passes carries the learner's name in `scope["state"]["learner"]`, and
whether somebody logged in by that name in `scope["state"]["logged_in"]`.
"""

import hashlib
import html
import json
import math
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from unicodedata import normalize
from urllib.parse import parse_qs

from ui.show import counted
from ui.token import bears
from ui.users import MOST, Users
from ui.web.door import App, Receive, Scope, Send, reply

TOKEN_PATHS = ("/api/v1", "/metrics", "/gradio_api/mcp", "/mcp")
"""Where programs come in: with the token, and with nothing else."""
READY = "/ready"
"""Tells anybody that the app runs, and nothing else."""
NOW = "/now"
"""What an open page asks by itself, again and again: that nobody is there does not keep a session alive."""
IDLE = "x-study-idle"
"""Header of what a page asks by a timer while nobody touches it."""
COOKIE = "study-session"
LONGEST = 7 * 24 * 3600.0
"""Who is logged in this long has to log in again, busy or not. Seconds."""
FAILURES = 5
"""So many wrong passwords in a row lock a name, with one address."""
FAILURES_IN_ALL = 50
"""So many lock a name, or an address, with any other."""
LOCKED = 900.0
"""How long, and how long a wrong password counts. Seconds."""
MOST_KEPT = 10_000
"""Names and addresses of which failures are remembered."""


@dataclass(slots=True)
class _Session:
    learner: str
    hash: str
    """Of the password: with another one the session ends."""
    began: float
    seen: float


class Attempts:
    """Counts wrong passwords; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], tuple[int, float]] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> float:
        """Count an attempt as a wrong password until it turns out to be right, so that of many at once none slips by.

        Returns the seconds until this name may be tried from this address again; 0: now, and it was counted.
        """
        now = self._clock()
        with self._lock:
            found = [(key, most, *self._failures.get(key, (0, now))) for key, most in _keys(name, address)]
            wait = max((since + LOCKED - now for _, most, count, since in found if count >= most), default=0.0)
            if wait > 0:
                return wait
            for key, _, count, since in found:
                self._failures.pop(key, None)
                self._failures[key] = (count + 1 if now - since < LOCKED else 1, now)
            while len(self._failures) > MOST_KEPT:
                del self._failures[next(iter(self._failures))]  # the one that failed longest ago
        return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Take an attempt back, and forget what this name got wrong from this address before."""
        with self._lock:
            self._failures.pop((name, address), None)
            for key in ((name, ""), ("", address)):
                if found := self._failures.get(key):
                    self._failures[key] = (found[0] - 1, found[1])


def _keys(name: str, address: str) -> list[tuple[tuple[str, str], int]]:
    return [((name, address), FAILURES), ((name, ""), FAILURES_IN_ALL), (("", address), FAILURES_IN_ALL)]


class Gate:
    """Lets in who may come in, under their name."""

    def __init__(
        self,
        app: App,
        *,
        token: str,
        learner: str,
        users: Users,
        closed: bool,
        session_hours: float,
        address_header: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        app: What is behind.
        token: Opens the paths for programs.
        learner: Who it is that brings the token, or comes where nobody has to log in.
        users: Who may log in.
        closed: Let nobody in without logging in; False: only while there are no users.
        session_hours: Who did nothing for this long has to log in again.
        address_header: Header in which a proxy says where a request comes from; empty: there is none to be trusted.
        clock: Seconds that never go back.
        """
        self._app, self._token, self._learner, self._users = app, token, learner, users
        self._closed, self._idle, self._clock = closed, session_hours * 3600, clock
        self._attempts, self._address_header = Attempts(clock), address_header.lower().encode("latin-1")
        self._sessions: dict[str, _Session] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through under a name, or send it away."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if any(path == top or path.startswith(f"{top}/") for top in TOKEN_PATHS):
            if bears(headers.get("authorization", ""), self._token):
                await self._pass(scope, receive, send, self._learner)
            else:
                line = "this wants the token of STUDY_HOME/api-token (Authorization: Bearer …)"
                await _reply_error(send, line, "TokenNeeded", {"www-authenticate": "Bearer"})
            return
        hashes = self._users.hashes()
        if path == READY or not (self._closed or hashes):
            await self._pass(scope, receive, send, self._learner)
        elif path == "/login":
            await self._log_in(scope, receive, send)
        elif path == "/logout":
            await self._log_out(scope, headers, send)
        elif learner := self._who(headers, hashes, path != NOW and IDLE not in headers):
            await self._pass(scope, receive, send, learner, logged_in=True)
        elif scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            await _go(send, "/login")
        else:
            await _reply_error(send, "log in first: /login", "LogInNeeded")

    async def _pass(self, scope: Scope, receive: Receive, send: Send, learner: str, *, logged_in: bool = False) -> None:
        told = {"learner": learner, "logged_in": logged_in}
        await self._app(scope | {"state": scope.get("state", {}) | told}, receive, send)

    def _who(self, headers: dict[str, str], hashes: dict[str, str], busy: bool) -> str:
        key, now = _key(headers), self._clock()
        session = self._sessions.get(key)
        if session is None:
            return ""
        if self._is_over(session, now) or hashes.get(session.learner) != session.hash:
            self._sessions.pop(key, None)
            return ""
        if busy:
            session.seen = now
        return session.learner

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["method"] != "POST":
            await _page(send, 200, "")
            return
        form = parse_qs((await _body(receive)).decode(errors="replace"))
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        name = normalize("NFC", name)  # the user's and the journal's
        address = self._address(scope)
        if wait := self._attempts.begin(name, address):
            minutes = math.ceil(wait / 60)
            line = f"Too many wrong passwords. Try again in {counted(minutes, 'minutes')}."
            await _page(send, 429, line, {"retry-after": str(math.ceil(wait))})
        elif await asyncio.to_thread(self._users.check, name, password):
            self._attempts.succeeded(name, address)
            token, now = secrets.token_urlsafe(32), self._clock()
            self._forget_old(now)
            self._sessions[_digest(token)] = _Session(name, self._users.hashes().get(name, ""), now, now)
            await _go(send, "/", _cookie(scope, token, int(LONGEST)))
        else:
            await _page(send, 401, "This name and this password don't belong together.")

    def _address(self, scope: Scope) -> str:
        """Return where a request comes from; of a list, what the nearest proxy added."""
        told = [value for name, value in scope["headers"] if name == self._address_header]
        if self._address_header and told:
            return str(told[-1].decode("latin-1").rpartition(",")[2].strip())
        return str((scope.get("client") or ("", 0))[0])

    async def _log_out(self, scope: Scope, headers: dict[str, str], send: Send) -> None:
        """End a session; a link alone, which anybody can send, ends none."""
        if scope["method"] != "POST":
            await reply(send, 405, "the page has a button to log out\n", headers={"allow": "POST"})
            return
        self._sessions.pop(_key(headers), None)
        await _go(send, "/login", _cookie(scope, "", 0))

    def _forget_old(self, now: float) -> None:
        self._sessions = {key: one for key, one in self._sessions.items() if not self._is_over(one, now)}

    def _is_over(self, session: _Session, now: float) -> bool:
        return now - session.seen > self._idle or now - session.began > LONGEST


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _key(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        found = None
    return _digest(found.value) if found else ""


def _cookie(scope: Scope, token: str, seconds: int) -> dict[str, str]:
    headers = dict(scope["headers"])  # behind a proxy with TLS only the browser knows that it speaks TLS
    secure = "; Secure" if "https" in (scope["scheme"], headers.get(b"origin", b"")[:5].decode("latin-1")) else ""
    return {"set-cookie": f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"}


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= 4 * MOST:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body


async def _go(send: Send, to: str, headers: dict[str, str] | None = None) -> None:
    await reply(send, 303, "", headers={"location": to} | (headers or {}))


async def _reply_error(send: Send, line: str, kind: str, headers: dict[str, str] | None = None) -> None:
    await reply(send, 401, json.dumps({"error": line, "kind": kind}), "application/json", headers)


async def _page(send: Send, status: int, problem: str, headers: dict[str, str] | None = None) -> None:
    told = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    await reply(send, status, LOG_IN.replace("<!-- problem -->", told), "text/html; charset=utf-8", headers)


LOG_IN = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Log in · Study assistant</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; padding: 0 1rem;
  font: 18px/1.5 system-ui, sans-serif; background: #fff; color: #1f2937 }
form { display: grid; gap: .75rem; width: min(20rem, 90vw) }
label { display: grid; gap: .25rem }
input, button { font: inherit; padding: .5rem .75rem; border-radius: .5rem; border: 1px solid #6b7280 }
button { background: #1d4ed8; color: #fff; border-color: #1d4ed8; cursor: pointer }
:focus-visible { outline: 3px solid #60a5fa; outline-offset: 2px }
[role=alert] { margin: 0; color: #b91c1c }
@media (prefers-color-scheme: dark) {
  body { background: #0b0f19; color: #f3f4f6 }
  [role=alert] { color: #fca5a5 }
}
</style>
</head>
<body>
<main>
<h1>Study assistant</h1>
<form method="post" action="/login">
<!-- problem -->
<label>Name <input name="name" autocomplete="username" autocapitalize="none" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
</main>
</body>
</html>
"""
