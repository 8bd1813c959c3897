"""Is an answer one of the wanted ones, apart from how it is written?

    the KV-cache = KV cache      0.5 s = 500 ms       thirty-two = 32       conitnuous batching = continuous batching
    encoder ≠ decoder            -5 ≠ 5               CPU to GPU ≠ GPU to CPU               vitamin C ≠ vitamin D

Quantities are compared as such; then numbers must agree, then words, by their stems; a typo is forgiven, word by word,
only where it can't be another word: not in numbers, code, abbreviations or single letters, nor in a beginning or an
ending that turns the meaning round (supervised, unsupervised; nitrate, nitrite).
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.words import COUNTS, abbreviates, content, stems

_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "c": 1e-2, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_LONG = {"nano": "n", "micro": "u", "milli": "m", "kilo": "k", "mega": "M", "giga": "G", "tera": "T"}
_UNITS: dict[str, tuple[str, float]] = {
    **{f"{p}{unit}".lower(): (name, _PREFIXES[p]) for unit, name, prefixes in (
        ("b", "B", "kMGTP"), ("bit", "bit", "kMGTP"), ("s", "s", "num"), ("w", "W", "kMG"), ("hz", "Hz", "kMG"),
        ("m", "m", "nmck"), ("g", "g", "mk"),
    ) for p in ("", *prefixes)},
    **{f"{long}{unit}": (name, _PREFIXES[p]) for unit, name in (
        ("byte", "B"), ("bit", "bit"), ("second", "s"), ("watt", "W"), ("hertz", "Hz"), ("meter", "m"), ("gram", "g"),
    ) for long, p in ({"": ""} | _LONG).items()},
    **{f"{p}ib": ("B", 2.0**power) for p, power in zip("kmgt", (10, 20, 30, 40), strict=True)},
    **dict.fromkeys(("%", "percent", "pct"), ("%", 1.0)),
    **{"sec": ("s", 1.0), "min": ("s", 60.0), "minute": ("s", 60.0), "hr": ("s", 3600.0), "hour": ("s", 3600.0)},
    **{"h": ("s", 3600.0), "d": ("s", 86400.0), "day": ("s", 86400.0), "week": ("s", 604800.0)},
    **{"usd": ("$", 1.0), "dollar": ("$", 1.0), "$": ("$", 1.0)},
    **{"eur": ("€", 1.0), "euro": ("€", 1.0), "€": ("€", 1.0)},
}  # fmt: skip
"""Unit in lower case → what it measures, and how much of it."""
_COUNTED = {"k": 1e3, "K": 1e3, "thousand": 1e3, "M": 1e6, "million": 1e6, "B": 1e9, "bn": 1e9, "billion": 1e9}
"""What stands behind a number and is no unit; bytes alone are never written B here."""
_OPPOSITES = tuple(
    (frozenset(one.split()), frozenset(other.split()))
    for one, other in (
        ("above over more most up", "below under less least fewer down"),
        ("before pre", "after post"),
        ("on", "off"),
        ("into in", "out"),
        ("to into", "from"),
        ("with", "without"),
        ("all both", "none neither either"),
    )
)
"""Small words that turn a meaning round."""
_DIRECTED = re.compile(r"\b(?:to|from|into|onto|than|before|after|over|under|above|below|by|per|then)\b|->|→|=>|>|<")
_BEGINNINGS = tuple(
    "macro micro multi mono mega milli inter intra intro hyper hypo homo hetero pre pro post poly endo exo under uni up"
    " sub super ab ad ana ante anti giga".split()
)
_ENDINGS = tuple("ate ite ide ase ose ane ene yne er ee or ed ing ion ence ment ance less ful ible".split())
"""Beginnings and endings that tell one word from another that is written alike."""


def says_the_same(given: str, wanted: Sequence[str]) -> bool:
    """Return whether an answer is one of the wanted ones, apart from how it is written."""
    every = list(dict.fromkeys(form for one in wanted for form in _with_and_without_aside(one)))
    if any(_same(given, one) for one in every):
        return True
    aside = _ASIDE.fullmatch(given.strip())
    if not aside:
        return False
    forms = aside["before"], aside["inside"]
    right = [any(_same(form, one) for one in every) for form in forms]
    return all(right) or (any(right) and (abbreviates(*forms) or abbreviates(*reversed(forms))))


_ASIDE = re.compile(r"(?P<before>[^()]+?)\s*\((?P<inside>[^()]+)\)")


def _with_and_without_aside(text: str) -> list[str]:
    """Return 'time to first token (TTFT)' and both of its names; of another aside, what stands before it."""
    aside = _ASIDE.fullmatch(text.strip())
    if not aside:
        return [text]
    before, inside = aside["before"], aside["inside"]
    named = abbreviates(before, inside) or abbreviates(inside, before)
    return [text, before, *([inside] if named else [])]


def _same(given: str, wanted: str) -> bool:
    given, wanted = _one_spelling(given), _one_spelling(wanted)
    if given == wanted:
        return True
    one, other = quantity(given), quantity(wanted.lower() if given.islower() else wanted)  # 400 gb/s: of whichever
    if one and other:
        return one.is_as_much_as(other)
    a, b = _numbers(given), _numbers(wanted)
    if (sorted(a) != sorted(b)) if _is_list(wanted) else a != b:
        return False
    if _bare(given) == _bare(wanted):
        return bool(_bare(wanted))
    if _is_code(wanted):
        return _is_plural(given, wanted)
    if _letters(given, wanted) != _letters(wanted, wanted) or _turned(given, wanted):
        return False
    said, meant = _words(given), _words(wanted)
    return _same_words(said, meant, directed=bool(_DIRECTED.search(wanted.lower()))) or _one_slip(said, meant)


# -------------------------------------------------------------------------------------------------- spelling

_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_COUNT = "|".join((*COUNTS, *_SCALES))
_IN_WORDS = re.compile(rf"(?<![\w-])(?:{'|'.join(COUNTS)}|hundred)(?:[\s-]+(?:and\s+)?(?:{_COUNT}))*(?![\w-])", re.I)
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴-⁹⁻]+")


def _one_spelling(text: str) -> str:
    """Return a text with one way of writing signs, numbers, accents and Greek letters; its capitals stay."""
    text = re.sub(r"[−‒–—](?=\s?[\d.])", "-", text.strip().strip("\"'“”‘’`*").strip())
    text = _SUPERSCRIPT.sub(lambda match: "^" + unicodedata.normalize("NFKD", match[0]).replace("−", "-"), text)
    text = re.sub(r"[α-ωΑ-Ω]", lambda match: f" {unicodedata.name(match[0]).split()[3].lower()} ", text)
    text = text.replace("µ", "u").replace("μ", "u")
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    text = re.sub(r"\bminus\s+(?=\d)", "-", text.replace("’", "'"), flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d)[,\s](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    text = re.sub(r"\s*&\s*", " and ", _IN_WORDS.sub(_in_digits, text))
    text = re.sub(r"\b[ivx]+\b", lambda match: _ROMAN.get(match[0].lower(), match[0]), text, flags=re.I)
    text = re.sub(r"(?<=\w )I$", "1", text, flags=re.I)
    text = re.sub(r"^(?:it\s+is|they\s+are|it's|is|are)\s+(?=\S)", "", text, flags=re.IGNORECASE)
    text = re.sub(
        r"^(?:about|around|approximately|approx\.?|roughly|circa|ca\.?|[~≈+])\s*(?=[-$€\d])", "", text, flags=re.I
    )
    text = re.sub(r"^(?:an?|the)\s+(?=\S)", "", " ".join(text.split()), flags=re.IGNORECASE)
    return text.rstrip(".!?;, ") or text


def _in_digits(match: re.Match[str]) -> str:
    whole = part = 0
    for word in re.findall(r"[a-z]+", match[0].lower()):
        if word in COUNTS:
            part += COUNTS[word]
        elif word == "hundred":
            part = max(1, part) * 100
        elif word in _SCALES:
            whole, part = whole + max(1, part) * _SCALES[word], 0
    return str(whole + part)


def _bare(text: str) -> str:
    """Return letters and digits alone: 'paged attention', 'Paged-Attention' and 'PagedAttention' are one."""
    text = re.sub(r"\s*\band\b\s*|(?<!\d)/|/(?!\d)", "", text.lower())
    return re.sub(r"[^\w.%+#@/^]|_|(?<!\d)\.|\.(?!\d)", "", text)


def _numbers(text: str) -> list[float]:
    """Return the numbers of a text, signs included; the hyphen of GPT-4 and of 3-5 is none."""
    return [float(one) for one in re.findall(r"(?:(?<![\w.)])-)?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text.lower())]


def _is_list(text: str) -> bool:
    return bool(re.search(r"\b(?:and|or)\b|,|/", text)) and not _DIRECTED.search(text.lower())


def _is_code(text: str) -> bool:
    return bool(re.fullmatch(r"\S*[A-Z]\S*[A-Z]\S*", text)) or bool(re.search(r"--|\w_\w|[A-Za-z]\.\w", text))


def _is_plural(given: str, wanted: str) -> bool:
    """Return whether one is the other with the s of GPUs; HTTPS is no plural of HTTP."""
    longer, shorter = sorted((given, wanted), key=len, reverse=True)
    kept = given[: len(shorter)] == wanted[: len(shorter)] or not shorter.upper().endswith("P")
    return shorter.isalpha() and longer.lower() == f"{shorter.lower()}s" and longer.endswith("s") and kept


def _letters(text: str, wanted: str) -> list[str]:
    """Return the single letters that name something: the C of vitamin C; an article is none."""
    named = re.search(r"(?<=\S )A\b|\ba$", wanted)
    found = re.findall(r"(?<!['\w])[a-z](?![\w'])", text.lower())
    return [letter for letter in found if letter != "a" or named]


def _turned(given: str, wanted: str) -> bool:
    """Return whether a small word turns one against the other: above, below; with, without; not."""
    if content(given).negated != content(wanted).negated:
        return True
    a, b = (set(re.findall(r"[a-z]+", text.lower())) for text in (given, wanted))
    a, b = a - b, b - a
    return any((a & one and b & other) or (a & other and b & one) for one, other in _OPPOSITES)


# ------------------------------------------------------------------------------------------------ quantities


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit."""

    value: float
    """As it is written."""
    measures: str
    """What its unit measures, 'B' or 's'; the unit itself where it is none of ours; empty: there is no unit."""
    size: float
    """The value, in the unit without prefix."""

    def is_as_much_as(self, other: "Quantity") -> bool:
        """Return whether both are the same; a unit may be left out, since it often stands behind the blank."""
        if not self.measures or not other.measures:
            return self.value == other.value
        return self.measures == other.measures and math.isclose(self.size, other.size, rel_tol=1e-9)


