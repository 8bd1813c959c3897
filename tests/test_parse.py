"""Whatever is wrong with a file becomes its state and its reason, and its last good version still answers."""

import contextlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingest import parse, read, walk
from ingest.errors import NotIndexed, Unreadable
from ingest.read import Block, Document, text
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.folders import Folder, age, broken, check, reasons, rows, states


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_text_that_no_course_has_is_not_indexed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MOST_TEXT", 1000)
    folder.write(long="x" * 1001, right="y " * 499)
    report = sync(folder.shelf)
    assert states(report) == {"long.md": "failed", "right.md": "indexed"}
    assert reasons(report)["long.md"] == "holds 1,001 characters of text, more than 1,000; split it"


def test_a_note_that_grew_longer_than_what_is_read_keeps_its_last_good_version(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "MOST_TEXT", 1000)
    folder.write(log="the first day", b="two")
    sync(folder.shelf)
    folder.write(log="the next day " * 100)
    report = sync(folder.shelf)
    assert (states(report)["log.md"], report.removed) == ("failed", [])
    too_long = "holds 1,300 characters of text, more than 1,000; split it"
    assert reasons(report)["log.md"] == f"{too_long}; the version read before still answers"
    assert folder.indexed() == {"b.md": "two", "log.md": "the first day"}
    check(folder)


def test_every_file_has_a_state_and_a_reason(folder: Folder, tmp_path: Path) -> None:
    folder.write(good="text")
    (folder.path / "empty.md").touch()
    (folder.path / "blank.md").write_text(" \n\t\n")
    (folder.path / "binary.md").write_bytes(bytes(range(256)) * 10)
    (folder.path / "movie.mp4").write_bytes(b"\0\1\2")
    (folder.path / "README").write_text("no suffix")
    (folder.path / "latin.txt").write_bytes("Ein Übungstext für Größe und Maß, fürs Überprüfen.".encode("latin-1"))
    with (folder.path / "huge.md").open("wb") as file:
        file.truncate((64 << 20) + 1)
    (folder.path / ".git").mkdir()
    (folder.path / ".git" / "config").write_text("x")
    (folder.path / os.fsdecode(b"caf\xe9.md")).write_text("x")
    (tmp_path / "secret.md").write_text("secret")
    (folder.path / "link.md").symlink_to(tmp_path / "secret.md")
    (folder.path / "hard.md").hardlink_to(tmp_path / "secret.md")
    os.mkfifo(folder.path / "pipe.md")
    report = sync(folder.shelf)
    assert states(report) == {
        ".git/config": "skipped",
        "/caf\\xe9.md": "skipped",
        "README": "skipped",
        "binary.md": "failed",
        "blank.md": "empty",
        "empty.md": "empty",
        "good.md": "indexed",
        "hard.md": "skipped",
        "huge.md": "skipped",
        "latin.txt": "indexed",
        "link.md": "skipped",
        "movie.mp4": "skipped",
        "pipe.md": "skipped",
    }
    assert sum(report.by_state.values()) == len(report.notes) == 13
    told = reasons(report)
    assert told["README"] == "no reader for a file without a suffix"
    assert told["movie.mp4"] == "no reader for .mp4"
    assert told["huge.md"] == "larger than 64 MiB (STUDY_MAX_FILE_MB)"
    assert all(told[path] for path, state in states(report).items() if state != "indexed")
    check(folder)
    in_ledger = {note.path: (note.state, note.reason) for note in folder.shelf.ledger.notes().values()}
    assert in_ledger == {note.path: (note.state, note.reason) for note in report.notes}


def test_a_folder_with_nothing_to_read_is_no_index(folder: Folder) -> None:
    (folder.path / "movie.mp4").write_bytes(b"\0")
    (folder.path / "empty.md").touch()
    report = sync(folder.shelf)
    assert (report.by_state, report.generation, report.chunks) == ({"empty": 1, "skipped": 1}, 0, 0)
    with pytest.raises(NotIndexed):
        folder.shelf.view()
    folder.write(a="text")
    assert sync(folder.shelf).generation == 1


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_note_that_has_no_text_any_more_answers_no_more(folder: Folder, content: bytes) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    (folder.path / "a.md").write_bytes(content)
    report = sync(folder.shelf)
    assert (states(report)["a.md"], report.removed, report.deleted) == ("empty", ["a.md"], 1)
    assert list(folder.indexed()) == ["b.md", "c.md"]
    check(folder)


