"""Notes change under the questions: items whose evidence changed rest, those whose note is gone retire.

What an item rests on is an exact quote of one version of a note. When the note has another version, the quote is
looked for in it: found, the item moves along; not found, it is flagged and leaves review until it is written anew.
It follows from what is stored, not from what is told, so that a kill between a sync and this loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from assistant.items import ACTIVE, FLAGGED, RETIRED, Evidence, Items, Stored
from ingest.chunk import Chunk, chunk_id
from ingest.ledger import Note
from ingest.shelf import Shelf

CHANGED, GONE = "its evidence changed", "its note is gone"


@dataclass
class Stale:
    """What became of the items, by id."""

    moved: list[str] = field(default_factory=list)
    """The quote stands in the new version, too."""
    flagged: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    revived: list[str] = field(default_factory=list)
    """Flagged or retired before; the quote is back."""

    def __bool__(self) -> bool:
        return bool(self.moved or self.flagged or self.retired or self.revived)


def refresh(items: Items, shelf: Shelf) -> Stale:
    """Bring every item in line with the published notes; quick where no note changed."""
    told = Stale()
    notes = {path: note for path, note in shelf.ledger.notes().items() if note.version}
    by_version = {note.version: note for note in notes.values()}
    changes: list[tuple[str, Evidence, str, str]] = []
    for path, version in sorted(items.versions()):
        if not path or (path in notes and notes[path].version == version):
            continue
        note = notes.get(path) or by_version.get(version)
        stored = [one for one in items.of_note(path, version) if one.state != RETIRED or one.why == GONE]
        changes += _of_note(stored, note, shelf, told)
    if changes:
        items.mark(changes)
    return told


def _of_note(
    stored: Sequence[Stored], note: Note | None, shelf: Shelf, told: Stale
) -> list[tuple[str, Evidence, str, str]]:
    text = shelf.ledger.text(note.version) if note else None
    if note is None or text is None:
        gone = [one for one in stored if one.state != RETIRED]
        told.retired += [one.item.id for one in gone]
        return [(one.item.id, one.item.evidence, RETIRED, GONE) for one in gone]
    chunks = shelf.view().fetch([chunk_id(note.path, note.version, n) for n in range(note.chunks)])
    changes = []
    for one in stored:
        found = relocated(one.item.evidence, note, text, chunks)
        if found:
            (told.moved if one.state == ACTIVE else told.revived).append(one.item.id)
            changes.append((one.item.id, found, ACTIVE, ""))
        elif one.state != FLAGGED:
            told.flagged.append(one.item.id)
            changes.append((one.item.id, one.item.evidence, FLAGGED, CHANGED))
    return changes


def relocated(evidence: Evidence, note: Note, text: str, chunks: Sequence[Chunk]) -> Evidence | None:
    """Return the same quote in another version of its note, the place nearest to the old one; None: it is gone."""
    starts = []
    at = text.find(evidence.quote)
    while at >= 0:
        starts.append(at)
        at = text.find(evidence.quote, at + 1)
    for start in sorted(starts, key=lambda start: abs(start - evidence.start)):
        end = start + len(evidence.quote)
        whole = next((one for one in chunks if one.start <= start and end <= one.end), None)
        if chunk := whole or next((one for one in chunks if one.start <= start < one.end), None):
            locator = chunk.place_at(start).locator
            return replace(
                evidence, path=note.path, locator=locator, start=start, end=end, version=note.version, chunk=chunk.id
            )
    return None
