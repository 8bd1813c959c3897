"""Pages become a document: without running headers, in paragraphs and tables, under the outline's headings.

Used by the process that asks a worker for pages, so it imports no PDF library, and trusts no page.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ingest.errors import Unreadable
from ingest.read import Block, Document
from ingest.read.clean import clean

NO_TEXT = "no text layer"
"""Why a scanned page is lost."""
ALL_PAGES = 1_000_000_000
"""As `plain` (pdf.py): pypdf is not asked at all."""
MOST_PAGES = 20_000
"""Of one file; what comes after is lost."""
_MOST_BLOCKS = 100_000
_MOST_LINES = 5_000
"""Of a page; above these a page is one block, so that a file can't make millions of them."""

_ITEM = re.compile(r"\s*(?:[•▪◦‣●○■□–*\uf0b7-]\s|\(?(?:\d{1,3}|[a-zA-Z])[.)]\s)")
_SENTENCE_END = tuple(".!?:;。！？：…؟।")
_NUMBER = re.compile(r"[-+−±~≈<>≤≥$€£(]*\d[\d.,:/]*[a-zA-Z%)]{0,3}")
_CAPTION = re.compile(r"\s*(?:Table|Tabelle|Tableau|Tabla|Tabela|Tabella|Таблица|表)\s*[\dIVX]")
_CELL_GAP = re.compile(r"\t+| {2,}")
_TABLE_ROWS = 3
_EDGE_LINES = 3
"""A running header or footer stands among so many lines at the top or the bottom of a page."""
_RUNNING_SHARE = 0.4
"""Share of the pages that repeat it; less than half, since left and right pages may differ."""
_FILE_NAME = re.compile(r"\.[a-z]{2,5}(?: - \w+)?$|^(?:adobe|microsoft) \w+ (?:-|pdf)|^\S*[_/\\]\S*$", re.IGNORECASE)
_NO_TITLE = re.compile(r"(untitled|title|document|presentation|powerpoint presentation|slide)( ?\d+)?", re.IGNORECASE)


_Key = tuple[str, int | None]
"""A line with # for its number, and that number less the page's."""


@dataclass
class Pages:
    """The pages of one file, as a reader finds them one after the other."""

    count: int = 0
    beyond: int = 0
    """Pages after the MOST_PAGES that are read."""
    title: str = ""
    """What the metadata say."""
    outline: list[tuple[int, str, int]] = field(default_factory=list)
    """Level from 0, name, page from 1."""
    texts: dict[int, str] = field(default_factory=dict)
    """By page from 1, clean."""
    lost: dict[int, str] = field(default_factory=dict)
    """Reason by page."""
    notices: list[str] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)
    """How many pages each reader gave the text of."""
    done: int = 0
    """Last page that nothing more will be said about."""

    def add(self, part: dict[str, Any]) -> None:
        """Take one part of what `pdf.pages` yields.

        Raises:
            KeyError, TypeError, ValueError: It is no such part.
        """
        if "count" in part:
            self.count, self.title = min(int(part["count"]), MOST_PAGES), str(part["title"])
            self.beyond = int(part["count"]) - self.count
        elif "outline" in part:
            self.outline = [(int(level), str(name), int(page)) for level, name, page in part["outline"]]
        else:
            page = int(part["page"])
            self.texts[page] = str(part["text"])
            if part["lost"]:
                self.lost[page] = str(part["lost"])
            if part["notice"]:
                self.notices.append(f"page {page}: {part['notice']}")
            if part["last"]:
                self.done = page
                self.by[str(part["by"])] += 1

    def lose(self, page: int, reason: str) -> None:
        """Give a page up, unless a first reading of it is there."""
        if not self.texts.get(page):
            self.lost[page] = reason
        self.done = page

    def lose_rest(self, reason: str) -> None:
        """Give up all pages that nothing was said about."""
        for page in range(self.done + 1, self.count + 1):
            self.lose(page, reason)

    def document(self, path: PurePath) -> Document:
        """Put the pages together.

        Raises:
            Unreadable: No page has text.
        """
        numbers = [page for page in sorted(self.texts) if self.texts[page].strip()]
        lost = tuple(f"page {page}: {reason}" for page, reason in sorted(self.lost.items()))
        if self.beyond:
            lost += (f"{self.beyond} pages: only the first {MOST_PAGES} of a file are read",)
        if not numbers:
            scanned = next((reason for reason in self.lost.values() if reason.startswith(NO_TEXT)), "")
            if scanned:
                tried = scanned.removeprefix(NO_TEXT) or "; with tesseract installed, STUDY_OCR=1 reads them"
                raise Unreadable(NO_TEXT, f"scanned pages without text{tried}")
            if lost:
                raise Unreadable("failed", f"no page of {self.count} could be read; {lost[0]}")
            raise Unreadable("empty", f"{self.count} page{'s' * (self.count != 1)} without any text")
        pages = _without_running_lines([(page, self.texts[page].split("\n")) for page in numbers])
        title = self._title(path, pages[0][1])
        text, blocks = _blocks(pages, self.outline, title)
        by_ocr = [f"{self.by['OCR']} of {self.count} pages read by OCR"] if self.by["OCR"] else []
        remark = "; ".join(by_ocr + self.notices[:3]) + ("; …" if len(self.notices) > 3 else "")
        return Document(text, title, blocks, lost, remark)

    def _title(self, path: PurePath, lines: Sequence[str]) -> str:
        said = " ".join(clean(self.title).split())
        if (
            3 <= len(said) <= 200
            and any(character.isalpha() for character in said)
            and said.casefold() != path.stem.casefold()
            and not _FILE_NAME.search(said)
            and not _NO_TITLE.fullmatch(said)
        ):
            return said
        first, after = " ".join(lines[0].split()), "".join(lines[1:2]).strip()
        letters = sum(character.isalpha() for character in first)
        looks_like_one = 3 <= len(first) <= 100 and len(first.split()) <= 14 and letters > len(first) / 2
        if not looks_like_one or first.endswith((*_SENTENCE_END, ",", "-")) or "://" in first or after[:1].islower():
            return ""
        return "" if first[:1].islower() or (len(first) > 60 and len(after) > 60) else first


