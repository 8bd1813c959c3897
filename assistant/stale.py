"""Notes change under the questions: items whose evidence changed rest, those whose note is gone retire.

What an item rests on is an exact quote of one version of a note. When the note has another version, the quote is
looked for in it: found, the item moves along; not found, it is flagged and leaves review until the words that took its
place are found to bear it out (`mend`), or it is written anew. A note that is gone may have been renamed and edited at
once: where most of its quotes stand in one that was read lately, that one is its next version.
It follows from what is stored, not from what is told, so that a kill between a sync and this loses nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from assistant import cards
from assistant.author import solved, write
from assistant.check import Ground, checked
from assistant.facts import Source, facts, plain, source
from assistant.grade import Model
from assistant.items import ACTIVE, FLAGGED, RETIRED, Evidence, Item, Items, Stored
from assistant.words import jaccard, stems
from ingest import sentences
from ingest.chunk import Chunk
from ingest.ledger import Note
from ingest.shelf import Shelf

LEAST_ALIKE = 0.4
"""Share of common stems (Jaccard) above which a sentence can have taken the place of another."""
LATELY = 200
"""Notes that were read last, among which the one is looked for that a note which is gone became."""
AT_ONCE = 50
"""Items that are mended at one go, at most: a model is asked about each."""
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

    @cache
    def lately() -> list[tuple[Note, str]]:
        last = sorted(notes.values(), key=lambda note: -note.read_ns)[:LATELY]
        return [(note, shelf.ledger.text(note.version) or "") for note in last]

    for path, version, all_active in sorted(items.versions()):
        current = path in notes and notes[path].version == version
        if not path or (current and all_active):
            continue
        stored = [one for one in items.of_note(path, version) if one.state != RETIRED or one.why == GONE]
        note = notes.get(path) or by_version.get(version) or _heir(stored, lately)
        if current:  # an edit was taken back
            stored = [one for one in stored if one.state != ACTIVE]
        changes += _of_note(stored, note, shelf, told)
    if changes:
        items.mark(changes)
    return told


def _heir(stored: Sequence[Stored], lately: Callable[[], list[tuple[Note, str]]]) -> Note | None:
    """Return the note in which most of the quotes stand that were asked about until now; None: there is none."""
    quotes = [one.item.evidence.quote for one in stored if one.state != RETIRED]
    standing = ((sum(quote in text for quote in quotes), note) for note, text in (lately() if quotes else ()))
    count, note = max(standing, key=lambda one: one[0], default=(0, None))
    return note if 2 * count > len(quotes) else None


def _of_note(
    stored: Sequence[Stored], note: Note | None, shelf: Shelf, told: Stale
) -> list[tuple[str, Evidence, str, str]]:
    new = source(note, shelf.view(), shelf.ledger) if note else None
    if new is None:
        gone = [one for one in stored if one.state != RETIRED]
        told.retired += [one.item.id for one in gone]
        return [(one.item.id, one.item.evidence, RETIRED, GONE) for one in gone]
    changes = []
    for one in stored:
        found = _relocated(one.item.evidence, new)
        if found:
            (told.moved if one.state == ACTIVE else told.revived).append(one.item.id)
            changes.append((one.item.id, found, ACTIVE, ""))
        elif one.state != FLAGGED:
            told.flagged.append(one.item.id)
            changes.append((one.item.id, replace(one.item.evidence, path=new.path), FLAGGED, CHANGED))
    return changes


def _relocated(evidence: Evidence, new: Source) -> Evidence | None:
    """Return the same quote in another version of its note, the place nearest to the old one; None: it is gone."""
    starts = [match.start() for match in re.finditer(f"(?={re.escape(evidence.quote)})", new.text)]
    for start in sorted(starts, key=lambda start: abs(start - evidence.start)):
        end = start + len(evidence.quote)
        if found := new.evidence(start, end):
            return found
        if chunk := next((one for one in new.chunks if one.start <= start < one.end), None):
            return Evidence(new.path, chunk.place_at(start).locator, evidence.quote, start, end, new.version, chunk.id)
    return None


@dataclass
class Mended:
    """What became of items that rested."""

    verified: list[str] = field(default_factory=list)
    """The changed words still say what they ask."""
    rewritten: dict[str, str] = field(default_factory=dict)
    """Ids of new items → of those whose place they take."""

    def __str__(self) -> str:
        return f"{len(self.verified)} verified anew, {len(self.rewritten)} written anew"


def mend(items: Items, shelf: Shelf, model: Model | None = None) -> Mended:
    """Verify flagged items against what stands where their evidence stood; write anew what no longer holds.

    By rule an item holds only if the new words say all that it takes from the old ones, in the same order; by a
    model, if it finds the key in them. What a model wrote is written anew by a model only, and else rests.

    Raises:
        ServerError: The model failed; what it was not asked about rests on.
    """
    told = Mended()
    for stored in items.every(FLAGGED)[:AT_ONCE]:
        old = stored.item
        note = shelf.ledger.note(old.evidence.path)
        one = source(note, shelf.view(), shelf.ledger) if note else None
        if one is None:
            continue
        if (held := _held(old, one, items.active(), model)) is not None:
            items.add([held])
            told.verified.append(held.id)
            continue
        new = _rewritten(old, one, items.active(), shelf, model)
        if new:
            items.add([new])
            if new.id == old.id:  # the same question, made of the new words
                told.verified.append(new.id)
                continue
            items.mark([(old.id, old.evidence, RETIRED, f"written anew as {new.id}")])
            told.rewritten[new.id] = old.id
    return told


def _held(old: Item, one: Source, existing: Sequence[Item], model: Model | None) -> Item | None:
    """Return an item bound to the words that took the place of its evidence; None where they don't bear it out."""
    found = _successor(old.evidence, one)
    if found is None:
        return None
    quote = found.quote
    explained = plain(quote) if old.explanation == plain(old.evidence.quote) else old.explanation
    item = replace(old, evidence=found, explanation=explained, checks={"verified_anew": True})
    chunk = next(chunk for chunk in one.chunks if chunk.id == found.chunk)
    if model is None and not _says_as_before(item, old.evidence.quote, quote):
        return None
    item, reason = checked(item, Ground(one.text, chunk.readable, existing))
    if not reason and model is not None:
        item, reason = solved(item, chunk.readable, model)
    return None if reason else item


