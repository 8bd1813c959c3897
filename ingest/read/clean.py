"""A page's raw text becomes what is stored: whole characters, whole words; and is judged by how it reads.

The \ufb01le is distri-⏎buted as XML.   as a PDF library returns it
The file is distributed⏎as XML.        as it is stored
"""

import re
from collections import Counter
from collections.abc import Sequence, Set
from itertools import pairwise

_LETTERS = str.maketrans(
    {
        "ﬀ": "ff",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ﬃ": "ffi",
        "ﬄ": "ffl",
        "ﬅ": "st",
        "ﬆ": "st",
        "\u00a0": " ",
        "\u2010": "-",
        "\u2011": "-",
        "\0": None,
    }
)
_NEWLINE = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(r"[\x01-\x08\x0e-\x1b\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_BROKEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]|\(cid:")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LETTER_RUN = re.compile(r"[^\W\d_]{5,}")
_HYPHENS = ("-", "\u00ad")
_PREFIXES = {"all", "cross", "ex", "half", "low", "high", "multi", "self", "well"}
"""English words that a compound starts with: after these a hyphen at the line's end is meant."""
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøœùúûüýÿāăąēęěīįōőūůűųıơư")
_VERY_LONG_WORD = 35
"""Letters. Above it a word of a script with upper and lower case is several words without their spaces."""
_SINGLE = 0.4
"""Share of words of one letter that a page of formulas may have."""
_SCORED_WORDS = 5000
_LONGEST_LINE = 2000
"""Code points; what goes on for longer is no line that a hyphen ends."""
_KNOWN_ENOUGH = 300
"""Words a document must have shown before an unknown one says anything."""
_STRANGE = 0.3
"""Share of words that a page brings as new without being suspicious."""


def words(text: str) -> set[str]:
    """Return the words of a clean text in lower case, compounds with their hyphens."""
    return set(_WORD.findall(text.lower()))


def badness(text: str, known: Set[str] = frozenset()) -> float:
    """Return how much of a page reads wrongly, 0 to 1, in any language.

    Broken characters, words of single letters, words without spaces between them, capitals in the middle of
    words and long Latin words without a vowel are wrong everywhere; a script without case is judged by the
    first alone.

    Args:
        text: A page as a library returned it.
        known: Words of the same document's other pages; a page that shares few of them counts as worse.
    """
    found = text.split(maxsplit=_SCORED_WORDS)[:_SCORED_WORDS]
    if not found:
        return 1.0
    single = sum(len(word) == 1 and word.lower() != word.upper() for word in found)
    wrong = sum(map(_is_wrong, found)) + max(0.0, single - _SINGLE * len(found))
    long = [word for word in words(" ".join(found)) if len(word) > 3]
    if len(known) >= _KNOWN_ENOUGH and len(long) >= 10:
        strange = sum(word not in known for word in long) / len(long)
        wrong += max(0.0, strange - _STRANGE) * len(found)
    return min(1.0, wrong / len(found))


def gain(first: str, second: str, agreed: Set[str]) -> float:
    """Return by how much the second of two readings of a page is the better one, -1 to 1.

    What only one of them says counts for it where both say it elsewhere: 'ofthe' against 'of' and 'the'.

    Args:
        first: A clean page.
        second: The same page, as another library reads it.
        agreed: Words that both readings had on other pages.
    """
    one, other = Counter(_WORD.findall(first.lower())), Counter(_WORD.findall(second.lower()))
    agreed = agreed | (one.keys() & other.keys())
    for_one, for_other = (
        sum(times for word, times in more.items() if len(word) > 1 and word in agreed)
        for more in (one - other, other - one)
    )
    return (for_other - for_one) / max(1, one.total(), other.total())


def _is_wrong(word: str) -> bool:
    word = word[:200]
    if len(word) > 1 and _BROKEN.search(word):  # alone it is a bullet of a symbol font
        return True
    for run in _LETTER_RUN.findall(word):
        lower = run.lower()
        if lower == run.upper():
            continue
        flips = sum(a.islower() and b.isupper() for a, b in pairwise(run))
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
    ends = {i for i, (line, after) in enumerate(pairwise(lines)) if _is_broken_line(line, after)}
    if not ends:
        return list(lines)
    whole: list[str] = []
    for i, line in enumerate(lines):
        found = line.split()
        whole += found[i - 1 in ends : len(found) - (i in ends)]
    known = known | words(" ".join(whole))
    joined: list[str] = []
    for line in lines:
        if joined and _is_broken_line(joined[-1], line):
            tail, _, rest = line.lstrip().partition(" ")
            head = joined[-1].split()[-1]
            hyphen = "" if _is_one_word(head, tail, known) else "-"
            joined[-1] = joined[-1][:-1] + hyphen + tail
            line = rest.lstrip()
            if not line:
                continue
        joined.append(line)
    return joined


def _is_broken_line(line: str, after: str) -> bool:
    return (
        line.endswith(_HYPHENS) and line[-2:-1].isalpha() and after.lstrip()[:1].isalpha() and len(line) < _LONGEST_LINE
    )


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
