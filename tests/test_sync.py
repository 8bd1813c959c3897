"""After a sync the index says what the folder says; what did not change is not touched."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ingest import parse, walk
from ingest.errors import (
    NotesMissing,
    TooManyRemovals,
)
from ingest.sync import RACY_NS, sync
from tests.conftest import ROOT
from tests.folders import LONG, Folder, age, check, rows, states


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
