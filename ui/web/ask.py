"""The Ask tab: a conversation with the notes, its sources beside it."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from assistant.answer import Answer, Asked, Found, Wrote, passage_json
from assistant.journal import Conversation, Journal, Kept
from assistant.remember import Remembered
from ingest.errors import StudyError
from ui.web import turn as turns
from ui.web.desk import Desk
from ui.web.hood import hood_html
from ui.web.parts import CLICKS, FOLLOW, HISTORY, QUIET, REVEAL, Event, learner_of
from ui.web.render import empty, escaped
from ui.web.source import note_html, source_html

FRAME = 0.08
"""Seconds between two pictures of an answer that is being written."""
CROWD = 8
"""With more answers at once there are fewer pictures of each: what Gradio does for a picture keeps all others waiting
(docs/LOG.md)."""
STOPPING = 3.0
"""Longest wait for an answer that was stopped to be kept. Seconds."""
EVERYWHERE = "All notes"
_SIDE = empty("Sources open here: press a number in an answer to read the exact passage.")
_WELCOME = (
    '<div class="welcome"><h2>What do you want to know?</h2>'
    "<p>Answers come from your notes alone; each number leads to the exact passage.</p></div>"
)
_UNDO = (
    '<p role="status">Removed from the history; its figures and test questions stay. '
    '<button type="button" class="button" data-do="restore" data-conversation="{}">Undo</button></p>'
)
NOT_THERE = "My notes don’t say this"
_WRONG = (
    "It is wrong",
    "It does not answer my question",
    "My notes know this",
    "The source does not say it",
    NOT_THERE,
)


@dataclass
class Talk:
    """What this page knows of its conversation; the journal keeps what must last."""

    conversation: int = 0
    """Its id in the journal; 0: nothing was asked yet."""
    pointed: int = 0
    """The answer whose thumb was pressed last."""


class AskTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.talk = gr.State(Talk())
        self.where = gr.BrowserState(0, storage_key="study-conversation", secret="an id is no secret")
        with gr.Sidebar(open=False, label="History", elem_id="history"):
            self.fresh = gr.Button("New conversation", size="sm", elem_id="fresh")
            self.search = gr.Textbox(
                placeholder="Search what you asked", label="Search what you asked", elem_id="search"
            )
            self.past = gr.HTML(elem_id="past", js_on_load=HISTORY)
        with gr.Row(elem_id="ask"):
            with gr.Column(scale=3, elem_id="talk"):
                self.log = gr.HTML(_WELCOME, elem_id="log", js_on_load=CLICKS)
                self.live = gr.HTML(elem_id="live", js_on_load=FOLLOW)
                self._lay_bar()
            with gr.Column(scale=2, elem_id="side"):
                self._lay_complaint()
                self.side = gr.HTML(_SIDE, elem_id="panel", js_on_load=REVEAL)
        self._wire()

    def _lay_bar(self) -> None:
        with gr.Column(elem_id="bar"):
            self.box = gr.Textbox(
                placeholder="Ask your notes …",
                label="Question",
                show_label=False,
                lines=1,
                max_lines=6,
                autofocus=True,
                elem_id="question",
            )
            with gr.Row(elem_id="bar-tools"):
                self.course = gr.Dropdown(
                    [EVERYWHERE],
                    value=EVERYWHERE,
                    label="Course",
                    show_label=False,
                    scale=2,
                    min_width=120,
                    elem_id="course",
                )
                self.send = gr.Button("Ask", variant="primary", scale=1, min_width=80, elem_id="send")
                self.stop = gr.Button("Stop", scale=1, min_width=80, elem_id="stop", visible=False)

    def _lay_complaint(self) -> None:
        with gr.Group(visible=False, elem_id="wrong") as self.complaint:
            self.kind = gr.Radio(list(_WRONG), label="What was wrong?")
            self.words = gr.Textbox(label="In your words (optional)")
            self.right = gr.Dropdown([], value=None, label="The note that has the answer (optional)")
            self.keep = gr.Button("Keep as a test question", variant="primary")

    def _wire(self) -> None:
        shown = [self.log, self.live, self.box, self.send, self.stop, self.talk, self.where, self.past]
        asking = gr.on([self.box.submit, self.send.click], self.ask, [self.box, self.course, self.talk], shown, **QUIET)
        stopping = self.stop.click(None, None, None, cancels=[asking], show_progress="hidden")
        stopping.then(self.stopped, [self.where], [self.log, self.live, self.send, self.stop, self.talk], **QUIET)
        beside = [self.side, self.complaint, self.log, self.talk, self.right]
        for part in (self.log, self.live, self.side):
            pressing = part.select(self.pressed, [self.talk], beside, **QUIET)
            pressing.then(None, js="() => study.complaint()", **QUIET)
        page = [self.talk, self.where, self.log, self.live, self.side]
        self.past.select(self.chosen, [self.talk, self.search], [*page, self.past], **QUIET)
        self.fresh.click(self.begin, None, page, **QUIET)
        self.search.change(self.searched, [self.search], [self.past], trigger_mode="always_last", **QUIET)
        self.keep.click(
            self.complained, [self.talk, self.kind, self.words, self.right], [self.complaint, self.side], **QUIET
        )

    def load(self, conversation: int | None, request: gr.Request) -> tuple[Any, ...]:
        """Show the conversation that this browser was in, as it was: for `talk, log, past, course`."""
        journal = self._desk.journal(learner_of(request))
        kept = journal.conversation(int(conversation or 0))
        names = self._desk.shelf.ledger.courses()
        talk = Talk(conversation=kept[0].conversation if kept else 0)
        return talk, log_html(journal, kept), past_html(journal), gr.update(choices=[EVERYWHERE, *names])

    def ask(self, question: str, course: str, talk: Talk, request: gr.Request) -> Iterator[dict[Any, Any]]:
        """Answer a question; yield what is to be shown meanwhile."""
        question = question.strip()
        if not question:
            return
        log, past = gr.skip(), gr.skip()
        try:
            journal = self._desk.journal(learner_of(request))
            if not talk.conversation:
                talk.conversation, log = journal.start(question[:80]), ""
            doing = "Looking in your notes …" if self._desk.generation else "Reading your notes for the first time …"
            yield {
                self.log: log,
                self.live: turns.waiting_html(question, doing),
                self.box: "",
                self.send: gr.update(visible=False),
                self.stop: gr.update(visible=True),
                self.talk: talk,
                self.where: talk.conversation,
            }
            place, live = "" if course == EVERYWHERE else course, ""
            for live in self._pictures(question, place, talk, learner_of(request)):
                if live:
                    yield {self.live: live}
            log, past = log_html(journal, journal.conversation(talk.conversation)), past_html(journal)
        except StudyError as error:
            live = turns.failed_html(question, str(error))
        yield {
            self.log: log,
            self.live: live,
            self.send: gr.update(visible=True),
            self.stop: gr.update(visible=False),
            self.talk: talk,
            self.where: talk.conversation,
            self.past: past,
        }

    def _pictures(self, question: str, course: str, talk: Talk, learner: str) -> Iterator[str]:
        """Yield what the turn looks like, again and again; at the end nothing, where it is in the journal."""
        answer: Answer | None = None
        passages: list[dict[str, Any]] = []
        text, doing, drawn = "", "Looking for a model server …", 0.0
        events = self._desk.answer(question, learner=learner, course=course, conversation=talk.conversation)
        with closing(events):
            for event in events:
                if isinstance(event, Found):
                    passages = [passage_json(n, one) for n, one in enumerate(event.retrieval.passages, start=1)]
                elif isinstance(event, Asked):
                    doing = f"{event.model} reads the passages …"
                elif isinstance(event, Wrote):
                    text = event.text if event.restart else text + event.text
                    doing = "Writing …" if text else "Thinking …"
                    if time.monotonic() - drawn < FRAME * max(1.0, self._desk.answering / CROWD):
                        continue
                elif isinstance(event, Answer):
                    answer = event
                    continue
                elif isinstance(event, Remembered):
                    assert answer is not None
                    notice = "; ".join(filter(None, (answer.notice, event.notice)))
                    yield "" if event.id else turns.answered_html(answer.as_json() | {"notice": notice}, 0)
                    return
                drawn = time.monotonic()
                yield turns.writing_html(question, text, passages, doing)

    def stopped(self, conversation: int | None, request: gr.Request) -> tuple[Any, ...]:
        """The answer was stopped: show what was written until then, once it is in the journal."""
        learner = learner_of(request)
        journal = self._desk.journal(learner)
        end = time.monotonic() + STOPPING
        while self._desk.asked_by(learner) and time.monotonic() < end:
            time.sleep(0.02)
        kept = journal.conversation(int(conversation or 0))
        talk = Talk(conversation=kept[0].conversation if kept else 0)
        return log_html(journal, kept), "", gr.update(visible=True), gr.update(visible=False), talk

    def begin(self) -> tuple[Any, ...]:
        """Begin a new conversation."""
        return Talk(), 0, _WELCOME, "", _SIDE

    def chosen(self, event: gr.EventData, talk: Talk, search: str, request: gr.Request) -> tuple[Any, ...]:
        """Open a conversation of the history, take it out, or put it back."""
        pressed, journal = Event(event), self._desk.journal(learner_of(request))
        number = pressed.number("conversation")
        if pressed.action == "open":
            kept = journal.conversation(number)
            found = Talk(conversation=kept[0].conversation if kept else 0)
            return found, found.conversation, log_html(journal, kept), "", _SIDE, gr.skip()
        removed = pressed.action == "remove"
        journal.remove(number, removed)
        past = (_UNDO.format(number) if removed else "") + past_html(journal, search)
        here = self.begin() if removed and number == talk.conversation else (gr.skip(),) * 5
        return *here, past

    def searched(self, text: str, request: gr.Request) -> str:
        """Show what of the history matches."""
        return past_html(self._desk.journal(learner_of(request)), text)

    def pressed(self, event: gr.EventData, talk: Talk, request: gr.Request) -> dict[Any, Any]:
        """Do what a button in the conversation says."""
        pressed = Event(event)
        plain = {self.complaint: gr.update(visible=False)}
        if pressed.action == "note":
            return {self.side: note_html(self._desk.shelf, pressed.text("note")), **plain}
        journal = self._desk.journal(learner_of(request))
        kept = journal.answer(pressed.number("turn"))
        if kept is None:
            return {self.talk: talk}
        if pressed.action in ("source", "passage"):
            listed = kept.document["citations" if pressed.action == "source" else "passages"]
            chosen = next((one for one in listed if one["n"] == pressed.number("n")), None)
            if chosen is None:
                return {self.talk: talk}
            return {self.side: source_html(self._desk.shelf, chosen, kept.document["passages"]), **plain}
        if pressed.action == "hood":
            return {self.side: self._hood(kept, journal.made(kept.id)), **plain}
        if pressed.action in ("up", "down"):
            journal.feedback(kept.id, pressed.action == "up")
            talk.pointed = kept.id
            return {
                self.complaint: gr.update(visible=pressed.action == "down"),
                self.log: log_html(journal, journal.conversation(kept.conversation)),
                self.talk: talk,
                self.right: gr.update(choices=sorted(self._desk.shelf.ledger.notes())),
            }
        return {self.talk: talk}

    def topic(self, event: gr.EventData, request: gr.Request) -> tuple[Any, str]:
        """Go to the quiz, with a question that was asked as its topic."""
        kept = self._desk.journal(learner_of(request)).answer(Event(event).number("turn"))
        asked = kept.document.get("standalone") or kept.question if kept else ""
        return gr.update(selected="quiz"), asked

    def complained(
        self, talk: Talk, kind: str | None, words: str, note: str | None, request: gr.Request
    ) -> tuple[Any, ...]:
        """Keep what was wrong, and make it a case of the learner's own tests where it is said what is right."""
        from eval.mine import NothingToScore, case_from, cases_path, keep_case

        learner = learner_of(request)
        journal = self._desk.journal(learner)
        kept = journal.answer(talk.pointed)
        if kept is None:
            return gr.update(visible=False), _SIDE
        wrong = ": ".join(filter(None, (kind, words.strip())))
        journal.feedback(kept.id, False, wrong, note or "")
        told = "Kept: every night, and ask eval --mine, ask this again."
        try:
            case = case_from(kept, journal.feedbacks(kept.id)[-1], not_in_notes=kind == NOT_THERE)
            keep_case(cases_path(self._desk.of(learner)), case)
        except NothingToScore:
            told = "Kept. To have it tested, name the note that has the answer."
        return gr.update(visible=False), f'<section class="source empty"><p role="status">{told}</p></section>'

    def _hood(self, kept: Kept, made: dict[str, Any]) -> str:
        if not made:
            return empty("How this answer came about was not kept.")
        shelf = self._desk.shelf
        return hood_html(kept, made, shelf.embedder, shelf.view())


def log_html(journal: Journal, kept: list[Kept]) -> str:
    """Return a conversation from the journal, as it was when it was held."""
    thumbs = {one.answer: "up" if one.good else "down" for one in journal.feedbacks()} if kept else {}
    return "".join(turns.answered_html(one.document, one.id, thumbs.get(one.id, "")) for one in kept) or _WELCOME


def past_html(journal: Journal, text: str = "") -> str:
    """Return the history: all conversations, or those in which the words of `text` stand."""
    listed: list[Conversation] = journal.conversations()
    if text.strip():
        wanted = {kept.conversation for kept in journal.search(text)}
        listed = [one for one in listed if one.id in wanted]
    items = "".join(
        f'<li><button type="button" class="link" data-do="open" data-conversation="{one.id}">'
        f"{escaped(one.title)}</button><small>{time.strftime('%d %b, %H:%M', time.localtime(one.last))}</small>"
        f'<button type="button" class="button" data-do="remove" data-conversation="{one.id}" '
        f'aria-label="Remove from the history: {escaped(one.title)}">Remove</button></li>'
        for one in listed
        if one.answers
    )
    return f"<ul>{items}</ul>" if items else "<p>Nothing yet.</p>" if not text.strip() else "<p>Nothing found.</p>"
