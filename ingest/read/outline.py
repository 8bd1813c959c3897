r"""Markup that is text with headings: reStructuredText, Org, AsciiDoc and LaTeX (.rst, .org, .adoc, .tex).

    Sharding            * Sharding            == Sharding            \section{Sharding}
    ========            #+BEGIN_SRC python    ----                   \begin{lstlisting}
    …                   …                     …                      …

The text is the file's own, marks and all; paragraphs are blocks below their headings, and what stands in a code
or table environment is kept whole. Markdown's kin (.qmd, .Rmd) is read as Markdown.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from ingest.read import Block, Document
from ingest.read.compose import fit
from ingest.read.text import bounded, decode, paragraphs

_LONGEST_NAME = 200
"""Code points past which a 'heading' is a paragraph."""
_TEX_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
_TEX_HEADING = re.compile(rf"\s*\\({'|'.join(_TEX_LEVELS)})\*?(?:\[[^\]]*\])?\{{(.+?)\}}\s*(?:\\label\{{[^}}]*\}}\s*)?")
_TEX_COMMAND = re.compile(r"\\[a-zA-Z]+\*?\s*|[{}]")
_ORG_HEADING = re.compile(r"(\*{1,8})\s+(?:(?:TODO|DONE)\s+)?(?:\[#\w\]\s+)?(.+?)(?:\s+:[\w@#%:]+:)?\s*")
_ADOC_HEADING = re.compile(r"(={1,6})\s+(.+?)\s*")
_RST_LINE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_TITLE = {
    ".org": re.compile(r"#\+title:\s*(.+)", re.IGNORECASE),
    ".tex": re.compile(r"\s*\\title\{(.+)\}\s*"),
}
_WHOLE = {
    ".org": (re.compile(r"\s*#\+begin_(\w+)", re.IGNORECASE), r"(?i)\s*#\+end_{0}\b"),
    ".adoc": (re.compile(r"(-{4,}|\.{4,}|\+{4,}|\|={3,})\s*$"), r"{0}\s*$"),
    ".tex": (
        re.compile(r"\s*\\begin\{((?:verbatim|lstlisting|minted|tabular|equation|align)\*?)\}"),
        r".*\\end\{{{0}\}}",
    ),
}
"""How a block that is kept whole begins and ends, with what its beginning names."""


class _Heading(NamedTuple):
    first: int
    """Line from 0."""
    after: int
    """One past its last line."""
    level: int
    name: str


def read(path: Path, data: bytes) -> Document:
    """Read such a file; each block is found by its heading, or by its line where there is none."""
    text, remark = decode(data)
    text = bounded(fit(text))
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    suffix = path.suffix.lower()
    whole = list(_kept_whole(lines, suffix))
    inside = {number for first, after in whole for number in range(first, after)}
    found = list(_rst(lines) if suffix == ".rst" else _headings(lines, suffix, inside))
    declared = next((match[1] for line in lines[:200] if (match := _title(line, suffix))), "")
    tops = [heading.name for heading in found if heading.level <= found[0].level]
    title = _plain(declared, suffix) or (tops[0] if len(tops) == 1 else "")
    blocks: list[Block] = []
    stack: list[_Heading] = []
    begins = _body(lines) if suffix == ".tex" else 0
    for heading, following in pairwise([None, *found, _Heading(len(lines), len(lines), 0, "")]):
        if heading:
            stack = [*(above for above in stack if above.level < heading.level), heading]
        names = tuple(above.name for above in stack if above.name != title)
        first = heading.after if heading else 0
        for start, end, kind in _pieces(text, starts, first, following.first if following else len(lines), whole):
            if start < starts[begins]:
                kind = "meta"
            place = f"§ {stack[-1].name}" if stack else f"line {bisect_right(starts, start)}"
            blocks.append(Block(start, end, kind, names, place))
    if not blocks and found:  # headings alone are what there is to find
        blocks = list(paragraphs(text))
    return Document(text, title, tuple(blocks), remark=remark)


def _title(line: str, suffix: str) -> "re.Match[str] | None":
    return _TITLE[suffix].fullmatch(line) if suffix in _TITLE else None


def _plain(name: str, suffix: str) -> str:
    """Return a name without LaTeX's commands."""
    return " ".join((_TEX_COMMAND.sub("", name) if suffix == ".tex" else name).split())


def _body(lines: list[str]) -> int:
    r"""Return the line at which a LaTeX document begins; 0 where it is a part that another one includes."""
    return next((number for number, line in enumerate(lines) if r"\begin{document}" in line), 0)


def _kept_whole(lines: list[str], suffix: str) -> Iterator[tuple[int, int]]:
    """Yield first line, and one past the last, of each environment."""
    if suffix not in _WHOLE:
        return
    begin, end = _WHOLE[suffix]
    number, open_for_ever = 0, set[str]()
    while number < len(lines):
        opened = begin.match(lines[number])
        if opened and opened[1] not in open_for_ever:
            closes = re.compile(end.format(re.escape(opened[1])))
            last = next((at for at in range(number + 1, len(lines)) if closes.match(lines[at])), 0)
            if last:
                yield number, last + 1
                number = last
            else:
                open_for_ever.add(opened[1])
        number += 1


def _headings(lines: list[str], suffix: str, inside: set[int]) -> Iterator[_Heading]:
    for number, line in enumerate(lines):
        if number in inside or len(line) > _LONGEST_NAME:
            continue
        if suffix == ".tex":
            if match := _TEX_HEADING.fullmatch(line):
                yield _Heading(number, number + 1, _TEX_LEVELS.index(match[1]) + 1, _plain(match[2], suffix))
        elif match := (_ORG_HEADING if suffix == ".org" else _ADOC_HEADING).fullmatch(line):
            yield _Heading(number, number + 1, len(match[1]), match[2])


def _rst(lines: list[str]) -> Iterator[_Heading]:
    """Yield headings by their underlines, with or without overlines; whichever comes first is the highest."""
    levels: list[tuple[str, bool]] = []
    done = 0
    for number in range(1, len(lines)):
        name, line = lines[number - 1], lines[number]
        if number - 1 < done or not _RST_LINE.fullmatch(line) or not name.strip() or _RST_LINE.fullmatch(name):
            continue
        over = number >= 2 and lines[number - 2].rstrip() == line.rstrip()
        free = over or number < 2 or not lines[number - 2].strip()
        if not free or len(line.rstrip()) < len(name.strip()) or len(name) > _LONGEST_NAME:
            continue
        kind = (line[0], over)
        if kind not in levels:
            levels.append(kind)
        done = number + 1
        yield _Heading(number - 1 - over, done, levels.index(kind) + 1, name.strip())


def _pieces(
    text: str, starts: list[int], first: int, last: int, whole: list[tuple[int, int]]
) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of the blocks between two lines."""
    for begin, after in [*whole[bisect_left(whole, (first, 0)) : bisect_left(whole, (last, 0))], (last, last)]:
        for block in paragraphs(text[starts[first] : max(starts[first], starts[begin] - 1)]):
            yield starts[first] + block.start, starts[first] + block.end, "text"
        if begin < last:
            end = starts[after] - 1
            yield starts[begin], starts[begin] + len(text[starts[begin] : end].rstrip()), "code"
        first = after
