"""Files are read in child processes, so that no file can stop, kill or bloat whoever wants it read.

    with Workers(2) as workers:
        document = workers.read(path, data)

A child (child.py) is kept for many files. It has a limit of memory and of time, and a new one takes its place
when it dies. Its answers are not trusted: it may have read a file that took it over.
"""

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import Any, Self

from ingest.errors import Unreadable
from ingest.read import PDF, Block, Document, Reader, read
from ingest.read.child import MEMORY, OCR, OCR_SECONDS, OUT_OF_MEMORY
from ingest.read.pages import ALL_PAGES, MOST_PAGES, Pages

WORN = MEMORY // 4
"""A child that holds more after a file is replaced."""
FILE_SECONDS = 20
"""Longest time for a file; for a PDF, until its first page begins."""
PAGE_SECONDS = 5
PATIENCE = 60
"""Seconds for a whole PDF, beside those for its pages; then PDFium alone reads on, for as long again."""
PAGE_PATIENCE = 0.2
OCR_PATIENCE = 10
"""Seconds for a page, on average, without and with OCR."""
STRIKES = 3
"""After so many pages that pypdf hung or crashed on, PDFium alone reads on."""
DEATHS = 12
"""After so many children died in a row over one file, the rest of its pages are lost."""

_FRAME = 256 << 20
"""Longest part of an answer, in bytes."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "TMPDIR")
"""Variables that a child gets: no key and no token comes near a hostile file."""


def inherited() -> dict[str, str]:
    """Return the variables that a child which reads what others wrote may have."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


class _Died(Exception):
    """A child ended before its answer did; says why."""


