"""What the tabs share: how a button in their HTML reaches Python, and what a page waits for."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ingest.errors import StudyError, SyncRunning
from ui.errors import Nameless
from ui.web.render import failed

if TYPE_CHECKING:
    import gradio as gr

    from ui.web.desk import Desk

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Of every event: it draws no veil over the page, and is no function that can be called by name."""
WAIT = 0.5
"""Seconds between two looks at the first sync."""

CLICKS = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-do]');
  if (!button || button.disabled) return;
  if (button.dataset.do === 'copy') return study.copy(button);
  if (button.dataset.do === 'back') return study.back();
  if (button.dataset.do === 'beside') return study.beside(button);
  const turn = button.closest('[data-turn]');
  study.pressed(button);
  const leads = ['quiz', 'review', 'add', 'another'].includes(button.dataset.do);
  trigger(leads ? 'submit' : 'select', {...button.dataset, turn: turn ? turn.dataset.turn : ''});
});
element.addEventListener('submit', event => {
  const form = event.target;
  if (!form.dataset.do) return;
  event.preventDefault();
  trigger('select', {...form.dataset, ...Object.fromEntries(new FormData(form))});
});
"""
"""Browser code of a gr.HTML: a press of a button with data-do triggers `select` with its data, or `submit` where it
leads to another tab or exam; a form with data-do triggers `select` with what was filled in.

No attribute is called data-path: Gradio takes whatever has a path for a file."""

REVEAL = CLICKS + "watch('value', () => study.reveal(element));"
"""The same for a panel in which a quote is marked: it scrolls there."""

HISTORY = CLICKS + "study.history(element);"
"""The same for the history, which opens and closes."""

FOLLOW = CLICKS + "watch('value', () => study.follow(element));"
"""The same for an answer that is being written: it comes into view."""

BESIDE = CLICKS + "watch('value', () => study.reveal(element, false));"
"""The same where the panel changes by itself: on a narrow screen the page stays where it is."""

KEYS = CLICKS + "watch('value', () => study.turned(element));"
"""The same for a question: the next one is answered by keyboard at once."""

FOLDERS = CLICKS + "watch('value', () => study.unfold(element)); study.unfold(element);"
"""The same for a tree of folders: those that were opened or closed stay so when it is drawn again."""

LOOK = CLICKS + "document.addEventListener('study-notes', () => trigger('submit'));"
"""The same for what a sync changes: app.js says when there is something to be seen."""


def learner_of(request: "gr.Request") -> str:
    """Return whose page it is.

    Raises:
        Nameless: That is not known.
    """
    if not request.username:
        raise Nameless
    return str(request.username)


def drawn(desk: "Desk", learner: str, html: Callable[[], str]) -> str:
    """Return what takes a while to make, or why there is no room for it: it takes one of the learner's seats."""
    try:
        with desk.seat(learner):
            return html()
    except StudyError as error:
        return failed(str(error))


def first_sync(desk: "Desk", patience: float = 3600.0) -> Iterator[str]:
    """Index notes that never were; yield how far that is.

    Args:
        desk: What all pages share.
        patience: Seconds after which whoever waits goes on without.
    """
    from ui.web.notes import syncing_html

    if desk.generation or not desk.shelf.notes.is_dir():
        return
    with suppress(SyncRunning):
        desk.syncs.start()
    end = time.monotonic() + patience
    while not desk.generation and time.monotonic() < end:
        syncing, elsewhere = desk.syncs.last, desk.syncs.elsewhere
        if not elsewhere and not (syncing and syncing.running):
            return
        yield f"<p>Reading your notes for the first time …</p>{syncing_html(syncing, elsewhere)}"
        time.sleep(WAIT)


class Event:
    """What a pressed button said; the browser can send anything, so nothing is taken for granted."""

    def __init__(self, event: Any) -> None:
        data = getattr(event, "_data", None)
        self._data: dict[str, Any] = data if isinstance(data, dict) else {}

    @property
    def action(self) -> str:
        """What the button is to do."""
        return self.text("do")

    def text(self, name: str) -> str:
        """Return one of its values; empty where it has none."""
        return str(self._data.get(name, ""))

    def number(self, name: str) -> int:
        """Return one of its values as a number; 0 where it is none."""
        value = self.text(name)
        return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0
