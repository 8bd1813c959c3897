"""Whatever is in the folder is in the list, once, with the reason why it is not read."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import NotesMissing
from ingest.walk import walk


def told(root: Path) -> dict[str, str]:
    """Return path → why it is not read."""
    listing = walk(root)
    assert listing.unlisted == {}
    paths = [file.path for file in listing.files]
    assert len(set(paths)) == len(paths)
    on_disk = sum(len(names) for _, _, names in os.walk(os.fsencode(root))) + links_to_folders(root)
    assert len(paths) == on_disk
    return {file.path: file.skip or file.trouble for file in listing.files}


def links_to_folders(root: Path) -> int:
    """`os.walk` lists these as folders."""
    return sum(Path(top, name).is_symlink() for top, names, _ in os.walk(root) for name in names)


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_files_come_sorted_with_their_sizes(tmp_path: Path) -> None:
    make(tmp_path, "b.md", "a/z.md", "a.md", "Z.md")
    assert [(file.path, file.size) for file in walk(tmp_path).files] == [
        ("Z.md", 4),
        ("a.md", 4),
        ("a/z.md", 6),
        ("b.md", 4),
    ]


def test_an_empty_folder_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert walk(tmp_path).files == []


@pytest.mark.parametrize(
    ("root", "told"),
    [
        ("missing", "mount it, or set STUDY_NOTES"),
        ("link-to-nothing", "mount it, or set STUDY_NOTES"),
        ("file.md", r"file\.md is a file; set STUDY_NOTES to the folder that your notes are in"),
    ],
)
def test_a_root_that_is_no_folder_is_missing(tmp_path: Path, root: str, told: str) -> None:
    make(tmp_path, "file.md")
    (tmp_path / "link-to-nothing").symlink_to("nothing")
    with pytest.raises(NotesMissing, match=told):
        walk(tmp_path / root)


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to("real")
    assert [file.path for file in walk(tmp_path / "link").files] == ["a.md"]


def test_hidden_files_and_build_folders_are_counted_and_skipped(tmp_path: Path) -> None:
    make(tmp_path, ".git/objects/ab", ".hidden.md", "a/.b/c.md", "node_modules/x/y.md", "a/build/z.md", "build.md")
    make(tmp_path, "__pycache__/m.py", "venv/v.py")
    assert told(tmp_path) == {
        ".git/objects/ab": "hidden",
        ".hidden.md": "hidden",
        "__pycache__/m.py": "in a build folder",
        "a/.b/c.md": "hidden",
        "a/build/z.md": "in a build folder",
        "build.md": "",
        "node_modules/x/y.md": "in a build folder",
        "venv/v.py": "in a build folder",
    }


def test_studyignore_speaks_gitignore(tmp_path: Path) -> None:
    make(tmp_path, "drafts/a.md", "drafts/keep.md", "x/drafts/b.md", "a.log", "keep.log", "deep/c.tmp", "ok.md", "é.md")
    (tmp_path / ".studyignore").write_text("# mine\ndrafts/*\n!drafts/keep.md\n*.log\n!keep.log\n/deep\né.md\n!\n\\\n")
    assert told(tmp_path) == {
        ".studyignore": "hidden",
        "a.log": "named in .studyignore",
        "deep/c.tmp": "named in .studyignore",
        "drafts/a.md": "named in .studyignore",
        "drafts/keep.md": "",
        "keep.log": "",
        "ok.md": "",
        "x/drafts/b.md": "",
        "é.md": "named in .studyignore",
    }


@pytest.mark.parametrize("make_rules", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path)])
def test_rules_that_are_no_file_are_no_rules(tmp_path: Path, make_rules: object) -> None:
    make(tmp_path, "a.md")
    make_rules(tmp_path / ".studyignore")  # type: ignore[operator]
    assert "a.md" in [file.path for file in walk(tmp_path).files if not file.skip]


def test_rules_in_another_encoding_do_no_harm(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "b.md")
    (tmp_path / ".studyignore").write_bytes(b"caf\xe9\r\nb.md\r\n")
    assert told(tmp_path) == {".studyignore": "hidden", "a.md": "", "b.md": "named in .studyignore"}


def test_names_of_any_kind_are_kept_apart(tmp_path: Path) -> None:
    for name in (
        b"caf\xe9.md",
        b"caf\\xe9.md",
        b"caf\xe9\\.md",
        b"d\xff/in.md",
        "é.md".encode(),
        "e\u0301.md".encode(),
    ):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    make(tmp_path, "new\nline.md", "quo'te\".md", "😀.md", " .md", "a:b|c?.md", "Case.md", "case.md", "-n.md")
    assert told(tmp_path) == {
        "/caf\\xe9.md": "its name is not UTF-8",
        "/caf\\xe9\\\\.md": "its name is not UTF-8",
        "/d\\xff/in.md": "its name is not UTF-8",
        "caf\\xe9.md": "",
        "é.md": "",
        "e\u0301.md": "",
        "new\nline.md": "",
        "quo'te\".md": "",
        "😀.md": "",
        " .md": "",
        "a:b|c?.md": "",
        "Case.md": "",
        "case.md": "",
        "-n.md": "",
    }


def test_links_inside_are_followed_and_links_out_refused(tmp_path: Path) -> None:
    notes, outside = tmp_path / "notes", tmp_path / "notes-outside"
    make(notes, "a.md", "sub/b.md")
    make(outside, "secret.md")
    (notes / "in.md").symlink_to("a.md")
    (notes / "in-twice.md").symlink_to("in.md")
    (notes / "out.md").symlink_to(outside / "secret.md")
    (notes / "sub" / "out-and-in.md").symlink_to("../../notes/a.md")
    (notes / "folder-out").symlink_to(outside)
    (notes / "folder-in").symlink_to("sub")
    (notes / "up").symlink_to("..")
    (notes / "self").symlink_to("self")
    (notes / "dangling.md").symlink_to("nothing.md")
    (notes / "sub" / "loop").symlink_to("..")
    no_file = "a symbolic link to something that is no file"
    assert told(notes) == {
        "a.md": "",
        "dangling.md": no_file,
        "folder-in": no_file,
        "folder-out": "a symbolic link out of the notes folder",
        "in-twice.md": "",
        "in.md": "",
        "out.md": "a symbolic link out of the notes folder",
        "self": no_file,
        "sub/b.md": "",
        "sub/loop": "a symbolic link out of the notes folder",
        "sub/out-and-in.md": "",
        "up": "a symbolic link out of the notes folder",
    }


def test_hard_links_inside_are_read_and_hard_links_out_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    make(tmp_path, "secret.md", "notes/a.md")
    (notes / "b.md").hardlink_to(notes / "a.md")
    (notes / "out.md").hardlink_to(tmp_path / "secret.md")
    (notes / "hides-it.md").symlink_to("out.md")
    outside = "a hard link to a file outside the notes folder"
    assert told(notes) == {"a.md": "", "b.md": "", "hides-it.md": outside, "out.md": outside}


@pytest.fixture
def bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("notes.md")
        yield


@pytest.mark.usefixtures("bound")
def test_pipes_sockets_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    expected = {"notes.md": "", "pipe.md": ""}
    try:
        os.mknod(tmp_path / "null.md", 0o20666, os.makedev(1, 3))
        expected["null.md"] = ""
    except PermissionError:
        pass  # only root may
    assert told(tmp_path) == dict.fromkeys(expected, "not a regular file (a device, socket or pipe)")


def test_a_folder_that_can_not_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.md", "locked/b.md", "locked/deep/c.md", "vanished/d.md")
    real = os.scandir

    def scandir(path: str) -> object:  # root may list everything
        if path.endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        if path.endswith("/vanished"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    listing = walk(tmp_path)
    assert [file.path for file in listing.files] == ["a.md"]
    assert listing.unlisted == {"locked/": "Permission denied"}


def test_a_root_that_can_not_be_listed_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> object:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(NotesMissing):
        walk(tmp_path)


class _Entry:
    """As os.DirEntry, but it can't be looked at."""

    def __init__(self, entry: "os.DirEntry[str]", error: OSError) -> None:
        self.name, self.path, self._error = entry.name, entry.path, error

    def is_dir(self, *, follow_symlinks: bool) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise self._error


class _Entries(list[object]):
    def __enter__(self) -> "_Entries":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_a_file_that_can_not_be_looked_at_is_told_apart_from_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "stale.md", "gone.md", "a.md")
    real = os.scandir
    errors = {"stale.md": OSError(116, "Stale file handle"), "gone.md": FileNotFoundError(2, "gone")}

    def scandir(path: str) -> _Entries:
        with real(path) as entries:
            return _Entries(_Entry(one, errors[one.name]) if one.name in errors else one for one in entries)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [(file.path, file.skip, file.trouble) for file in walk(tmp_path).files] == [
        ("a.md", "", ""),
        ("stale.md", "", "can't be looked at: Stale file handle"),
    ]


def test_folders_may_be_deeper_than_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("deep.md").touch()
    try:
        (file,) = walk(tmp_path).files
        assert file.path == "d/" * 1200 + "deep.md"
    finally:  # pytest can't: its RecursionError would be a warning at the end of this run, and of each one after it
        Path("deep.md").unlink()
        for _ in range(1200):
            os.chdir("..")
            Path("d").rmdir()
