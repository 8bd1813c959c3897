"""PDF: pypdf reads it page by page; PDFium takes over where pypdf fails, finds nothing or reads badly.

    {"count": 12, "title": "Sharding"}
    {"page": 1, "text": "Sharding\\nFSDP shards …", "by": "pypdf", "lost": "", "notice": "", "last": true}
    {"page": 2, "text": "", "by": "", "lost": "no text layer", "notice": "", "last": true}
    {"outline": [[0, "Introduction", 1]]}

Such parts come one by one, so that whoever runs this in a worker has every page that came before a crash. A
page may come twice: pypdf's reading goes out before PDFium is asked for a better one.
"""

import logging
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Set
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pypdf
from pypdf.errors import FileNotDecryptedError

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.child import OCR_SECONDS, die_with_parent
from ingest.read.clean import badness, clean, words
from ingest.read.pages import ALL_PAGES, MOST_PAGES, NO_TEXT, Pages

MOST_CHARACTERS = 20_000_000
"""Of one file; what comes after is lost."""
MOST_CHARACTERS_A_PAGE = 1_000_000

_BAD = 0.1
"""Share of words that look wrong above which PDFium is asked too."""
_BETTER = 0.05
"""PDFium's page is taken where its share is lower by so much."""
_FEW_LETTERS = 40
"""A page of fewer may lack some, and PDFium is asked too."""
_PICTURE_OBJECTS = 200
"""A page of so many lines and shapes and no text is a drawing of text."""
_EMPTY_STREAM = 200
"""Bytes; a longer content stream that draws nothing is damaged."""
_OUTLINE_ENTRIES = 2000
_KNOWN_WORDS = 100_000
_LINE_END_HYPHEN = str.maketrans({"\x02": "-\n", "\ufffe": "-\n"})
"""PDFium joins the lines of a broken word, and marks the place by one of these."""
_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD, fpdfview.h."""
_IMAGE = 3
"""FPDF_PAGEOBJ_IMAGE, fpdf_edit.h."""
_NO_LETTERS = "its fonts do not say which letters they draw"
_OCR_DPI = 300
_OCR_PIXELS = 40_000_000

_T = TypeVar("_T")


class _Complaints(logging.Handler):
    """Keeps what pypdf logs about streams that it can't decode; all other logging ends here."""

    def __init__(self) -> None:
        super().__init__()
        self.about_page: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "pypdf.filters":
            self.about_page.append(_one_line(record.getMessage()))


_complaints = _Complaints()
for _library in ("pypdf", "pypdfium2"):
    logging.getLogger(_library).addHandler(_complaints)
    logging.getLogger(_library).propagate = False


def read(path: Path, data: bytes) -> Document:
    """Read a PDF in this process; a page that crashes or hangs takes the process with it (see worker.py)."""
    found = Pages()
    for part in pages(data):
        found.add(part)
    return found.document(path)