def _successor(evidence: Evidence, one: Source) -> Evidence | None:
    """Return the words that took the place of a quote: as many sentences, most alike it, at least half of its words."""
    spans, old = sentences.spans(one.text), stems(evidence.quote)
    size = max(1, len(sentences.spans(evidence.quote)))
    best, place = LEAST_ALIKE, None
    for first in range(len(spans) - size + 1):
        start, end = spans[first][0], spans[first + size - 1][1]
        new = stems(one.text[start:end])
        alike = jaccard(old, new)
        nearer = place is not None and abs(start - evidence.start) < abs(place[0] - evidence.start)
        if alike > best or (alike == best and nearer):
            best, place = alike, (start, end)
    return one.evidence(*place) if place else None


_TURNING = re.compile(
    r"\b(?:not?|never|no longer|hardly|rarely|seldom|except|unless|until|formerly|former|once|used to|was|were|instead|"
    r"rather|only|but|however|without|false|wrong|myth|if|some|sometimes|may|might|least|most|less|more|fewer|than)\b",
    re.IGNORECASE,
)
"""Words that can make another statement of a sentence that has all the words of the old one."""


def _says_as_before(item: Item, old: str, new: str) -> bool:
    """Return whether new words hold, in the same order, all that an item takes from the old ones, and turn none of it.

    A row of a table says nothing by its order, so it is made anew.
    """
    asked = stems(" ".join((item.question, item.answer, *item.accepted, *item.rubric)))
    before, after = ([one for word in re.findall(r"\w+", text) for one in stems(word)] for text in (old, new))
    leaned = [word for word in before if word in asked]
    said = [word for word in after if word in asked]
    turned = Counter(_TURNING.findall(old.lower())) != Counter(_TURNING.findall(new.lower()))
    numbers = re.findall(r"\d+", old) == re.findall(r"\d+", new)
    return leaned == said and numbers and not turned and not new.lstrip().startswith("|")


def _rewritten(old: Item, one: Source, existing: Sequence[Item], shelf: Shelf, model: Model | None) -> Item | None:
    """Return an item about what stands where an old one's evidence stood; None: there is none, or no model."""
    by_rule = old.made_by.startswith("rule")
    if not by_rule and model is None:
        return None
    near, sources = _around(old.evidence, one), {one.version: one}
    options: dict[str, Any] = {"wanted": 1, "existing": existing, "embed": shelf.embedder.encode}
    options["objective"] = old.objective
    if model is not None and not by_rule:
        made = write(model, near, sources, **options)
    else:
        found, asked = facts(one), f"{old.question} {old.answer}"
        places = {chunk.id: rank for rank, chunk in enumerate(near)}
        ranked = [fact for fact in found if fact.evidence.chunk in places]
        ranked.sort(key=lambda fact: (fact.subject not in asked, places[fact.evidence.chunk]))
        made = cards.make(found, sources, ranked=ranked, **options)
    return next((item for item in made if isinstance(item, Item)), None)


def _around(evidence: Evidence, source: Source) -> list[Chunk]:
    """Return the chunks of a new version where the evidence stood in the old one, the likeliest first."""
    same = [chunk for chunk in source.chunks if chunk.place_at(chunk.start).locator == evidence.locator]
    return sorted(same or source.chunks, key=lambda chunk: abs(chunk.start - evidence.start))[:2]
