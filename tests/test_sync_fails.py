"""Whatever fails in a sync, the last good state stays, and the next sync mends it; on a server, too."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import (
    EmbedderUnavailable,
    StudyError,
)
from ingest.server import ServerStore
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder
from tests.folders import LONG, Folder, check, rows


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class Failing(HashedEmbedder):
    """Fails at the n-th call."""

    def __init__(self, calls: int, error: Exception) -> None:
        super().__init__()
        self._calls, self._error = calls, error

    def encode_documents(self, texts: Any) -> Any:
        self._calls -= 1
        if self._calls < 0:
            raise self._error
        return super().encode_documents(texts)


@pytest.mark.parametrize("error", [EmbedderUnavailable("the model is gone"), RuntimeError("out of\nmemory \ud800")])
@pytest.mark.parametrize("calls", [0, 1])
def test_an_embedder_that_fails_leaves_the_last_good_state(folder: Folder, error: Exception, calls: int) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    before = rows(folder)
    folder.write(a="one, changed", **{f"n{number}": LONG for number in range(200)})
    with pytest.raises(type(error)):
        sync(Shelf(folder.settings, embedder=Failing(calls, error)))
    after = rows(folder)
    assert (after["meta"], after["notes"]) == (before["meta"], before["notes"])
    assert folder.indexed() == {"a.md": "one", "b.md": "two"}
    assert not (folder.shelf.folder / "gen-2").exists()
    assert folder.shelf.ledger.runs(1)[0].error
    sync(folder.shelf)
    check(folder)


def test_a_broken_tokenizer_ends_the_sync_and_loses_nothing(folder: Folder) -> None:
    class NoTokenizer(HashedEmbedder):
        def count_tokens(self, texts: Any) -> list[int]:
            raise EmbedderUnavailable("no tokenizer")

    folder.write(a="one")
    sync(folder.shelf)
    folder.write(a="changed", b="two")
    with pytest.raises(EmbedderUnavailable):
        sync(Shelf(folder.settings, embedder=NoTokenizer()))
    assert folder.indexed() == {"a.md": "one"}


def test_a_locked_ledger_is_told_and_nothing_is_lost(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.ledger.PATIENCE", 0.1)
    folder.write(a="one")
    sync(folder.shelf)
    folder.write(b="two")
    locked: list[sqlite3.Connection] = []

    def lock(step: str, done: int, total: int) -> None:
        if step == "embedding":
            locked.append(sqlite3.connect(folder.shelf.folder / "ledger.db", isolation_level=None))
            locked[0].execute("BEGIN IMMEDIATE")

    with pytest.raises(StudyError, match="another program has locked it"):
        sync(folder.opened(), progress=lock)
    locked[0].close()
    assert folder.indexed() == {"a.md": "one"}
    sync(folder.shelf)
    check(folder)


def test_an_interrupted_sync_leaves_no_draft(folder: Folder) -> None:
    folder.write(a="one")
    sync(folder.shelf)
    folder.write(b="two")

    def interrupt(step: str, done: int, total: int) -> None:
        if step == "embedding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(folder.shelf, progress=interrupt)
    assert not (folder.shelf.folder / "gen-2").exists()
    assert (folder.shelf.folder / "sync.lock").read_text().strip() == str(os.getpid())  # so the next one tidies up
    sync(folder.shelf)
    assert (folder.shelf.folder / "sync.lock").read_text().strip() == ""
    check(folder)


def test_texts_of_the_generation_before_can_still_be_cited(folder: Folder) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    old = folder.shelf.ledger.notes()["a.md"].version
    folder.write(a="changed")
    sync(folder.shelf)
    assert folder.shelf.ledger.text(old) == "one"  # a reader may have begun with it
    folder.write(b="changed")
    sync(folder.shelf)
    assert folder.shelf.ledger.text(old) is None


# --------------------------------------------------------------------------------------- the same on a server's store


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
def test_the_same_edits_on_a_server(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")
    monkeypatch.setattr(ServerStore, "connect", lambda url, key, name: ServerStore(client, name))
    folder.settings = folder.settings.model_copy(update={"qdrant_url": "http://there"})
    folder.shelf = folder.opened()
    folder.write(a=LONG, b="two", c="three")
    sync(folder.shelf)
    check(folder)
    reader = folder.opened()
    assert reader.view().count() == 6
    folder.write(b="two, changed")
    (folder.path / "a.md").rename(folder.path / "z.md")
    report = sync(folder.shelf)
    assert (report.embedded, report.written, report.deleted) == (1, 5, 5)
    check(folder)
    assert reader.view().count() == 6
    smaller = Shelf(folder.settings.model_copy(update={"chunk_tokens": 20}), embedder=folder.embedder)
    sync(smaller, fresh=True)
    assert smaller.view().count() == 18
    with pytest.raises(EmbedderUnavailable):
        sync(Shelf(smaller.settings, embedder=Failing(0, EmbedderUnavailable("gone"))), fresh=True)
    assert smaller.view().count() == 18
    sync(folder.shelf, fresh=True)
    check(folder)
    assert len(client.get_collections().collections) == 2  # the last generation's, and that of the one before
    assert sync(folder.shelf).by_state == {"unchanged": 3}
    here = Shelf(folder.settings.model_copy(update={"qdrant_url": ""}), embedder=folder.embedder)
    assert sync(here).by_state == {"indexed": 3}  # each store has a ledger of its own
    assert sync(folder.shelf).by_state == {"unchanged": 3}


def test_an_unreachable_server_loses_nothing(folder: Folder) -> None:
    folder.write(a="one")
    shelf = Shelf(folder.settings.model_copy(update={"qdrant_url": "http://127.0.0.1:9"}), embedder=folder.embedder)
    with pytest.raises(StudyError, match="Qdrant server does not answer"):
        sync(shelf)
    assert shelf.ledger.generation == 0
    assert "Qdrant" in shelf.ledger.runs(1)[0].error
