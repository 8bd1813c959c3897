"""Staleness: an edit flags exactly its items, a removed note retires its own, and what returns revives them."""

from dataclasses import replace
from pathlib import Path

import pytest

from assistant import cards
from assistant.errors import ServerUnreachable
from assistant.facts import facts, source
from assistant.items import ACTIVE, FLAGGED, RETIRED, SHORT, Evidence, Item, Items
from assistant.settings import AssistantSettings
from assistant.stale import Stale, mend, refresh
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.scripted import Scripted
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


def test_a_note_renamed_and_edited_at_once_takes_along_what_still_stands(shelf: Shelf, items: Items) -> None:
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    (shelf.notes / "gpu.md").rename(shelf.notes / "cards.md")
    [told] = synced(shelf)
    assert set(told.flagged) == resting_on(items, "**warp**")
    assert told.retired == []
    assert sorted(item.evidence.path for item in items.active()) == ["cards.md"] * 3 + ["net.md"] * 2
    assert mend(items, shelf).rewritten.keys() == resting_on(items, "64 threads")
    assert not refresh(items, shelf)


def test_a_removed_note_retires_its_items_and_its_return_revives_them(shelf: Shelf, items: Items) -> None:
    text, before = (shelf.notes / "net.md").read_text(), items.active()
    (shelf.notes / "net.md").unlink()
    [told] = synced(shelf)
    assert set(told.retired) == resting_on(items, "**InfiniBand**") | resting_on(items, "**spine switch**")
    assert {stored.why for stored in items.every(RETIRED)} == {"its note is gone"}
    assert (
        items.active_ids() == {item.id for item in items.active()} == {item.id for item in before} - set(told.retired)
    )
    (shelf.notes / "net.md").write_text(text)
    [told] = synced(shelf)
    assert len(told.revived) == 2


def test_what_a_kill_kept_from_being_told_is_found_later(shelf: Shelf, items: Items) -> None:
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    sync(shelf)  # nobody is told
    assert len(items.active()) == 6
    refresh(items, shelf)
    assert len(items.active()) == 5
    assert not refresh(items, shelf)


def test_a_flagged_item_is_written_anew_from_the_changed_paragraph(shelf: Shelf, items: Items) -> None:
    old = resting_on(items, "**warp**")
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    synced(shelf)
    told = mend(items, shelf)
    assert set(told.rewritten.values()) == old
    [new] = [item for item in items.active() if item.id in told.rewritten]
    assert "64 threads" in new.evidence.quote
    [gone] = items.every(RETIRED)
    assert gone.why == f"written anew as {new.id}"
    assert items.every(FLAGGED) == []


def test_an_item_whose_words_still_say_it_comes_back_with_the_new_words(shelf: Shelf, items: Items) -> None:
    [id_] = resting_on(items, "**warp**")
    edit(shelf, "gpu.md", "together on one processor.", "together, in lockstep, on one processor of the card.")
    synced(shelf)
    assert [stored.item.id for stored in items.every(FLAGGED)] == [id_]
    told = mend(items, shelf)
    assert (told.verified, told.rewritten) == ([id_], {})
    back = items.get(id_)
    assert back is not None
    assert back.state == ACTIVE
    assert "in lockstep" in back.item.evidence.quote
    assert not refresh(items, shelf)


def own(shelf: Shelf, items: Items, made_by: str = "model scripted, prompt 1") -> Item:
    """Keep a question about warps that no rule would make, alone."""
    [about] = [stored.item for stored in items.every() if "**warp**" in stored.item.evidence.quote]
    item = Item(SHORT, "How many threads run together in a warp?", "32 threads", about.evidence, made_by=made_by)
    items.mark([(about.id, about.evidence, RETIRED, "in the way")])
    items.add([item])
    return item


WARP = "A **warp** is a group of 32 threads that run together on one processor."


@pytest.mark.parametrize(
    "edited",
    [
        "A **warp** is a group of 32 threads that run together on one streaming multiprocessor.",
        "A **warp** is the group of the 32 threads that run together on a processor!",
        "On NVIDIA cards, a **warp** is a group of 32 threads that run together.",
    ],
)
def test_without_a_model_what_keeps_all_words_that_the_question_leans_on_holds(
    shelf: Shelf, items: Items, edited: str
) -> None:
    item = own(shelf, items)
    edit(shelf, "gpu.md", WARP, edited)
    synced(shelf)
    assert mend(items, shelf).verified == [item.id]
    back = items.get(item.id)
    assert back is not None
    assert back.item.evidence.quote == edited
    assert back.item.checks["verified_anew"]


