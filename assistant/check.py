"""Is an item good enough to be shown? Each check is a pure function with a name; the first that fails is the reason.

The rules are Haladyna's, Downing's and Rodriguez's (Applied Measurement in Education 15, 2002: 'A review of
multiple-choice item-writing guidelines'), as far as a program can see them: one right option, options alike in form
and length, no 'all of the above', no negative stem, no clue in the wording. What only a model can judge (does a
reader of the evidence pick the key?) is asked in `assistant/author.py`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from assistant.items import BLANK, CLOZE, EXPLAIN, FLASHCARD, KINDS, MCQ, ORDERING, SHORT, TRUE_FALSE, Item
from assistant.support import supports
from assistant.words import content, jaccard, stems

OPTIONS = 4
"""Of a multiple-choice question."""
SAME_WORDS = 0.75
"""Share of common stems (Jaccard) above which two questions, with their answers, ask the same."""
SAME_MEANING = 0.93
"""Cosine above which two questions, with their answers, ask the same."""
LONGER = 1.4
"""A key may be this many times as long as the longest distractor."""
UNEQUAL = 3.0
"""The longest option may be this many times as long as the shortest."""
MOST_QUESTION, MOST_OPTION = 420, 240
"""Characters."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What an item is held against."""

    text: str
    """The text of the note that the evidence is counted in."""
    passage: str
    """The chunk around the evidence, with its headings."""
    existing: Sequence[Item] = ()
    """Items that are there already."""
    alike: Callable[[str, Sequence[str]], float] | None = None
    """Highest cosine between a text and others; None: words alone are compared."""


Check = Callable[[Item, Ground], bool]


def follows_schema(item: Item, _: Ground) -> bool:
    """It has what its kind needs, and nothing is empty or endless."""
    asked, answer = item.question.strip(), item.answer.strip()
    if item.kind not in KINDS or not answer or not 8 <= len(asked) <= MOST_QUESTION or "\n\n\n" in asked:
        return False
    if any(not option.strip() or len(option) > MOST_OPTION for option in item.options):
        return False
    positions = sorted(answer.split())
    return {
        MCQ: len(item.options) == OPTIONS and item.options.count(item.answer) == 1,
        TRUE_FALSE: answer in ("true", "false") and not item.options,
        SHORT: not item.options,
        CLOZE: asked.count(BLANK) == 1 and not item.options,
        ORDERING: len(item.options) > 2 and positions == [str(n + 1) for n in range(len(item.options))],
        EXPLAIN: bool(item.rubric),
        FLASHCARD: not item.options,
    }[item.kind]


def quotes_exactly(item: Item, ground: Ground) -> bool:
    """The quote is the note's text from start to end."""
    evidence = item.evidence
    return bool(evidence.quote.strip()) and ground.text[evidence.start : evidence.end] == evidence.quote


def key_is_supported(item: Item, ground: Ground) -> bool:
    """The evidence says what the key says, by the lexical check of `assistant.support`."""
    quote = item.evidence.quote
    if item.kind == TRUE_FALSE:
        claim = item.question if item.answer == "true" else item.explanation
        return supports(claim, [quote]) or supports(claim, [ground.passage])
    if item.kind == ORDERING:
        return all(
            stems(option) <= stems(ground.passage) or supports(option, [ground.passage]) for option in item.options
        )
    if item.kind == EXPLAIN:
        return all(supports(point, [ground.passage]) for point in item.rubric)
    said = content(item.answer)
    found = content(f"{ground.passage}\n{quote}").stems
    return said.numbers <= found and (said.stems <= content(quote).stems or supports(item.answer, [ground.passage]))


def gives_a_reason(item: Item, _: Ground) -> bool:
    """Of a statement it is told why it is true, or what is."""
    return item.kind != TRUE_FALSE or len(item.explanation.split()) > 2


