"""Pages of raw text become a document: cleaned, without running headers, in paragraphs, under the outline's headings.

    'Shared MIME-info Database\\nThe ﬁle is distri-\\nbuted as XML.\\n7'   one page as a PDF library returns it
    'The file is\\ndistributed as XML.'                                  the same page as it is stored

Nothing here knows a library or a language; the worker cleans in its process, the parent puts the pages together.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ingest.errors import Unreadable
from ingest.read import Block, Document

NO_TEXT = "no text layer"
"""Why a scanned page is lost."""

_LETTERS = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " ", "\0": None}
)
_NEWLINE = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1b\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_BROKEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]|\(cid:")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LETTER_RUN = re.compile(r"[^\W\d_]{5,}")
_HYPHENS = ("-", "\u2010", "\u00ad")
_PREFIXES = {"all", "cross", "ex", "half", "low", "high", "multi", "self", "well"}
"""English words that a compound starts with: after these a hyphen at the line's end is meant."""
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿāăąēęěīįōőūůűųıơư")
_VERY_LONG_WORD = 30
"""Letters. Above it a word of a script with upper and lower case is several words without their spaces."""
_SCORED_WORDS = 5000
_KNOWN_ENOUGH = 300
"""Words a document must have shown before an unknown one says anything."""

_ITEM = re.compile(r"\s*(?:[•▪◦‣●○■□–*\uf0b7-]\s|\(?(?:\d{1,3}|[a-zA-Z])[.)]\s)")
_SENTENCE_END = tuple(".!?:;。！？：…؟।")
_NUMBER = re.compile(r"[-+−±~≈<>≤≥$€£(]*\d[\d.,:/]*[a-zA-Z%)]{0,3}")
_CELL_GAP = re.compile(r"\t+| {2,}")
_TABLE_ROWS = 3
_EDGE_LINES = 3
"""A running header or footer stands among so many lines at the top or the bottom of a page."""
_RUNNING_SHARE = 0.4
"""Share of the pages that repeat it; less than half, since left and right pages may differ."""
_FILE_NAME = re.compile(r"\.[a-z]{2,5}$|^microsoft \w+ - |^\S*[_/\\]\S*$", re.IGNORECASE)
_NO_TITLE = re.compile(r"(untitled|title|document|presentation|powerpoint presentation|slide)( ?\d+)?", re.IGNORECASE)


def words(text: str) -> set[str]:
    """Return the words of a clean text in lower case, compounds with their hyphens."""
    return set(_WORD.findall(text.lower()))


def badness(text: str, known: Set[str] = frozenset()) -> float:
    """Return how much of a page reads wrongly, 0 to 1, in any language.

    Broken characters, words of single letters, words without spaces between them, capitals in the middle of words
    and long Latin words without a vowel are wrong everywhere; scripts without case are judged by the first alone.

    Args:
        text: A page as a library returned it.
        known: Words of the same document's other pages; a page that shares few of them counts as worse.
    """
    found = text.split(maxsplit=_SCORED_WORDS)[:_SCORED_WORDS]
    if not found:
        return 1.0
    single = sum(len(word) == 1 and word.lower() != word.upper() for word in found)
    wrong = sum(map(_is_wrong, found)) + max(0.0, single - 0.25 * len(found))
    long = [word for word in words(" ".join(found)) if len(word) > 3]
    if len(known) >= _KNOWN_ENOUGH and len(long) >= 10:
        strange = sum(word not in known for word in long) / len(long)
        wrong += max(0.0, strange - 0.5) * len(found)
    return min(1.0, wrong / len(found))


def _is_wrong(word: str) -> bool:
    word = word[:200]
    if len(word) > 1 and _BROKEN.search(word):  # alone it is a bullet of a symbol font
        return True
    for run in _LETTER_RUN.findall(word):
        lower = run.lower()
        if lower == run.upper():
            continue
        flips = sum(a.islower() and b.isupper() for a, b in zip(run, run[1:], strict=False))
        if len(run) > _VERY_LONG_WORD or flips > 2 or (lower[0] <= "ɏ" and not _VOWELS.intersection(lower)):
            return True
    return False


def clean(raw: str, known: Set[str] = frozenset()) -> str:
    """Return a page as it is stored: whole words, whole characters, no blank line twice.

    Args:
        raw: The page as a library returned it.
        known: Words of the pages before; they tell a broken word from a compound.
    """
    if not raw.isascii():
        # A high and a low surrogate become one character, a lone one U+FFFD.
        raw = raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    raw = _CONTROL.sub(" ", _NEWLINE.sub("\n", raw).translate(_LETTERS))
    lines = [line.rstrip() for line in raw.split("\n")]
    joined: list[str] = []
    for line in _join_broken_words(lines, known):
        line = line.replace("\u00ad", "")
        if line or (joined and joined[-1]):
            joined.append(line)
    return "\n".join(joined).rstrip()


def _join_broken_words(lines: Sequence[str], known: Set[str]) -> list[str]:
    """Put the end of a word that was broken at a line's end to its start; the line ends after it."""
    ends = [i for i, (line, after) in enumerate(zip(lines, lines[1:], strict=False)) if _is_broken_line(line, after)]
    if not ends:
        return list(lines)
    pieces = {lines[i].split()[-1].lower() for i in ends} | {lines[i + 1].split()[0].lower() for i in ends}
    here = words(" ".join(word for line in lines for word in line.split() if word.lower() not in pieces))
    joined: list[str] = []
    for line in lines:
        if joined and _is_broken_line(joined[-1], line):
            tail, _, rest = line.lstrip().partition(" ")
            head = joined[-1].split()[-1]
            hyphen = "" if _is_one_word(head, tail, known | here) else "-"
            joined[-1] = joined[-1][:-1] + hyphen + tail
            line = rest.lstrip()
            if not line:
                continue
        joined.append(line)
    return joined


