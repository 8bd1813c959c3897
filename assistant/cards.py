"""Facts of the notes become quiz items, by rule: no model is asked.

    'Prefill' = 'the phase in which …'   →  Which term is meant by “the phase in which …”? (four terms of the notes)
                                         →  What is meant by “Prefill”? (four definitions, or a card to turn)
                                         →  ____ is the phase in which …
    'TTFT' = 'time to first token'       →  What does TTFT stand for?
    a cell of a table                    →  four values of its column
    a number, a piece of code            →  the sentence with a blank, or four pieces of code that look alike

Distractors are what the same notes say of other things, the nearest in meaning first, so that they are of one kind.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from assistant.check import Ground, checked, form, known_stems, normal
from assistant.facts import CELL, CODE, DEFINITION, LONG_FORM, NUMBER, Fact, Source, codes_in, shape_of
from assistant.items import BLANK, CLOZE, FLASHCARD, MCQ, SHORT, Item
from assistant.words import jaccard

if TYPE_CHECKING:
    from ingest.encode import Vectors

SHARE = {DEFINITION: 6.0, LONG_FORM: 1.2, CELL: 2.4, NUMBER: 1.0, CODE: 0.8}
"""How often each kind of fact is taken, beside the others."""
FORMS = {MCQ: 3.0, CLOZE: 1.6, FLASHCARD: 1.0, SHORT: 1.0}
"""How often each kind of item is made, beside the others."""
MOST_OF_A_TABLE = 3
LEAST_NEAR = 0.33
"""Cosine below which a definition is of another kind of thing, and no distractor."""
SAME_GENUS = 0.2
"""What it counts that both are 'a method …': as much cosine."""
SAYS_LITTLE = "method approach technique way set group type form kind field domain concept term relatively generally"
"""Words of definitions that tell nothing apart."""
LEAST_STEMS, LEAST_STEMS_OF_A_BLANK = 4, 5
"""Content words of a definition that tells a thing from others; without options to choose from it takes more."""
AMONG = 9
"""How many of the best distractors are chosen from, so that the key's length tells nothing."""
TOO_NEAR = 0.5
"""Share of common stems (Jaccard) above which another definition might be right, too."""

MOST_KNOWN = 20_000
"""Texts whose vectors are kept in memory, about: 1.5 kB each."""

Embed = Callable[[list[str]], "Vectors"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A draft that was not good enough."""

    item: Item
    reason: str
    """The check that it failed."""


Made = Item | Rejected


class Alike:
    """How near texts are in meaning; every text is embedded once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, Vectors] = {}

    def vectors(self, texts: Sequence[str]) -> "Vectors":
        """Return the texts' unit vectors, a row each."""
        known = self._known if len(self._known) < MOST_KNOWN else {}
        if new := list(dict.fromkeys(one for one in texts if one not in known)):
            known = self._known = known | dict(zip(new, self._embed(new), strict=True))
        return np.stack([known[one] for one in texts])

    def __call__(self, text: str, others: Sequence[str]) -> float:
        """Return the highest cosine between a text and others."""
        own, *rest = self.vectors([text, *others])
        return max((float(own @ other) for other in rest), default=0.0)


@lru_cache(4)
def alike_by(embed: Embed) -> Alike:
    """Return how near texts are to an embedder; remembered, since the next quiz compares the same texts."""
    return Alike(embed)


def make(
    facts: Sequence[Fact],
    sources: dict[str, Source],
    *,
    wanted: int,
    existing: Sequence[Item] = (),
    embed: Embed,
    seed: int = 0,
    ranked: Sequence[Fact] | None = None,
    kinds: Collection[str] = (),
    objective: str = "",
) -> Generator[Made, None, None]:
    """Yield items as each passes, and what was rejected, until `wanted` have passed or the facts are used up.

    Args:
        facts: What the notes say.
        sources: The notes by version, for the checks.
        wanted: How many items are to pass.
        existing: Items that are there: nothing is asked twice, and notes without items come first.
        embed: Gives texts unit vectors.
        seed: Another seed takes other facts first.
        ranked: The facts to take, in their order; None: all notes get their share.
        kinds: Kinds of items to make; empty: all.
        objective: What they serve to learn; empty: the headings above their evidence.
    """
    pool = Pool(facts, embed, [one.text for one in sources.values()])
    taken, alike = list(existing), alike_by(embed)
    order = list(ranked or ())
    chooser = _Chooser(facts, taken, seed)
    passed = 0
    while passed < wanted:
        fact = chooser.next() if ranked is None else order.pop(0) if order else None
        if fact is None:
            return
        source = sources[fact.evidence.version]
        chunk = next(one for one in source.chunks if one.id == fact.evidence.chunk)
        ground = Ground(source.text, chunk.readable, taken, alike)
        for draft in sorted(drafts(fact, pool), key=lambda item: chooser.forms[item.kind] / FORMS[item.kind]):
            if kinds and draft.kind not in kinds:
                continue
            item, reason = checked(replace(draft, objective=objective or draft.objective), ground)
            if not reason:
                passed += 1
                taken.append(item)
                chooser.count(fact, item)
                yield item
                break
            yield Rejected(item, reason)
            if reason == "new":
                break


