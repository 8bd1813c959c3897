"""After a sync the index says what the folder says; what did not change is not touched."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ingest import parse, read, walk
from ingest.errors import (
    EmbedderUnavailable,
    IndexMismatch,
    NotesMissing,
    StudyError,
    SyncRunning,
    TooManyRemovals,
)
from ingest.index import ServerStore
from ingest.read import Document
from ingest.shelf import Shelf
from ingest.sync import RACY_NS, Change, Edit, Report, sync
from tests import folder_ledger
from tests.conftest import ROOT
from tests.fakes import HashedEmbedder
from tests.folders import LONG, Folder, age, broken, check, reasons, rows, states


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# ---------------------------------------------------------------------------------------------- the folder's edits


def test_a_first_sync_indexes_everything(folder: Folder) -> None:
    folder.write(a="one note", sub__b="another note", sub__deep__c=LONG)
    report = sync(folder.shelf)
    assert report.as_json() == {
        "generation": 1,
        "files": 3,
        "by_state": {"indexed": 3},
        "notes": [
            {"path": "a.md", "state": "indexed", "reason": "", "chunks": 1, "pages_lost": ()},
            {"path": "sub/b.md", "state": "indexed", "reason": "", "chunks": 1, "pages_lost": ()},
            {"path": "sub/deep/c.md", "state": "indexed", "reason": "", "chunks": 4, "pages_lost": ()},
        ],
        "chunks": 6,
        "embedded": 6,
        "written": 6,
        "deleted": 0,
        "seconds": pytest.approx(report.seconds, abs=0.001),
    }
    assert list(folder.indexed()) == ["a.md", "sub/b.md", "sub/deep/c.md"]
    assert folder.shelf.view().matching("another", 5)[0].chunk.course == "sub"
    check(folder)
    json.dumps(report.as_json())


def test_a_second_sync_changes_no_row(folder: Folder) -> None:
    folder.write(a="one note", b=LONG)
    (folder.path / "empty.md").touch()
    (folder.path / "odd.xyz").write_text("no reader")
    (folder.path / ".hidden").write_text("hidden")
    sync(folder.shelf)
    before, generation = rows(folder), (folder.shelf.folder / "gen-1").stat().st_mtime_ns
    folder.embedder.embedded.clear()
    for settled in (False, True):  # read again, since they changed just before; then not even that
        if settled:
            age(folder)
            sync(folder.shelf)
            before = rows(folder)
        report = sync(folder.shelf)
        assert states(report) == {
            ".hidden": "skipped",
            "a.md": "unchanged",
            "b.md": "unchanged",
            "empty.md": "empty",
            "odd.xyz": "skipped",
        }
        assert (report.generation, report.embedded, report.written, report.deleted) == (1, 0, 0, 0)
        assert report.chunks == 5
        assert rows(folder) == before
    assert folder.embedder.embedded == []
    assert generation == (folder.shelf.folder / "gen-1").stat().st_mtime_ns
    assert [run.generation for run in folder.shelf.ledger.runs(9)] == [1, 1, 1, 1]


def test_an_unchanged_file_is_not_opened_twice_for_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one note")
    opened: list[str] = []
    real = parse.bytes_of

    def bytes_of(root: Path, file: walk.File, most: int) -> Any:
        opened.append(file.path)
        return real(root, file, most)

    monkeypatch.setattr(parse, "bytes_of", bytes_of)
    now = time.time()
    sync(folder.shelf)
    assert opened == ["a.md"]
    sync(folder.shelf)
    assert opened == ["a.md"] * 2  # it may have changed just after it was read: its bytes tell
    monkeypatch.setattr(time, "time", lambda: now + 10)
    sync(folder.shelf)
    assert opened == ["a.md"] * 3
    sync(folder.shelf)  # the last one looked at it long after it changed
    assert opened == ["a.md"] * 3


def test_a_change_that_leaves_size_and_time_alone_is_seen(folder: Folder) -> None:
    folder.write(a="one text")
    stamp = time.time_ns() - 1000
    os.utime(folder.path / "a.md", ns=(stamp, stamp))
    sync(folder.shelf)
    folder.write(a="two text")
    os.utime(folder.path / "a.md", ns=(stamp, stamp))
    sync(folder.shelf)
    assert folder.indexed() == {"a.md": "two text"}


UNCHANGED = """
import sys
from pathlib import Path
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import sync