@pytest.mark.parametrize(
    "edited",
    [
        "A **warp** is a group of 64 threads that run together on one processor.",
        "A **warp** is no longer a group of 32 threads that run together on one processor.",
        "A **warp** was a group of 32 threads that run together on one processor, now of 64.",
        "A **warp** is a group of threads that run together on one of 32 processors.",
        "A **wavefront** is a group of 32 threads that run together on one processor.",
        "A **warp** is what weavers know well.",
    ],
)
def test_without_a_model_what_may_make_the_key_wrong_rests(shelf: Shelf, items: Items, edited: str) -> None:
    item = own(shelf, items)
    edit(shelf, "gpu.md", WARP, edited)
    synced(shelf)
    told = mend(items, shelf)
    assert (told.verified, told.rewritten) == ([], {})
    assert [stored.item.id for stored in items.every(FLAGGED)] == [item.id]


def test_with_a_model_the_key_must_be_found_in_the_new_words(shelf: Shelf, items: Items) -> None:
    item = own(shelf, items)
    edit(shelf, "gpu.md", WARP, "In a **warp**, which one processor runs, are always 32 threads.")
    synced(shelf)
    assert mend(items, shelf, Scripted(lambda asked: {"answer": "64 threads"})).verified == []
    reader = Scripted(lambda asked: {"answer": "32 threads" if "are always 32 threads" in asked else "?"})
    assert mend(items, shelf, reader).verified == [item.id]


def test_a_model_that_fails_leaves_the_item_at_rest(shelf: Shelf, items: Items) -> None:
    def fail(asked: str) -> object:
        raise ServerUnreachable("http://127.0.0.1:9/v1", "nothing listens there")

    own(shelf, items)
    edit(shelf, "gpu.md", WARP, "In a **warp**, which one processor runs, are always 32 threads.")
    synced(shelf)
    with pytest.raises(ServerUnreachable):
        mend(items, shelf, Scripted(fail))
    assert len(items.every(FLAGGED)) == 1


def test_an_item_that_is_made_again_word_for_word_does_not_retire_itself(shelf: Shelf, items: Items) -> None:
    [id_] = resting_on(items, "**warp**")
    edit(shelf, "gpu.md", "A **warp** is", "A  **warp**  is")
    synced(shelf)
    assert len(items.every(FLAGGED)) == 1
    assert mend(items, shelf).verified == [id_]
    assert items.every(RETIRED) == []


def test_a_sync_tells_the_learner_what_became_of_the_questions(
    shelf: Shelf, items: Items, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(shelf, "gpu.md", "32 threads", "64 threads")
    (shelf.notes / "net.md").unlink()
    sync(shelf, on_change=lambda _: refresh_items(shelf), remove_many=True)
    assert capsys.readouterr().err == (
        "questions whose words changed: 1; 0 verified anew, 1 written anew, 0 still rest; 2 retired with their note\n"
    )


def test_what_is_there_is_not_written_over_and_what_rests_comes_back_only_if_it_may(shelf: Shelf, items: Items) -> None:
    [item, *_] = items.active()
    other = replace(item, evidence=Evidence("", "", "", 0, 0), explanation="another one")
    assert items.add([other]) == 0
    assert items.active()[0] == item
    items.mark([(item.id, item.evidence, FLAGGED, "its evidence changed")])
    assert items.add([other], revive=False) == 0
    assert [stored.item for stored in items.every(FLAGGED)] == [item]
    assert items.add([item]) == 1
    assert items.every(FLAGGED) == []


def test_no_items_are_made_up_where_there_are_none(settings: AssistantSettings, embedder: Embedder) -> None:
    (settings.notes / "gpu.md").write_text(GPU)
    shelf = Shelf(settings, embedder=embedder)
    sync(shelf, on_change=lambda _: refresh_items(shelf))
    assert not list(Path(settings.home).glob("items-*"))
