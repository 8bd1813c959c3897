"""The shelf opens the published generation, notices the next, and refuses what was built otherwise."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.errors import IndexDamaged, IndexMismatch, NotIndexed, PathOutsideNotes
from ingest.index import View
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder
from tests.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(a="one note", b="another note")
    return made


def test_before_the_first_sync_there_is_nothing_to_read(folder: Folder) -> None:
    with pytest.raises(NotIndexed, match="run: ask ingest"):
        folder.shelf.view()


def test_a_view_is_kept_until_another_generation_is_published(folder: Folder) -> None:
    reader = folder.opened()
    sync(folder.shelf)
    first = reader.view()
    assert reader.view() is first
    folder.write(c="third")
    sync(folder.shelf)
    assert reader.view() is not first
    assert (first.count(), reader.view().count()) == (2, 3)


def test_threads_share_a_view_and_have_a_ledger_each(folder: Folder) -> None:
    sync(folder.shelf)
    found: list[tuple[View, object, int]] = []

    def look() -> None:
        found.append((folder.shelf.view(), folder.shelf.ledger, folder.shelf.ledger.generation))

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(view) for view, _, _ in found}) == 1
    assert len({id(ledger) for _, ledger, _ in found}) == 5


def test_other_settings_are_refused_with_the_way_out(folder: Folder) -> None:
    sync(folder.shelf)
    other = Shelf(folder.settings, embedder=HashedEmbedder("other"))
    with pytest.raises(IndexMismatch, match=r"built with hashed .*, you asked for other .*ask ingest --fresh$"):
        other.view()
    smaller = Shelf(folder.settings.model_copy(update={"chunk_tokens": 20}), embedder=folder.embedder)
    with pytest.raises(IndexMismatch, match=r"chunks of 64 tokens.*chunks of 20 tokens"):
        smaller.view()


def test_each_store_has_a_ledger_of_its_own(folder: Folder) -> None:
    sync(folder.shelf)

    def at(url: str) -> Shelf:
        return Shelf(folder.settings.model_copy(update={"qdrant_url": url}), embedder=folder.embedder)

    server, other = at("http://127.0.0.1:9"), at("http://127.0.0.1:10")
    with pytest.raises(NotIndexed):
        server.view()
    assert len({folder.shelf.folder, server.folder, other.folder}) == 3
    assert len({folder.shelf.ledger.identity, server.ledger.identity, other.ledger.identity}) == 3
    assert folder.shelf.place == server.place == other.place  # what was added from the web is known to all
    assert at("http://me:secret@127.0.0.1:9/").folder == server.folder
    folder.write(c="third")
    sync(folder.shelf)
    assert folder.opened().view().count() == 3  # and the embedded one stays where it always was
    assert (folder.shelf.place / "gen-2").is_dir()


def test_a_password_in_the_address_is_not_told(folder: Folder) -> None:
    settings = folder.settings.model_copy(
        update={"qdrant_url": "https://me:secret@host:6333/x", "qdrant_api_key": SecretStr("key")}
    )
    shelf = Shelf(settings, embedder=folder.embedder)
    assert "kept at https://host:6333/x" in shelf.built_with
    assert "secret" not in shelf.built_with + shelf.asked
    assert "key" not in shelf.built_with + shelf.asked


def test_what_is_set_in_other_words_is_no_mismatch(folder: Folder) -> None:
    sync(folder.shelf)
    same = Shelf(folder.settings.model_copy(update={"chunk_tokens": 64}), embedder=folder.embedder)
    assert same.asked != folder.shelf.asked
    assert same.view().count() == 2
    assert sync(same).by_state == {"unchanged": 2}


def test_a_generation_that_somebody_removed_says_how_to_rebuild(folder: Folder) -> None:
    sync(folder.shelf)
    shutil.rmtree(folder.shelf.folder / "gen-1")
    with pytest.raises(IndexDamaged, match="generation 1 of the index is gone; rebuild it with: ask ingest --fresh"):
        folder.opened().view()
    folder.write(c="third")
    with pytest.raises(IndexDamaged, match="is gone"):
        sync(folder.shelf)
    sync(folder.shelf, fresh=True)
    assert folder.opened().view().count() == 3


def test_a_reader_that_is_overtaken_while_it_opens_reads_the_newest(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(folder.shelf)
    reader = folder.opened()
    real = reader.store.view
    overtaken: list[int] = []

    def slow(generation: int) -> View:
        if not overtaken:
            overtaken.append(generation)
            for number in range(3):
                folder.write(**{f"c{number}": "more"})
                sync(folder.shelf)
        return real(generation)

    monkeypatch.setattr(reader.store, "view", slow)
    assert reader.view().count() == 5
    assert overtaken == [1]


def test_closing_lets_everything_go(folder: Folder) -> None:
    sync(folder.shelf)
    reader = folder.opened()
    reader.view()
    reader.close()
    reader.close()
    assert reader.view().count() == 2  # opened again
    reader.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda notes: notes / "sub" / "a.md", "sub/a.md"),
        (lambda notes: Path("sub/a.md"), "sub/a.md"),
        (lambda notes: Path("sub/../sub//a.md"), "sub/a.md"),
        (lambda notes: Path("notes/sub"), "sub"),
        (lambda notes: Path("deleted.md"), "deleted.md"),
        (lambda notes: notes, "."),
        (lambda notes: Path("notes"), "."),
        (lambda notes: Path("link-to-notes"), "."),
        (lambda notes: Path("link-to-notes/sub/a.md"), "sub/a.md"),
        (lambda notes: Path("notes/link.md"), "link.md"),
        (lambda notes: Path("notes/loop"), "loop"),
    ],
)
def test_paths_are_told_relative_to_the_notes(
    tmp_path: Path, folder: Folder, given: Callable[[Path], Path], expected: str
) -> None:
    folder.write(sub__a="x")
    (tmp_path / "link-to-notes").symlink_to(folder.path)
    (folder.path / "link.md").symlink_to("sub/a.md")
    (folder.path / "loop").symlink_to("loop")
    assert folder.shelf.relative(given(folder.path)) == expected  # the test runs in tmp_path


@pytest.mark.parametrize("given", ["..", "../x.md", "/etc/passwd", "../notes-other/a.md", "out.md/x"])
def test_paths_outside_are_refused(folder: Folder, given: str) -> None:
    (folder.path / "out.md").symlink_to("/etc")
    with pytest.raises(PathOutsideNotes, match="set STUDY_NOTES to it"):
        folder.shelf.relative(Path(given))


def test_notes_and_home_may_have_any_name(tmp_path: Path) -> None:
    odd = Folder(tmp_path / os.fsdecode(b"caf\xe9 '\n"))
    odd.write(a="text")
    sync(odd.shelf)
    assert odd.indexed() == {"a.md": "text"}
    odd.path.rename(odd.path.with_name("away"))
    with pytest.raises(Exception, match="is not there"):
        sync(odd.shelf)
    assert "is not there" in odd.shelf.ledger.runs(1)[0].error