def options_are_distinct(item: Item, _: Ground) -> bool:
    """No option says what another one says, or is a part of it."""
    told = [normal(option) for option in item.options]
    parts = [f" {option} " for option in told]
    if len(set(told)) < len(told) or (item.kind == MCQ and any(a in b for a in parts for b in parts if a is not b)):
        return False
    own = [stems(option) for option in item.options]
    return item.kind != MCQ or not any(
        jaccard(own[i], own[j]) > 0.8 for i in range(len(own)) for j in range(i) if len(own[i] | own[j]) > 2
    )


def options_have_one_form(item: Item, _: Ground) -> bool:
    """The key is not the odd one out: numbers stand beside numbers, names beside names, code beside code."""
    if item.kind != MCQ:
        return True
    forms = [form(option) for option in item.options]
    return forms.count(form(item.answer)) >= len(forms) - 1


def options_have_one_length(item: Item, _: Ground) -> bool:
    """The key does not show itself by its length."""
    if item.kind != MCQ:
        return True
    lengths = sorted(len(option) for option in item.options)
    others = [len(option) for option in item.options if option != item.answer] or [0]
    return lengths[-1] <= UNEQUAL * lengths[0] + 12 and len(item.answer) <= LONGER * max(others) + 6


_ALL_NONE = re.compile(
    r"\b(?:(?:all|none|any|both|some|neither|either) (?:of )?(?:the )?(?:above|these|them|others|options|answers)|"
    r"(?:both )?[a-d] (?:and|or) [a-d]|not given|cannot be (?:determined|known))\b",
    re.IGNORECASE,
)


def no_all_or_none(item: Item, _: Ground) -> bool:
    """No option points to other options."""
    return not any(_ALL_NONE.search(option) for option in item.options)


_NEGATIVE = re.compile(r"\b(?:NOT|EXCEPT|except|LEAST|INCORRECT|incorrect|isn't|aren't|doesn't|not true|false\?)\b")
_POINTS = re.compile(
    r"\b(?:according to|in|from|by) the (?:passage|text|excerpt|context|document|paragraph|evidence|author|notes?"
    r"|article|sentence)\b|\bthe (?:passage|text|excerpt|author) (?:says?|states?|mentions?)|\b(?:mentioned|described"
    r"|given|listed|shown|stated) (?:above|below|here)\b|\bthis (?:passage|text|note|section|chapter)\b",
    re.IGNORECASE,
)


def stem_is_positive(item: Item, _: Ground) -> bool:
    """It does not ask for what is not so."""
    return item.kind not in (MCQ, SHORT) or not _NEGATIVE.search(item.question)


def stands_alone(item: Item, _: Ground) -> bool:
    """It can be understood without the passage beside it."""
    return not _POINTS.search(item.question)


_ABSOLUTE = frozenset("always never only every completely entirely impossible guaranteed exclusively solely".split())


def nothing_gives_it_away(item: Item, _: Ground) -> bool:
    """The wording of the question does not name the answer, nor do absolute words mark what is wrong."""
    asked, answer = stems(item.question), stems(item.answer)
    if item.kind in (SHORT, CLOZE):
        return not answer or not answer <= asked
    if item.kind != MCQ:
        return True
    others = [stems(option) for option in item.options if option != item.answer]
    own = answer - frozenset[str]().union(*others)
    if own and len(asked & own) > 0.5 * len(own) and not any(len(asked & other) > 0.5 * len(other) for other in others):
        return False
    absolute = [bool(_ABSOLUTE & set(option.lower().split())) for option in item.options if option != item.answer]
    if all(absolute) and not _ABSOLUTE & set(item.answer.lower().split()):
        return False
    article = re.search(r"\b(an?)\s*[:?…_]*$", item.question.strip(), re.IGNORECASE)
    vowels = [option[:1].lower() in "aeiou" for option in item.options]
    return not article or len(set(vowels)) == 1


def blank_is_fair(item: Item, _: Ground) -> bool:
    """A blank is one thing to know, with enough around it to know what is asked."""
    if item.kind != CLOZE:
        return True
    around = stems(item.question.replace(BLANK, " "))
    return len(item.answer.split()) <= 5 and len(around) >= 3


