"""What happens on the way to an answer, as JSON: what the API streams, and what a terminal prints from.

    {"event": "found", "answerable": true, "evidence": 0.83, "passages": [{"n": 1, "path": "a.md", …}]}
    {"event": "asked", "model": "Qwen3-8B", "tokens": 812, "passages": 6}
    {"event": "wrote", "text": "FSDP shards", "thinking": "", "restart": false}
    {"event": "answer", "answer": {…}, "text": "FSDP shards … [1]\\n\\n[1] a.md, § FSDP", "explain": ""}
    {"event": "changed", "count": 2, "notice": "2 notes changed since the last sync; run: ask ingest"}
    {"event": "remembered", "id": 17, "notice": ""}

A terminal prints the same whether the events come from its own process or from the running app.
"""

from collections.abc import Generator
from contextlib import closing
from typing import Any

from assistant.answer import Answer, Asked, Event, Found, Wrote
from assistant.remember import Remembered
from ingest.errors import NotesMissing
from ingest.shelf import Shelf
from ui import show


def told(
    events: Generator[Event | Remembered, None, None], shelf: Shelf, *, explain: bool = False
) -> Generator[dict[str, Any], None, None]:
    """Yield each event as JSON; closing this closes the events.

    Args:
        events: Of `assistant.remember.remembered`.
        shelf: The notes, which may have changed since they were indexed.
        explain: Tell with the answer how it came about.
    """
    found: Found | None = None
    asked: Asked | None = None
    thinking = ""
    with closing(events):
        for event in events:
            if isinstance(event, Found):
                found = event
                yield {
                    "event": "found",
                    "answerable": event.verdict.answerable,
                    "evidence": round(event.verdict.evidence, 4),
                    "passages": event.draft.as_json()["passages"],
                }
            elif isinstance(event, Asked):
                asked = event
                yield {
                    "event": "asked",
                    "model": event.model,
                    "tokens": event.prompt.tokens,
                    "passages": event.prompt.passages,
                }
            elif isinstance(event, Wrote):
                thinking += event.thinking
                yield {"event": "wrote", "text": event.text, "thinking": event.thinking, "restart": event.restart}
            elif isinstance(event, Answer):
                how = show.explain_text(found, asked, event, thinking) if explain and found else ""
                yield {
                    "event": "answer",
                    "answer": event.as_json(),
                    "text": show.answer_text(event),
                    "explain": how,
                }
                yield changed(shelf)  # now that the answer is there, nobody waits for it
            else:
                yield {"event": "remembered", "id": event.id, "notice": event.notice}


def changed(shelf: Shelf) -> dict[str, Any]:
    """Tell how many notes changed since the last sync, with a line about it where any did."""
    from ingest import stale

    count, notice = 0, ""
    try:
        count = stale.changed(shelf)
    except NotesMissing as error:
        notice = f"answered from the last sync: {error}"
    if count:
        notice = f"{show.counted(count, 'notes')} changed since the last sync; run: ask ingest"
    return {"event": "changed", "count": count, "notice": notice}
