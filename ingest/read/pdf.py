"""PDF: pypdf reads it page by page; PDFium takes over where pypdf fails, finds nothing or reads worse.

    {"count": 12, "title": "Sharding"}
    {"page": 1, "text": "Sharding\\nFSDP shards …", "by": "pypdf", "lost": "", "notice": "", "last": true}
    {"page": 2, "text": "", "by": "", "lost": "no text layer", "notice": "", "last": true}
    {"outline": [[0, "Introduction", 1]]}

Such parts come one by one, so that whoever runs this in a worker has every page that came before a crash. A
page may come twice: pypdf's reading goes out before PDFium is asked for a better one.
"""

import logging
import math
from collections.abc import Callable, Iterator
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pypdf
from pypdf.errors import FileNotDecryptedError

from ingest.errors import Unreadable
from ingest.read import Document, ocr
from ingest.read.clean import badness, clean, gain, words
from ingest.read.pages import ALL_PAGES, MOST_PAGES, NO_TEXT, Pages

MOST_CHARACTERS = 20_000_000
"""Of one file; what comes after is lost."""
MOST_CHARACTERS_A_PAGE = 1_000_000

_BAD = 0.1
"""Badness above which PDFium is asked too."""
_VERY_BAD = 0.4
"""Badness above which a page is nonsense to a person too."""
_FEW_LETTERS = 40
"""A page of fewer may lack some, and PDFium is asked too."""
_FIRST, _SAMPLE = 4, 8
"""PDFium is also asked on the first pages and on every so many; once it is better, on all that follow."""
_BETTER = 0.03
"""Share of the words that PDFium must read better."""
_PICTURE_OBJECTS = 200
"""A page of so many lines and shapes and no text is a drawing of text."""
_EMPTY_STREAM = 200
"""Bytes; a longer content stream that draws nothing is damaged."""
_OUTLINE_ENTRIES = 2000
_KNOWN_WORDS = 100_000
_LINE_END_HYPHEN = str.maketrans({"\x02": "-\n", "\ufffe": "-\n"})
"""PDFium joins the lines of a broken word, and marks the place by one of these."""
_NO_LETTERS = "its fonts do not say which letters they draw"
_WRONG_PASSWORD = 4
"""FPDF_ERR_PASSWORD, fpdfview.h."""
_IMAGE = 3
"""FPDF_PAGEOBJ_IMAGE, fpdf_edit.h."""
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


