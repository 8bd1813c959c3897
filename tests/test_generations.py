"""Generations of the embedded store: what other processes see, and what a disk may do to them."""

import hashlib
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from ingest import clone
from ingest.errors import DiskFull, IndexDamaged
from ingest.index import EdgeStore, Entry
from tests.conftest import ROOT
from tests.fakes import entry
from tests.stores import notes, write


@pytest.fixture
def edge_store(tmp_path: Path) -> EdgeStore:
    return EdgeStore(tmp_path)


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
