"""The MCP server: what editors and agents can do with the notes. Gradio's own, on functions of its own.

It is at /gradio_api/mcp (Gradio's address) and at /mcp, wants the token, and knows nothing of the pages.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ui.web.desk import Desk
from ui.web.door import Receive, Scope, Send

if TYPE_CHECKING:
    from gradio.mcp import GradioMCPServer
    from starlette.applications import Starlette

PATHS = ("/gradio_api/mcp", "/mcp")


class Tools:
    """An ASGI app that speaks MCP."""

    def __init__(self, desk: Desk) -> None:
        self._server = _server(desk)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: "Starlette") -> AsyncIterator[None]:
        """Be ready for requests, in between."""
        async with self._server.manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._server.handle_streamable_http(scope | {"path": f"{PATHS[0]}/", "root_path": ""}, receive, send)

    def add_to(self, app: "Starlette") -> None:
        """Add the routes to an app."""
        from starlette.routing import Route

        app.router.routes += [Route(path, self) for top in PATHS for path in (top, f"{top}/")]


def _server(desk: Desk) -> "GradioMCPServer":
    from gradio import Blocks
    from gradio.events import api
    from gradio.mcp import GradioMCPServer

    def search_notes(question: str, course: str = "", top_k: int = 6) -> str:
        """Search the user's own course notes; returns JSON: the passages nearest to the question, best first, each with
        its path and place, and whether they answer it.

        Args:
            question: What to look for, in plain words.
            course: Stay in this sub-folder of the notes; empty: all of them.
            top_k: Most passages to return, 1 to 50.
        """
        return _json(desk.search(question, course=course, top_k=top_k))

    def ask_notes(question: str, course: str = "") -> str:
        """Answer a question from the user's own course notes alone; returns JSON: the answer with [n] marks, and for
        each mark the exact quote and where it stands. An outcome of not_in_notes means that the notes don't say.

        Args:
            question: One question, in plain words.
            course: Stay in this sub-folder of the notes; empty: all of them.
        """
        with contextlib.closing(desk.told(question, course=course)) as events:
            told = next(event for event in events if event["event"] == "answer")["answer"]
            for _ in events:  # it is kept in the journal
                pass
        return _json({name: told[name] for name in ("outcome", "answer", "citations", "nearest", "notice")})

    def make_quiz(topic: str = "", course: str = "", wanted: int = 5) -> str:
        """Make quiz questions from the user's own course notes; returns JSON: questions of several kinds, each with its
        answer, an explanation, and the exact quote that bears it out.

        Args:
            topic: What they are about, in words; empty: all notes, evenly.
            course: Stay in this sub-folder of the notes; empty: all of them.
            wanted: Most questions, 1 to 50.
        """
        return _json(desk.quiz(topic=topic, course=course, wanted=max(1, min(wanted, 50))))

    def due_reviews(course: str = "", most: int = 20) -> str:
        """List what the user is to review now by spaced repetition; returns JSON: questions without their answers.

        Args:
            course: Only questions of this sub-folder of the notes; empty: all of them.
            most: Most questions to list, 1 to 1000.
        """
        return _json(desk.due(course=course, most=max(1, min(most, 1000))))

    with Blocks(title="Study assistant", analytics_enabled=False) as blocks:
        for tool in (search_notes, ask_notes, make_quiz, due_reviews):
            api(tool, queue=False)  # called in this process: with a queue it would call itself over HTTP
    return GradioMCPServer(blocks)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
