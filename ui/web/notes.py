"""The Notes tab: what is in the folder and what became of it; upload, sync, read, delete, restore."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ingest.errors import StudyError
from ingest.ledger import Note
from ui.nightly import last_nights, night_line
from ui.show import counted
from ui.trash import Trash, Trashed
from ui.upload import Uploaded, take
from ui.web.desk import Desk
from ui.web.parts import CLICKS, FOLDERS, LOOK, QUIET, Event
from ui.web.render import empty, escaped, failed, remark
from ui.web.source import note_html
from ui.web.syncs import Syncing

NIGHTS = 7
NAMED = 200
"""Notes that are named before so many are removed."""
OPENED = 100
"""With more files than that, folders are closed until somebody opens them."""
TOP = "(top of the folder)"
_WELL = {"indexed", "unchanged"}
_ADVICE = {
    "no text layer": "install tesseract and set STUDY_OCR=1, then sync again",
    "encrypted": "save a copy without a password beside it",
    "failed": "open it in its own program and save it again, or save it as PDF",
    "empty": "nothing to do: there is no text in it",
}
_READ = empty("Press a note to read it here, as its citations see it.")


class NotesTab:
    """Lays the tab out; what happens in it is in the methods."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.chosen = gr.State("")
        """Path of the note that is shown."""
        self.seen = gr.State(("", 0))
        """What was drawn last, so that nothing is drawn twice."""
        with gr.Row(elem_id="notes"):
            with gr.Column(scale=3):
                with gr.Row(elem_id="notes-tools"):
                    self.sync = gr.Button("Sync now", variant="primary", scale=1, min_width=110, elem_id="sync")
                    self.again = gr.Button("Read everything again", scale=1, min_width=110)
                self.progress = gr.HTML(elem_id="progress", js_on_load=LOOK)
                self.tree = gr.HTML(elem_id="tree", js_on_load=FOLDERS)
                self._lay_upload()
                with gr.Accordion("Trash", open=False):
                    self.trash = gr.HTML(elem_id="trash", js_on_load=CLICKS)
                with gr.Accordion("The last nights", open=False):
                    self.nights = gr.HTML(elem_id="nights")
            with gr.Column(scale=2, elem_id="note-side"):
                self.note = gr.HTML(_READ, elem_id="note")
                with gr.Row(visible=False) as self.note_tools:
                    self.delete = gr.Button("Move to the trash", elem_id="delete")
                with gr.Row(visible=False) as self.sure:
                    self.yes = gr.Button("Yes, move it", variant="stop", elem_id="delete-yes")
                    self.no = gr.Button("Keep it")
        self._wire()

    def _lay_upload(self) -> None:
        with gr.Accordion("Add notes", open=True):
            self.course = gr.Dropdown(
                [TOP], value=TOP, label="Put them in (a new name makes a new course)", allow_custom_value=True
            )
            self.files = gr.File(
                label="Drop files here", file_count="multiple", height=140, elem_id="upload", type="filepath"
            )
            self.uploaded = gr.HTML(elem_id="uploaded")

    def _wire(self) -> None:
        view = [self.seen, self.progress, self.tree, self.trash, self.nights, self.course]
        self.progress.select(lambda: self.start(remove_many=True), None, [self.progress], **QUIET)
        self.progress.submit(self.look, [self.seen], view, **QUIET)
        self.sync.click(lambda: self.start(), None, [self.progress], **QUIET)
        self.again.click(lambda: self.start(fresh=True), None, [self.progress], **QUIET)
        self.files.upload(self.upload, [self.files, self.course], [self.files, self.uploaded, self.progress], **QUIET)
        one = [self.note, self.chosen, self.note_tools, self.sure]
        self.tree.select(self.read, None, one, **QUIET)
        self.delete.click(lambda: (gr.update(visible=False), gr.update(visible=True)), None, one[2:], **QUIET)
        self.no.click(lambda: (gr.update(visible=True), gr.update(visible=False)), None, one[2:], **QUIET)
        self.yes.click(self.remove, [self.chosen], [*one, self.trash, self.progress], **QUIET)
        self.trash.select(self.restore, None, [self.trash, self.progress], **QUIET)

    def load(self) -> tuple[Any, ...]:
        """Show the folder: for `seen` and all that `look` gives."""
        return self.look(("", 0))

    def look(self, seen: tuple[str, int]) -> tuple[Any, ...]:
        """Show what has changed since the last look: seen, progress, tree, trash, nights, courses."""
        desk, same = self._desk, gr.skip()
        now = syncing_html(desk.syncs.last, desk.syncs.elsewhere)
        ledger = desk.shelf.ledger
        state = (now, ledger.generation)
        if state == tuple(seen):
            return (same,) * 6
        if state[1] == seen[1] and seen[0]:
            return state, now, same, same, same, same
        notes = list(ledger.notes().values())
        return (
            state,
            now,
            tree_html(notes),
            trash_html(Trash(desk.shelf).listed()),
            nights_html(last_nights(desk.shelf.folder, NIGHTS)),
            gr.update(choices=[TOP, *ledger.courses()]),
        )

    def start(self, **options: Any) -> str:
        """Start a sync, or say why not."""
        return self._begin(lambda: self._desk.syncs.start(**options))

    def follow(self) -> str:
        """Sync what was just changed here, now or after the sync that runs."""
        return self._begin(self._desk.syncs.follow)

    def _begin(self, begin: Callable[[], Syncing]) -> str:
        try:
            return syncing_html(begin(), 0)
        except StudyError as error:
            return remark(str(error))

    def upload(self, files: list[str] | None, course: str | None) -> tuple[Any, ...]:
        """Take files into the folder, and sync."""
        settings = self._desk.settings
        where = "" if course in (None, TOP) else str(course)
        try:
            taken = take(
                self._desk.shelf,
                [Path(name) for name in files or []],
                where,
                most_files=settings.ui_upload_files,
                most_mb=settings.max_file_mb,
            )
        except (StudyError, OSError) as error:
            return None, remark(str(error)), gr.skip()
        return None, uploaded_html(taken), self.follow() if any(one.path for one in taken) else gr.skip()

    def read(self, event: gr.EventData) -> tuple[Any, ...]:
        """Show a note."""
        path = Event(event).text("note")
        there = self._desk.shelf.ledger.note(path) is not None
        return note_html(self._desk.shelf, path), path, gr.update(visible=there), gr.update(visible=False)

    def remove(self, path: str) -> tuple[Any, ...]:
        """Move the shown note into the trash, and sync."""
        trash = Trash(self._desk.shelf)
        try:
            trash.delete(path)
            told, progress = f"{path} is in the trash; it can be restored from there.", self.follow()
        except (StudyError, OSError) as error:
            told, progress = str(error), gr.skip()
        hidden = gr.update(visible=False)
        return empty(told), "", hidden, hidden, trash_html(trash.listed()), progress

    def restore(self, event: gr.EventData) -> tuple[Any, ...]:
        """Bring a note back, and sync."""
        pressed, trash = Event(event), Trash(self._desk.shelf)
        try:
            trash.restore(pressed.text("id"), pressed.text("note"))
            return trash_html(trash.listed()), self.follow()
        except (StudyError, OSError) as error:
            return remark(str(error)) + trash_html(trash.listed()), gr.skip()


