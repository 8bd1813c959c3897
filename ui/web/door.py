"""The app answers from the first moment: a page that waits, until the pages are there.

Importing Gradio and building the pages takes a second or two. Until then whoever opens the app sees that it opens; its
first request for anything else is held, and answered when all is there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATIENCE = 60.0
"""Longest that a request is held. Seconds."""

WAITING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Study assistant</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center;
  font: 18px/1.5 system-ui, sans-serif; background: #fff; color: #1f2937 }
@media (prefers-color-scheme: dark) { body { background: #0b0f19; color: #f3f4f6 } }
</style>
</head>
<body>
<main><h1>Study assistant</h1><p role="status">Opening your notes …</p></main>
<script>fetch("ready").then(() => location.reload(), () => setTimeout(() => location.reload(), 1000))</script>
<noscript><meta http-equiv="refresh" content="2"></noscript>
</body>
</html>
"""


class Door:
    """An ASGI app that becomes another one when that is loaded."""

    def __init__(
        self, load: Callable[[], App], *, opened: Callable[[], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Args:
        load: Makes the app; called in a thread when the server has started.
        opened: Called when the app is there.
        failed: Told why it could not be made.
        """
        self._load, self._opened, self._failed = load, opened, failed
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, now or when the app is there."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is None and scope["type"] == "http" and scope["path"] == "/":
            await reply(send, 200, WAITING, "text/html; charset=utf-8")
        else:
            await self._wait()
            if self._app is None:
                await reply(send, 503, "the app does not open; see its log\n")
            elif scope["type"] == "http" and scope["path"] == "/ready":
                await reply(send, 200, "ready\n")
            else:
                await self._app(scope, receive, send)

    async def _wait(self) -> None:
        if self._app is None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._ready.wait()
            except TimeoutError:
                pass

    async def _live(self, receive: Receive, send: Send) -> None:
        self._ready, stop = asyncio.Event(), asyncio.Event()
        await receive()
        opening = asyncio.create_task(self._open(stop))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        stop.set()
        await opening
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self, stop: asyncio.Event) -> None:
        """Load the app, begin its life, and end it: in one task, as its task groups want."""
        try:
            app: Any = await asyncio.to_thread(self._load)
            async with app.router.lifespan_context(app):
                self._app = app
                self._ready.set()
                self._opened()
                await stop.wait()
        except Exception as error:
            logging.getLogger(__name__).debug("the app does not open", exc_info=True)
            self._ready.set()
            self._failed(error)


async def reply(
    send: Send,
    status: int,
    text: str,
    kind: str = "text/plain; charset=utf-8",
    headers: dict[str, str] | None = None,
) -> None:
    """Send a whole answer."""
    body = text.encode()
    lines = {"content-type": kind, "content-length": str(len(body))} | (headers or {})
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
