"""The index contract, on every store; then what is particular to each."""

import hashlib
import math
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from ingest import clone
from ingest.chunk import Chunk, Place
from ingest.errors import DiskFull, IndexDamaged, IndexUnavailable
from ingest.index import EdgeStore, Entry, ServerStore, Store, View, _ServerDraft, _ServerView
from tests.conftest import ROOT
from tests.fakes import HashedEmbedder, entries, entry

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode is not recommended"),
]

NOTES = {
    "gpu/ddp.md": "DDP keeps a full copy of the model on every GPU",
    "gpu/fsdp.md": "FSDP keeps one shard of the model on every GPU",
    "rag/bm25.md": "BM25 scores the words of a question",
}


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


@pytest.fixture
def edge_store(tmp_path: Path) -> EdgeStore:
    return EdgeStore(tmp_path)


def write(
    store: Store,
    generation: int,
    base: int = 0,
    add: Sequence[Entry] = (),
    remove: Sequence[Entry] = (),
    *,
    dim: int = 16,
) -> None:
    """Make a generation, as a sync does."""
    count = 0
    if base:
        with closing(store.view(base)) as view:
            count = view.count()
    draft = store.draft(generation, base, dim)
    draft.remove([gone.chunk.id for gone in remove])
    draft.add(add)
    draft.finish(count + len(add) - len(remove), [new.chunk.id for new in add])
    store.keep_only(generation)


def there(view: View) -> dict[str, str]:
    return {chunk.path: chunk.text for chunk, _ in view.scroll()}


def notes() -> list[Entry]:
    return list(entries(NOTES))


def vector(text: str) -> list[float]:
    found: list[float] = HashedEmbedder().encode_query(text)[0].tolist()
    return found


# -------------------------------------------------------------------------------------------------- every store


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


# --------------------------------------------------------------------------------------------------------- Edge

READER = """
import sys, time
from contextlib import closing
from pathlib import Path
from ingest.index import EdgeStore

store, pointer = EdgeStore(Path(sys.argv[1])), Path(sys.argv[1]) / "pointer"
answered, newest = 0, 0
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    generation = int(pointer.read_text())
    try:
        view = store.view(generation)
    except FileNotFoundError:
        assert int(pointer.read_text()) > generation
        continue
    with closing(view):
        texts = {chunk.text for chunk, _ in view.scroll()}
        assert texts == {f"{generation} {number}" for number in range(50)}, (generation, texts)
        assert len(view.matching(str(generation), 60)) == 50
    answered, newest = answered + 1, generation
print(answered, newest)
"""