def pages(data: bytes, *, done: int = 0, plain: int = 0, alone: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the parts of a PDF.

    Args:
        data: The file.
        done: How many pages were read before; they are left out.
        plain: How many pages after these are read by PDFium alone, since pypdf hung or crashed on them.
        alone: Whether a page that pypdf reads is not shown to PDFium, which hung or crashed on such.

    Raises:
        Unreadable: It can't be opened.
        MemoryError: There is not enough; a fresh process may go on.
    """
    file = _File(data, with_pypdf=plain < ALL_PAGES)
    yield {"count": file.count, "title": file.title()}
    characters = 0
    for page in range(done + 1, min(file.count, MOST_PAGES) + 1):
        if characters > MOST_CHARACTERS:
            yield _part(page, lost=f"only the first {MOST_CHARACTERS:,} characters of a file are read")
            continue
        for part in file.page(page, with_pypdf=page > done + plain, compared=not alone):
            yield part
        characters += len(part["text"])
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
        self._pages: dict[int, pypdf.PageObject] = {}
        """As pypdf has them, by number from 1."""
        self._known: set[str] = set()
        """Words of the pages read so far."""
        self._agreed: set[str] = set()
        """Words that both readings of a page had."""
        self._doubted = False
        """Whether PDFium read a page better."""
        self.count, problem = _try(self._open, 0) if with_pypdf else (0, "")
        if not self.count:
            self.count, other_problem = _try(lambda: len(self._pdfium), 0)
            if self._locked:
                raise Unreadable("encrypted", "needs a password")
            if not self.count:
                raise Unreadable("failed", f"damaged: {problem or other_problem or 'it has no pages'}")

    def _open(self) -> int:
        try:
            self._reader = pypdf.PdfReader(BytesIO(self._data), strict=False)
            pages = list(self._reader.pages)
        except FileNotDecryptedError:  # the empty password was tried
            self._locked = True
            raise
        self._pages, count = _try(
            lambda: _numbered(self._reader, pages), (dict(enumerate(pages, start=1)), len(pages))
        )[0]
        return count

    @cached_property
    def _pdfium(self) -> Any:
        """The file as PDFium opens it; pypdfium2 has no type information."""
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
        if self._pages:
            return _try(lambda: str((self._reader.metadata and self._reader.metadata.get("/Title")) or ""), "")[0]
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

    def page(self, page: int, *, with_pypdf: bool, compared: bool) -> Iterator[dict[str, Any]]:
        """Yield a page as pypdf reads it; then as PDFium does, where that is better, or why it is lost."""
        _complaints.about_page.clear()
        first = self._pages.get(page) if with_pypdf else None
        raw, problem = _try(first.extract_text, "") if first else ("", "")
        text, by, bad = clean(raw, self._known), "pypdf", badness(raw, self._known)
        notice = f"may lack text: {_complaints.about_page[0]}" if _complaints.about_page else ""
        doubtful = self._doubted or page <= _FIRST or page % _SAMPLE == 0 or bool(notice)
        doubtful = doubtful or bad > _BAD or sum(map(str.isalpha, text[:1000])) < _FEW_LETTERS
        if text:
            yield _part(page, text, by, notice=notice, last=not (compared and doubtful))
        if not text or (compared and doubtful):
            other, other_problem = _try(lambda: self._by_pdfium(page), "")
            second = clean(other, self._known)
            better = bad - badness(other, self._known) + gain(text, second, self._agreed)
            if better > _BETTER or len(second) > 2 * len(text):
                self._doubted = self._doubted or bool(text)
                text, by, notice = second, "PDFium", ""
            if text:
                self._agreed |= words(text) & words(second if by == "pypdf" else raw)
                if badness(text) > _VERY_BAD:
                    notice = "reads badly, its fonts may not say which letters they draw"
                yield _part(page, text, by, notice=notice)
            else:
                drawn = raw.strip() or other.strip()
                lost = _NO_LETTERS if drawn else self._why_blank(page, problem or other_problem)
                text, lost = self._by_ocr(page, lost)
                yield _part(page, text, "OCR" if text else "", lost=lost)
        if len(self._known) < _KNOWN_WORDS:
            self._known |= words(text)

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
        if kinds or page not in self._pages:
            return ""
        contents, problem = _try(self._pages[page].get_contents, None)
        stream, problem = _try(contents.get_data, b"") if contents else (b"", problem)
        return "damaged: nothing in it can be drawn" if problem or len(stream) > _EMPTY_STREAM else ""

    def _by_ocr(self, page: int, lost: str) -> tuple[str, str]:
        """Return what OCR finds on a page without letters, if it may; and why there is still none."""
        if lost not in (NO_TEXT, _NO_LETTERS) or not ocr.wanted():
            return "", lost

        def recognize() -> str:
            opened = self._pdfium[page - 1]
            width, height = opened.get_size()
            scale = min(_OCR_DPI / 72, math.sqrt(_OCR_PIXELS / max(1, width * height)))
            image = opened.render(scale=scale, grayscale=True)
            buffer, stride = memoryview(image.buffer), image.stride
            return ocr.recognize(
                image.width, [buffer[y * stride : y * stride + image.width] for y in range(image.height)]
            )

        raw, problem = _try(recognize, "")
        text = clean(raw, self._known)
        return text, "" if text else f"{lost}, and OCR: {problem or 'nothing found'}"


def _numbered(reader: pypdf.PdfReader, pages: list[pypdf.PageObject]) -> tuple[dict[int, pypdf.PageObject], int]:
    """Return pypdf's pages by number, and how many there are with those that are missing in the file."""
    numbered = dict(enumerate(pages, start=1))
    root: Any = reader.root_object["/Pages"]
    if root["/Count"] <= len(pages):
        return numbered, len(pages)
    found: dict[int, pypdf.PageObject] = {}
    waiting, opened, number = list(reversed(root["/Kids"])), set(), 0
    while waiting and number < MOST_PAGES:
        kid = waiting.pop()
        node = kid.get_object()
        if not isinstance(node, dict) or "/Kids" not in node:
            number += 1
            if len(found) < len(pages) and pages[len(found)].indirect_reference == kid:
                found[number] = pages[len(found)]
        elif id(node) not in opened:
            opened.add(id(node))
            waiting += reversed(node["/Kids"])
    return (found, number) if len(found) == len(pages) else (numbered, len(pages))


def _try(call: Callable[[], _T], otherwise: _T) -> tuple[_T, str]:
    """Return what a library gives, or `otherwise` and what went wrong."""
    try:
        return call(), ""
    except MemoryError:
        raise
    except Exception as error:  # a hostile file makes pypdf raise anything, and pypdfium2's asserts fail
        return otherwise, _one_line(error)


def _one_line(problem: object) -> str:
    line = " ".join(str(problem).split()) or type(problem).__name__
    return "".join(filter(str.isprintable, line))[:120]
