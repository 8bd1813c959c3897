"""What a dry run foretells, and what becomes of an index made with other settings."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ingest import read
from ingest.errors import (
    IndexMismatch,
)
from ingest.read import Document
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder
from tests.folders import LONG, Folder, broken, check, reasons, rows, states


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def everything(folder: Folder) -> list[tuple[str, int, int]]:
    home = folder.settings.home
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in home.rglob("*"))


def test_a_dry_run_writes_nothing_at_all(folder: Folder) -> None:
    folder.write(a="one", b="two")
    assert states(sync(folder.shelf, dry_run=True)) == {"a.md": "added", "b.md": "added"}
    assert not folder.settings.home.exists()
    folder.write(c="three", d="four")
    sync(folder.shelf)
    before = everything(folder)
    folder.write(b="two, changed", e="five")
    (folder.path / "f.md").touch()
    os.utime(folder.path / "a.md", (1, 1))
    (folder.path / "c.md").rename(folder.path / "renamed.md")
    (folder.path / "d.md").unlink()
    report = sync(folder.shelf, dry_run=True)
    assert states(report) == {
        "a.md": "unchanged",
        "b.md": "changed",
        "e.md": "added",
        "f.md": "added",
        "renamed.md": "renamed",
    }
    assert (report.removed, report.renamed) == (["d.md"], [("c.md", "renamed.md")])
    assert (report.generation, report.chunks, report.embedded, report.written, report.deleted) == (1, 4, 0, 0, 0)
    assert everything(folder) == before
    assert folder.embedder.embedded == ["one", "two", "three", "four"]
    assert len(folder.shelf.ledger.runs(9)) == 1


def test_a_dry_run_says_that_it_would_ask(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    (folder.path / "b.md").unlink()
    report = sync(folder.shelf, dry_run=True)
    assert report.removed == ["a.md", "b.md"]
    assert report.remark.startswith("2 of 3 notes are gone")


# ----------------------------------------------------------------------------------------------- settings, --fresh


def other(folder: Folder, **settings: object) -> Shelf:
    return Shelf(folder.settings.model_copy(update=settings), embedder=folder.embedder)


def test_other_settings_are_refused_even_if_nothing_changed(folder: Folder) -> None:
    folder.write(a=LONG)
    sync(folder.shelf)
    before = rows(folder)
    for changed in (False, True):
        if changed:
            folder.write(b="two")
        with pytest.raises(IndexMismatch, match=r"chunks of 64 tokens.*chunks of 20 tokens.*ask ingest --fresh"):
            sync(other(folder, chunk_tokens=20))
        with pytest.raises(IndexMismatch, match="chunks of 20 tokens"):
            sync(other(folder, chunk_tokens=20), dry_run=True)
    assert rows(folder) == before


def test_a_model_whose_files_changed_is_refused_before_anything_is_written(folder: Folder) -> None:
    folder.write(a=LONG)
    sync(folder.shelf)
    folder.embedder = HashedEmbedder("retrained")
    folder.write(b="two")
    with pytest.raises(IndexMismatch, match=r"built with hashed .*you asked for retrained"):
        sync(folder.opened())
    assert not (folder.shelf.folder / "gen-2").exists()


def test_fresh_builds_beside_and_swaps(folder: Folder) -> None:
    folder.write(a=LONG, b="two")
    sync(folder.shelf)
    reader = folder.opened()
    assert reader.view().count() == 5
    (folder.path / "b.md").unlink()
    smaller = other(folder, chunk_tokens=20)
    folder.embedder.embedded.clear()
    report = sync(smaller, fresh=True)
    assert (report.generation, report.embedded, report.written, report.removed) == (2, 16, 16, ["b.md"])
    assert report.by_state == {"indexed": 1}
    assert smaller.view().count() == 16
    with pytest.raises(IndexMismatch):
        reader.view()
    assert sync(smaller).by_state == {"unchanged": 1}
    with pytest.raises(IndexMismatch):
        sync(folder.shelf)
    sync(folder.shelf, fresh=True)
    check(folder)


def test_fresh_with_the_same_settings_gives_the_same_index(folder: Folder) -> None:
    folder.write(a=LONG, b="two", c="two")
    sync(folder.shelf)
    before = sorted(chunk.id for chunk, _ in folder.shelf.view().scroll())
    report = sync(folder.shelf, fresh=True)
    assert (report.generation, report.embedded, report.written) == (2, 5, 6)  # b and c have one vector
    assert sorted(chunk.id for chunk, _ in folder.shelf.view().scroll()) == before
    check(folder)


def test_fresh_carries_over_what_can_not_be_read_now(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a=LONG, b="two")
    sync(folder.shelf)
    real = read.read

    def read_one(path: Path, data: bytes, **options: Any) -> Document:
        return broken(path, data) if path.name == "a.md" else real(path, data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(read, "read", read_one)
        folder.embedder = HashedEmbedder("other", dim=16)
        shelf = folder.opened()
        folder.shelf = shelf
        report = sync(shelf, fresh=True)
    assert states(report) == {"a.md": "failed", "b.md": "indexed"}
    assert reasons(report)["a.md"] == "a bad stream; the version read before still answers"
    assert report.embedded == 5  # with the model that is set now
    check(folder)
    shutil.rmtree(shelf.folder / "gen-2")  # nothing is left to carry over
    with monkeypatch.context() as patch:
        patch.setattr(read, "read", read_one)
        report = sync(shelf, fresh=True)
    assert (states(report), report.removed) == ({"a.md": "failed", "b.md": "indexed"}, ["a.md"])
    assert reasons(report)["a.md"] == "a bad stream"
    check(folder)


def test_fresh_is_for_the_whole_index(folder: Folder) -> None:
    with pytest.raises(ValueError, match="whole"):
        sync(folder.shelf, within=["a"], fresh=True)