def edge_process(code: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_processes_read_while_another_publishes(edge_store: EdgeStore, tmp_path: Path) -> None:
    def generation(number: int) -> list[Entry]:
        return [entry(f"{i}.md", f"{number} {i}", version=f"v{number}") for i in range(50)]

    write(edge_store, 1, add=generation(1))
    (tmp_path / "pointer").write_text("1")
    readers = [edge_process(READER, tmp_path, 4) for _ in range(3)]
    number = 1
    while any(reader.poll() is None for reader in readers):
        number += 1
        draft = edge_store.draft(number, number - 1, 16)
        draft.remove([one.chunk.id for one in generation(number - 1)])
        draft.add(generation(number))
        draft.finish(50, [one.chunk.id for one in generation(number)])
        (tmp_path / "next").write_text(str(number))
        (tmp_path / "next").replace(tmp_path / "pointer")
        edge_store.keep_only(number)
    results = [reader.communicate()[0].split() for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    assert number > 3
    assert all(int(answered) > 3 and int(newest) > 3 for answered, newest in results)


HOLDER = """
import sys
from pathlib import Path
from ingest.index import EdgeStore

view = EdgeStore(Path(sys.argv[1])).view(1)
print("open", flush=True)
sys.stdin.readline()
print(view.count(), len(view.matching("shard", 9)), flush=True)
"""


def test_a_generation_that_another_process_reads_stays(edge_store: EdgeStore, tmp_path: Path) -> None:
    write(edge_store, 1, add=notes())
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdin
    assert holder.stdout.readline() == "open\n"
    for number in (2, 3, 4):
        write(edge_store, number, number - 1, remove=[] if number > 2 else notes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen-1", "gen-3", "gen-4"]
    holder.stdin.write("\n")
    holder.stdin.close()
    assert holder.stdout.readline() == "3 1\n"
    assert holder.wait() == 0
    holder.stdout.close()
    edge_store.keep_only(4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen-3", "gen-4"]


def test_readers_leave_a_published_generation_as_it_is(edge_store: EdgeStore, tmp_path: Path) -> None:
    write(edge_store, 1, add=notes())
    before = contents(tmp_path)
    opened = []

    def read() -> None:
        for _ in range(10):
            with closing(edge_store.view(1)) as view:
                opened.append(view.count() + len(view.matching("shard", 3)) + len(list(view.scroll())))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [7] * 40
    assert contents(tmp_path) == before


def test_a_view_that_nobody_closes_lets_go(edge_store: EdgeStore, tmp_path: Path) -> None:
    write(edge_store, 1, add=notes())
    mirrors = set(clone._memory().glob("study-mirror-*"))
    view = edge_store.view(1)
    assert not clone.drop(tmp_path / "gen-1")
    del view
    assert set(clone._memory().glob("study-mirror-*")) <= mirrors
    assert clone.drop(tmp_path / "gen-1")
    with pytest.raises(FileNotFoundError):
        edge_store.view(1)


def test_a_removal_that_was_killed_half_way_hurts_nobody(edge_store: EdgeStore, tmp_path: Path) -> None:
    write(edge_store, 1, add=notes())
    (tmp_path / "gen-1").rename(tmp_path / ".dropped-gen-1")
    with pytest.raises(FileNotFoundError):
        edge_store.view(1)
    write(edge_store, 1, add=notes())
    assert clone.drop(tmp_path / "gen-1")
    edge_store.keep_only(1)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_readers_left_is_swept_up(edge_store: EdgeStore, tmp_path: Path) -> None:
    write(edge_store, 1, add=notes())
    left, new, held = (clone.mirror(tmp_path / "gen-1", [], ".json") for _ in range(3))
    os.utime(left, (1, 1))
    os.utime(held, (1, 1))
    descriptor = clone.hold(held)
    edge_store.keep_only(1)
    assert (left.exists(), new.exists(), held.exists()) == (False, True, True)
    os.close(descriptor)
    assert clone.drop(new)
    assert clone.drop(held)


@pytest.mark.parametrize("damage", ["segment.json", "edge_config.json", "config.json", "mutable_id_tracker.mappings"])
def test_a_damaged_generation_says_how_to_rebuild_it(edge_store: EdgeStore, tmp_path: Path, damage: str) -> None:
    write(edge_store, 1, add=notes())
    for path in tmp_path.rglob(damage):
        path.write_bytes(b'{"half": ')
    with pytest.raises(IndexDamaged, match=r"ask ingest --fresh$"):
        edge_store.view(1)
    with pytest.raises(IndexDamaged, match=r"ask ingest --fresh$"):
        edge_store.draft(2, 1, 16)


def test_what_the_engine_refuses_to_write_is_told(edge_store: EdgeStore) -> None:
    draft = edge_store.draft(1, 0, 16)
    with pytest.raises(IndexDamaged, match="can't be read or written"):
        draft.add([entry("a.md", "text", dim=8)])
    draft.discard()


def test_no_write_begins_on_a_nearly_full_disk(
    edge_store: EdgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(edge_store, 1, add=notes())
    draft = edge_store.draft(2, 1, 16)
    monkeypatch.setattr(clone, "ROOM", 1 << 60)
    for write_something in (
        lambda: draft.add(notes()),
        lambda: draft.finish(3, []),
        lambda: edge_store.draft(3, 1, 16),
        lambda: edge_store.draft(3, 0, 16),
    ):
        with pytest.raises(DiskFull):
            write_something()
    draft.discard()
    with closing(edge_store.view(1)) as view:
        assert view.count() == 3


def test_a_copy_has_the_holes_and_the_contents(tmp_path: Path) -> None:
    source = tmp_path / "a" / "deep"
    source.mkdir(parents=True)
    (source / "empty").touch()
    with (source / "holes").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(30 << 20)
    clone.copy(tmp_path / "a", tmp_path / "b")
    copied = tmp_path / "b" / "deep" / "holes"
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert copied.stat().st_blocks * 512 < 1 << 20


def test_everything_is_on_the_disk_before_a_generation_is_published(
    edge_store: EdgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        info = os.fstat(descriptor)
        synced.append((info.st_ino, info.st_mtime_ns))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write(edge_store, 1, add=notes())
    everything = [tmp_path, tmp_path / "gen-1", *(tmp_path / "gen-1").rglob("*")]
    assert {(path.stat().st_ino, path.stat().st_mtime_ns) for path in everything} <= set(synced)
    assert not list(tmp_path.rglob("*journal*"))  # what the engine would still have to replay


# ------------------------------------------------------------------------------------------------------- server


@contextmanager
def http_server(answer: Callable[[str], tuple[int, str]], delay: float = 0.0) -> Iterator[str]:
    """Serve what `answer` gives for a path; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body.encode())

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names that http.server looks up

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def welcome(release: str) -> str:
    return f'{{"title": "qdrant - vector search engine", "version": "{release}"}}'


OURS = version("qdrant-client")
MAJOR, MINOR = map(int, OURS.split(".")[:2])


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, "{}", "answered 500"),
        (503, "upstream is down", "answered 503"),
        (404, "<html>nginx</html>", "answered 404"),
        (401, '{"status": "Must provide an API key"}', "refused the key; set STUDY_QDRANT_API_KEY"),
        (403, '{"status": "Forbidden"}', "refused the key; set STUDY_QDRANT_API_KEY"),
        (200, "junk", "does not answer as it should"),
        (200, "{}", "does not answer as it should"),
        (200, '{"title": 1, "version": null}', "does not answer as it should"),
        (200, welcome("newest"), "does not answer as it should"),
        (200, welcome(f"{MAJOR}.{MINOR + 2}.0"), f"use a server of version {MAJOR}.{MINOR}$"),
        (200, welcome(f"{MAJOR}.{MINOR - 2}.9"), f"use a server of version {MAJOR}.{MINOR}$"),
        (200, welcome(f"{MAJOR + 1}.{MINOR}.0"), f"use a server of version {MAJOR}.{MINOR}$"),
    ],
)
def test_a_server_that_can_not_be_used_gives_one_clear_line(status: int, body: str, message: str) -> None:
    with http_server(lambda path: (status, body)) as url, pytest.raises(IndexUnavailable, match=message) as caught:
        ServerStore.connect(url, "a key", "study-test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("release", [OURS, f"{MAJOR}.{MINOR + 1}.0-dev", f"{MAJOR}.{MINOR - 1}.3"])
def test_a_server_of_about_our_version_will_do(release: str) -> None:
    with http_server(lambda path: (200, welcome(release))) as url:
        ServerStore.connect(url, "", "study-test")


def test_a_refused_connection_says_how_to_do_without() -> None:
    with pytest.raises(IndexUnavailable, match="unset STUDY_QDRANT_URL to use the embedded one"):
        ServerStore.connect("http://127.0.0.1:9", "", "study-test")


@pytest.mark.parametrize("url", ["not a url", "http://", "ftp://x", "http://[::1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(IndexUnavailable):
        ServerStore.connect(url, "", "study-test")


def test_a_server_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.index.SERVER_SECONDS", 1)
    with http_server(lambda path: (200, welcome(OURS)), delay=3) as url, pytest.raises(IndexUnavailable, match="time"):
        ServerStore.connect(url, "", "study-test")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [(500, "{}", "answered 500"), (403, "no", "refused the key"), (200, "junk", "as it should"), (200, "{}", "as it")],
)
def test_a_server_that_fails_later_gives_one_clear_line_from_every_call(status: int, body: str, message: str) -> None:
    with http_server(lambda path: (200, welcome(OURS)) if path == "/" else (status, body)) as url:
        store = ServerStore.connect(url, "", "study-test")
        # As if the server had failed after they were opened.
        view = _ServerView(store._client, "study-test-1", 1)
        draft = _ServerDraft(store, store._client, "study-test-1", 1)
        calls: list[Callable[[], object]] = [
            lambda: store.view(1),
            lambda: store.draft(1, 0, 16),
            lambda: store.keep_only(1),
            lambda: view.nearest([0.5] * 16, 3),
            lambda: view.matching("words", 3),
            lambda: view.rarity("words"),
            lambda: view.fetch([notes()[0].chunk.id]),
            lambda: list(view.scroll()),
            view.count,
            lambda: draft.add(notes()),
            lambda: draft.remove([notes()[0].chunk.id]),
            lambda: draft.finish(3, []),
            draft.discard,
        ]
        for call in calls:
            with pytest.raises(IndexUnavailable, match=message) as caught:
                call()
            assert "\n" not in str(caught.value)