_QUANTITY = re.compile(
    r"(?P<currency>[$€]?)(?P<number>-?[$€]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?:\s?/\s?(?P<under>\d+))?"
    r"(?:\s?(?:[x*×·]\s?10|(?P<ten>(?<=10)))\s?(?:\^|\*\*)\s?(?P<power>-?\d{1,2}))?"
    r"\s*-?(?P<unit>[A-Za-z%$€]*(?:\s?(?:/|\bper\b)\s?[A-Za-z]+)?)\.?"
)


def quantity(text: str) -> Quantity | None:
    """Return the quantity that a text is; None where it is something else."""
    match = _QUANTITY.fullmatch(_one_spelling(text))
    if not match:
        return None
    value = float(match["number"].translate({ord("$"): None, ord("€"): None}))
    if match["under"]:
        value = value / float(match["under"]) if float(match["under"]) else math.nan
    if match["power"]:
        value = 10.0 ** int(match["power"]) if match["ten"] is not None else value * 10.0 ** int(match["power"])
    if match["unit"] in _COUNTED:
        return Quantity(value * _COUNTED[match["unit"]], "", value * _COUNTED[match["unit"]])
    unit, _, per = re.sub(r"\s?\bper\b\s?|\s?/\s?", "/", match["unit"] or match["currency"]).partition("/")
    if re.fullmatch(r"[kmgtKMGT](?:b|bit)ps", unit):
        unit, per = unit[:-2], "s"
    measures, size = ("bit", _PREFIXES[unit[0]]) if re.fullmatch(r"[kMGT]b", unit) else _known(unit)
    return Quantity(value, measures + (f"/{_known(per)[0]}" if per else ""), value * size)