place = Path(sys.argv[1])
heavy = {"numpy", "torch", "onnxruntime", "openvino", "llama_index", "qdrant_client", "pathspec"}
print(sync(Shelf(IngestSettings(home=place / "home", notes=place / "notes"))).by_state, heavy & set(sys.modules))
"""


def test_a_sync_of_an_unchanged_folder_imports_nothing_heavy(folder: Folder, tmp_path: Path) -> None:
    folder.write(a="one note")
    sync(folder.shelf)
    for settled in (False, True):
        if settled:
            age(folder)
            sync(folder.shelf)
        told = subprocess.check_output([sys.executable, "-c", UNCHANGED, str(tmp_path)], cwd=ROOT, text=True)
        assert told == "{'unchanged': 1} set()\n"


def test_a_touched_file_is_not_indexed_again(folder: Folder) -> None:
    folder.write(a="one note")
    sync(folder.shelf)
    os.utime(folder.path / "a.md", (1, 1))
    report = sync(folder.shelf)
    assert (states(report), report.generation, report.written) == ({"a.md": "unchanged"}, 1, 0)
    assert folder.shelf.ledger.notes()["a.md"].mtime_ns == 1_000_000_000


def test_added_changed_and_deleted_notes(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three", d="four", e="five")
    sync(folder.shelf)
    folder.write(b="two, changed", f="six")
    (folder.path / "c.md").unlink()
    report = sync(folder.shelf)
    assert states(report) == {
        "a.md": "unchanged",
        "b.md": "indexed",
        "d.md": "unchanged",
        "e.md": "unchanged",
        "f.md": "indexed",
    }
    assert (report.removed, report.generation) == (["c.md"], 2)
    assert (report.embedded, report.written, report.deleted, report.chunks) == (2, 2, 2, 5)
    assert folder.indexed() == {"a.md": "one", "b.md": "two, changed", "d.md": "four", "e.md": "five", "f.md": "six"}
    assert folder.shelf.view().matching("three", 5) == []
    check(folder)


def test_only_chunks_with_other_words_are_embedded(folder: Folder) -> None:
    folder.write(a=LONG)
    sync(folder.shelf)
    folder.embedder.embedded.clear()
    folder.write(a=LONG.replace("Paragraph 11 says", "Paragraph 11 now says"))
    report = sync(folder.shelf)
    assert (report.embedded, report.written, report.deleted) == (1, 4, 4)
    assert len(folder.embedder.embedded) == 1
    check(folder)


def test_a_rename_embeds_nothing(folder: Folder) -> None:
    folder.write(a=LONG, b="stays")
    sync(folder.shelf)
    (folder.path / "sub").mkdir()
    (folder.path / "a.md").rename(folder.path / "sub" / "new name.md")
    report = sync(folder.shelf)
    assert (report.embedded, report.written, report.deleted) == (0, 4, 4)
    assert (report.renamed, report.removed) == ([("a.md", "sub/new name.md")], [])
    assert list(folder.indexed()) == ["b.md", "sub/new name.md"]
    assert folder.shelf.view().matching("Paragraph", 1)[0].chunk.path == "sub/new name.md"
    check(folder)


def test_a_rename_that_changes_only_the_case(folder: Folder) -> None:
    folder.write(a="one", Note="two")
    sync(folder.shelf)
    (folder.path / "Note.md").rename(folder.path / "note.md")
    report = sync(folder.shelf)
    assert (report.embedded, report.renamed) == (0, [("Note.md", "note.md")])
    check(folder)


def test_renaming_every_note_asks_nothing(folder: Folder) -> None:
    folder.write(**{f"old__{number}": f"note {number}" for number in range(9)})
    sync(folder.shelf)
    (folder.path / "old").rename(folder.path / "new")
    report = sync(folder.shelf)
    assert (report.embedded, len(report.renamed), report.removed) == (0, 9, [])
    check(folder)


def test_a_note_that_is_renamed_and_edited_keeps_the_vectors_of_the_rest(folder: Folder) -> None:
    folder.write(a=LONG, b="stays")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    folder.write(c=LONG.replace("Paragraph 11 says", "Paragraph 11 now says"))
    report = sync(folder.shelf)
    assert (report.embedded, report.removed, report.renamed) == (1, ["a.md"], [])
    check(folder)


def test_the_same_bytes_at_two_paths_stay_citable_at_both(folder: Folder) -> None:
    folder.write(a=LONG)
    sync(folder.shelf)
    folder.write(copy=LONG)
    report = sync(folder.shelf)
    assert (report.embedded, report.written) == (0, 4)
    assert {hit.chunk.path for hit in folder.shelf.view().matching("Paragraph", 9)} == {"a.md", "copy.md"}
    (folder.path / "a.md").unlink()
    report = sync(folder.shelf)
    assert (report.embedded, report.written, report.deleted) == (0, 0, 4)
    assert list(folder.indexed()) == ["copy.md"]
    check(folder)


def test_two_notes_can_swap_their_names(folder: Folder) -> None:
    folder.write(a=LONG, b="short")
    sync(folder.shelf)
    folder.write(a="short", b=LONG)
    report = sync(folder.shelf)
    assert report.embedded == 0
    assert folder.indexed()["a.md"] == "short"
    check(folder)


def test_a_note_that_comes_back_is_embedded_again_and_whole(folder: Folder) -> None:
    folder.write(a=LONG, b="stays")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    sync(folder.shelf)
    folder.write(a=LONG)
    assert sync(folder.shelf).embedded == 4
    check(folder)


def test_a_file_may_become_a_folder_and_a_folder_a_file(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    folder.write(**{"a.md__inner": "inside"})
    sync(folder.shelf)
    assert folder.indexed() == {"a.md/inner.md": "inside", "b.md": "two", "c.md": "three"}
    check(folder)
    shutil.rmtree(folder.path / "a.md")
    folder.write(a="a file again")
    sync(folder.shelf)
    assert folder.indexed() == {"a.md": "a file again", "b.md": "two", "c.md": "three"}
    check(folder)


@pytest.mark.parametrize(
    "name", ["new\nline", "quo'te\"", "😀 日本", " ", "-n", "a:b|c?*", "%20", "é", "e\u0301", "x" * 240]
)
def test_names_of_any_kind(folder: Folder, name: str) -> None:
    folder.write(**{name: "text", "z": "other"})
    sync(folder.shelf)
    assert folder.indexed() == {f"{name}.md": "text", "z.md": "other"}
    (folder.path / f"{name}.md").unlink()
    assert sync(folder.shelf).removed == [f"{name}.md"]
    check(folder)


# ------------------------------------------------------------------------------------------- what must not be lost


def test_a_missing_root_removes_nothing(folder: Folder) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    folder.path.rename(folder.path.with_name("unmounted"))
    with pytest.raises(NotesMissing):
        sync(folder.shelf, remove_many=True)
    assert folder.indexed() == {"a.md": "one", "b.md": "two"}
    assert folder.shelf.ledger.runs(1)[0].error.startswith("the notes folder")


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("left", [None, ".keep", "lost+found/x.bin"])
def test_an_empty_root_removes_nothing(folder: Folder, left: str | None, fresh: bool) -> None:
    folder.write(a="one", sub__b="two")
    sync(folder.shelf)
    before = rows(folder)
    shutil.rmtree(folder.path)
    folder.path.mkdir()
    if left:
        (folder.path / left).parent.mkdir(exist_ok=True)
        (folder.path / left).touch()
    report = sync(folder.shelf, remove_many=True, fresh=fresh)
    assert report.remark == "the folder is empty: nothing was removed (is a drive not mounted?)"
    assert (report.removed, report.chunks, len(report.notes)) == ([], 2, 1 if left else 0)
    assert folder.indexed() == {"a.md": "one", "sub/b.md": "two"}
    if not left:
        assert rows(folder) == before
    folder.write(a="one")
    folder.write(sub__b="two")
    (folder.path / (left or ".x")).unlink(missing_ok=True)
    assert sync(folder.shelf).by_state == {"unchanged": 2}


def test_more_than_half_is_removed_only_if_that_is_said(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three", d="four")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    (folder.path / "b.md").unlink()
    assert sync(folder.shelf).removed == ["a.md", "b.md"]  # just half
    folder.write(a="one", b="two")
    sync(folder.shelf)
    before = rows(folder)
    for name in "abc":
        (folder.path / f"{name}.md").unlink()
    with pytest.raises(TooManyRemovals, match=r"3 of 4 notes are gone from the folder.*run: ask ingest --yes"):
        sync(folder.shelf)
    assert rows(folder) == before
    assert len(folder.indexed()) == 4
    assert sync(folder.shelf, remove_many=True).removed == ["a.md", "b.md", "c.md"]
    check(folder)


def test_notes_that_are_all_emptied_count_as_removed(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    folder.write(a="", b="", c="three, changed")
    with pytest.raises(TooManyRemovals, match="2 of 3"):
        sync(folder.shelf)
    assert folder.indexed() == {"a.md": "one", "b.md": "two", "c.md": "three"}
    assert not (folder.shelf.folder / "gen-2").exists()
    assert sync(folder.shelf, remove_many=True).removed == ["a.md", "b.md"]
    check(folder)


def test_notes_that_are_all_ignored_count_as_removed(folder: Folder) -> None:
    folder.write(drafts__a="one", drafts__b="two", c="three")
    sync(folder.shelf)
    (folder.path / ".studyignore").write_text("drafts/\n")
    with pytest.raises(TooManyRemovals):
        sync(folder.shelf)
    report = sync(folder.shelf, remove_many=True)
    assert states(report) == {
        ".studyignore": "skipped",
        "c.md": "unchanged",
        "drafts/a.md": "skipped",
        "drafts/b.md": "skipped",
    }
    assert folder.indexed() == {"c.md": "three"}
    (folder.path / ".studyignore").unlink()
    assert sync(folder.shelf).by_state == {"indexed": 2, "unchanged": 1}
    check(folder)


def test_the_last_note_can_be_replaced(folder: Folder) -> None:
    folder.write(a="one")
    sync(folder.shelf)
    (folder.path / "a.md").unlink()
    folder.write(b="two")
    assert sync(folder.shelf).removed == ["a.md"]
    check(folder)


# ------------------------------------------------------------------------------------------------------- a sub-tree


def test_a_sync_within_a_sub_tree_looks_at_nothing_else(folder: Folder) -> None:
    folder.write(a="one", sub__b="two", sub__deep__c="three", subway="four")
    sync(folder.shelf)
    folder.write(a="one, changed", sub__b="two, changed", subway="four, changed", sub__new="five", other="six")
    (folder.path / "sub" / "deep" / "c.md").unlink()
    report = sync(folder.shelf, within=["sub"])
    assert states(report) == {"sub/b.md": "indexed", "sub/new.md": "indexed"}
    assert (report.removed, report.chunks) == (["sub/deep/c.md"], 4)
    assert folder.indexed() == {"a.md": "one", "sub/b.md": "two, changed", "sub/new.md": "five", "subway.md": "four"}
    sync(folder.shelf)
    assert folder.indexed()["other.md"] == "six"
    check(folder)


def test_a_sync_within_a_new_folder_keeps_the_rest(folder: Folder) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    folder.write(new__c=LONG, new__copy="one")
    report = sync(folder.shelf, within=["new"])
    assert (report.embedded, report.written) == (4, 5)  # the copy's vector is there
    assert list(folder.indexed()) == ["a.md", "b.md", "new/c.md", "new/copy.md"]
    check(folder)


def test_a_sync_of_one_file(folder: Folder) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf, within=["b.md"])
    assert folder.indexed() == {"b.md": "two"}
    sync(folder.shelf, within=["a.md", "c.md"])
    (folder.path / "a.md").unlink()
    assert sync(folder.shelf, within=["a.md"]).removed == ["a.md"]
    assert states(sync(folder.shelf, within=["."])) == {"b.md": "unchanged", "c.md": "unchanged"}
    check(folder)


def test_a_sync_within_does_not_vouch_for_the_rest(folder: Folder) -> None:
    """A file that changed without its time showing it is read again, whatever else was looked at since."""
    folder.write(a="one text", b="two")
    stamp = time.time_ns()
    os.utime(folder.path / "a.md", ns=(stamp, stamp))
    sync(folder.shelf)
    folder.write(a="new text")
    os.utime(folder.path / "a.md", ns=(stamp, stamp))
    sync(folder.shelf, within=["b.md"])
    assert folder.shelf.ledger.last_whole * 1e9 < stamp + RACY_NS
    sync(folder.shelf)
    assert folder.indexed()["a.md"] == "new text"


def test_moving_out_of_the_sub_tree_that_is_synced(folder: Folder) -> None:
    folder.write(a__one=LONG, b__two="two", c="three", d="four")
    sync(folder.shelf)
    (folder.path / "a" / "one.md").rename(folder.path / "b" / "one.md")
    report = sync(folder.shelf, within=["b"])
    assert report.embedded == 0
    assert list(folder.indexed()) == ["a/one.md", "b/one.md", "b/two.md", "c.md", "d.md"]
    sync(folder.shelf)
    check(folder)


# --------------------------------------------------------------------------------------------------------- dry run


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
        "renamed.md": "added",
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


# ------------------------------------------------------------------------------------------ who else is told, waits


def test_a_listener_is_told_once_what_changed(folder: Folder) -> None:
    told: list[Change] = []
    folder.write(a="one", b="two", c="three", d="four", e="five")
    sync(folder.shelf, on_change=told.append)
    first = folder.shelf.ledger.notes()
    assert [edit.path for edit in told[0].added] == ["a.md", "b.md", "c.md", "d.md", "e.md"]
    assert told[0].added[0] == Edit("a.md", old="", new=first["a.md"].version)
    folder.write(a="one, changed", f="six", d="")
    (folder.path / "b.md").unlink()
    (folder.path / "c.md").rename(folder.path / "z.md")
    sync(folder.shelf, on_change=told.append)
    second = folder.shelf.ledger.notes()
    assert told[1] == Change(
        generation=2,
        added=(Edit("f.md", new=second["f.md"].version),),
        changed=(Edit("a.md", old=first["a.md"].version, new=second["a.md"].version),),
        removed=(Edit("b.md", old=first["b.md"].version), Edit("d.md", old=first["d.md"].version)),
        renamed=(Edit("z.md", old=first["c.md"].version, new=first["c.md"].version, was="c.md"),),
    )
    sync(folder.shelf, on_change=told.append)
    os.utime(folder.path / "a.md", (1, 1))
    sync(folder.shelf, on_change=told.append)
    sync(folder.shelf, on_change=told.append, dry_run=True)
    sync(folder.shelf, on_change=told.append, fresh=True)  # every chunk is new, and no note says otherwise
    assert len(told) == 2


def test_a_listener_hears_of_what_readers_already_see_and_may_sync(folder: Folder) -> None:
    folder.write(a="one")
    seen: list[object] = []

    def listen(change: Change) -> None:
        seen.append(folder.opened().view().count())
        folder.write(b="two")
        seen.append(sync(folder.shelf).by_state)

    sync(folder.shelf, on_change=listen)
    assert seen == [1, {"indexed": 1, "unchanged": 1}]


def test_a_listener_that_fails_does_not_undo_the_sync(folder: Folder) -> None:
    folder.write(a="one")

    def fail(change: Change) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sync(folder.shelf, on_change=fail)
    assert folder.indexed() == {"a.md": "one"}
    assert folder.shelf.ledger.runs(1)[0].error == ""


def test_progress_counts_files_and_chunks(folder: Folder) -> None:
    folder.write(**{f"n{number}": LONG for number in range(200)})
    told: list[tuple[str, int, int]] = []
    sync(folder.shelf, progress=lambda step, done, total: told.append((step, done, total)))
    reading = [(done, total) for step, done, total in told if step == "reading"]
    embedding = [(done, total) for step, done, total in told if step == "embedding"]
    assert reading == [(number, 200) for number in range(1, 201)]
    assert [done for done, _ in embedding] == [64, 576, 800]
    assert embedding[-1] == (800, 800)
    assert all(done <= total for done, total in embedding)


def test_two_syncs_at_once_and_the_second_says_so(folder: Folder) -> None:
    folder.write(a="one")
    errors: list[str] = []

    def second(step: str, done: int, total: int) -> None:
        try:
            sync(folder.opened())
        except SyncRunning as error:
            errors.append(str(error))

    sync(folder.shelf, progress=second)
    message = f"another sync of these notes is running (process {os.getpid()}); wait for it, then run: ask ingest"
    assert set(errors) == {message}
    assert sync(folder.shelf).by_state == {"unchanged": 1}


def test_a_sync_that_waits_comes_after(folder: Folder) -> None:
    folder.write(a="one")
    waiting: list[threading.Thread] = []
    reports: list[Report] = []

    def second(step: str, done: int, total: int) -> None:
        if not waiting:
            folder.write(b="two")
            waiting.append(threading.Thread(target=lambda: reports.append(sync(folder.opened(), wait=True))))
            waiting[0].start()
            time.sleep(0.1)
            assert not reports

    sync(folder.shelf, progress=second)
    waiting[0].join()
    assert [report.generation for report in reports] == [2]
    check(folder)


def test_a_dry_run_does_not_wait_for_a_sync(folder: Folder) -> None:
    folder.write(a="one")
    told: list[Report] = []
    sync(folder.shelf, progress=lambda *step: told.append(sync(folder.opened(), dry_run=True)))
    assert told


SYNCER = """
import sys
from pathlib import Path
from ingest.errors import SyncRunning
from ingest.sync import sync
from tests.folders import Folder