def pages(data: bytes, *, done: int = 0, plain: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the parts of a PDF.

    Args:
        data: The file.
        done: How many pages were read before; they are left out.
        plain: How many pages after these are read by PDFium alone, since pypdf hung or crashed on them.

    Raises:
        Unreadable: It can't be opened.
        MemoryError: There is not enough; a fresh process may go on.
    """
    file = _File(data, with_pypdf=plain < ALL_PAGES)
    yield {"count": file.count, "title": file.title()}
    known: set[str] = set()
    characters = 0
    for page in range(done + 1, min(file.count, MOST_PAGES) + 1):
        if characters > MOST_CHARACTERS:
            yield _part(page, lost=f"only the first {MOST_CHARACTERS:,} characters of a file are read")
            continue
        for part in file.page(page, known, with_pypdf=page > done + plain):
            yield part
        characters += len(part["text"])
        if len(known) < _KNOWN_WORDS:
            known |= words(part["text"])
    yield {"outline": file.outline()}


def _part(
    page: int, text: str = "", by: str = "", *, lost: str = "", notice: str = "", last: bool = True
) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS_A_PAGE:
        text, notice = text[:MOST_CHARACTERS_A_PAGE], f"cut after {MOST_CHARACTERS_A_PAGE:,} characters"
    return {"page": page, "text": text, "by": by, "lost": lost, "notice": notice, "last": last}


class _File:
    """One PDF, opened by pypdf and, once it is needed, by PDFium."""

    def __init__(self, data: bytes, *, with_pypdf: bool) -> None:
        self._data = data
        self._locked = False
        self._doubted = False
        reader, problem = _try(self._open, None) if with_pypdf else (None, "")
        self._reader: pypdf.PdfReader | None = reader
        self.count = len(reader.pages) if reader else 0
        if not reader:
            self.count, other_problem = _try(lambda: len(self._pdfium), 0)
            if self._locked:
                raise Unreadable("encrypted", "needs a password")
            if not self.count:
                raise Unreadable("failed", f"damaged: {problem or other_problem or 'it has no pages'}")

    def _open(self) -> pypdf.PdfReader | None:
        try:
            reader = pypdf.PdfReader(BytesIO(self._data), strict=False)
            return reader if len(reader.pages) else None
        except FileNotDecryptedError:  # the empty password was tried
            self._locked = True
            raise

    @cached_property
    def _pdfium(self) -> Any:
        """The file as PDFium opens it."""
        import pypdfium2

        try:
            document = pypdfium2.PdfDocument(self._data)
        except pypdfium2.PdfiumError as error:
            self._locked = self._locked or error.err_code == _WRONG_PASSWORD
            raise
        self._locked = False
        return document

    def title(self) -> str:
        """Return the title in the metadata."""
        reader = self._reader
        if reader:
            return _try(lambda: str((reader.metadata and reader.metadata.title) or ""), "")[0]
        return _try(lambda: str(self._pdfium.get_metadata_value("Title")), "")[0]

    def outline(self) -> list[tuple[int, str, int]]:
        """Return level from 0, name and page from 1 of each bookmark that leads to a page."""
        found: list[tuple[int, str, int]] = []

        def collect() -> None:
            for bookmark, _ in zip(self._pdfium.get_toc(), range(_OUTLINE_ENTRIES), strict=False):
                target = bookmark.get_dest()
                index = target.get_index() if target else None
                if index is not None:
                    found.append((bookmark.level, bookmark.get_title(), index + 1))

        _try(collect, None)
        return sorted(found, key=lambda entry: entry[2])

    def page(self, page: int, known: Set[str], *, with_pypdf: bool) -> Iterator[dict[str, Any]]:
        """Yield a page as pypdf reads it; then as PDFium does, where that is better, or why it is lost."""
        _complaints.about_page.clear()
        reader = self._reader if with_pypdf else None
        raw, problem = _try(lambda: reader.pages[page - 1].extract_text(), "") if reader else ("", "")
        text, bad = clean(raw, known), badness(raw, known)
        by, notice = "pypdf", f"may lack text: {_complaints.about_page[0]}" if _complaints.about_page else ""
        good = bad <= _BAD and _letters(text) >= _FEW_LETTERS and not self._doubted
        if text:
            yield _part(page, text, by, notice=notice, last=good)
            if good:
                return
        other, other_problem = _try(lambda: self._by_pdfium(page), "")
        if _letters(other) > 2 * _letters(text) or bad - badness(other, known) > _BETTER:
            self._doubted = self._doubted or bool(text)
            text, by, notice = clean(other, known), "PDFium", ""
        if text:
            yield _part(page, text, by, notice=notice)
            return
        drawn = raw.strip() or other.strip()
        lost = _NO_LETTERS if drawn else self._why_blank(page, problem or other_problem)
        if lost in (NO_TEXT, _NO_LETTERS) and os.environ.get("STUDY_OCR") == "1" and shutil.which("tesseract"):
            raw, problem = _try(lambda: self._by_ocr(page), "")
            text = clean(raw, known)
            by, lost = "OCR", "" if text else f"{lost}, and OCR: {problem or 'nothing found'}"
        yield _part(page, text, by if text else "", lost=lost)

    def _by_pdfium(self, page: int) -> str:
        opened = self._pdfium[page - 1]
        text: str = opened.get_textpage().get_text_bounded()
        opened.close()
        return text.translate(_LINE_END_HYPHEN)

    def _why_blank(self, page: int, problem: str) -> str:
        """Return why a page has no text; empty where nothing stands on it."""
        kinds: list[int]
        kinds, unseen = _try(lambda: [thing.type for thing in self._pdfium[page - 1].get_objects()], [])
        if _IMAGE in kinds or len(kinds) >= _PICTURE_OBJECTS:
            return NO_TEXT
        if problem or unseen or _complaints.about_page:
            return f"damaged: {problem or unseen or _complaints.about_page[0]}"
        reader = self._reader
        if kinds or not reader:
            return ""
        contents, problem = _try(lambda: reader.pages[page - 1].get_contents(), None)
        stream, problem = _try(contents.get_data, b"") if contents else (b"", problem)
        return "damaged: nothing in it can be drawn" if problem or len(stream) > _EMPTY_STREAM else ""

    def _by_ocr(self, page: int) -> str:
        opened = self._pdfium[page - 1]
        width, height = opened.get_size()
        scale = min(_OCR_DPI / 72, math.sqrt(_OCR_PIXELS / max(1, width * height)))
        image = opened.render(scale=scale, grayscale=True)
        buffer, stride = memoryview(image.buffer), image.stride
        rows = [buffer[y * stride : y * stride + image.width] for y in range(image.height)]
        run = subprocess.run(
            ["tesseract", "stdin", "stdout", "-l", os.environ.get("STUDY_OCR_LANG") or "eng"],
            input=b"".join([b"P5 %d %d 255\n" % (image.width, image.height), *rows]),
            capture_output=True,
            timeout=OCR_SECONDS,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},  # its threads slow one another down
            preexec_fn=die_with_parent,
        )
        if run.returncode:
            raise OSError(run.stderr.decode("utf-8", "replace"))
        return run.stdout.decode("utf-8", "replace")


def _try(call: Callable[[], _T], otherwise: _T) -> tuple[_T, str]:
    """Return what a library gives, or `otherwise` and what went wrong."""
    try:
        return call(), ""
    except MemoryError:
        raise
    except Exception as error:  # a hostile file makes pypdf raise anything, and pypdfium2's asserts fail
        return otherwise, _one_line(error)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text[:5000]))


def _one_line(problem: object) -> str:
    line = " ".join(str(problem).split()) or type(problem).__name__
    return "".join(filter(str.isprintable, line))[:120]