class _Chooser:
    """Takes the fact of the note, section and kind that have had the fewest items."""

    def __init__(self, facts: Sequence[Fact], existing: Sequence[Item], seed: int) -> None:
        self._left = list(facts)
        random.Random(seed).shuffle(self._left)
        self._notes = Counter(item.evidence.path for item in existing)
        self._sections: Counter[tuple[str, str]] = Counter(
            (item.evidence.path, item.evidence.locator) for item in existing
        )
        self._kinds: Counter[str] = Counter()
        self._tables: Counter[tuple[str, str]] = Counter()
        self.forms: Counter[str] = Counter()

    def next(self) -> Fact | None:
        """Return the fact to try next, and forget it."""
        if not self._left:
            return None
        chosen = min(self._left, key=self._used)
        self._left.remove(chosen)
        return chosen

    def _used(self, fact: Fact) -> tuple[float, ...]:
        place = fact.evidence
        return (
            self._notes[place.path] + self._kinds[fact.kind] / SHARE[fact.kind],
            self._sections[place.path, place.locator],
        )

    def count(self, fact: Fact, item: Item) -> None:
        """Note what became of a fact."""
        place = fact.evidence
        self._notes[place.path] += 1
        self._sections[place.path, place.locator] += 1
        self._kinds[fact.kind] += 1
        self.forms[item.kind] += 1
        if fact.kind == CELL:  # one question a row, few a table
            table = place.path, place.locator
            self._tables[table] += 1
            full = self._tables[table] == MOST_OF_A_TABLE
            self._left = [
                other
                for other in self._left
                if other.kind != CELL
                or (other.evidence != place and not (full and (other.evidence.path, other.evidence.locator) == table))
            ]


class Pool:
    """All facts, to choose distractors from."""

    def __init__(self, facts: Sequence[Fact], embed: Embed, texts: Iterable[str] = ()) -> None:
        self._alike = alike_by(embed)
        self.definitions = [fact for fact in facts if fact.kind == DEFINITION]
        self.codes = list(dict.fromkeys(code for text in texts for code in codes_in(text)))
        self._vectors: Vectors | None = None

    def near(self, fact: Fact) -> list[Fact]:
        """Return definitions of other things, the nearest in meaning first."""
        if self._vectors is None:
            self._vectors = self._alike.vectors([f"{one.subject}: {one.value}" for one in self.definitions])
        own = self._vectors[self.definitions.index(fact)]
        cosines = self._vectors @ own
        genus = _genus(fact.value)
        cosines += [SAME_GENUS * (_genus(one.value) == genus) for one in self.definitions]
        order = [int(i) for i in np.argsort(-cosines, kind="stable") if cosines[i] >= LEAST_NEAR]
        return [self.definitions[i] for i in order if self.definitions[i] is not fact]

    def says_as_much(self, fact: Fact, other: Fact) -> bool:
        """Return whether another definition might be right for this one."""
        one, two = known_stems(fact.value), known_stems(other.value)
        named = normal(other.subject) in normal(fact.value) or normal(fact.subject) in normal(other.value)
        aliased = {normal(fact.subject), normal(fact.alias)} & {normal(other.subject), normal(other.alias)} - {""}
        part = known_stems(fact.subject) <= known_stems(other.subject) or known_stems(other.subject) <= known_stems(
            fact.subject
        )
        return named or bool(aliased) or part or jaccard(one, two) > TOO_NEAR


def drafts(fact: Fact, pool: Pool) -> list[Item]:
    """Return the items that can be made of a fact, unchecked."""
    makers = {DEFINITION: _of_definition, LONG_FORM: _of_long_form, CELL: _of_cell, NUMBER: _of_number, CODE: _of_code}
    return [item for item in makers[fact.kind](fact, pool) if item is not None]