folder = Folder(Path(sys.argv[1]))
try:
    print(sync(folder.shelf, wait=len(sys.argv) > 2).generation)
except SyncRunning as error:
    print(error)
"""


def test_processes_that_sync_at_once_take_turns(folder: Folder, tmp_path: Path) -> None:
    folder.write(**{f"n{number}": f"note {number}" for number in range(50)})
    command = [sys.executable, "-c", SYNCER, str(tmp_path), "wait"]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["1\n"] * 3
    assert len(folder.shelf.ledger.runs(9)) == 3
    check(folder)


# -------------------------------------------------------------------------------------------------- what goes wrong


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


# ------------------------------------------------------------------------------------------------ any other folder


def test_the_script_for_any_folder_adds_up(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    folder.write(a="one", b="", sub__c=LONG)
    (folder.path / "odd.pdf").write_bytes(b"%PDF-1.4 and no more")
    (folder.path / "link").symlink_to("sub")
    (folder.path / ".hidden").touch()
    assert folder_ledger.main([str(folder.path)]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["files"], told["on_disk"], told["wrong"]) == (6, 6, [])
    assert told["by_state"] == {"empty": 1, "failed": 1, "indexed": 2, "skipped": 2}
    assert told["chunks"] == 5


def test_the_script_tells_what_does_not_add_up(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one")
    monkeypatch.setattr(folder_ledger, "on_disk", lambda folder: 2)
    wrong = folder_ledger.ingest(folder.path, tmp_path / "home", real=False)["wrong"]
    assert wrong == ["2 files on disk, 1 in the report, {'indexed': 1}"]


def test_the_script_tells_when_its_process_died(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert folder_ledger.main([str(folder.path)]) == 1
    assert "the process died (status 1)" in capfd.readouterr().err