class Workers:
    """Children that read files; as many threads as there are children may read at once."""

    def __init__(
        self, count: int, *, ocr: str = "", environ: Mapping[str, str] | None = None, package: str = "ingest.read"
    ) -> None:
        """Start nothing yet.

        Args:
            count: Most children at a time.
            ocr: Languages, by tesseract's names, in which scanned pages are read; empty: they aren't.
            environ: Variables that the children get beside their few.
            package: Where the readers' modules are; elsewhere in tests.
        """
        environ = inherited() | {OCR: ocr} | dict(environ or {})
        root = str(Path(__file__).resolve().parents[2])
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))
        self._package = package
        # The kernel kills a child when the thread that started it ends; so one that stays starts them all.
        self._starter = ThreadPoolExecutor(1)
        self._workers = [_Worker(environ, self._starter) for _ in range(count)]
        self._idle: LifoQueue[_Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._starter.shutdown()
        for worker in self._workers:
            worker.stop()

    def read(self, path: Path, data: bytes | None = None) -> Document:
        """Read one file in a child, as `ingest.read.read` does in this process.

        Args:
            path: Where it lies; only its suffix and name are used where `data` are given.
            data: All of its bytes.

        Raises:
            Unreadable: It holds no text to index, or its reader crashed, hung or needs too much memory.
        """
        return read(path, path.read_bytes() if data is None else data, run=self._run)

    def _run(self, reader: Reader, path: Path, data: bytes) -> Document:
        request = {"module": f"{self._package}.{reader.module}", "path": path.name}
        worker = self._idle.get()
        try:
            if reader.module == PDF.module:
                return _read_pages(worker, request, data).document(path)
            answer = {name: value for part in worker.parts(request, data) for name, value in part.items()}
            text, title, blocks, lost, remark = answer["document"]
            made = (Block(start, end, kind, tuple(names), at) for start, end, kind, names, at in blocks)
            return Document(str(text), str(title), tuple(made), tuple(lost), str(remark))
        except _Died as death:
            raise Unreadable("failed", str(death)) from death
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable("failed", "the reader's answer makes no sense") from error
        finally:
            self._idle.put(worker)


class _Worker:
    """One child process, started when it is first needed and again after each death."""

    def __init__(self, environ: Mapping[str, str], starter: ThreadPoolExecutor) -> None:
        self._environ = environ
        self._starter = starter
        self._process: subprocess.Popen[bytes] | None = None
        ocr = bool(environ[OCR])
        self._page_seconds = PAGE_SECONDS + OCR_SECONDS * ocr
        self.page_patience = OCR_PATIENCE if ocr else PAGE_PATIENCE

    def parts(self, request: dict[str, Any], data: bytes) -> Generator[dict[str, Any], None, None]:
        """Have a file read, and yield the parts of the answer as they come.

        Raises:
            Unreadable: The reader says so.
            _Died: The child crashed, hung, ran out of memory or answered nonsense.
        """
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = self._starter.submit(self._start).result()
        process, refusal = self._process, []
        try:
            # PDFium opens a file in an instant, after pypdf had its time.
            with _within(PAGE_SECONDS if request.get("plain") == ALL_PAGES else FILE_SECONDS, process):
                _send(process, {**request, "size": len(data)}, data)
                part = _receive(process)
            while "end" not in part:
                if "unreadable" in part:
                    refusal = part["unreadable"]
                else:
                    yield part
                with _within(self._page_seconds, process):
                    part = _receive(process)
            if part["end"] > WORN:
                self.stop()
        except BaseException:  # whatever stops this leaves an answer half read
            self.stop()
            raise
        if refusal:
            raise Unreadable(*map(str, refusal))

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "ingest.read.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environ,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):  # what was not yet written never will be
                    pipe and pipe.close()


def _read_pages(worker: _Worker, request: dict[str, Any], data: bytes) -> Pages:
    """Read a PDF page by page: after a page that kills its reader, a new one goes on.

    Raises:
        Unreadable: The file can't be opened.
        _Died: No reader lived to say how many pages there are.
    """
    found = Pages()
    started = time.monotonic()
    plain = strikes = deaths = 0
    alone = False
    while True:
        done, opened, patience = found.done, False, math.inf
        try:
            asked = {**request, "done": done, "plain": plain, "alone": alone}
            with closing(worker.parts(asked, data)) as parts:
                for part in parts:
                    found.add(part)
                    opened, patience = True, PATIENCE + found.count * worker.page_patience
                    patience *= 2 if plain == ALL_PAGES else 1
                    if time.monotonic() - started > patience:
                        raise _Died(f"the file took longer than {patience:.0f} s")
            return found
        except (_Died, Unreadable) as died:
            death = died
        page, tired = found.done + 1, time.monotonic() - started > patience
        deaths = deaths + 1 if page == done + 1 else 1
        if not found.count and (plain == ALL_PAGES or isinstance(death, Unreadable)):
            raise death
        if 0 < found.count < page:
            return found  # only the outline is missing
        if tired and plain == ALL_PAGES:
            found.lose_rest(str(death))
            return found
        if tired or (not opened and plain < ALL_PAGES):
            plain = ALL_PAGES
        elif not opened:  # PDFium can't open it, so pypdf has to go on
            found.lose(page, str(death))
            plain, strikes = 0, -MOST_PAGES
        elif found.texts.get(page):  # PDFium died over a page that pypdf had read
            found.lose(page, str(death))
            alone = True
        elif page > done + plain:  # pypdf died; PDFium may not
            strikes += 1
            plain = ALL_PAGES if strikes >= STRIKES else 1
        else:
            found.lose(page, str(death))
            plain = ALL_PAGES if plain == ALL_PAGES else 0
        if deaths >= DEATHS:
            found.lose_rest(f"not tried, as too many pages before it stopped the reader ({death})")
            return found


@contextmanager
def _within(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill the child if this takes longer, and tell why where it ends early."""
    started = time.monotonic()
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise _Died(_why(process, seconds, time.monotonic() - started)) from error
    finally:
        timer.cancel()


def _why(process: subprocess.Popen[bytes], limit: float, seconds: float) -> str:
    try:
        status = process.wait(1)
    except subprocess.TimeoutExpired:
        return "the reader's answer makes no sense"
    if seconds >= limit:
        return f"took longer than {limit} s"
    if status == OUT_OF_MEMORY:
        return f"needs more than {MEMORY >> 30} GiB of memory"
    return f"the reader crashed (signal {-status})" if status < 0 else f"the reader ended (status {status})"


def _send(process: subprocess.Popen[bytes], request: dict[str, Any], data: bytes) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.write(data)
    process.stdin.flush()


def _receive(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout
    head = process.stdout.read(4)
    length = int.from_bytes(head, "big")
    if len(head) == 4 and length > _FRAME:
        raise ValueError(length)
    body = process.stdout.read(length)
    if len(head) < 4 or len(body) < length:
        raise EOFError
    part = json.loads(body)
    if not isinstance(part, dict):
        raise ValueError(part)
    return part
