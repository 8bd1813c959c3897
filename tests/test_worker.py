import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.read import Document
from ingest.read import read as read_here
from ingest.read.child import OCR
from ingest.read.worker import Workers
from tests import pdfs
from tests.readings import refusal, told

ROOT = Path(__file__).resolve().parent.parent
ODD_DOCX = '''
"""A reader that does what its file says."""
import ctypes, os, signal, sys, time
from pathlib import Path
from ingest.errors import Unreadable
from ingest.read import Block, Document

kept = []


def read(path, data):
    word, _, rest = data.decode().partition(" ")
    text = rest or str(os.getpid())
    if word == "hang":
        Path(rest).write_text(str(os.getpid()))
        time.sleep(600)
    elif word == "crash":
        ctypes.string_at(0)
    elif word == "exit":
        os._exit(3)
    elif word == "eat":
        kept.append(bytearray(2 << 30))
    elif word == "keep":
        kept.append(bytearray(300 << 20))
    elif word == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    elif word == "print":
        print("printed"), print("printed", file=sys.stderr), os.write(1, b"printed"), os.write(2, b"printed")
    elif word == "lie":
        for number in range(3, 10):
            try:
                os.write(number, b"\\xff\\xff\\xff\\xff")
            except OSError:
                pass
    elif word == "raise":
        raise RuntimeError("odd\\n\\x1b[31mfile")
    elif word == "refuse":
        raise Unreadable("encrypted", "needs a password")
    elif word == "environment":
        text = " ".join(sorted(os.environ))
    elif word == "half":
        return Document("half \\ud83d", "title", (Block(0, 6, "text", ("A", "B"), "page 1"),), ("lost",), "remark")
    elif word == "nonsense":
        return Document("text", "title", ((0,),))
    return Document(text, "", (Block(0, len(text), "text", (), "page 1"),))
'''
ODD_PDF = '''
"""A PDF of two readings: each line is a page, 'what pypdf does | what PDFium does', where a second is given.

The first line may be 'open what pypdf does, what PDFium does'.
"""
import os, time
from ingest.errors import Unreadable


def act(word):
    if word == "hang":
        time.sleep(600)
    elif word == "crash":
        os.abort()
    elif word == "eat":
        bytearray(2 << 30)
    elif word == "refuse":
        raise Unreadable("encrypted", "needs a password")
    elif word == "rest":
        time.sleep(0.3)
    return word


def pages(data, *, done, plain, alone):
    lines = data.decode().split("\\n")
    if lines[0].startswith("open"):
        act(lines[0].split()[1 if plain < len(lines) else 2])
    yield {"count": len(lines), "title": ""}
    for page in range(done + 1, len(lines) + 1):
        first, _, second = lines[page - 1].partition(" | ")
        part = {"page": page, "by": "", "lost": "", "notice": ""}
        if page > done + plain:
            compared = second and not alone
            yield {**part, "text": act(first), "last": not compared}
            if compared:
                yield {**part, "text": act(second), "last": True}
        else:
            yield {**part, "text": act(second or first), "last": True}
    act(os.environ.get("AT_THE_END"))
    yield {"outline": [[0, "A heading", 1]]}
'''


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Variables with which a child finds the odd readers."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "docx.py").write_text(ODD_DOCX)
    (tmp_path / "odd" / "pdf.py").write_text(ODD_PDF)
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def odd(environ: dict[str, str]) -> Iterator[Workers]:
    """One worker with readers that do what the file says."""
    with Workers(1, package="odd", environ=environ) as workers:
        yield workers


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test can wait for."""
    monkeypatch.setattr("ingest.read.worker.FILE_SECONDS", 2)
    monkeypatch.setattr("ingest.read.worker.PAGE_SECONDS", 1)


def process_of(workers: Workers) -> int:
    """Return the id of the process that reads now."""
    return int(workers.read(Path("a.docx"), b"pid").text)


def is_alive(process: int) -> bool:
    """Return whether a process runs, or has ended and nobody waits for it."""
    return Path(f"/proc/{process}").exists()


def refused(workers: Workers, text: str) -> tuple[str, str]:
    """Return the state and the reason with which an odd file is refused."""
    return refusal(workers.read, "a.docx", text.encode())


def read_pages(workers: Workers, *lines: str) -> Document:
    """Return an odd PDF."""
    return workers.read(Path("a.pdf"), "\n".join(lines).encode())


def words(document: Document) -> list[str]:
    """Return the text of each page that was read."""
    return [text for _, text in told(document)]


def test_a_worker_reads_what_this_process_would(tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("# Sharding\n\nShards are *parts*.\n\n- one\n- two\n")
    page = tmp_path / "page.pdf"
    page.write_bytes(pdfs.document(pdfs.line("The first page."), b"", pdfs.line("The third page.")))
    with Workers(1) as workers:
        assert workers.read(note) == read_here(note, note.read_bytes())
        assert workers.read(page) == read_here(page, page.read_bytes())
        assert refusal(workers.read, "a.pdf", b"") == ("empty", "the file has no bytes")
        assert refusal(workers.read, "a.xyz", b"x") == ("skipped", "no reader for .xyz")


def test_a_worker_is_kept_for_many_files_and_leaves_nothing_behind(environ: dict[str, str]) -> None:
    with Workers(2, package="odd", environ=environ) as workers:
        processes = {process_of(workers) for _ in range(20)}
        assert len(processes) == 1
        assert all(map(is_alive, processes))
    assert not any(map(is_alive, processes))


def test_many_threads_share_a_few_workers(environ: dict[str, str]) -> None:
    with Workers(2, package="odd", environ=environ) as workers, ThreadPoolExecutor(6) as threads:
        texts = [f"{number} " * 1000 for number in range(60)]
        read = threads.map(lambda text: workers.read(Path("a.docx"), b"say " + text.encode()).text, texts)
        assert list(read) == texts
        assert len(set(threads.map(lambda _: process_of(workers), range(20)))) <= 2


def test_a_worker_outlives_the_thread_that_first_used_it(odd: Workers) -> None:
    thread = threading.Thread(target=process_of, args=(odd,))
    thread.start()
    thread.join()
    process = process_of(odd)
    time.sleep(0.1)
    assert process_of(odd) == process


@pytest.mark.parametrize(
    ("does", "state", "reason"),
    [
        ("crash", "failed", "the reader crashed (signal 11)"),
        ("exit", "failed", "the reader ended (status 3)"),
        ("eat", "failed", "needs more than 1 GiB of memory"),
        ("raise", "failed", "RuntimeError: odd[31mfile"),
        ("refuse", "encrypted", "needs a password"),
        ("lie", "failed", "the reader's answer makes no sense"),
        ("nonsense", "failed", "AttributeError: 'tuple' object has no attribute 'start'"),
    ],
)
def test_a_file_that_misbehaves_fails_and_the_next_is_read(odd: Workers, does: str, state: str, reason: str) -> None:
    assert refused(odd, does) == (state, reason)
    assert odd.read(Path("b.docx"), b"say fine").text == "fine"


@pytest.mark.usefixtures("hasty")
def test_a_file_that_hangs_is_given_up(odd: Workers, tmp_path: Path) -> None:
    started = time.monotonic()
    assert refused(odd, f"hang {tmp_path / 'pid'}") == ("failed", "took longer than 2 s")
    assert time.monotonic() - started < 4
    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert odd.read(Path("b.docx"), b"say fine").text == "fine"


def test_a_document_arrives_as_it_was_made(odd: Workers) -> None:
    document = odd.read(Path("a.docx"), b"half")
    assert (document.text, document.title, document.lost, document.remark) == (
        "half \ud83d",
        "title",
        ("lost",),
        "remark",
    )
    assert [(block.start, block.end, block.heading) for block in document.blocks] == [(0, 6, ("A", "B"))]


def test_a_worker_that_grew_is_replaced(odd: Workers) -> None:
    process = process_of(odd)
    odd.read(Path("a.docx"), b"keep")
    assert process_of(odd) != process
    assert not is_alive(process)


def test_readers_print_nothing_and_are_not_interrupted(odd: Workers, capfd: pytest.CaptureFixture[str]) -> None:
    assert odd.read(Path("a.docx"), b"print fine").text == "fine"
    assert odd.read(Path("a.docx"), b"interrupt fine").text == "fine"
    assert capfd.readouterr() == ("", "")


def test_no_secret_is_handed_to_a_reader(
    odd: Workers, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setenv("STUDY_QDRANT_API_KEY", "secret")
    with Workers(1, ocr="deu", package="odd", environ=environ) as workers:
        names = workers.read(Path("a.docx"), b"environment").text.split()
    assert OCR in names
    assert "STUDY_QDRANT_API_KEY" not in names


@pytest.mark.usefixtures("hasty")
def test_a_page_that_kills_its_reader_is_lost_and_no_other_is(odd: Workers) -> None:
    document = read_pages(odd, "one", "hang | hang", "three", "crash | crash", "eat | eat", "six")
    assert words(document) == ["one", "three", "six"]
    assert document.lost == (
        "page 2: took longer than 1 s",
        "page 4: the reader crashed (signal 6)",
        "page 5: needs more than 1 GiB of memory",
    )
    assert read_pages(odd, "one").text == "one"


@pytest.mark.usefixtures("hasty")
def test_a_page_on_which_one_library_dies_is_read_by_the_other(odd: Workers) -> None:
    document = read_pages(odd, "hang | by PDFium", "by pypdf | crash", "crash | by PDFium", "by pypdf | hang", "five")
    assert words(document) == ["by PDFium", "by pypdf", "by PDFium", "by pypdf", "five"]
    assert document.lost == ()


@pytest.mark.usefixtures("hasty")
def test_pypdf_is_not_asked_again_after_it_died_thrice(odd: Workers) -> None:
    pages = ["crash | a", "crash | b", "crash | c", "by pypdf | by PDFium"]
    assert words(read_pages(odd, *pages)) == ["a", "b", "c", "by PDFium"]


@pytest.mark.usefixtures("hasty")
def test_five_thousand_pages_that_hang_end_soon(odd: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.read.worker.DEATHS", 4)
    started = time.monotonic()
    document = read_pages(odd, "one", *["hang | hang"] * 5000)
    assert time.monotonic() - started < 10
    assert words(document) == ["one"]
    assert len(document.lost) == 5000
    assert document.lost[0] == "page 2: took longer than 1 s"
    reason = "not tried, as too many pages before it stopped the reader (took longer than 1 s)"
    assert document.lost[-1] == f"page 5001: {reason}"


def test_a_file_that_takes_too_long_on_the_whole_is_ended(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.read.worker.PATIENCE", 1.0)
    monkeypatch.setattr("ingest.read.worker.PAGE_PATIENCE", 0)
    with Workers(1, package="odd", environ=environ) as workers:
        document = read_pages(workers, *["rest"] * 20)
    assert 2 <= len(words(document)) <= 8
    assert document.lost[-1] == "page 20: the file took longer than 2 s"
    assert len(document.lost) + len(words(document)) == 20


@pytest.mark.usefixtures("hasty")
def test_a_file_that_neither_library_opens_fails(odd: Workers) -> None:
    assert refusal(odd.read, "a.pdf", b"open hang hang") == ("failed", "took longer than 1 s")
    assert refusal(odd.read, "a.pdf", b"open crash crash") == ("failed", "the reader crashed (signal 6)")
    assert refusal(odd.read, "a.pdf", b"open refuse fine") == ("encrypted", "needs a password")
    assert refusal(odd.read, "a.pdf", b"open crash refuse") == ("encrypted", "needs a password")


def test_a_file_that_pypdf_dies_on_is_opened_by_pdfium(odd: Workers) -> None:
    assert words(read_pages(odd, "open crash fine", "two")) == ["open crash fine", "two"]


@pytest.mark.parametrize("how", ["crash", "refuse"])
def test_where_pdfium_can_not_open_a_file_pypdf_goes_on(odd: Workers, how: str) -> None:
    pages = [f"open fine {how}", "crash", "three", "crash", "five", "crash", "seven", "crash", "nine"]
    assert words(read_pages(odd, *pages)) == [pages[0], "three", "five", "seven", "nine"]


def test_a_reader_that_gives_up_in_the_middle_loses_one_page(odd: Workers) -> None:
    document = read_pages(odd, "one", "refuse | refuse", "three")
    assert words(document) == ["one", "three"]
    assert document.lost == ("page 2: needs a password",)


@pytest.mark.usefixtures("hasty")
def test_bookmarks_that_kill_the_reader_are_left_out(environ: dict[str, str]) -> None:
    with Workers(1, package="odd", environ={**environ, "AT_THE_END": "hang"}) as workers:
        assert read_pages(workers, "one", "two").text == "one\n\ntwo"
    with Workers(1, package="odd", environ=environ) as workers:
        assert read_pages(workers, "one", "two").blocks[0].heading == ("A heading",)


@pytest.mark.slow
def test_a_page_that_unpacks_to_much_more_is_lost_and_no_other_is() -> None:
    bomb = pdfs.deflated(b" " * 700_000_000 + pdfs.line("never read"))
    data = pdfs.document(pdfs.line("The first page."), bomb, pdfs.line("The third page."))
    with Workers(1) as workers:
        document = workers.read(Path("bomb.pdf"), data)
    assert told(document) == [("page 1", "The first page."), ("page 3", "The third page.")]
    assert len(document.lost) == 1
    assert document.lost[0].startswith("page 2: ")


def test_a_worker_ends_with_its_parent(tmp_path: Path, environ: dict[str, str]) -> None:
    program = (
        "import sys; from pathlib import Path; from ingest.read.worker import Workers\n"
        f"Workers(1, package='odd', environ={environ!r}).read(Path('a.docx'), b'hang ' + sys.argv[1].encode())"
    )
    started = tmp_path / "started"
    command = [sys.executable, "-c", program, str(started)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as parent:
        while not (started.exists() and started.read_text()):
            time.sleep(0.02)
        child = int(started.read_text())
        assert is_alive(child)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)


def test_an_interrupt_ends_the_reading_and_the_worker(tmp_path: Path, environ: dict[str, str]) -> None:
    started = tmp_path / "started"
    timer = threading.Timer(1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with Workers(1, package="odd", environ=environ) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.read(Path("a.docx"), f"hang {started}".encode())
        assert not is_alive(int(started.read_text()))
        assert workers.read(Path("a.docx"), b"say fine").text == "fine"


def test_the_parent_does_not_load_what_the_children_do() -> None:
    program = "import sys, ingest.read.worker; print({'pypdf', 'pypdfium2', 'lxml', 'ctypes'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout == "set()\n"
