"""Staleness: an edit flags exactly its items, a removed note retires its own, and what returns revives them."""

from pathlib import Path

import pytest

from assistant import cards
from assistant.facts import facts, source
from assistant.items import FLAGGED, RETIRED, Item, Items
from assistant.settings import AssistantSettings
from assistant.stale import Stale, refresh, rewrite
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync
from ui.open import refresh_items

GPU = """# GPUs

A **warp** is a group of 32 threads that run together on one processor.

A **tensor core** is a unit that multiplies small matrices in a single operation.

The **register file** is the fastest memory of a processor, shared by all of its warps.

An **occupancy figure** is the share of the warps that a processor could hold at most.
"""
NET = """# Networks

**InfiniBand** is a network built for remote direct memory access between the hosts of a cluster.

A **spine switch** is a switch that connects all of the leaf switches of a cluster.
"""


@pytest.fixture
def shelf(settings: AssistantSettings, embedder: Embedder) -> Shelf:
    (settings.notes / "gpu.md").write_text(GPU)
    (settings.notes / "net.md").write_text(NET)
    made = Shelf(settings, embedder=embedder)
    sync(made)
    return made


@pytest.fixture
def items(shelf: Shelf) -> Items:
    kept = Items.of(shelf.folder)
    sources = [one for row in shelf.ledger.notes().values() if (one := source(row, shelf.view(), shelf.ledger))]
    found = [fact for one in sources for fact in facts(one)]
    made = cards.make(found, {one.version: one for one in sources}, wanted=9, embed=shelf.embedder.encode)
    kept.add([one for one in made if isinstance(one, Item)])
    return kept


def edit(shelf: Shelf, name: str, old: str, new: str) -> None:
    path = shelf.notes / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def synced(shelf: Shelf) -> list[Stale]:
    """Sync as the command does, and say what became of the items."""
    told: list[Stale] = []
    sync(shelf, on_change=lambda _: told.append(refresh(Items.of(shelf.folder), shelf)), remove_many=True)
    return told


def resting_on(items: Items, words: str) -> set[str]:
    return {stored.item.id for stored in items.every() if words in stored.item.evidence.quote}


def test_six_facts_gave_six_items(items: Items) -> None:
    assert len(items.active()) == 6


def test_editing_one_paragraph_flags_exactly_its_items_in_the_same_sync(shelf: Shelf, items: Items) -> None:
    edit(shelf, "gpu.md", "a group of 32 threads", "a group of 64 threads")
    [told] = synced(shelf)
    assert set(told.flagged) == resting_on(items, "**warp**")
    assert len(told.flagged) == 1
    assert set(told.moved) == {item.id for item in items.active() if item.evidence.path == "gpu.md"}
    assert {stored.why for stored in items.every(FLAGGED)} == {"its evidence changed"}
    for item in items.active():
        note = shelf.ledger.note(item.evidence.path)
        assert note is not None
        text = shelf.ledger.text(note.version)
        assert text is not None
        assert text[item.evidence.start : item.evidence.end] == item.evidence.quote
        [chunk] = shelf.view().fetch([item.evidence.chunk])
        assert chunk.start <= item.evidence.start < chunk.end


def test_a_paragraph_put_before_moves_the_items_and_flags_none(shelf: Shelf, items: Items) -> None:
    before = {item.id: item.evidence.start for item in items.active()}
    edit(shelf, "gpu.md", "# GPUs\n", "# GPUs\n\nWords that were put here later on.\n")
    [told] = synced(shelf)
    assert told.flagged == []
    assert {item.evidence.start - before[item.id] for item in items.active() if item.evidence.path == "gpu.md"} == {36}


def test_an_edit_that_is_taken_back_revives_the_items(shelf: Shelf, items: Items) -> None:
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    synced(shelf)
    edit(shelf, "gpu.md", "64 threads", "32 threads")
    [told] = synced(shelf)
    assert set(told.revived) == resting_on(items, "**warp**")
    assert len(items.active()) == 6


def test_a_renamed_note_takes_its_items_along(shelf: Shelf, items: Items) -> None:
    (shelf.notes / "gpu.md").rename(shelf.notes / "cards.md")
    synced(shelf)
    assert {item.evidence.path for item in items.active()} == {"cards.md", "net.md"}
    assert len(items.active()) == 6


def test_a_removed_note_retires_its_items_and_its_return_revives_them(shelf: Shelf, items: Items) -> None:
    text = (shelf.notes / "net.md").read_text()
    (shelf.notes / "net.md").unlink()
    [told] = synced(shelf)
    assert set(told.retired) == resting_on(items, "**InfiniBand**") | resting_on(items, "**spine switch**")
    assert {stored.why for stored in items.every(RETIRED)} == {"its note is gone"}
    (shelf.notes / "net.md").write_text(text)
    [told] = synced(shelf)
    assert len(told.revived) == 2


def test_what_a_kill_kept_from_being_told_is_found_later(shelf: Shelf, items: Items) -> None:
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    sync(shelf)  # nobody is told
    assert len(items.active()) == 6
    refresh_items(shelf)
    assert len(items.active()) == 5
    assert not refresh(items, shelf)


def test_a_flagged_item_is_written_anew_from_the_changed_paragraph(shelf: Shelf, items: Items) -> None:
    old = resting_on(items, "**warp**")
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    synced(shelf)
    written = rewrite(items, shelf)
    assert set(written.values()) == old
    [new] = [item for item in items.active() if item.id in written]
    assert "64 threads" in new.evidence.quote
    [gone] = items.every(RETIRED)
    assert gone.why == f"written anew as {new.id}"
    assert items.every(FLAGGED) == []


def test_no_items_are_made_up_where_there_are_none(settings: AssistantSettings, embedder: Embedder) -> None:
    (settings.notes / "gpu.md").write_text(GPU)
    shelf = Shelf(settings, embedder=embedder)
    sync(shelf, on_change=lambda _: refresh_items(shelf))
    assert not list(Path(settings.home).glob("items-*"))