def is_new(item: Item, ground: Ground) -> bool:
    """No item that is there asks the same: in other words, of another copy, or the other way round."""
    own = known_stems(asks(item))
    alike = []
    for other in ground.existing:
        if other.id == item.id or _same_fact(item, other):
            return False
        if _may_be_same(item, other):
            if _without_context(item) == _without_context(other):
                return False
            if jaccard(own, known_stems(asks(other))) >= SAME_WORDS:
                return False
            alike.append(asks(other))
    return not (ground.alike and alike) or ground.alike(asks(item), alike) < SAME_MEANING


def _without_context(item: Item) -> str:
    """Return a question without the '(section)' behind it."""
    return normal(re.sub(r"\s\([^()]*\)$", "", item.question))


def _may_be_same(one: Item, other: Item) -> bool:
    """Return whether two items may ask the same: rows of a table are asked for in the same words."""
    if known_numbers(one.question) != known_numbers(other.question):  # the A100's is not the H100's
        return False
    if TRUE_FALSE in (one.kind, other.kind):
        return one.kind == other.kind
    return _answers_alike(one, other, 0.3)


def _answers_alike(one: Item, other: Item, more_than: float) -> bool:
    shared = jaccard(known_stems(one.answer), known_stems(other.answer))
    return shared > more_than or normal(one.answer) == normal(other.answer)


@lru_cache(10_000)
def known_stems(text: str) -> frozenset[str]:
    """Return `stems`, remembered: every new item is compared with every old one."""
    return stems(text)


@lru_cache(10_000)
def known_numbers(text: str) -> frozenset[str]:
    """Return the numbers of a text, remembered."""
    return content(text).numbers


def asks(item: Item) -> str:
    """Return what an item asks about, answer included."""
    return f"{item.question.replace(BLANK, item.answer)} {item.answer}"


def _same_fact(one: Item, other: Item) -> bool:
    a, b = one.evidence, other.evidence
    same_place = bool(a.path) and (a.path, a.version) == (b.path, b.version) and a.start < b.end and b.start < a.end
    turned = normal(one.answer) in normal(other.question) and normal(other.answer) in normal(one.question)
    return (same_place and _answers_alike(one, other, 0.5)) or (turned and min(len(one.answer), len(other.answer)) > 2)


CHECKS: dict[str, Check] = {
    "schema": follows_schema,
    "quote_exact": quotes_exactly,
    "key_supported": key_is_supported,
    "reason_given": gives_a_reason,
    "options_distinct": options_are_distinct,
    "options_same_form": options_have_one_form,
    "options_same_length": options_have_one_length,
    "no_all_or_none": no_all_or_none,
    "positive_stem": stem_is_positive,
    "stands_alone": stands_alone,
    "no_giveaway": nothing_gives_it_away,
    "fair_blank": blank_is_fair,
    "new": is_new,
}
"""In the order in which they are made: the cheapest and the most telling first."""


def checked(item: Item, ground: Ground) -> tuple[Item, str]:
    """Return the item with every check that it passed, and the name of the first that it failed ('': none)."""
    passed: dict[str, bool] = {}
    for name, check in CHECKS.items():
        passed[name] = check(item, ground)
        if not passed[name]:
            return replace(item, checks=item.checks | passed), name
    return replace(item, checks=item.checks | passed), ""


# ------------------------------------------------------------------------------------------------------- words


def normal(text: str) -> str:
    """Return text in lower case, its words and numbers apart by single spaces: what counts when texts are compared."""
    return " ".join(re.findall(r"\w+(?:[.,]\d+)*|[%+#@]", text.lower().replace("’", "'")))


def form(option: str) -> str:
    """Return what an option looks like: 'number', 'code', 'short' (an abbreviation), 'sentence' or 'words'."""
    text = option.strip()
    if re.match(r"[~≈<>≤≥$€]?\s?[-+]?\d", text):
        return "number"
    if re.search(r"^--|\w_\w|\w\.\w+$|\(\)|[{}]", text):
        return "code"
    if " " not in text and sum(letter.isupper() for letter in text) > 1:
        return "short"
    return "sentence" if text.endswith(".") and " " in text else "words"
