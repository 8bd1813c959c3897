"""Text becomes sentences: the unit that is cited, checked and, where a paragraph is too long, kept whole.

A sentence never crosses a blank line, a list item, a table row or a heading, and does not end at the dots of
`e.g.`, `3.14`, `U.S.`, `model.eval()` or `https://example.org/a.b`.
"""

import re
from itertools import pairwise

Span = tuple[int, int]
"""First code point, and one past the last."""

_LINE_START = re.compile(
    r"\n(?=[ \t]*(?:\n|[-*+•–][ \t]|\d{1,3}[.)][ \t]|[a-zA-Z][.)][ \t]|\||\#{1,6}[ \t]|>|```|~~~|\$\$|:::))"
)
"""Newlines that end a sentence whatever came before."""
_MARKER = re.compile(r"[ \t\n]*(?:(?:[-*+•–]|\d{1,3}[.)]|[a-zA-Z][.)]|\#{1,6}|>)[ \t]+)*(?:\[[ xX]\][ \t]+)?")
"""A list, quote or heading mark: not part of the sentence behind it."""
_END = re.compile(
    r"""(?P<stop>[.!?…]+)(?P<close>["'”’»)\]*_`]*)(?=\s+["'“‘«(\[*_`$]*(?P<next>\S))|(?P<full>[。！？।؟]["”’»）」』]*)"""
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|etc|al|approx|resp|incl|excl|dept|fig|eq|sec|ch|vol|no|pp?|ed|eds|est|min|max|avg"
    r"|mr|mrs|ms|dr|prof|sr|jr|st|inc|ltd|co|corp|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|(?<![\w.])[a-z]"
    r"|\b(?:[a-z]\.)+[a-z])$",
    re.IGNORECASE,
)
_MAYBE_LAST = re.compile(r"(?:\betc|\bal|\binc|\bltd|\bco|\bcorp)$", re.IGNORECASE)
"""Abbreviations that often end a sentence too: a capital behind them decides."""


def spans(text: str, start: int = 0, end: int | None = None) -> list[Span]:
    """Return the sentences of `text[start:end]`, in order, without the white space and list marks around them."""
    end = len(text) if end is None else end
    found: list[Span] = []
    line = start
    while line < end:
        newline = _LINE_START.search(text, line, end)
        stop = newline.start() + 1 if newline else end
        found += _in_paragraph(text, line, stop)
        line = stop
    return found


def _in_paragraph(text: str, start: int, end: int) -> list[Span]:
    marker = _MARKER.match(text, start, end)
    start = marker.end() if marker else start
    found: list[Span] = []
    for match in _END.finditer(text, start, end):
        if match["stop"] and not _ends_here(text[max(start, match.start() - 24) : match.start()], match):
            continue
        found += _trimmed(text, start, match.end())
        start = match.end()
    return found + _trimmed(text, start, end)


def _ends_here(before: str, match: re.Match[str]) -> bool:
    following = match["next"]
    if match["stop"] != ".":
        return not following.islower() or "!" in match["stop"] or "?" in match["stop"]
    if following.islower():
        return False
    if _MAYBE_LAST.search(before):
        return following.isupper() and not match["close"]
    return not _ABBREVIATION.search(before)


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return [(left, right)] if any(letter.isalnum() for letter in text[left:right]) else []


def split(text: str) -> list[str]:
    """Cut `text` at its sentence starts, losing nothing: what llama-index's splitters ask for."""
    starts = [0, *(start for start, _ in spans(text)[1:]), len(text)]
    return [text[a:b] for a, b in pairwise(starts) if b > a]