def _of_definition(fact: Fact, pool: Pool) -> list[Item | None]:
    term, said = fact.subject, fact.value
    near = [other for other in pool.near(fact) if not pool.says_as_much(fact, other)]
    found: list[Item | None] = []
    about = next(
        (name for name in fact.heading if not (_leaks(term, name) or _leaks(said, name) or _says_nothing(name))), ""
    )
    asked = f"What is meant by “{_title(term)}”?" + (f" ({about})" if about else "")
    if _tells(said) < LEAST_STEMS:
        return []
    if not _leaks(term, said) and not _leaks(fact.alias, said):
        same = [other for other in near if _kind_of_name(other.subject) == _kind_of_name(term)]
        found.append(
            _choice(fact, f"Which term is meant by “{said}”?", _title(term), [_title(o.subject) for o in same])
        )
        verb = "are" if re.search(rf"{re.escape(term)}(?:\s\([^()]*\))?(?:,[^,]*,)?\sare\s", fact.said) else "is"
        article = "" if verb == "are" or not re.match(rf"An?\s{re.escape(term)}", fact.said) else "A(n) "
        if _tells(said) >= LEAST_STEMS_OF_A_BLANK:
            found.append(_item(fact, CLOZE, f"{article}{BLANK} {verb} {said}.", term, accepted=_names(fact)))
        alike = [o.value for o in near if 0.6 < len(o.value) / len(said) < 1.7 and not _leaks(term, o.value)]
        alike = [value for value in alike if _opening(value) == _opening(said)] or alike
        found.append(_choice(fact, asked, said, alike))
    if not _circular(term, said):
        found.append(_item(fact, FLASHCARD, asked, said))
    return found


def _of_long_form(fact: Fact, pool: Pool) -> list[Item | None]:
    context = next((name for name in reversed(fact.heading) if not _leaks(fact.value, name)), "")
    about = f" ({context})" if context and normal(context) != normal(fact.subject) else ""
    return [_item(fact, SHORT, f"What does {fact.subject} stand for?{about}", fact.value)]


_NO_COLUMN = re.compile(
    r"weights?|scores?|impact|confidence|effort|owner|severity|likelihood|days?|weeks?|minutes|cost|risk|trap|note"
    r"|verdict|typical gain|price of it|sum|total|order|output|focus|rice|budget.*|what to produce|.*usd/.*|[a-c]"
    r"|group.*|vendor.*|start|year.*|reach.*|status|date|size|trade-off|watch out.*|typical failure|milestone.*"
    r"|artefact|give them|goal|content|fix|first (?:remedy|action)|cheap check|countermeasure|naive.*|recommendation"
    r"|learning objectives?|concepts taught|topic|author.*|linked lesson|values?"
    r"|.*[$\\].*|count|.*_.*|total.*|number.*|lesson.*|link|file|name",
    re.IGNORECASE,
)
"""Columns of estimates, plans and advice: another row's entry could be defended there, too."""
_MIXED = re.compile(
    r"no\.?|nr\.?|#|id|question|argument|area|criterion|property|aspect|feature|need|decision|quantity|input|situation|symptom|starting.*",
    re.IGNORECASE,
)
"""Heads of a first column whose rows are of several kinds, so that their entries are, too."""
_ROW_NAME = re.compile(r"(?!No\b)[A-Z0-9`-][^,;:.?!\"$]*")


def _of_cell(fact: Fact, pool: Pool) -> list[Item | None]:
    words = fact.subject.split()
    a_name = len(words) < 4 or (len(words) < 7 and re.search(r"[A-Z0-9]", fact.subject[1:]))
    if not a_name or not _ROW_NAME.fullmatch(fact.subject) or len(fact.subject) < 2:
        return []
    if re.fullmatch(r"\d{4,}(?:\.\d+)?", fact.value.replace(",", "")):  # a row of data, nothing to be learned
        return []
    if _NO_COLUMN.fullmatch(fact.column) or _MIXED.fullmatch(fact.alias):
        return []
    if _leaks(fact.subject, fact.value) or _leaks(fact.value, fact.subject):
        return []
    section = next((name for name in reversed(fact.heading) if not _says_nothing(name)), fact.evidence.path)
    if fact.column.lower() == "meaning":
        asked = f"What does “{fact.subject}” mean? ({section})"
    else:
        asked = f"In the table “{section}”: what does “{fact.subject}” have under “{fact.column}”?"
    others = [other for other in fact.others if form(other) == form(fact.value)]
    return [_choice(fact, asked, fact.value, sorted(others, key=lambda other: abs(len(other) - len(fact.value))))]


def _of_number(fact: Fact, pool: Pool) -> list[Item | None]:
    at = re.search(rf"(?<![\w.,-]){re.escape(fact.value)}(?![\w]|[.,]\d)", fact.said)
    if at is None:
        return []
    rest = re.split(r"(?<=\w);", fact.said[at.end() :])[0].rstrip(".")
    return [_item(fact, CLOZE, f"{fact.said[: at.start()]}{BLANK}{rest}.", fact.value)]


