"""The index contract, on every store."""

import math
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.chunk import Chunk, Place
from ingest.errors import IndexDamaged
from ingest.index import EdgeStore, Entry, Store
from ingest.server import ServerStore
from tests.fakes import entry
from tests.stores import NOTES, notes, there, vector, write

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode is not recommended"),
]


def edge(tmp_path: Path) -> Store:
    return EdgeStore(tmp_path)


def memory(tmp_path: Path) -> Store:
    from qdrant_client import QdrantClient

    return ServerStore(QdrantClient(":memory:"), "study-test")


def server(tmp_path: Path) -> Store:
    key = os.environ.get("STUDY_TEST_QDRANT_API_KEY", "")
    return ServerStore.connect(os.environ["STUDY_TEST_QDRANT_URL"], key, f"study-test-{uuid.uuid4().hex}")


@pytest.fixture(params=[edge, memory, pytest.param(server, marks=pytest.mark.qdrant)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = request.param(tmp_path)
    yield made
    made.keep_only(0)


def test_the_nearest_chunk_comes_first(store: Store) -> None:
    write(store, 1, add=notes())
    with closing(store.view(1)) as view:
        hits = view.nearest(vector(NOTES["rag/bm25.md"]), 3)
    assert hits[0].chunk.path == "rag/bm25.md"
    assert hits[0].score == pytest.approx(1.0, abs=1e-5)
    assert hits[0].score > hits[1].score >= hits[2].score


def test_words_are_scored_by_bm25(store: Store) -> None:
    write(store, 1, add=notes())
    with closing(store.view(1)) as view:
        hits = view.matching("shards?", 3)
        assert view.matching("the of a", 3) == []
        assert view.matching("zebra", 3) == []
        assert view.matching("", 3) == []
    assert [hit.chunk.path for hit in hits] == ["gpu/fsdp.md"]
    # One of three chunks has the stem once among its 7 words that count; k = 1.2, b = .75, 70 words on average.
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    assert hits[0].score == pytest.approx(idf * 2.2 / (1 + 1.2 * (1 - 0.75 + 0.75 * 7 / 70)), rel=1e-4)


def test_a_course_is_a_filter(store: Store) -> None:
    write(store, 1, add=notes())
    with closing(store.view(1)) as view:
        assert {hit.chunk.course for hit in view.nearest(vector("words"), 9, "gpu")} == {"gpu"}
        assert [hit.chunk.path for hit in view.matching("keeps words", 9, "rag")] == ["rag/bm25.md"]
        assert view.nearest(vector("words"), 9, "no such course") == []


def test_all_that_a_citation_needs_comes_back(store: Store) -> None:
    text = "𝔘nicode 😀: naïve café\n訓練 \x00 \u202e"
    places = (Place(3, "page 7", ("Head 😀", "§ 2")), Place(12, "", ()))
    chunk = Chunk('odd "course"/a\nb.md', "9f2c", 41, 3, 3 + len(text), text, "Title\t𝔘", places)
    write(store, 1, add=[Entry(chunk, chunk.words, [1.0, *[0.0] * 15]), *notes()])
    with closing(store.view(1)) as view:
        assert view.fetch([chunk.id]) == [chunk]
        assert view.nearest([1.0, *[0.0] * 15], 1)[0].chunk == chunk
        assert view.vectors([chunk.id]) == {chunk.key: [1.0, *[0.0] * 15]}


def test_ids_depend_on_path_version_and_ordinal_alone(store: Store) -> None:
    assert entry("a.md", "text").chunk.id == "e880f7f2-fd11-5d08-98dc-100850a65b01"
    same = [entry("a.md", "one", ordinal=0), entry("a.md", "two", ordinal=1), entry("a.md", "one", version="v2")]
    assert len({one.chunk.id for one in same}) == 3
    write(store, 1, add=same)
    with closing(store.view(1)) as view:
        assert view.count() == 3


def test_unknown_ids_are_left_out(store: Store) -> None:
    write(store, 1, add=notes())
    known, unknown = notes()[0].chunk.id, str(uuid.uuid4())
    with closing(store.view(1)) as view:
        assert [chunk.id for chunk in view.fetch([unknown, known])] == [known]
        assert view.fetch([]) == view.fetch([unknown]) == []
        assert view.vectors([unknown]) == {}


def test_rarity_is_the_formula(store: Store) -> None:
    def idf(count: int, among: int) -> float:
        return math.log(1 + (among - count + 0.5) / (count + 0.5))

    write(store, 1, add=notes())
    write(store, 2, 1, add=[entry("c.md", "a copy of every model")], remove=notes()[2:])
    with closing(store.view(1)) as old, closing(store.view(2)) as new:
        assert sorted(old.rarity("copying models")) == pytest.approx(sorted([idf(1, 3), idf(2, 3)]), rel=1e-5)
        assert sorted(new.rarity("copying models")) == pytest.approx(sorted([idf(2, 3), idf(3, 3)]), rel=1e-5)
        assert new.rarity("zebra") == pytest.approx([idf(0, 3)])
        assert new.rarity("BM25") == pytest.approx([idf(0, 3)])
        assert new.rarity("of the") == []
        draft = store.draft(3, 2, 16)
        draft.add([entry(f"{number}.md", "copying models") for number in range(20)])
        assert sorted(new.rarity("copying models")) == pytest.approx(sorted([idf(2, 3), idf(3, 3)]), rel=1e-5)
        draft.discard()


def test_scroll_gives_every_chunk_once_with_its_vector(store: Store) -> None:
    many = [entry(f"{number}.md", f"text {number}") for number in range(1203)]
    write(store, 1, add=many)
    with closing(store.view(1)) as view:
        found = list(view.scroll())
        assert view.count() == len(found) == 1203
        assert len(view.fetch([one.chunk.id for one in many])) == 1203
        assert len(view.vectors([one.chunk.id for one in many])) == 1203
    by_id = {chunk.id: vector for chunk, vector in found}
    assert by_id[many[7].chunk.id] == pytest.approx(many[7].vector)


def test_nobody_sees_a_draft(store: Store) -> None:
    write(store, 1, add=notes())
    before = NOTES
    with closing(store.view(1)) as view:
        draft = store.draft(2, 1, 16)
        draft.add([entry("new.md", "a new shard")])
        draft.remove([notes()[0].chunk.id])
        with closing(store.view(1)) as later:
            for reader in (view, later):
                assert there(reader) == before
                assert reader.count() == 3
                assert len(reader.matching("shard", 9)) == 1
        draft.finish(3, [entry("new.md", "a new shard").chunk.id])
        assert there(view) == before
        with closing(store.view(2)) as new:
            assert sorted(there(new)) == ["gpu/fsdp.md", "new.md", "rag/bm25.md"]
            assert [hit.chunk.path for hit in new.matching("copy", 9)] == []
            assert new.fetch([notes()[0].chunk.id]) == []
            assert new.vectors([notes()[0].chunk.id]) == {}
        assert there(view) == before


def test_a_discarded_draft_leaves_nothing(store: Store) -> None:
    write(store, 1, add=notes())
    draft = store.draft(2, 1, 16)
    draft.add([entry("new.md", "a new shard")])
    draft.remove([notes()[0].chunk.id])
    draft.discard()
    write(store, 2, 1, add=[entry("other.md", "another")])
    with closing(store.view(2)) as view:
        assert there(view) == NOTES | {"other.md": "another"}


def test_what_a_killed_sync_left_is_undone(store: Store) -> None:
    write(store, 1, add=notes())
    draft = store.draft(2, 1, 16)
    draft.add([entry("new.md", "a new shard")])
    draft.remove([one.chunk.id for one in notes()])
    store.keep_only(1)
    with closing(store.view(1)) as view:
        assert there(view) == NOTES
        assert sorted(view.rarity("keeps")) == pytest.approx([math.log(1 + 1.5 / 2.5)], rel=1e-5)
    write(store, 2, 1, remove=notes()[:1])
    with closing(store.view(2)) as view:
        assert sorted(there(view)) == ["gpu/fsdp.md", "rag/bm25.md"]


def test_what_died_can_come_back_in_the_next_generation(store: Store) -> None:
    ddp = notes()[0]
    write(store, 1, add=notes())
    with closing(store.view(1)) as first:
        write(store, 2, 1, remove=[ddp])
        with closing(store.view(2)) as second:
            draft = store.draft(3, 2, 16)
            draft.add([ddp])
            assert "gpu/ddp.md" in there(first)
            assert "gpu/ddp.md" not in there(second)
            store.keep_only(2)  # as after a kill
            assert "gpu/ddp.md" in there(first)
            assert "gpu/ddp.md" not in there(second)
            write(store, 3, 2, add=[ddp])
            assert "gpu/ddp.md" not in there(second)
            with closing(store.view(3)) as third:
                assert there(third) == NOTES
            write(store, 4, 3, remove=[ddp])
    with closing(store.view(3)) as third, closing(store.view(4)) as fourth:
        assert there(third) == NOTES
        assert "gpu/ddp.md" not in there(fourth)


def test_one_draft_may_remove_a_chunk_and_add_it_again(store: Store) -> None:
    ddp = notes()[0]
    write(store, 1, add=notes())
    draft = store.draft(2, 1, 16)
    draft.remove([ddp.chunk.id])
    draft.add([ddp])
    draft.finish(3, [ddp.chunk.id])
    with closing(store.view(1)) as old, closing(store.view(2)) as new:
        assert there(old) == there(new) == NOTES


def test_a_generation_from_nothing_is_built_beside_the_old_one(store: Store) -> None:
    write(store, 1, add=notes())
    write(store, 2, 1, add=[entry("b.md", "old too")])
    same_ids = [entry(path, f"re {text}", dim=8) for path, text in NOTES.items()]
    for ending in ("discarded", "killed", "published"):
        draft = store.draft(3, 0, 8)
        draft.add(same_ids)
        with closing(store.view(2)) as old:
            assert there(old) == NOTES | {"b.md": "old too"}
            if ending == "published":
                draft.finish(3, [one.chunk.id for one in same_ids])
                store.keep_only(3)
            else:
                draft.discard() if ending == "discarded" else store.keep_only(2)
            assert there(old) == NOTES | {"b.md": "old too"}
    with closing(store.view(3)) as new:
        assert there(new) == {path: f"re {text}" for path, text in NOTES.items()}
        assert len(new.nearest([1.0] * 8, 9)) == 3
    write(store, 4, 3, remove=same_ids[:1])
    with closing(store.view(4)) as view:
        assert view.count() == 2


def test_the_last_two_generations_stay(store: Store) -> None:
    write(store, 1, add=notes())
    write(store, 2, 1, remove=notes()[:1])
    write(store, 3, 2, remove=notes()[1:2])
    with closing(store.view(2)) as before, closing(store.view(3)) as now:
        assert sorted(there(before)) == ["gpu/fsdp.md", "rag/bm25.md"]
        assert sorted(there(now)) == ["rag/bm25.md"]


def test_an_index_may_become_empty(store: Store) -> None:
    write(store, 1, add=notes())
    write(store, 2, 1, remove=notes())
    with closing(store.view(2)) as view:
        assert view.count() == 0
        assert view.nearest(vector("words"), 5) == view.matching("words", 5) == []
        assert there(view) == {}
        assert view.rarity("words") == pytest.approx([math.log(2)])


def test_a_generation_that_was_never_made_is_not_found(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        store.view(1)
    with pytest.raises(FileNotFoundError):
        store.draft(2, 1, 16)


def test_a_draft_that_does_not_hold_what_it_should_is_refused(store: Store) -> None:
    draft = store.draft(1, 0, 16)
    draft.add(notes())
    with pytest.raises(IndexDamaged, match="holds 3 chunks of 4, and 1 of 2 new ones"):
        draft.finish(4, [notes()[0].chunk.id, str(uuid.uuid4())])
    draft.discard()


def test_most_of_a_large_index_can_go(store: Store) -> None:
    many = [entry(f"{number}.md", f"text {number}") for number in range(1500)]
    write(store, 1, add=many)
    write(store, 2, 1, remove=many[:1400], add=[entry("new.md", "a fresh text")])
    with closing(store.view(2)) as view:
        assert view.count() == len(there(view)) == 101
        assert view.rarity("fresh") == pytest.approx([math.log(1 + 100.5 / 1.5)], rel=1e-5)
        assert view.rarity("text") == pytest.approx([math.log(1 + 0.5 / 101.5)], rel=1e-4)


def test_a_view_answers_several_threads(store: Store) -> None:
    write(store, 1, add=notes())
    wrong: list[object] = []
    with closing(store.view(1)) as view:

        def ask() -> None:
            for _ in range(20):
                found = view.matching("shard", 3)
                if [hit.chunk.path for hit in found] != ["gpu/fsdp.md"] or view.count() != 3:
                    wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
