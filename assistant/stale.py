"""Notes change under the questions: items whose evidence changed rest, those whose note is gone retire.

What an item rests on is an exact quote of one version of a note. When the note has another version, the quote is
looked for in it: found, the item moves along; not found, it is flagged and leaves review until it is written anew.
It follows from what is stored, not from what is told, so that a kill between a sync and this loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assistant import cards
from assistant.author import write
from assistant.facts import Source, facts, source
from assistant.grade import Model
from assistant.items import ACTIVE, FLAGGED, RETIRED, Evidence, Item, Items, Stored
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
    for path, version, all_active in sorted(items.versions()):
        current = path in notes and notes[path].version == version
        if not path or (current and all_active):
            continue
        note = notes.get(path) or by_version.get(version)
        stored = [one for one in items.of_note(path, version) if one.state != RETIRED or one.why == GONE]
        if current:  # an edit was taken back
            stored = [one for one in stored if one.state != ACTIVE]
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


def rewrite(items: Items, shelf: Shelf, model: Model | None = None, most: int = 50) -> dict[str, str]:
    """Write flagged items anew from what stands where their evidence stood; return old ids by new ones.

    What a model wrote waits for a model; what a rule made is made again by rule.
    """
    written: dict[str, str] = {}
    for stored in items.every(FLAGGED)[:most]:
        old = stored.item
        asked = f"{old.question} {old.answer}"
        by_rule = old.made_by.startswith("rule")
        note = shelf.ledger.note(old.evidence.path)
        one = source(note, shelf.view(), shelf.ledger) if note and (by_rule or model) else None
        if one is None:
            continue
        near = _around(old.evidence, one)
        sources = {one.version: one}
        options: dict[str, Any] = {
            "wanted": 1,
            "existing": items.active(),
            "embed": shelf.embedder.encode,
            "objective": old.objective,
        }
        if by_rule:
            found = facts(one)
            places = {chunk.id: rank for rank, chunk in enumerate(near)}
            ranked = [fact for fact in found if fact.evidence.chunk in places]
            ranked.sort(key=lambda fact: (fact.subject not in asked, places[fact.evidence.chunk]))
            made = cards.make(found, sources, ranked=ranked, **options)
        else:
            assert model is not None
            made = write(model, near, sources, **options)
        new = next((item for item in made if isinstance(item, Item)), None)
        if new:
            items.add([new])
            items.mark([(old.id, old.evidence, RETIRED, f"written anew as {new.id}")])
            written[new.id] = old.id
    return written


def _around(evidence: Evidence, source: Source) -> list[Chunk]:
    """Return the chunks of a new version where the evidence stood in the old one, the likeliest first."""
    same = [chunk for chunk in source.chunks if chunk.place_at(chunk.start).locator == evidence.locator]
    return sorted(same or source.chunks, key=lambda chunk: abs(chunk.start - evidence.start))[:2]
