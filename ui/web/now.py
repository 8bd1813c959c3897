"""What an open page asks for again and again: who answers, who is logged in, and whether the notes changed.

    {"told": "Qwen3-8B writes the answers.", "kind": "well", "who": "anna", "notes": "7 2f0c…"}

One cheap request, whatever the page shows; no event of Gradio's, which would wait with all others in its queue.
"""

import hashlib
from typing import TYPE_CHECKING

from ui.web.desk import Desk

if TYPE_CHECKING:
    from fastapi import FastAPI

HEAD = (
    '<div class="top"><h1>{title}</h1><form method="post" action="logout" hidden><span></span>'
    '<button class="button">Log out</button></form></div><p role="status"></p>'
)
"""The head of the page; app.js fills in what is told."""


def add_now(app: "FastAPI", desk: Desk) -> None:
    """Add the route to an app."""
    from fastapi import Request

    def now(request: Request) -> dict[str, str]:
        told, well = standing(desk)
        who = request.state.learner if request.state.logged_in else ""
        return {"told": told, "kind": "well" if well else "todo", "who": who, "notes": state_of_notes(desk)}

    app.get("/now", include_in_schema=False)(now)


def standing(desk: Desk) -> tuple[str, bool]:
    """Return who answers, or the command that sets up what is missing; and whether all is well."""
    from assistant import llm

    if not desk.shelf.notes.is_dir():
        return f"There are no notes at {desk.shelf.notes}: set STUDY_NOTES to your folder and start again.", False
    found = desk.model()
    if isinstance(found, llm.Absent):
        return (
            f"No model serves at {desk.settings.llm_url} yet: answers are quotes from your notes, and all else works. "
            "To have a model write them: make serve, or docs/serving.md"
        ), False
    return f"{found.name} writes the answers.", True


def state_of_notes(desk: Desk) -> str:
    """Return what changes whenever the notes, or a sync of them, look otherwise."""
    seen = repr((desk.generation, desk.syncs.last, desk.syncs.elsewhere))
    return hashlib.sha256(seen.encode(errors="replace")).hexdigest()[:16]