def syncing_html(syncing: Syncing | None, elsewhere: int) -> str:
    """Return how far a sync is, or what the last one came to."""
    if elsewhere:
        return remark(f"Another program is syncing these notes (process {elsewhere}); it shows here when it is done.")
    if syncing is None:
        return ""
    if syncing.gone:
        return _gone(syncing)
    if syncing.error:
        return failed(syncing.error)
    if syncing.report:
        report = syncing.report
        states = ", ".join(f"{count} {state}" for state, count in report.by_state.items())
        return remark(f"Synced: {states or 'no files'}; {report.chunks} passages; {report.seconds:.1f} s.")
    bars = "".join(
        f'<div class="step"><span>{escaped(step.name)}</span><progress max="{max(step.total, 1)}" value="{step.done}" '
        f'aria-label="{escaped(step.name)}"></progress><span>{step.done} of {step.total}</span></div>'
        for step in syncing.steps
    )
    return f'<div class="steps" role="status">{bars or "Looking at the folder …"}</div>'


def _gone(syncing: Syncing) -> str:
    """Ask whether so many notes shall leave the index."""
    named = "".join(f"<li>{escaped(path)}</li>" for path in syncing.gone[:NAMED])
    more = f"<p>… and {len(syncing.gone) - NAMED} more.</p>" if len(syncing.gone) > NAMED else ""
    return (
        f'<div class="gone" role="alert"><p>{escaped(syncing.error.split(";")[0])}. Nothing was changed. If that is a '
        f"mistake, bring them back and sync again.</p><details><summary>Which notes</summary><ul>{named}</ul>{more}"
        '</details><button type="button" class="button" data-do="forget">Remove them from the index</button></div>'
    )