def _without_running_lines(pages: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Drop page numbers, and each header and footer but once; a page of nothing else keeps them."""
    seen: Counter[_Key] = Counter()
    numbering: Counter[int | None] = Counter()
    for page, lines in pages:
        keys = {key for line in (*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:]) for key in _keys(line, page)}
        seen.update(keys)
        numbering.update({offset for _, offset in keys if offset is not None})
    often = max(3.0, _RUNNING_SHARE * len(pages))
    met: set[_Key] = set()

    def runs(lines: list[str], at: int, page: int) -> bool:
        for key in _keys(lines[at], page):
            # Where the pages are numbered so, a number alone is one, and what comes twice is a chapter's header.
            chapter = numbering[key[1]] >= often and (seen[key] > 1 or not re.search(r"\w", key[0]))
            if seen[key] >= often and (key[1] is not None or lines[at] in lines[at + 1 :]):
                return True
            if chapter or seen[key] >= often:
                again = key in met or not re.search(r"[^\W\d]", key[0])
                met.add(key)
                return again
        return not lines[at].strip()

    kept = []
    for page, lines in pages:
        first, last = 0, len(lines)
        while first < min(_EDGE_LINES, last) and runs(lines, first, page):
            first += 1
        while last > max(len(lines) - _EDGE_LINES, first) and runs(lines, last - 1, page):
            last -= 1
        kept.append((page, lines[first:last] if first < last else lines))
    return kept


def _keys(line: str, page: int) -> list[_Key]:
    """Return what a header has in common on all pages: its words, and its number less the page's."""
    line = line.strip()[:120]
    numbers = re.finditer(r"\d{1,6}", line)
    keys: list[_Key] = [(f"{line[: n.start()]}#{line[n.end() :]}", int(n[0]) - page) for n in numbers]
    return [*keys, (line, None)] if line else []


def _blocks(
    pages: list[tuple[int, list[str]]], outline: list[tuple[int, str, int]], title: str
) -> tuple[str, tuple[Block, ...]]:
    """Return the text of all pages and its paragraphs and tables, each under the outline's headings."""
    blocks: list[Block] = []
    texts: list[str] = []
    offset, position = 0, 0
    path: list[tuple[int, str]] = []
    entries = [(level, " ".join(clean(name).split())[:200], page) for level, name, page in outline]
    for page, lines in pages:
        names = {_bare(name) for _, name, at in entries if at == page} if entries else set()
        starts = [offset]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        while position < len(entries) and entries[position][2] < page:
            path = _under(path, entries[position])
            position += 1
        stands = {_bare(line): i for i, line in reversed([*enumerate(lines)])} if names else {}
        few = len(lines) <= _MOST_LINES and len(blocks) < _MOST_BLOCKS
        for first, last, kind in _paragraphs(lines, names) if few else [(0, len(lines), "text")]:
            while position < len(entries) and entries[position][2] == page:
                if stands.get(_bare(entries[position][1]), 0) > first:
                    break
                path = _under(path, entries[position])
                position += 1
            start = starts[first] + len(lines[first]) - len(lines[first].lstrip())
            heading = tuple(name for _, name in path if name and name != title)
            blocks.append(Block(start, starts[last] - 1, kind, heading, f"page {page}"))
        texts.append("\n".join(lines))
        offset = starts[-1] + 1
    return "\n\n".join(texts), tuple(blocks)


def _under(path: list[tuple[int, str]], entry: tuple[int, str, int]) -> list[tuple[int, str]]:
    level, name, _ = entry
    return [*(above for above in path if above[0] < level), (level, name)]


def _bare(name: str) -> str:
    """Return a heading without its number, so that '3.1 Sharding' is found as 'Sharding'."""
    return re.sub(r"^[\W\d_]+", "", " ".join(name.split())).casefold()


def _paragraphs(lines: Sequence[str], names: Set[str]) -> Iterator[tuple[int, int, str]]:
    """Yield first line, one past the last, and kind; `names` are headings that start a paragraph."""
    lengths = sorted(map(len, lines))
    width = lengths[math.ceil(0.9 * (len(lengths) - 1))]
    rows = _table_lines(lines, width, names)
    start = 0
    for i in range(1, len(lines) + 1):
        if i < len(lines) and lines[i].strip() and lines[i - 1].strip():
            table = i in rows
            if table == (i - 1 in rows) and (table or not _starts_anew(lines[i - 1], lines[i], width, names)):
                continue
        if lines[start].strip():
            yield start, i, "table" if start in rows else "text"
        start = i


def _starts_anew(before: str, line: str, width: int, names: Set[str]) -> bool:
    """Say whether a line starts a paragraph, by list items, short last lines, headings and indents."""
    if _ITEM.match(line) or (names and (_bare(line) in names or _bare(before) in names)):
        return True
    if before.endswith(_SENTENCE_END) and (len(before) < 0.8 * width or line[:2].isspace()):
        return True
    return len(before) < 0.6 * width and not before.endswith((",", "-")) and line.lstrip()[:1].isupper()


def _table_lines(lines: Sequence[str], width: int, names: Set[str]) -> set[int]:
    """Return the lines of what is plainly a table: rows of numbers or wide gaps, or short lines under a caption."""
    found: set[int] = set()
    run: list[int] = []
    captioned = False
    for i, line in enumerate([*lines, ""]):
        short = bool(line.strip()) and len(line) < 0.9 * width and not line.endswith(_SENTENCE_END)
        if run and (_is_row(line) or (captioned and short and not _ITEM.match(line) and _bare(line) not in names)):
            run.append(i)
            continue
        if len(run) >= _TABLE_ROWS + captioned:
            above = run[0] - 1
            header = not captioned and above >= 0 and len(lines[above].split()) > 1
            widest = max(60, *(len(lines[row]) for row in run))
            header = header and len(lines[above]) <= widest and not lines[above].endswith(_SENTENCE_END)
            found.update(run, [above] if header else [])
        captioned = bool(_CAPTION.match(line))
        run = [i] if captioned or _is_row(line) else []
    return found


def _is_row(line: str) -> bool:
    cells = line.split()
    if not 3 <= len(cells) <= 40 or line.endswith(_SENTENCE_END):
        return False
    numbers = [bool(_NUMBER.fullmatch(cell)) for cell in cells]
    return all(numbers[-2:]) or sum(numbers) >= max(3, len(cells) / 5) or len(_CELL_GAP.split(line.strip())) > 2
