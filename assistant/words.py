"""Words as checking sees them: one spelling, no stop words, stemmed; numbers, names and negation apart."""

import re
import unicodedata
from collections.abc import Set
from dataclasses import dataclass
from functools import cache
from typing import Any

STOP_WORDS = frozenset(
    """a about above also am an and any are as at be been being below between both but by can could did do does
    done each eg etc for from had has have he her here hers him his how i ie if in into is it its itself may me
    might more most must my of on one onto or other our ours over own same shall she should so some such than that
    the their them then there these they this those to under us was we were what when where which while who whom
    whose why will with within would you your yours""".split()
)
NEGATIONS = frozenset("not no never none nobody nothing neither nor without".split())
_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_SMALL += " seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
COUNTS = {
    **{word: number for number, word in enumerate(_SMALL.split())},
    **dict(zip(_TENS.split(), range(20, 100, 10), strict=True)),
}
"""Number words → what they count."""
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth"
_NUMBER_WORDS = {
    **{word: str(number) for word, number in COUNTS.items() if number > 1},
    **{word: str(number) for number, word in enumerate(_ORDINALS.split(), start=3)},
    **{"hundred": "100", "thousand": "1000", "half": "0.5"},
}
"""'one', 'first' and 'second' mean too much else."""
_SPELLINGS = (
    (re.compile(r"\[\d+(?:\s*[,;]\s*\d+)*\]"), " "),  # citation marks
    (re.compile(r"[’‘`´]"), "'"),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),  # 1,000
    (re.compile(r"n't\b", re.IGNORECASE), " not"),
    (re.compile(r"\b([Cc]an)not\b"), r"\1 not"),
    (re.compile(r"'s\b"), ""),
    (re.compile(r"(?<=\d)\s*%|\bper cent\b"), " percent"),
)
# A CJK character is a word of its own: their texts have no spaces to find words by.
_TOKEN = re.compile(
    r"\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)


@dataclass(frozen=True, slots=True)
class Content:
    """What a sentence is about."""

    stems: frozenset[str]
    """Of its content words; numbers stand in it as they are."""
    numbers: frozenset[str]
    """Written one way: 1,000 and 'thousand' are 1000, 3.50 is 3.5."""
    names: frozenset[str]
    """Stems of the words with a capital letter; of the first word only if it has two (FSDP, PyTorch)."""
    negated: bool


def content(text: str) -> Content:
    """Return the content of one sentence, or of any text."""
    found, numbers, names = set(), set(), set()
    negated = False
    for position, token in enumerate(_TOKEN.finditer(_one_spelling(text))):
        word = token[0].lower()
        number = _number(word)
        if number:
            found.add(number)
            numbers.add(number)
        elif word in NEGATIONS:
            negated = True
        elif word not in STOP_WORDS and (len(word) > 1 or not word.isascii()):
            found.add(_stem(word))
            capitals = sum(letter.isupper() for letter in token[0])
            if capitals > (0 if position else 1):
                names.add(_stem(word))
    return Content(frozenset(found), frozenset(numbers), frozenset(names), negated)


def _one_spelling(text: str) -> str:
    text = unicodedata.normalize("NFKD", text)
    text = unicodedata.normalize("NFC", "".join(c for c in text if not unicodedata.combining(c)))
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return text


def _number(word: str) -> str:
    if word[0].isdigit() and word.isascii():
        whole, _, fraction = word.partition(".")
        fraction = fraction.rstrip("0")
        return (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return _NUMBER_WORDS.get(word, "")


@cache
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


@cache
def _stemmer() -> Any:
    from Stemmer import Stemmer

    return Stemmer("english")


def stems(text: str) -> frozenset[str]:
    """Return the stems of a text's content words and its numbers."""
    return content(text).stems


def jaccard(one: Set[str], other: Set[str]) -> float:
    """Return the share of the words of either that both have, 0 to 1."""
    return len(one & other) / max(1, len(one | other))


def abbreviates(short: str, long: str) -> bool:
    """Return whether the capitals of `short` are the first letters of `long`'s words, in order, all used."""
    every = short[:1].islower()  # fMRI: its f counts, unlike the i of ViT
    letters = [letter.lower() for letter in short if letter.isupper() or (every and letter.isalpha())]
    if not 2 <= len(letters) <= 6 or len(letters) < len(re.sub(r"[^A-Za-z]", "", short)) - 1 or " " in short:
        return False
    words = [word for word in re.split(r"[\s/-]+", long) if word]
    if not len(letters) - 1 <= len(words) <= len(letters) + 2 or re.search(r"[^\w\s,&/’'-]", long):
        return False
    initials = [word[0].lower() for word in words]
    small = {"of", "the", "and", "for", "to", "in", "a"}
    rest = iter(zip(initials, words, strict=True))
    used = 0
    for letter in letters:
        for initial, word in rest:
            if initial == letter:
                used += 1
                break
            if word.lower() not in small:
                return False
    return used == len(letters) and all(word.lower() in small for _, word in rest)