@dataclass(slots=True)
class _Folder:
    """What lies in a folder."""

    notes: list[Note] = field(default_factory=list)
    folders: "dict[str, _Folder]" = field(default_factory=dict)

    def every(self) -> Iterator[Note]:
        """Yield its notes and those in its folders."""
        yield from self.notes
        for folder in self.folders.values():
            yield from folder.every()


def tree_html(notes: Sequence[Note]) -> str:
    """Return the folder: its folders and notes, each with its state and what to do about it."""
    if not notes:
        return remark("There are no notes yet. Drop some below, or set STUDY_NOTES to a folder that has some.")
    top = _Folder()
    for note in sorted(notes, key=lambda note: note.path):
        folder = top
        for name in note.path.split("/")[:-1]:
            folder = folder.folders.setdefault(name, _Folder())
        folder.notes.append(note)
    return f"<p>{counted(len(notes), 'files')}: {_counts(notes)}</p>{_inside(top, '', len(notes) <= OPENED)}"


def _inside(folder: _Folder, path: str, opened: bool) -> str:
    inner = []
    for name, one in folder.folders.items():
        every = list(one.every())
        here = f"{path}{name}/"
        ill = any(_kind(note) == "ill" for note in every)
        told = counted(len(every), "files") + ("" if all(map(_is_well, every)) else f": {_counts(every)}")
        inner.append(
            f'<details data-folder="{escaped(here)}"{" open" if opened else ""}><summary{" class=ill" if ill else ""}>'
            f"{escaped(name)} <small>{told}</small></summary>{_inside(one, here, opened)}</details>"
        )
    leaves = "".join(map(_leaf, folder.notes))
    return "".join(inner) + (f"<ul>{leaves}</ul>" if leaves else "")


def _counts(notes: Iterable[Note]) -> str:
    counts = Counter(note.state for note in notes)
    return escaped(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))


def _is_well(note: Note) -> bool:
    return note.state in _WELL and not note.lost


def _kind(note: Note) -> str:
    return "well" if _is_well(note) else "skipped" if note.state == "skipped" else "ill"


def _leaf(note: Note) -> str:
    name = note.path.rpartition("/")[2]
    well, kind = _is_well(note), _kind(note)
    why = "; ".join(filter(None, (note.reason, *(f"lost {part}" for part in note.lost))))
    what = f"{note.chunks} passages" if well and not why else f"{note.state}{': ' if why else ''}{why}"
    advice = _ADVICE.get(note.state, "")
    todo = f" <em>{escaped(advice)}</em>" if advice else ""
    return (
        f'<li class="{kind}"><button type="button" class="link" data-do="note" data-note="{escaped(note.path)}">'
        f"{escaped(name)}</button> <small>{escaped(what)}{todo}</small></li>"
    )


def trash_html(trashed: Sequence[Trashed]) -> str:
    """Return what can be restored."""
    items = "".join(
        f"<li><span>{escaped(one.path)} <small>{time.strftime('%d %b, %H:%M', time.localtime(one.deleted))}</small>"
        f'</span><button type="button" class="button" data-do="restore" data-id="{escaped(one.id)}" '
        f'data-note="{escaped(one.path)}" aria-label="Restore {escaped(one.path)}">Restore</button></li>'
        for one in trashed
    )
    return f"<ul>{items}</ul>" if items else remark("Nothing is in it.")


def nights_html(nights: Sequence[dict[str, Any]]) -> str:
    """Return what the last nights did."""
    items = "".join(f"<li>{escaped(night_line(night))}</li>" for night in nights)
    return f"<ul>{items}</ul>" if items else remark("No night has run yet. To have it run: ask nightly --at 02:30")


def uploaded_html(taken: Sequence[Uploaded]) -> str:
    """Return what became of each file."""
    items = "".join(f"<li>{escaped(one.name)}: {escaped(one.reason or f'now {one.path}')}</li>" for one in taken)
    return f'<ul role="status">{items}</ul>'