def _is_broken_line(line: str, after: str) -> bool:
    return line.endswith(_HYPHENS) and line[-2:-1].isalpha() and after.lstrip()[:1].isalpha()


def _is_one_word(head: str, tail: str, known: Set[str]) -> bool:
    """Say whether 'distri-' and 'buted' are one word, and not 'state-of-the-' and 'art'."""
    if head[-1] == "\u00ad":
        return True
    left, right = (_WORD.findall(head.lower()) or [""])[-1], (_WORD.findall(tail.lower()) or [""])[0]
    if left + right in known:
        return True
    if f"{left}-{right}" in known or "-" in left or left in _PREFIXES:
        return False
    if not tail[0].islower():
        return False
    return not (left in known and right in known)


@dataclass
class Pages:
    """The pages of one file, as a reader finds them one after the other."""

    count: int = 0
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
            self.count, self.title = int(part["count"]), str(part["title"])
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

    def document(self, path: PurePath) -> Document:
        """Put the pages together.

        Raises:
            Unreadable: No page has text.
        """
        numbers = [page for page in sorted(self.texts) if self.texts[page].strip()]
        lost = tuple(f"page {page}: {reason}" for page, reason in sorted(self.lost.items()))
        if not numbers:
            reasons = set(self.lost.values())
            if NO_TEXT in reasons:
                hint = "with tesseract installed, STUDY_OCR=1 reads them"
                raise Unreadable(NO_TEXT, f"scanned pages without text; {hint}")
            if lost:
                raise Unreadable("failed", f"no page of {self.count} could be read; {lost[0]}")
            raise Unreadable("empty", f"its pages are blank ({self.count})")
        pages = _without_running_lines([(page, self.texts[page].split("\n")) for page in numbers])
        title = self._title(path, pages[0][1])
        text, blocks = _blocks(pages, self.outline, title)
        remark = "; ".join(self.notices[:3]) + ("; …" if len(self.notices) > 3 else "")
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
        if not looks_like_one or first.endswith((*_SENTENCE_END, ",", "-")) or after[:1].islower():
            return ""
        return "" if first[:1].islower() or (len(first) > 60 and len(after) > 60) else first


def _without_running_lines(pages: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Drop headers, footers and page numbers that repeat on most pages; a page of nothing else keeps them."""
    seen: Counter[tuple[str, int]] = Counter()
    for page, lines in pages:
        seen.update({key for line in (*lines[:_EDGE_LINES], *lines[-_EDGE_LINES:]) for key in _keys(line, page)})
    often = max(3.0, _RUNNING_SHARE * len(pages))
    running = {key for key, times in seen.items() if times >= often}
    kept = []
    for page, lines in pages:
        first, last = 0, len(lines)
        while first < min(_EDGE_LINES, last) and (not lines[first].strip() or running & _keys(lines[first], page)):
            first += 1
        while last > max(len(lines) - _EDGE_LINES, first) and (
            not lines[last - 1].strip() or running & _keys(lines[last - 1], page)
        ):
            last -= 1
        kept.append((page, lines[first:last] if any(line.strip() for line in lines[first:last]) else lines))
    return kept


def _keys(line: str, page: int) -> set[tuple[str, int]]:
    """Return what the same header has in common on all pages: its words, and how its number counts the pages."""
    line = line.strip()[:120]
    numbers = {
        (f"{line[: number.start()]}#{line[number.end() :]}", int(number[0]) - page)
        for number in re.finditer(r"[0-9]{1,6}", line)
    }
    return numbers | ({(line, 0)} if line else set())


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
        for first, last, kind in _paragraphs(lines, names):
            while position < len(entries) and entries[position][2] == page:
                name = _bare(entries[position][1])
                ahead = any(_bare(line) == name for line in lines[first + 1 :])
                if ahead and _bare(lines[first]) != name:
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
    width = lengths[int(0.9 * (len(lengths) - 1))]
    rows = _table_lines(lines)
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
    """Say whether a line starts a paragraph, by what a reader sees: items, short last lines, headings, indents."""
    if _ITEM.match(line) or (names and (_bare(line) in names or _bare(before) in names)):
        return True
    if before.endswith(_SENTENCE_END) and (len(before) < 0.8 * width or line[:2].isspace()):
        return True
    return len(before) < 0.6 * width and not before.endswith((",", "-")) and line.lstrip()[:1].isupper()


def _table_lines(lines: Sequence[str]) -> set[int]:
    """Return the lines of what is plainly a table: three rows that end in two numbers or have wide gaps."""
    found: set[int] = set()
    run: list[int] = []
    for i in range(len(lines) + 1):
        if i < len(lines) and _is_row(lines[i]):
            run.append(i)
            continue
        if len(run) >= _TABLE_ROWS:
            above = run[0] - 1
            header = above >= 0 and len(lines[above].split()) > 1 and not lines[above].endswith(_SENTENCE_END)
            found.update(run, [above] if header and len(lines[above]) < 2 * len(lines[run[0]]) else [])
        run = []
    return found


def _is_row(line: str) -> bool:
    cells = line.split()
    if not 3 <= len(cells) <= 40:
        return False
    return all(map(_NUMBER.fullmatch, cells[-2:])) or len(_CELL_GAP.split(line.strip())) > 2