@pytest.mark.parametrize("state", ["encrypted", "no text layer", "empty", "skipped"])
def test_a_note_whose_reader_finds_no_text_answers_no_more(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    folder.write(a="one, changed")

    def refuse(path: Path, data: bytes, **options: object) -> Document:
        raise Unreadable(state, "why")

    monkeypatch.setattr(read, "read", refuse)
    report = sync(folder.shelf)
    assert (states(report)["a.md"], reasons(report)["a.md"]) == (state, "why")
    assert list(folder.indexed()) == ["b.md", "c.md"]
    check(folder)


def test_a_note_that_can_not_be_read_again_keeps_its_last_good_version(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(a="good words", b="two")
    sync(folder.shelf)
    for attempt in ("worse words", "still worse"):
        folder.write(a=attempt)
        with monkeypatch.context() as patch:
            patch.setattr(read, "read", broken)
            report = sync(folder.shelf)
        assert states(report) == {"a.md": "failed", "b.md": "unchanged"}
        assert reasons(report)["a.md"] == "a bad stream; the version read before still answers"
        assert (report.removed, report.deleted, report.chunks) == ([], 0, 2)
        assert folder.indexed() == {"a.md": "good words", "b.md": "two"}
        check(folder)
    folder.write(a="good words")
    report = sync(folder.shelf)  # the very bytes that are in the index
    assert (states(report)["a.md"], report.written, report.embedded) == ("indexed", 0, 0)
    folder.write(a="better words")
    sync(folder.shelf)
    assert folder.indexed()["a.md"] == "better words"
    check(folder)


def test_a_note_that_failed_from_the_start_is_only_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one", b="two")
    with monkeypatch.context() as patch:
        patch.setattr(read, "read", broken)
        report = sync(folder.shelf)
        assert (states(report), report.generation) == ({"a.md": "failed", "b.md": "failed"}, 0)
        assert reasons(report)["a.md"] == "a bad stream"
        (folder.path / "a.md").unlink()
        assert states(sync(folder.shelf)) == {"b.md": "failed"}
    assert list(folder.shelf.ledger.notes()) == ["b.md"]


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("by\nzero"), RecursionError(), MemoryError(), KeyError("\ud800"), AssertionError("😀" * 400)],
)
def test_whatever_a_reader_raises_is_that_file_s_failure(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    folder.write(a="one", b="two")
    real = read.read

    def read_one(path: Path, data: bytes, **options: Any) -> Document:
        if path.name == "a.md":
            raise error
        return real(path, data, **options)

    monkeypatch.setattr(read, "read", read_one)
    report = sync(folder.shelf)
    assert states(report) == {"a.md": "failed", "b.md": "indexed"}
    assert reasons(report)["a.md"].startswith(f"its reader failed ({type(error).__name__}:")
    assert "\n" not in reasons(report)["a.md"]
    assert len(reasons(report)["a.md"]) < 300
    check(folder)


@pytest.mark.parametrize("where", ["text", "title", "heading", "locator", "lost"])
def test_a_reader_that_gives_lone_surrogates_fails_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def parts(name: str) -> str:
        return "bad \ud800" if name == where else "fine"

    def odd(path: Path, data: bytes, **options: object) -> Document:
        text = parts("text") if path.name == "a.md" else "fine"
        block = Block(0, len(text), "text", (parts("heading"),), parts("locator")) if path.name == "a.md" else None
        return Document(
            text,
            parts("title") if block else "",
            (block or Block(0, 4, "text", (), "line 1"),),
            lost=(parts("lost"),) if block else (),
        )

    folder.write(a="one", b="two")
    monkeypatch.setattr(read, "read", odd)
    assert states(sync(folder.shelf)) == {"a.md": "failed", "b.md": "indexed"}
    check(folder)


def test_an_unreadable_file_keeps_its_last_good_version(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one", b="two", c="three")
    sync(folder.shelf)
    folder.write(a="one, changed", c="three, changed")
    real = os.open

    def denied(path: Any, flags: int, *mode: int) -> int:  # root may open everything
        if Path(path).name == "a.md":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        for _ in range(2):
            report = sync(folder.shelf)
            assert states(report)["a.md"] == "failed"
            reason = "can't be read: Permission denied; the version read before still answers"
            assert reasons(report)["a.md"] == reason
    assert folder.indexed() == {"a.md": "one", "b.md": "two", "c.md": "three, changed"}
    check(folder)
    sync(folder.shelf)
    assert folder.indexed()["a.md"] == "one, changed"


def test_a_folder_that_can_not_be_listed_loses_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one", locked__b="two", locked__c="three", d="four")
    sync(folder.shelf)
    folder.write(locked__b="two, changed")
    (folder.path / "d.md").unlink()
    real = os.scandir

    def denied(path: Any) -> object:
        if str(path).endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", denied)
        report = sync(folder.shelf)
        assert states(report) == {"a.md": "unchanged", "locked/b.md": "failed", "locked/c.md": "failed"}
        reason = "its folder can't be listed: Permission denied; the version read before still answers"
        assert reasons(report)["locked/b.md"] == reason
        assert report.removed == ["d.md"]
        assert folder.indexed() == {"a.md": "one", "locked/b.md": "two", "locked/c.md": "three"}
        before = rows(folder)
        sync(folder.shelf)
        assert rows(folder) == before
    report = sync(folder.shelf)
    assert states(report) == {"a.md": "unchanged", "locked/b.md": "indexed", "locked/c.md": "indexed"}
    assert (report.embedded, report.written) == (1, 1)
    assert folder.indexed() == {"a.md": "one", "locked/b.md": "two, changed", "locked/c.md": "three"}
    check(folder)


def test_a_file_that_keeps_changing_is_left_for_the_next_sync(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    folder.write(a="one, changed")
    real = os.fdopen

    class Busy:
        """Writes to the file while it is read."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __enter__(self) -> "Busy":
            return self

        def __exit__(self, *error: object) -> None:
            self._stream.close()

        def read(self, most: int) -> bytes:
            found: bytes = self._stream.read(most)
            with (folder.path / "a.md").open("a") as file:
                file.write("!")
            return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", lambda descriptor, mode: Busy(real(descriptor, mode)))
        report = sync(folder.shelf, within=["a.md"])
    assert reasons(report)["a.md"].startswith("it kept changing while it was read; the next sync reads it again")
    assert folder.indexed() == {"a.md": "one", "b.md": "two"}
    sync(folder.shelf)
    assert folder.indexed()["a.md"] == "one, changed!!!"
    check(folder)


def test_a_file_that_is_swapped_for_a_link_out_is_not_read(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(a="one", b="two")
    (tmp_path / "secret.md").write_text("secret")
    listing = walk.walk(folder.path)
    (folder.path / "a.md").unlink()
    (folder.path / "a.md").symlink_to(tmp_path / "secret.md")
    (folder.path / "b.md").unlink()
    (folder.path / "b.md").hardlink_to(tmp_path / "secret.md")
    monkeypatch.setattr(walk, "walk", lambda root: listing)
    report = sync(folder.shelf)
    assert states(report) == {"a.md": "skipped", "b.md": "skipped"}
    assert "outside" in reasons(report)["a.md"]


def test_a_file_that_an_editor_replaces_while_we_sync_is_read(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one")
    listing = walk.walk(folder.path)
    folder.write(new="one, saved")
    (folder.path / "new.md").rename(folder.path / "a.md")
    monkeypatch.setattr(walk, "walk", lambda root: listing)
    assert states(sync(folder.shelf)) == {"a.md": "indexed"}
    assert folder.indexed() == {"a.md": "one, saved"}


def test_a_file_that_vanishes_while_we_sync_keeps_its_version_until_the_next(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(a="one", b="two")
    sync(folder.shelf)
    folder.write(a="one, changed")
    listing = walk.walk(folder.path)
    (folder.path / "a.md").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(walk, "walk", lambda root: listing)
        assert reasons(sync(folder.shelf))["a.md"].startswith("can't be read: No such file or directory")
    assert folder.indexed() == {"a.md": "one", "b.md": "two"}
    assert sync(folder.shelf).removed == ["a.md"]
    check(folder)


def test_a_reader_that_reads_otherwise_is_noticed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one", b="two")
    (folder.path / "c.txt").write_text("three")
    age(folder)
    sync(folder.shelf)
    monkeypatch.setitem(read.READERS, ".txt", read.TEXT._replace(version=99))
    report = sync(folder.shelf)
    assert states(report) == {"a.md": "unchanged", "b.md": "unchanged", "c.txt": "indexed"}
    assert report.embedded == 0
    monkeypatch.delitem(read.READERS, ".txt")
    assert states(sync(folder.shelf))["c.txt"] == "skipped"
    check(folder)


def test_a_limit_that_is_raised_is_noticed(folder: Folder) -> None:
    (folder.path / "big.md").write_text("words" + " " * (1 << 20))
    age(folder)
    small = Shelf(folder.settings.model_copy(update={"max_file_mb": 1}), embedder=folder.embedder)
    assert states(sync(small)) == {"big.md": "skipped"}
    assert states(sync(folder.shelf)) == {"big.md": "indexed"}


def test_a_file_that_grew_larger_than_what_is_read_keeps_its_last_good_version(folder: Folder) -> None:
    small = Shelf(folder.settings.model_copy(update={"max_file_mb": 1}), embedder=folder.embedder)
    folder.write(a="one", b="two")
    age(folder)
    sync(small)
    (folder.path / "a.md").write_text("words" + " " * (1 << 20))
    for _ in range(2):
        report = sync(small)
        assert states(report) == {"a.md": "failed", "b.md": "unchanged"}
        reason = "larger than 1 MiB (STUDY_MAX_FILE_MB); the version read before still answers"
        assert reasons(report)["a.md"] == reason
        assert folder.indexed() == {"a.md": "one", "b.md": "two"}
        check(folder)
    assert states(sync(folder.shelf)) == {"a.md": "indexed", "b.md": "unchanged"}
    assert (states(sync(small))["a.md"], folder.indexed()) == ("skipped", {"b.md": "two"})  # a limit that was lowered
    check(folder)


def test_pages_that_are_lost_are_told(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(path: Path, data: bytes, **options: object) -> Document:
        return Document("page one", "T", (Block(0, 8, "text", (), "page 1"),), ("page 2: bad stream",), "a remark")

    folder.write(a="pdf")
    monkeypatch.setattr(read, "read", lossy)
    for state in ("indexed", "unchanged"):
        (note,) = sync(folder.shelf).as_json()["notes"]
        assert note == {
            "path": "a.md",
            "state": state,
            "reason": "a remark",
            "chunks": 1,
            "pages_lost": ("page 2: bad stream",),
        }


def test_two_readings_of_the_same_bytes_keep_their_own_texts(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that took too long is lost from one reading and not from the next."""
    readings = iter(["page one, page two", "page two"])

    def flaky(path: Path, data: bytes, **options: object) -> Document:
        text = next(readings)
        return Document(text, "", (Block(0, len(text), "text", (), "page 1"),))

    monkeypatch.setattr(read, "read", flaky)
    folder.write(a="same bytes")
    sync(folder.shelf)
    folder.write(b="same bytes")
    sync(folder.shelf)
    assert folder.indexed() == {"a.md": "page one, page two", "b.md": "page two"}
    check(folder)


def test_a_note_with_a_secret_is_flagged(folder: Folder) -> None:
    folder.write(a="How to set it up:\n\nexport GITHUB_TOKEN=ghp_16C7e42F292c6912E7710c838347Ae178B4a", b="none")
    assert reasons(sync(folder.shelf)) == {
        "a.md": "holds what looks like a secret (GitHub token, line 3)",
        "b.md": "",
    }


def test_heavy_formats_are_read_in_child_processes(folder: Folder) -> None:
    pages = "<html><body><h1>Head</h1><p>Words of a page, enough of them to be kept.</p></body></html>"
    for number in range(4):
        (folder.path / f"{number}.html").write_text(pages.replace("Words", f"Words {number}"))
    (folder.path / "bad.pdf").write_bytes(b"%PDF-1.7 broken")
    (folder.path / "long.md").write_text("\n\n".join(f"Paragraph {n}. {'Words. ' * 30}" for n in range(6_000)))
    report = sync(folder.shelf)
    assert report.by_state == {"failed": 1, "indexed": 5}
    assert "Words 3" in folder.indexed()["3.html"]
    check(folder)


@pytest.mark.parametrize(("files", "characters", "most"), [(4, 1 << 20, 4), (100, 2500, 3), (100, 10, 1)])
def test_files_are_parsed_ahead_as_far_as_memory_allows(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, files: int, characters: int, most: int
) -> None:
    """What counts is the text, which in a packed format may be far longer than the file."""
    monkeypatch.setattr(parse, "AHEAD", files)
    monkeypatch.setattr(parse, "AHEAD_CHARACTERS", characters)
    folder.write(**{f"n{n:02}": f"{n}" for n in range(20)})
    begun, taken = [0], 0
    whole = parse.Parser._parse

    def counted(parser: parse.Parser, file: walk.File) -> parse.Parsed:
        begun[0] += 1
        return replace(whole(parser, file), text="x" * 1000)

    monkeypatch.setattr(parse.Parser, "_parse", counted)
    with parse.Parser(folder.path, 1 << 20, {}, lambda *_: [], again=False) as parser:
        for parsed in parser.parse(walk.walk(folder.path).files):
            assert parsed.note.path == f"n{taken:02}.md"
            taken += 1
            if taken == 1:
                time.sleep(0.2)
                assert begun[0] <= 1 + most + 3  # each of four threads may have begun before another was done
    assert taken == begun[0] == 20


def test_who_stops_taking_files_is_not_waited_for(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "AHEAD_CHARACTERS", 10)
    folder.write(**{f"n{n:02}": "many words" for n in range(20)})
    with (
        parse.Parser(folder.path, 1 << 20, {}, lambda *_: [], again=False) as parser,
        contextlib.closing(parser.parse(walk.walk(folder.path).files)) as found,
    ):
        assert next(found).note.path == "n00.md"
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("parse")]
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
