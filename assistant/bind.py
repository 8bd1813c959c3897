"""Items from elsewhere are bound to the notes, where the notes bear them out."""

from dataclasses import replace

from assistant.check import Ground, follows_schema, key_is_supported
from assistant.cite import best_quote, cite
from assistant.items import BLANK, Evidence, Item
from assistant.retrieve import retrieve
from ingest.shelf import Shelf

PASSAGES = 3
"""How many of the best passages are looked at."""


def bind(item: Item, shelf: Shelf) -> Item:
    """Return an item with the words of the notes that say its answer; without evidence where none do."""
    asked = f"{item.question.replace(BLANK, item.answer)} {item.answer}"
    found = retrieve(asked, shelf.view(), shelf.embedder, top_k=PASSAGES)
    for passage in found.passages:
        chunk = passage.chunk
        citation = cite(1, passage, best_quote(asked, chunk.text))
        evidence = Evidence(
            chunk.path, citation.locator, citation.quote, citation.start, citation.end, chunk.version, chunk.id
        )
        bound = replace(item, evidence=evidence)
        if key_is_supported(bound, Ground("", citation.quote)):
            return replace(bound, checks={"schema": True, "key_supported": True})
    return replace(item, checks={"schema": True, "key_supported": False})


def is_whole(item: Item) -> bool:
    """Return whether an item has what its kind needs."""
    return follows_schema(item, Ground("", ""))
