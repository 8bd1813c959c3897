"""Text becomes sentences: the unit that is cited, checked and, where a paragraph is too long, kept whole.

A sentence never crosses a blank line, a heading, a list item or a table row, and does not end at the dots of
`e.g.`, `3.14`, `U.S.`, `model.eval()` or `https://example.org/a.b`. A heading, a table row and a fenced block of
code or maths is one each. Every pattern looks at a character a bounded number of times, whatever the text is.
"""

import re
from itertools import pairwise

Span = tuple[int, int]
"""First code point, and one past the last."""

_ITEM = r"(?:[-*+•–]|\d{1,3}[.)]|[a-z][.)])[ \t]"
_ALONE = r"(?:\#{1,6}[ \t]|\||```|~~~|\$\$|:::|(?:[-=*_|:+][ \t]*+){2,}+(?=\n))"
"""Starts a line that is a piece by itself: a heading, a table row, a fence without its other end, a rule."""
_PIECE = re.compile(
    rf"""
    (?:[ \t]*+\n)++
    |(?P<fenced>[ \t]*+(?P<fence>`{{3,}}|~{{3,}}|\$\$)[^`$\n]*+\n
        (?:(?![ \t]*+(?P=fence))[^\n]*+\n)*+
        [ \t]*+(?P=fence)[`~]*+[ \t]*+\n)
    |(?P<alone>[ \t>]*+{_ALONE}[^\n]*+\n)
    |(?P<quote>[ \t]*+>)?[^\n]*+\n
        (?:(?![ \t>]*+(?:\n|{_ITEM}|{_ALONE}))(?(quote)|(?![ \t]*+>))[^\n]*+\n)*+
    """,
    re.VERBOSE,
)
"""Whole lines: blank ones, a fenced block, a line by itself, or a paragraph, list item or quote."""
_MARKS = re.compile(r"\s*(?:(?:[-*+•–]|\d{1,3}[.)]|[a-z][.)]|\#{1,6})[ \t]+|>[ \t]*)*(?:\[[ xX]\][ \t]+)?")
"""List, quote and heading marks: not part of the sentence behind them."""
_GAP = re.compile(r"[ \t]*(?:\n[ \t>]*)?")
"""Between two sentences; the second may start a line of a quote."""
_END = re.compile(
    r"""(?<![.!?…])(?P<stop>[.!?…]++)["'”’»)\]*_`]*+(?=\s++["'“‘«(\[*_`$]{0,9}(?P<next>\S))"""
    r"""|[。！？｡।॥؟۔]++["”’»）」』]*+"""
)
_WORD_EDGE = re.compile(r"""[\s("'“‘«\[*_`]""")
_NEVER_LAST = frozenset("e.g i.e cf vs approx resp incl excl dept fig figs eq eqs vol pp eds mr mrs ms dr prof".split())
_LAST_BEFORE_A_CAPITAL = frozenset("etc al inc ltd co corp".split())
_LAST_BEFORE_A_STARTER = frozenset(
    """no p sec ch ed est min max avg st sr jr
    jan feb mar apr jun jul aug sep sept oct nov dec""".split()
)
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
"""A, U.S, p.m: they end a sentence only before a starter, too."""
_STARTER = re.compile(
    r"(?:An?|The|This|That|These|Those|It|Its|In|On|At|As|If|When|While|Where|What|Which|Why|How|Who|He|She|They|We"
    r"|You|I|But|And|Or|So|Then|There|Here|For|From|To|With|After|Before|By|Each|Every|All|Both|No|Not|One|Our|Their"
    r"|Your|My|However|Because|Since|Also|Although|Thus|Therefore|Most|Many|Some|Such|Use|See)(?![\w.])"
)


def spans(text: str) -> list[Span]:
    """Return the sentences of `text`, in order, without the white space and list marks around them."""
    found: list[Span] = []
    for piece in _PIECE.finditer(text + "\n"):
        start, end = piece.start(), min(piece.end(), len(text))
        if piece["fenced"]:
            found += _trimmed(text, start, end)
        elif piece["alone"]:
            found += _trimmed(text, _behind_marks(text, start, end), end)
        else:
            found += _in_paragraph(text, _behind_marks(text, start, end), end)
    return found


def _behind_marks(text: str, start: int, end: int) -> int:
    marks = _MARKS.match(text, start, end)
    return marks.end() if marks else start


def _in_paragraph(text: str, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    for match in _END.finditer(text, start, end):
        if not match["stop"] or _ends_here(text, start, match):
            found += _trimmed(text, start, match.end())
            gap = _GAP.match(text, match.end(), end)
            start = gap.end() if gap else match.end()
    return found + _trimmed(text, start, end)


def _ends_here(text: str, start: int, match: re.Match[str]) -> bool:
    stop, following = match["stop"], match["next"]
    if "!" in stop or "?" in stop:
        return True
    if following.islower():
        return False
    if stop != ".":
        return True
    word = _WORD_EDGE.split(text[max(start, match.start() - 24) : match.start()])[-1].lower()
    if word in _LAST_BEFORE_A_CAPITAL:
        return following.isupper()
    if word in _LAST_BEFORE_A_STARTER or _INITIALS.fullmatch(word):
        return bool(_STARTER.match(text, match.start("next")))
    return word not in _NEVER_LAST


def _trimmed(text: str, start: int, end: int) -> list[Span]:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return [(left, right)] if any(letter.isalnum() for letter in text[left:right]) else []


def split(text: str) -> list[str]:
    """Cut `text` at its sentence starts, losing nothing: what llama-index's splitters ask for."""
    starts = [0, *(start for start, _ in spans(text)[1:]), len(text)]
    return [text[a:b] for a, b in pairwise(starts) if b > a]
