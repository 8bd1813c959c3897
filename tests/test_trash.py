"""A deleted note can be restored, and nothing is ever replaced or lost."""

import os
from pathlib import Path

import pytest

from ingest.errors import PathOutsideNotes
from tests.folders import Folder
from ui import trash as trashing
from ui.errors import InTheWay, NotThere
from ui.trash import Trash


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.write(a="one", course__b="two")
    return made


def test_a_deleted_note_comes_back_as_it_was(folder: Folder) -> None:
    trash, note = Trash(folder.shelf), folder.path / "course" / "b.md"
    os.utime(note, (1_700_000_000, 1_700_000_000))
    id_ = trash.delete("course/b.md")
    assert not note.exists()
    assert [(one.id, one.path, one.size) for one in trash.listed()] == [(id_, "course/b.md", 3)]
    trash.restore(id_, "course/b.md")
    assert note.read_text() == "two"
    assert note.stat().st_mtime == 1_700_000_000
    assert trash.listed() == []


def test_the_same_path_can_be_deleted_again_and_again(folder: Folder) -> None:
    trash = Trash(folder.shelf)
    first = trash.delete("a.md")
    folder.write(a="another")
    second = trash.delete("a.md")
    assert [one.id for one in trash.listed()] == [second, first]
    trash.restore(first, "a.md")
    assert (folder.path / "a.md").read_text() == "one"


def test_a_note_that_has_the_place_is_not_replaced(folder: Folder) -> None:
    trash = Trash(folder.shelf)
    id_ = trash.delete("a.md")
    folder.write(a="new")
    with pytest.raises(InTheWay, match=r"there is another a\.md now; rename or delete that one"):
        trash.restore(id_, "a.md")
    assert (folder.path / "a.md").read_text() == "new"
    assert len(trash.listed()) == 1


def test_a_folder_that_is_gone_is_made_again(folder: Folder) -> None:
    trash = Trash(folder.shelf)
    id_ = trash.delete("course/b.md")
    (folder.path / "course").rmdir()
    trash.restore(id_, "course/b.md")
    assert (folder.path / "course" / "b.md").read_text() == "two"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "../outside.md",
        "course/../../outside.md",
        "/etc/hostname",
        "../notes/a.md",
        ".git/config",
        "course/../a.md",
    ],
)
def test_nothing_outside_the_notes_is_touched(folder: Folder, path: str) -> None:
    (folder.path.parent / "outside.md").write_text("mine")
    (folder.path / ".git").mkdir()
    (folder.path / ".git" / "config").write_text("x")
    trash = Trash(folder.shelf)
    id_ = trash.delete("a.md")
    trash.restore(id_, "a.md")
    with pytest.raises(PathOutsideNotes):
        trash.delete(path)
    with pytest.raises(PathOutsideNotes):
        trash.restore(id_, path)
    assert (folder.path.parent / "outside.md").read_text() == "mine"
    assert (folder.path / "a.md").read_text() == "one"


def test_a_link_is_left_alone(folder: Folder) -> None:
    (folder.path / "link.md").symlink_to(folder.path / "a.md")
    with pytest.raises(PathOutsideNotes):
        Trash(folder.shelf).delete("link.md")
    assert (folder.path / "link.md").is_symlink()


def test_what_is_not_there_is_said(folder: Folder) -> None:
    trash = Trash(folder.shelf)
    with pytest.raises(NotThere, match=r"nothing\.md is not there"):
        trash.delete("nothing.md")
    with pytest.raises(NotThere):
        trash.restore("../../notes", "a.md")


def test_another_file_system_is_no_obstacle(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    trash = Trash(folder.shelf)
    id_ = trash.delete("a.md")
    assert not (folder.path / "a.md").exists()
    trash.restore(id_, "a.md")
    assert (folder.path / "a.md").read_text() == "one"


def test_a_note_is_in_at_least_one_place_at_any_moment(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trashing, "settle", fail)
    with pytest.raises(OSError, match="No space left"):
        Trash(folder.shelf).delete("a.md")
    assert (folder.path / "a.md").read_text() == "one"
