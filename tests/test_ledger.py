"""The ledger: all or nothing, true to what was written, and clear about what is wrong with its file."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingest import ledger
from ingest.errors import DiskFull, LedgerUnavailable
from ingest.ledger import RUNS, SCHEMA, Ledger, Note, Published, new_run
from tests.conftest import ROOT

ONE = Note("a/ä 😀\n.md", "indexed", "odd", "v1", "markdown.1 abc", "Title", 3, ("page 7: bad",), 10, 1, 2, 3)
TWO = Note("b.md", "failed", "it's broken")


def run(generation: int = 1, *, started: float = 100.0, whole: bool = True, error: str = "") -> ledger.Run:
    return new_run(started, generation, {"files": 2}, whole=whole, error=error)


def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    made = Ledger(tmp_path / "new" / "folder")
    assert made.published == Published(0, "", "")
    assert (made.notes(), made.runs(9), made.text("v1"), made.note("a.md"), made.last_whole) == ({}, [], None, None, 0)
    assert len(made.identity) == 32
    assert Ledger(tmp_path / "new" / "folder").identity == made.identity
    assert Ledger(tmp_path / "other").identity != made.identity


def test_a_course_is_a_folder_with_a_note_that_answers(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    skipped = [Note(path, "skipped", "hidden") for path in (".git/config", "/bad\\xff.md", "photos/a.jpg")]
    answering = [Note(path, "indexed", version="v1") for path in ("top.md", "b/deep/x.md", "b/y.md", "ä 1/z.md")]
    made.publish(Published(1, "built", "asked"), [*skipped, *answering], [], run())
    assert made.courses() == ["b", "ä 1"]


def test_what_is_published_comes_back(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.keep_texts([("v1", "text 😀\n\x00 end"), ("v2", "")])
    made.publish(Published(7, "built", "asked"), [ONE, TWO], [], run(7))
    again = Ledger(tmp_path)
    assert again.published == Published(7, "built", "asked")
    assert (again.generation, again.built_with) == (7, "built")
    assert again.notes() == {ONE.path: ONE, TWO.path: TWO}
    assert (again.note(ONE.path), again.note("none")) == (ONE, None)
    assert (again.text("v1"), again.text("v2"), again.text("v3")) == ("text 😀\n\x00 end", "", None)
    (found,) = again.runs(9)
    assert (found.id, found.started, found.generation, found.report, found.error, found.whole) == (
        1,
        100.0,
        7,
        {"files": 2},
        "",
        True,
    )
    assert found.seconds > 0


def test_a_path_that_is_removed_and_written_stays(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.publish(Published(1, "", ""), [ONE], [], run())
    made.publish(Published(2, "", ""), [TWO], [ONE.path, TWO.path, "unknown"], run())
    assert list(made.notes()) == [TWO.path]


def test_an_error_in_a_transaction_undoes_it(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.publish(Published(1, "", ""), [ONE], [], run())
    with contextlib.suppress(ZeroDivisionError), made.transaction():
        made._db.execute("DELETE FROM notes")
        raise ZeroDivisionError
    assert Ledger(tmp_path).notes() == {ONE.path: ONE}
    made.publish(Published(2, "", ""), [TWO], [], run())  # the next one is not disturbed


def test_texts_are_kept_while_a_note_has_their_version(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.keep_texts([("v1", "one"), ("v2", "two")])
    made.keep_texts([("v1", "never written over")])
    made.publish(Published(1, "", ""), [ONE], [], run())
    made.drop_unused_texts()
    assert (made.text("v1"), made.text("v2")) == ("one", None)


def test_the_last_whole_run_that_ended_well_counts(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.add_run(run(started=1.0))
    made.add_run(run(started=2.0, whole=False))
    made.add_run(run(started=3.0, error="the disk is full"))
    assert made.last_whole == 1.0
    assert [found.error for found in made.runs(2)] == ["the disk is full", ""]


def test_only_the_last_runs_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RUNS == 1000
    monkeypatch.setattr(ledger, "RUNS", 3)
    made = Ledger(tmp_path)
    for number in range(5):
        made.add_run(run(number))
    assert [found.generation for found in made.runs(9)] == [4, 3, 2]


def test_a_reader_needs_no_write(tmp_path: Path) -> None:
    Ledger(tmp_path).publish(Published(1, "", ""), [ONE], [], run())
    before = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(tmp_path.iterdir())]
    reader = Ledger(tmp_path)
    assert reader.notes() == {ONE.path: ONE}
    reader.close()
    assert before == [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(tmp_path.iterdir())]


def test_a_ledger_that_another_program_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "PATIENCE", 0.1)
    made = Ledger(tmp_path)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for attempt in (made.notes, lambda: made.add_run(run()), lambda: Ledger(tmp_path)):
        with pytest.raises(LedgerUnavailable, match="another program has locked it") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    other.execute("ROLLBACK")
    other.close()
    made.add_run(run())
    assert len(made.runs(9)) == 1


def test_a_reader_waits_for_a_short_write(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.add_run(run())
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    assert len(made.runs(9)) == 1
    other.close()


@pytest.mark.parametrize("damage", [b"not a database at all" * 50, None])
def test_a_damaged_ledger_says_what_to_do(tmp_path: Path, damage: bytes | None) -> None:
    made = Ledger(tmp_path)
    made.keep_texts([(f"v{number}", "text " * 500) for number in range(50)])
    made.close()
    path = tmp_path / "ledger.db"
    content = path.read_bytes()
    path.write_bytes(damage or content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(LedgerUnavailable, match=f"damaged .*delete the folder {tmp_path} and run: ask ingest$"):
        Ledger(tmp_path).text("v7")


def test_a_ledger_that_can_not_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(LedgerUnavailable, match="unable to open database file; check the file"):
        Ledger(tmp_path)


def test_a_full_disk_is_told_and_nothing_happened(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.publish(Published(1, "", ""), [ONE], [], run())
    pages = made._db.execute("PRAGMA page_count").fetchone()[0]
    made._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DiskFull, match="the index stays as it was"):
        made.keep_texts([("v1", "much text " * 10_000)])
    with pytest.raises(DiskFull):
        made.publish(Published(2, "", ""), [Note(f"{n}.md", "failed", "r" * 500) for n in range(99)], [ONE.path], run())
    assert made.published.generation == 1
    assert Ledger(tmp_path).notes() == {ONE.path: ONE}
    made._db.execute("PRAGMA max_page_count = 100000")
    made.keep_texts([("v1", "much text " * 10_000)])


def test_a_ledger_of_an_older_program_is_made_anew(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.publish(Published(1, "", ""), [ONE], [], run())
    made._db.execute(f"PRAGMA user_version = {SCHEMA - 1}")
    again = Ledger(tmp_path)
    assert (again.generation, again.notes()) == (0, {})
    assert again._schema() == SCHEMA


def test_a_ledger_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    made = Ledger(tmp_path)
    made.publish(Published(1, "", ""), [ONE], [], run())
    made._db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with pytest.raises(LedgerUnavailable, match="update the program"):
        Ledger(tmp_path)
    made._db.execute(f"PRAGMA user_version = {SCHEMA}")
    assert Ledger(tmp_path).notes() == {ONE.path: ONE}


OPEN = (
    "import sys; from pathlib import Path; from ingest.ledger import Ledger; print(Ledger(Path(sys.argv[1])).identity)"
)


def test_several_processes_may_make_it_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path)]
    made = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert len({process.communicate()[0] for process in made}) == 1
    assert {process.returncode for process in made} == {0}
