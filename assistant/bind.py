"""Items from elsewhere are bound to the notes, where the notes bear them out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from assistant.cards import Made, Rejected, alike_by
from assistant.check import CHECKS, OPTIONS, Ground, asks, follows_schema, key_is_supported
from assistant.cite import best_quote, cite
from assistant.items import KINDS, MCQ, Evidence, Item
from assistant.retrieve import retrieve
from ingest.shelf import Shelf

PASSAGES = 3
"""How many of the best passages are looked at."""


def bind(item: Item, shelf: Shelf) -> Item:
    """Return an item with the words of the notes that say its answer; without evidence where none do."""
    asked = asks(item)
    found = retrieve(asked, shelf.view(), shelf.embedder, top_k=PASSAGES)
    for passage in found.passages:
        chunk = passage.chunk
        citation = cite(1, passage, best_quote(asked, chunk.text))
        evidence = Evidence(
            chunk.path, citation.locator, citation.quote, citation.start, citation.end, chunk.version, chunk.id
        )
        bound = replace(item, evidence=evidence)
        if key_is_supported(bound, Ground("", citation.quote)):
            return replace(bound, checks={"key_supported": True})
    return replace(item, checks={"key_supported": False})


_NEEDS_EVIDENCE = ("quote_exact", "key_supported")
_MUST = {
    "schema": "something that their kind needs is missing",
    "options_distinct": "two options say the same",
    "new": "there already",
}
"""Checks that an imported question must pass, and what is said where it does not; what it fails of the others is noted:
whoever wrote it may have meant it so."""


def admit(found: Iterable[Item], shelf: Shelf, existing: Sequence[Item]) -> Iterator[Made]:
    """Yield questions from elsewhere, checked as far as that goes without evidence, and bound to the notes.

    Args:
        found: What was read of a file.
        shelf: The notes.
        existing: Items that are there.
    """
    taken, alike = list(existing), alike_by(shelf.embedder.encode)
    for item in found:
        if why := _lacks(item):
            yield Rejected(item, why)
            continue
        ground = Ground("", "", taken, alike)
        passed = {name: check(item, ground) for name, check in CHECKS.items() if name not in _NEEDS_EVIDENCE}
        if failed := next((name for name in _MUST if not passed[name]), ""):
            yield Rejected(item, _MUST[failed])
            continue
        bound = bind(item, shelf)
        taken.append(bound)
        yield replace(bound, checks=passed | bound.checks)


def _lacks(item: Item) -> str:
    """Return what keeps an item from having the form of its kind; empty: nothing."""
    if item.kind == MCQ and len(item.options) != OPTIONS:
        return f"a multiple choice has {OPTIONS} options here, not {len(item.options)}"
    if item.kind not in KINDS:
        return f"there is no form here for “{item.kind}”"
    return "" if follows_schema(item, Ground("", "")) else _MUST["schema"]
