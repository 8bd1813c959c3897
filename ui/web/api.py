"""The API of the running app: what `ask` does, over HTTP, with the same JSON.

    POST /api/v1/answer    one JSON document as `ask --json`, or each event on a line (Accept: application/x-ndjson)
    POST /api/v1/search    passages, and whether they answer the question
    GET  /api/v1/status    as `ask status --json`
    POST /api/v1/sync      starts a sync; GET tells how far it is
    POST /api/v1/quiz      as `ask quiz --json`
    GET  /api/v1/reviews   what is due, as `ask review --json`
    GET  /metrics          for Prometheus
    GET  /api/openapi.json describes all of it

Every request carries the token of STUDY_HOME/api-token (`Authorization: Bearer …`).
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from assistant.errors import ClockWrong
from ingest.errors import IndexUnavailable, LedgerUnavailable, NotIndexed, StudyError, SyncRunning
from ui.errors import TooManyQuestions
from ui.web.desk import Desk

Events = Generator[dict[str, Any], None, None]
NDJSON = "application/x-ndjson"
STATUS: tuple[tuple[type[StudyError], int], ...] = (
    (NotIndexed, 409),
    (SyncRunning, 409),
    (ClockWrong, 409),
    (TooManyQuestions, 429),
    (IndexUnavailable, 503),
    (LedgerUnavailable, 503),
)
"""What an error is in HTTP; any other of ours is 400."""


class Question(BaseModel):
    """A question, and how to answer it."""

    question: str
    top_k: int = Field(default=0, ge=0, le=50, description="Most passages to answer from; 0: STUDY_TOP_K.")
    course: str = Field(default="", description="Sub-folder of the notes to stay in; empty: all.")


class Ask(Question):
    """A question to be answered."""

    use_model: bool = Field(default=True, description="False: quote the notes, ask no model.")
    explain: bool = Field(default=False, description="Tell with the answer how it came about (NDJSON only).")
    live: bool = Field(default=True, description="Send the answer while it is written (NDJSON only).")


class Quiz(BaseModel):
    """What a quiz shall be like."""

    topic: str = Field(default="", description="What it is about, in words; empty: all notes, evenly.")
    course: str = Field(default="", description="Sub-folder of the notes to stay in; empty: all.")
    wanted: int = Field(default=10, ge=1, le=500, description="Most items.")
    kinds: list[str] = Field(default=[], description="Only these kinds; none: all.")
    fresh: bool = Field(default=False, description="Make all of them now, though some are there to be asked.")
    use_model: bool = Field(default=True, description="False: make them by rule, ask no model.")


class Sync(BaseModel):
    """What to sync."""

    within: list[str] = Field(default=[], description="Paths relative to the notes folder; none: all of it.")
    fresh: bool = Field(default=False, description="Read and embed everything again.")
    remove_many: bool = Field(default=False, description="Go on though more than half of the notes would go.")


class Refusal(BaseModel):
    """Why a request came to nothing."""

    error: str = Field(description="One line: what happened, and what to do.")
    kind: str = Field(description="The error's name, for programs: NotIndexed, SyncRunning, QuestionRejected, …")


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "It can't be asked so."},
    401: {"model": Refusal, "description": "Without the token."},
    409: {"model": Refusal, "description": "Nothing is indexed yet, or a sync runs."},
    422: {"model": Refusal, "description": "It is not as described here."},
    429: {"model": Refusal, "description": "So much is being answered that there is no room for one more."},
    503: {"model": Refusal, "description": "The index or its ledger can't be used now."},
}
TOKEN = HTTPBearer(auto_error=False, scheme_name="token", description="What STUDY_HOME/api-token holds.")
"""Says in the description what the gate demands."""


def add_api(app: FastAPI, desk: Desk) -> None:
    """Add the routes to an app."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(TOKEN)], responses=REFUSALS)

    @app.exception_handler(StudyError)
    def refuse(request: Request, error: StudyError) -> JSONResponse:
        return JSONResponse(as_json(error), status_of(error))

    @app.exception_handler(RequestValidationError)
    def reject(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{' '.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return JSONResponse({"error": f"{wrong}; see /api/openapi.json", "kind": "RequestRejected"}, 422)

    @router.post(
        "/answer",
        summary="Answer a question from the notes.",
        response_description="As `ask --json` prints it; with Accept: application/x-ndjson each event on a line.",
    )
    async def answer(ask: Ask, accept: Annotated[str, Header()] = "") -> Any:
        events = lambda: desk.told(  # noqa: E731, made in the thread that reads them
            ask.question, course=ask.course, top_k=ask.top_k, use_model=ask.use_model, explain=ask.explain
        )
        if NDJSON in accept:
            return StreamingResponse(_lines(events, live=ask.live), media_type=NDJSON)
        document: dict[str, Any] = {}
        async for event in in_thread(events):
            if event["event"] == "answer":
                document = event["answer"]
            elif event["event"] == "changed":
                document |= {"changed_since_sync": event["count"]}
        return JSONResponse(document)

    @router.get("/here", include_in_schema=False)
    def here() -> dict[str, bool]:
        return {"warm": desk.is_warm}

    @router.post("/search", summary="Return the passages nearest to a question, best first.")
    def search(question: Question) -> dict[str, Any]:
        return desk.search(question.question, course=question.course, top_k=question.top_k)

    @router.get("/status", summary="Return what is indexed, what is not and why, and the last syncs.")
    def status() -> dict[str, Any]:
        from ui.status import gather

        return gather(desk.shelf, desk.settings)

    @router.post("/sync", status_code=202, summary="Start a sync in the background.")
    def start(wanted: Sync) -> dict[str, Any]:
        return desk.syncs.start(within=wanted.within, fresh=wanted.fresh, remove_many=wanted.remove_many).as_json()

    @router.get("/sync", summary="Tell how far the sync is, or how the last one ended.")
    def syncing() -> dict[str, Any]:
        last = desk.syncs.last
        return {
            "generation": desk.generation,
            "elsewhere": desk.syncs.elsewhere,
            "here": last.as_json() if last else None,
        }

    @router.post("/quiz", summary="Return questions about the notes, each with its answer and the words that bear it.")
    def quiz(wish: Quiz) -> dict[str, Any]:
        return desk.quiz(**wish.model_dump())

    @router.get("/reviews", summary="Return what is due for review, without answers.")
    def reviews(course: str = "", most: Annotated[int, Query(ge=1, le=1000)] = 50) -> dict[str, Any]:
        return desk.due(course=course, most=most)

    @app.get(
        "/metrics",
        dependencies=[Depends(TOKEN)],
        summary="Tell Prometheus of all answers; no learner, question or note is in it.",
    )
    def metrics() -> Response:
        from assistant.figures import exposition

        told, kind = exposition(desk.journals())
        return Response(told, media_type=kind)

    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    def nowhere(request: Request) -> JSONResponse:
        line = f"there is no {request.method} {request.url.path}; see /api/openapi.json"
        return JSONResponse({"error": line, "kind": "NoSuchAddress"}, 404)

    app.include_router(router)


def status_of(error: StudyError) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def as_json(error: StudyError) -> dict[str, Any]:
    """Return an error as it is sent."""
    return {"error": str(error), "kind": type(error).__name__}


async def _lines(events: Callable[[], Events], *, live: bool) -> AsyncIterator[bytes]:
    """Yield each event as a line; the first says that there will be others."""
    yield b'{"event": "here"}\n'
    try:
        async for event in in_thread(events):
            if live or event["event"] != "wrote":
                yield json.dumps(event, ensure_ascii=False).encode(errors="replace") + b"\n"
    except StudyError as error:
        yield json.dumps({"event": "error"} | as_json(error)).encode() + b"\n"


async def in_thread(make: Callable[[], Events]) -> AsyncIterator[dict[str, Any]]:
    """Yield what a generator yields that runs in a thread of its own; it is closed when nobody reads on."""
    loop, queue, gone = asyncio.get_running_loop(), asyncio.Queue[Any](), threading.Event()
    end = object()

    def run() -> None:
        last: Any = end
        try:
            with closing(make()) as events:
                for event in events:
                    if gone.is_set():
                        break
                    loop.call_soon_threadsafe(queue.put_nowait, event)
        except BaseException as error:
            last = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(queue.put_nowait, last)

    threading.Thread(target=run, name="answer", daemon=True).start()
    try:
        while (event := await queue.get()) is not end:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        gone.set()
