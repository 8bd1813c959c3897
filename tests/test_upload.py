"""Files that a browser sent become notes; no note is replaced."""

from pathlib import Path

import pytest

from ingest.errors import PathOutsideNotes
from tests.folders import Folder
from ui.upload import Uploaded, take


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def sent(tmp_path: Path, name: str, content: bytes = b"text") -> Path:
    place = tmp_path / "sent" / str(len(list((tmp_path / "sent").glob("*"))) if (tmp_path / "sent").exists() else 0)
    place.mkdir(parents=True)
    (place / name).write_bytes(content)
    return place / name


def taken(folder: Folder, *files: Path, course: str = "", most_files: int = 9, most_mb: int = 1) -> list[Uploaded]:
    return take(folder.shelf, files, course, most_files=most_files, most_mb=most_mb)


def test_a_file_lands_in_its_course(folder: Folder, tmp_path: Path) -> None:
    assert taken(folder, sent(tmp_path, "Week 1.md"), course="new course") == [
        Uploaded("Week 1.md", "new course/Week 1.md", "")
    ]
    assert (folder.path / "new course" / "Week 1.md").read_bytes() == b"text"


def test_another_note_of_that_name_stays(folder: Folder, tmp_path: Path) -> None:
    folder.write(a="mine")
    assert taken(folder, sent(tmp_path, "a.md", b"yours")) == [
        Uploaded("a.md", "a (2).md", "kept as a (2).md: another one has that name")
    ]
    assert (folder.path / "a.md").read_text() == "mine"
    assert (folder.path / "a (2).md").read_text() == "yours"


def test_the_same_bytes_are_not_kept_twice(folder: Folder, tmp_path: Path) -> None:
    folder.write(a="mine")
    assert taken(folder, sent(tmp_path, "a.md", b"mine")) == [Uploaded("a.md", "a.md", "was there already")]
    assert [path.name for path in folder.path.iterdir()] == ["a.md"]


def test_what_can_not_be_read_is_not_taken(folder: Folder, tmp_path: Path) -> None:
    files = [sent(tmp_path, "a.exe"), sent(tmp_path, "noname"), sent(tmp_path, "b.md", b"x" * (1 << 20) + b"x")]
    assert [one.reason for one in taken(folder, *files)] == [
        "not taken: .exe is not read",
        "not taken: a file without a suffix is not read",
        "not taken: larger than 1 MiB",
    ]
    assert list(folder.path.iterdir()) == []


def test_more_files_than_allowed_are_refused(folder: Folder, tmp_path: Path) -> None:
    found = taken(folder, sent(tmp_path, "a.md"), sent(tmp_path, "b.md"), most_files=1)
    assert [(one.path, one.reason) for one in found] == [("a.md", ""), ("", "not taken: at most 1 files at once")]


@pytest.mark.parametrize("name", ["..hidden.md", ".hidden.md", "a\u202egnp.md", "tab\there.md"])
def test_names_are_made_harmless(folder: Folder, tmp_path: Path, name: str) -> None:
    (one,) = taken(folder, sent(tmp_path, name))
    assert not Path(one.path).name.startswith(".")
    assert one.path.isprintable()


@pytest.mark.parametrize("course", ["..", "../other", "a/../../b", ".git", "x/.hidden"])
def test_a_course_lies_in_the_notes(folder: Folder, tmp_path: Path, course: str) -> None:
    with pytest.raises(PathOutsideNotes):
        taken(folder, sent(tmp_path, "a.md"), course=course)


def test_an_absolute_course_is_one_below_the_notes(folder: Folder, tmp_path: Path) -> None:
    assert [one.path for one in taken(folder, sent(tmp_path, "a.md"), course="/tmp/x")] == ["tmp/x/a.md"]
