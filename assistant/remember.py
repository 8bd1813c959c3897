"""An answer on its way to the reader is kept: what terminal, web app and editors all show passes here.

    answer(…) → the same events, one by one → the journal, and the trace where tracing is on

The reader sees every event first. What fails here never costs an answer: it becomes one line of notice.
"""

import time
from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import dataclass

from assistant.answer import Answer, Asked, Event, Found, Wrote, stopped
from assistant.errors import JournalUnavailable
from assistant.explain import explained
from assistant.journal import Journal
from assistant.settings import AssistantSettings
from ingest import trace as tracing


@dataclass(frozen=True, slots=True)
class Remembered:
    """The answer is in the journal; always the last event."""

    id: int
    """Its id there; 0: it could not be kept."""
    notice: str
    """Why it could not be kept, in one line; else empty."""


def remembered(
    events: Generator[Event, None, None],
    settings: AssistantSettings,
    *,
    course: str = "",
    conversation: int = 0,
    journal: Journal | None = None,
) -> Generator[Event | Remembered, None, None]:
    """Pass the events of an answer on; keep the answer, then say under which id.

    Args:
        events: Of `assistant.answer.answer`. Closing this generator closes them; what was written until then is kept.
        settings: What the user set; the learner among it.
        course: Where the search stays.
        conversation: Of which this is a part; 0: none.
        journal: Where to keep it; None: in the learner's, which is opened for this.
    """
    found: Found | None = None
    asked: Asked | None = None
    done: Answer | None = None
    text, moment = "", time.time()

    def keep(answer: Answer) -> Remembered:
        trace = traced(answer)
        try:
            with nullcontext(journal) if journal else closing(Journal.of(settings)) as into:
                id_ = into.asked(
                    answer.as_json(),
                    conversation=conversation,
                    course=course,
                    generation=answer.generation,
                    settings=settings.digest,
                    trace=trace,
                    failure=answer.failure,
                    asked=moment,
                    made=explained(found, asked) if found else None,
                )
        except JournalUnavailable as error:
            return Remembered(0, f"this answer is not in the journal: {error}")
        return Remembered(id_, "")

    def traced(answer: Answer) -> str:
        """Have the answer traced; return the trace's id, empty where tracing is off or failed."""
        if not tracing.on(settings):
            return ""
        from assistant.retrace import send

        return send(answer, found, asked, settings, began=moment, course=course, conversation=conversation)

    try:
        with closing(events):
            for event in events:
                if isinstance(event, Found):
                    found = event
                elif isinstance(event, Asked):
                    asked = event
                elif isinstance(event, Wrote):
                    text = event.text if event.restart else text + event.text
                else:
                    done = event
                yield event
    except (GeneratorExit, KeyboardInterrupt):
        if not done and found and asked and text.strip():
            done = stopped(found, asked, text)
        if done:
            keep(done)
        raise
    if done:
        yield keep(done)