def _known(unit: str) -> tuple[str, float]:
    unit = unit.lower() if unit != "mW" else "milliwatt"
    return _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s")) or (unit.removesuffix("s"), 1.0)


# ----------------------------------------------------------------------------------------------------- words


def _words(text: str) -> list[str]:
    """Return the words that count, as they are written."""
    return [
        word for word in re.findall(r"[^\W\d_]+|\d+(?:\.\d+)?", text) if stems(word) or word.lower() in ("more", "most")
    ]


def _same_words(said: Sequence[str], meant: Sequence[str], *, directed: bool) -> bool:
    one, other = ([("".join(stems(word)), _is_agent(word)) for word in words] for words in (said, meant))
    return bool(other) and (one == other if directed else sorted(one) == sorted(other))


def _is_agent(word: str) -> bool:
    """Return whether a word names who does something: a generator is no generation."""
    return bool(re.search(r"(?:er|or)s?$", word.lower()))


def _one_slip(said: Sequence[str], meant: Sequence[str]) -> bool:
    """Return whether words differ by slips of the keyboard only."""
    if len(said) != len(meant):
        said, meant = ["".join(said)], ["".join(meant)]
    return bool(meant) and all(
        (stems(a) == stems(b) and _is_agent(a) == _is_agent(b)) or (not _is_code(b) and _is_typo(a.lower(), b.lower()))
        for a, b in zip(said, meant, strict=True)
    )


def _is_typo(given: str, wanted: str) -> bool:
    if re.search(r"\d", given + wanted) or given[:1] != wanted[:1]:
        return False
    for parts, has in ((_BEGINNINGS, str.startswith), (_ENDINGS, str.endswith)):
        a, b = ([part for part in parts if has(word, part)] for word in (given, wanted))
        if a and b and a != b:
            return False
    most = 0 if len(wanted) < 5 else 1 if len(wanted) < 9 else 2
    return abs(len(given) - len(wanted)) <= most and distance(given, wanted) <= most


def distance(one: str, other: str) -> int:
    """Return how many letters must be put in, left out, changed or swapped with the next (Damerau 1964)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before_that, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before_that[j - 2] + 1)
            row.append(cost)
    return row[-1]