def _of_code(fact: Fact, pool: Pool) -> list[Item | None]:
    parts = known_stems(re.sub(r"[_.-]|(?<=[a-z])(?=[A-Z])", " ", fact.value))
    blanked = fact.said.replace(fact.value, BLANK).rstrip(";")
    if len(parts & known_stems(blanked)) * 2 >= len(parts):
        return []
    shape = shape_of(fact.value)
    others = [*fact.others, *(code for code in pool.codes if code != fact.value and shape_of(code) == shape)]
    return [_choice(fact, f"What belongs into the blank? {blanked}", fact.value, others)]


# ------------------------------------------------------------------------------------------------------- parts


def _item(
    fact: Fact, kind: str, question: str, answer: str, options: Sequence[str] = (), accepted: Sequence[str] = ()
) -> Item:
    return Item(
        kind,
        question,
        answer,
        fact.evidence,
        options=tuple(options),
        accepted=tuple(accepted),
        explanation=fact.said,
        objective=" > ".join(fact.heading),
        made_by=f"rule: {fact.kind}",
    )


def _choice(fact: Fact, question: str, key: str, others: Sequence[str]) -> Item | None:
    """Return a multiple-choice item; how many of its distractors are longer than the key is drawn as its place is."""
    apart: list[str] = []
    for other in others:
        if len(apart) < AMONG and not any(_same_or_part(other, one) for one in (key, *apart)):
            apart.append(other)
    if len(apart) < 3:
        return None
    longer = [other for other in apart if len(other) > len(key)]
    shorter = [other for other in apart if len(other) <= len(key)]
    wanted = random.Random(hashlib.sha256(f"{question}\n{key}".encode()).digest()).randrange(4)
    wanted = min(max(wanted, 3 - len(shorter)), len(longer))
    return placed(_item(fact, MCQ, question, key, (key, *longer[:wanted], *shorter[: 3 - wanted])))


def _same_or_part(one: str, other: str) -> bool:
    a, b = f" {normal(one)} ", f" {normal(other)} "
    return a in b or b in a


def placed(item: Item) -> Item:
    """Return an item with its options in an order drawn by its id: the key is as likely in each place."""
    options = sorted(item.options)
    random.Random(hashlib.sha256(item.id.encode()).digest()).shuffle(options)
    return replace(item, options=tuple(options))


def _names(fact: Fact) -> list[str]:
    """Return the other names of a term: the long form, or the short one, that stands beside it."""
    beside = re.search(rf"{re.escape(fact.subject)}\s\(([^()]{{2,60}})\)", fact.said)
    return [fact.alias] if fact.alias else [beside[1].strip()] if beside and _begins_as(fact.subject, beside[1]) else []


def _begins_as(one: str, other: str) -> bool:
    """Return whether one of two names may shorten the other: IVF, inverted file index."""
    short, long = sorted((one.strip(), other.strip()), key=len)
    return " " not in short and sum(map(str.isupper, short)) > 1 and short[0].lower() == long[0].lower()


def _leaks(name: str, text: str) -> bool:
    """Return whether a text names what is to be found out: most words of it, or its parts in one word."""
    own, bare = known_stems(name), normal(name).replace(" ", "")
    if not own:
        return False
    part = any(len(word) > 5 and (word in bare or (len(bare) > 5 and bare in word)) for word in normal(text).split())
    return part or len(own & known_stems(text)) * 2 >= len(own) or normal(name) in normal(text)


def _tells(said: str) -> int:
    return len(known_stems(said) - known_stems(SAYS_LITTLE))


def _circular(term: str, said: str) -> bool:
    """Return whether a definition has all words of its term, or a name of it: the source of the Logan Glacier."""
    names = [word for word in term.split()[1:] if word[:1].isupper()] + [
        word for word in term.split() if word.isupper()
    ]
    own = known_stems(term)
    return bool(own) and (own <= known_stems(said) or any(re.search(rf"\b{re.escape(name)}", said) for name in names))


def _says_nothing(heading: str) -> bool:
    return heading.lower() in ("summary", "introduction", "overview", "key terms", "definitions", "background", "notes")


def _title(term: str) -> str:
    """Return a term as it stands in a list: its first letter a capital, unless it has its own spelling."""
    return term if re.match(r"\S*[A-Z0-9_]|--", term) else term[:1].upper() + term[1:]


def _kind_of_name(term: str) -> str:
    if form(term) in ("code", "number"):
        return form(term)
    if re.search(r"[a-z][A-Z]|[A-Z].*[A-Z]|\d", term):
        return "name"
    return "words"


def _genus(definition: str) -> str:
    """Return the noun that a definition begins with: 'method' of 'a simple method that …'."""
    head = re.split(r"\b(?:that|which|in|of|for|with|who|where|whose|through|from|on|to|by|built)\b", definition)[0]
    return head.split()[-1].lower().rstrip(",") if head.split() else ""


def _opening(definition: str) -> str:
    first = definition.split()[0].lower()
    return first if first in ("a", "an", "the") else "other"
