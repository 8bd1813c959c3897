"""Notes become facts, by rule: definitions, long forms of abbreviations, table rows, numbers and code.

A fact is what a card can be made of without a model. The rules take what stands in a few plain forms, and leave the
rest: `**Prefill** is the phase in which …`, `TTFT (time to first token)`, a row of a table with a named first cell,
`An H100 has 132 SMs`. Better no card than one that can't be answered.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from assistant.items import Evidence
from assistant.words import abbreviates
from ingest import sentences
from ingest.chunk import Chunk, chunk_id, clean
from ingest.index import View
from ingest.ledger import Ledger, Note

DEFINITION, LONG_FORM, CELL, NUMBER, CODE = "definition", "long form", "table cell", "number", "code"
SHORTEST, LONGEST = 30, 230
"""Characters of a definition."""
MOST_CELL = 90
"""Characters of a table cell that can be an option."""
LINE_SENTENCE = 320
"""Characters of a sentence that can be a cloze."""


_NUMBERED = re.compile(r"^(?:\d+\.)+\d*\s+(?=\S)")
"""'2.1 ' of a heading."""


@dataclass(frozen=True, slots=True)
class Source:
    """One version of a note."""

    path: str
    version: str
    title: str
    text: str
    chunks: tuple[Chunk, ...]
    """In order."""

    def evidence(self, start: int, end: int) -> Evidence | None:
        """Return a stretch of its text as evidence; None where no chunk holds all of it."""
        for chunk in self.chunks:
            if chunk.start <= start and end <= chunk.end:
                locator = chunk.place_at(start).locator
                return Evidence(self.path, locator, self.text[start:end], start, end, self.version, chunk.id)
        return None

    def heading(self, start: int) -> tuple[str, ...]:
        """Return title and headings above a code point."""
        chunk = next((one for one in reversed(self.chunks) if one.start <= start), None)
        names = (self.title, *(chunk.place_at(start).heading if chunk else ()))
        return tuple(dict.fromkeys(_NUMBERED.sub("", plain(name)) for name in names if name))


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a note says, in a form that a card can be made of."""

    kind: str
    subject: str
    """The term, the abbreviation, the row's name."""
    value: str
    """The definition, the long form, the cell, the number, the code."""
    said: str
    """The sentence or row that says it, on one line, without marks."""
    evidence: Evidence
    heading: tuple[str, ...]
    """Title and headings above it."""
    alias: str = ""
    """Another name of the subject: an abbreviation's long form, or the other way round; of a cell: its row's head."""
    column: str = ""
    """Head of the table's column."""
    others: tuple[str, ...] = ()
    """The other values of that column."""


def source(note: Note, view: View, ledger: Ledger) -> Source | None:
    """Return a note's text with its chunks; None where it has none."""
    text = ledger.text(note.version) if note.version else None
    if text is None:
        return None
    chunks = view.fetch([chunk_id(note.path, note.version, ordinal) for ordinal in range(note.chunks)])
    return Source(note.path, note.version, note.title, text, tuple(sorted(chunks, key=lambda one: one.ordinal)))


@lru_cache(128)
def facts(source: Source) -> tuple[Fact, ...]:
    """Return what a note says, in order, each fact once; remembered, since an exam asks for it at every turn."""
    found = [*_in_sentences(source), *_in_tables(source)]
    return tuple(sorted(found, key=lambda fact: (fact.evidence.start, fact.kind, fact.column)))


# ------------------------------------------------------------------------------------------------------- words

_WIKI_ASIDE = re.compile(r"\s*\((?:see\s+)?(?:also\s+)?\[\[[^()]*\]\][^()]*\)")
_WIKI = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")


def plain(text: str) -> str:
    """Return text on one line, without marks and without pointers to other notes."""
    text = _WIKI.sub(lambda match: match[1].replace("-", " "), _WIKI_ASIDE.sub("", text))
    text = re.sub(r"(?<![\w*])\*(?!\s)|(?<!\s)\*(?![\w*])", "", clean(text))
    return " ".join(re.sub(r"\s*\(\s*\)", "", text.replace("\u00a0", " ")).split())


_ANAPHORA = re.compile(
    r"\b(?:this|these|those|above|below|here|former|latter|such an?|following|previous|earlier|another|other|others"
    r"|we|our|us|you|your|my|i|it|its|they|their|them|he|she|his|her|then|also|therefore|thus|however|instead"
    r"|example|suppose|assume|figure|table|section|chapter|slide|lecture|today|both|so)\b",
    re.IGNORECASE,
)
"""Words that lean on what stands around a sentence."""
_LEANING_DEFINITION = re.compile(
    r"\b(?:this|these|those|above|below|here|former|latter|such an?|following|previous|earlier|we|our|us"
    r"|they|them|he|she|i|figure|slide|lecture|today|wider|narrower|half|the same (?:as|way|thing)|default one"
    r"|the framework"
    r"|one's|current|a lot)\b",
    re.IGNORECASE,
)
_NOT_PROSE = re.compile(r"[{}=$\\<>|]|\w\(\)|->|::|\[\d|…|\.\.\.|^\W*$|_{2,}")


_LINES_BEFORE = re.compile(r"(?:(?P<short>[^\n.;:!?]{2,60})\n\s*(?=[A-Z](?=[^\n]{50})))*")
"""Where a page was set without blank lines, a heading runs into the sentence under it: short lines before a long one
that begins with a capital."""


def _prose(source: Source) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, sentence without marks) of what is neither code nor table, heading or mathematics."""
    text = source.text
    first = source.chunks[0].start if source.chunks else 0  # front matter is in no chunk
    for start, end in sentences.spans(text):
        line = text.rfind("\n", 0, start) + 1
        if not text[line:start].strip(" \t-*•0123456789.)"):
            start += len(_LINES_BEFORE.match(text[start:end])[0])  # type: ignore[index]
        raw = text[start:end]
        line = text.rfind("\n", 0, start) + 1
        if start < first or raw.startswith(("|", "```", "~~~", "$$")) or text[line:start].lstrip().startswith("#"):
            continue
        said = plain(raw)
        if said.endswith((".", ";")) and len(said.split()) > 4:
            yield start, end, said


# ------------------------------------------------------------------------------------------------- definitions

_CITED = re.compile(r"\s\([^()]*\b(?:19|20)\d\d[a-z]?\b[^()]*\)")
"""(Bartlett, 1932): who said so is no part of a definition."""
_NAME = r"[A-Za-z][\w@.+/&’'-]*(?:\s[\w@.+/&’'()-]+){0,4}?"
_DEFINED = re.compile(
    rf"(?:(?P<article>An?|The)\s)?(?P<term>{_NAME})(?:\s\((?P<aside>[^()]{{2,60}})\))?"
    r"(?:,\s(?:also|formerly|sometimes)?\s?(?:called|known as|written)\s[^,]{2,60},)?"
    r"(?:\s(?:is|are)(?:\sdefined\sas)?|\srefers?\sto|(?P<listed>\s?[:–—])(?:\sIt\sis)?)\s(?P<definition>.+)",
)
_TAIL = re.compile(
    r";|:(?!\d)|\.\s|—|\s\(see\b"
    r"|,\swhich\s(?:is|are|was|were)\s(?:discussed|described|covered|explained|shown)\b"
    r"|,\s(?:and|but|while|whereas|although|though)\b(?!\s(?:how|what|why|when|where|which|who|whether)\b)"
    r"(?=[^,]*\s(?:is|are|was|were|has|have|had|can|must|may|will)\b)"
    r"|,?\s(?:and|but|so)\s(?:it|they|must|can|is|are|works?|has|have|includes?|introduce[ds]?|involves?|its)\b"
    r"|,?\sand,\s|,\sand\s(?:once again|thus|then|there)\b"
    r"|,\sand\sas\b|,\sso\s(?:tie|use|keep|choose|put|set|check)\b"
)
"""What follows a definition and is none."""
_GENUS = re.compile(r"(?:an?|the|any)\s[\w-]+|[\w-]+ing\s|(?:two|three)\s[\w-]+\s")
_RELATIVE = re.compile(
    r"(?:an?|the)(?:\s[\w-]+){1,4}?\s(?:that|which|whose|in which|of|for|from|between|built|tuned|made|used|designed"
    r"|with)\b"
)
_PROCESS = re.compile(r"the\s(?:[\w-]+\s)?[\w-]{2,}(?:ing|tion|sion|ment|al|age) of\b")
"""'Immersion cooling is the placing of …': who names what is done says what a thing is."""
_NO_TERM = frozenset(
    """it this that these those there here he she they we you i what which who how why when where first second third
    one two another each every all some most many few reason result goal aim idea point problem question answer
    difference example same other others rule purpose way advantage disadvantage next last following price cost trick
    catch point trap remedy commonest most best main important significant major typical key only both
    and or but if as at by in of on to from
    with for after before although because since while such so not no more less much many than like""".split()
)
_NO_GENUS = re.compile(
    r"(?:an?|the|any)\s(?:very\s|rapidly\s|relatively\s)?(?:active|popular|important|common|well-known|well known"
    r"|diverse|growing|useful|powerful|great|good|big|major|key|large|huge|interesting|controversial|famous|leading|central|crucial"
    r"|vital|critical|fundamental|essential|classic|typical|hot|new|recent|modern|rich|valuable|serious|simple|vague"
    r"|related|similar|different|certain|particular|separate)\s"
    r"|(?:an?|the|any)\s(?:[\w-]+\s){0,3}(?:factor|example|part|result|case|reason|component|concern|problem|issue|way"
    r"|thing|topic|question|one|matter|step|choice|area|source|product|member|feature|winner|author)\b(?!\sin\swhich)|(?:the|an?)\s(?:\w+st|most|second|third|main|major"
    r"|only|next|last|other)\b"
)
"""Beginnings of sentences that say something of a thing, and not what it is."""

_BOLD = re.compile(r"\*\*(?P<term>[^*\n]{2,60})\*\*")


def _in_sentences(source: Source) -> Iterator[Fact]:
    defined: set[str] = set()
    body = source.text.lower()
    codes = codes_in(source.text)
    for start, end, said in _prose(source):
        raw = source.text[start:end]
        evidence = source.evidence(start, end)
        if evidence is None:
            continue
        heading = source.heading(start)
        bold = {plain(match["term"]).lower() for match in _BOLD.finditer(raw)}
        whole = _DEFINED.fullmatch(said.rstrip(".;"))
        fact = _definition(whole, bold, body, said, evidence, heading) if whole else None
        if fact and fact.subject.lower() not in defined:
            defined.add(fact.subject.lower())
            yield fact
        yield from _long_forms(said, evidence, heading, defined)
        if not whole or not bold:
            yield from _numbers(said, evidence, heading, bold | defined)
            yield from _codes(raw, said, evidence, heading, codes)


def _definition(
    match: re.Match[str], bold: set[str], body: str, said: str, evidence: Evidence, heading: tuple[str, ...]
) -> Fact | None:
    term, aside = match["term"].strip(), (match["aside"] or "").strip()
    definition = _TAIL.split(match["definition"])[0].strip().rstrip(",")
    definition = re.sub(r"^(?:An?|The)\s", lambda article: article[0].lower(), definition)
    words = term.split()
    alias = aside if abbreviates(term, aside) or abbreviates(aside, term) else ""
    is_bold = bool(alias) or term.lower() in bold or f"{term} ({aside})".lower() in bold
    if not is_bold:
        # Where the marks are lost (subtitles, PDFs), a term shows itself by coming back, or by its form: a warp is a …
        known = aside or body.count(term.lower()) > 2 or re.fullmatch(r"[A-Z]\S*[A-Z]\S*", term)
        generic = match["article"] in ("A", "An") and re.match(r"an?\s", definition)
        known = known or generic or _PROCESS.match(definition)
        named = match["article"] != "The" and not any(word.lower() in _NO_TERM for word in words)
        if not known or not named or len(words) > 4 or not _RELATIVE.match(definition):
            return None
        if not match["article"] and not aside and not term[0].isupper():
            return None
    if match["listed"] and not (is_bold and _RELATIVE.match(definition)):
        return None
    if words[0].lower() in _NO_TERM or not _GENUS.match(definition) or len(definition.split()) < 5:
        return None
    definition = _CITED.sub("", definition)
    if _NO_GENUS.match(definition) and not is_bold:
        return None
    if not SHORTEST <= len(definition) <= LONGEST or _NOT_PROSE.search(definition):
        return None
    if (
        _LEANING_DEFINITION.search(definition)
        or definition.startswith("the name")
        or definition.count("(") != definition.count(")")
    ):
        return None
    if re.search(r"\b(?:is|are|was)\s+(?:not|no longer)\b", f"is {definition}"):
        return None
    return Fact(DEFINITION, term, definition, said, evidence, heading, alias=alias)


_ASIDE = re.compile(r"(?P<before>[\w/&’'-]+(?:\s[\w/&’'-]+){0,6})\s\((?P<inside>[^()]{2,60})\)")


def _long_forms(said: str, evidence: Evidence, heading: tuple[str, ...], defined: set[str]) -> Iterator[Fact]:
    for match in _ASIDE.finditer(said):
        inside = match["inside"].strip()
        before = match["before"].split()
        if abbreviates(before[-1], inside):
            short, long = before[-1], inside
        else:
            short = inside
            fitting = [
                " ".join(before[-n:]) for n in range(2, len(before) + 1) if before[-n].lower() not in ("the", "a")
            ]
            long = next((words for words in fitting if abbreviates(short, words)), "")
        if long and f"={short.lower()}" not in defined:
            defined.add(f"={short.lower()}")
            yield Fact(LONG_FORM, short, long, said, evidence, heading)


# ------------------------------------------------------------------------------------------- numbers and code

_SUBJECT = re.compile(
    r"(?:(?:An?|The|Each|Every)\s)?(?P<name>[A-Za-z][\w.+/-]*(?:\s[\w.+/-]+){0,4}?)"
    r"\s(?:has|have|is|are|can|needs?|takes?|reads?|costs?|holds?|allows?|supports?|uses?|carries|gives?|keeps?"
    r"|reach(?:es)?|runs?|contains?|lasts?|covers?|provides?|offers?|stores?|adds?|stays?|was|were|begins?)\b"
)
_NUMERAL = re.compile(r"(?<![\w.,+-])\d[\d,]*(?:\.\d+)?(?![\w]|[.,]\d|-\w)")
_UNIT = re.compile(r"\s?(?:%|(?!and\b|or\b|to\b|in\b|of\b)[A-Za-z]+)")


def _numbers(said: str, evidence: Evidence, heading: tuple[str, ...], terms: set[str]) -> Iterator[Fact]:
    subject = _SUBJECT.match(said)
    if not subject or not (re.match(r"\S*[A-Z0-9]", subject["name"][1:]) or subject["name"].lower() in terms):
        return
    if len(said) > LINE_SENTENCE / 1.5 or _NOT_PROSE.search(said) or _ANAPHORA.search(said):
        return
    if re.search(r"example|worked|exercise|sizing|case|review|lab", " ".join(heading), re.IGNORECASE):
        return
    numerals = list(_NUMERAL.finditer(said, subject.end("name")))
    if not 1 <= len(numerals) <= 3 or any(re.fullmatch(r"(?:19|20)\d\d", numeral[0]) for numeral in numerals):
        return
    numeral = numerals[0]
    named = re.search(r"[A-Z]\S*\s$", said[: numeral.start()])  # ISO 42001 is a name, not a number
    if _UNIT.match(said, numeral.end()) and not named:
        yield Fact(NUMBER, subject["name"], numeral[0], said, evidence, heading)


LEAST_AROUND = 8
"""Words of a sentence that is a fair place for a blank."""
_SPAN = re.compile(r"(?<!`)`([^`\n]{4,50})`(?!`)")
SHAPES = (
    ("flag", re.compile(r"--[\w-]+")),
    ("variable", re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")),
    ("setting", re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")),
    ("dotted name", re.compile(r"[a-z]\w*(?:\.\w+)+")),
    ("type", re.compile(r"(?:[A-Z][a-z]+){2,}")),
)


def codes_in(text: str) -> list[str]:
    """Return the pieces of code that stand in sentences, each once."""
    return list(dict.fromkeys(_SPAN.findall(text)))


def shape_of(code: str) -> str:
    """Return what a piece of code looks like: 'flag', 'variable' …; empty where it looks like nothing known."""
    return next((name for name, pattern in SHAPES if pattern.fullmatch(code)), "")


def _codes(raw: str, said: str, evidence: Evidence, heading: tuple[str, ...], every: Sequence[str]) -> Iterator[Fact]:
    spans = _SPAN.findall(raw)
    if len(spans) != 1 or not shape_of(spans[0]) or len(said) > LINE_SENTENCE / 1.5:
        return
    if said.count(spans[0]) != 1 or _NOT_PROSE.search(said.replace(spans[0], "")):
        return
    if _ANAPHORA.search(said.replace(spans[0], "")) or len(said.split()) < LEAST_AROUND:
        return
    others = tuple(code for code in every if code != spans[0] and shape_of(code) == shape_of(spans[0]))
    yield Fact(CODE, "", spans[0], said, evidence, heading, others=others)


# ------------------------------------------------------------------------------------------------------ tables

_TABLE = re.compile(r"^[ \t]*\|[^\n]*\|[ \t]*\n[ \t]*\|[ \t:|-]+\|[ \t]*\n(?:[ \t]*\|[^\n]*\|[ \t]*(?:\n|\Z))+", re.M)
_NO_NAME = re.compile(r"(?:\W|\d|\$)*|(?:no\.|#|step|total|sum|yes|no|any|all|none)\b.*", re.IGNORECASE)
_NO_VALUE = re.compile(
    r"\W*|(?:yes|no|none|any|all|n/a|unknown|varies|same|see .*|not published.*|\W*\d\W*)", re.IGNORECASE
)


def _in_tables(source: Source) -> Iterator[Fact]:
    for table in _TABLE.finditer(source.text):
        heading = source.heading(table.start())
        if re.search(r"\bexample|worked|exercise\b", " ".join(heading[-1:]), re.IGNORECASE):
            continue
        lines = [(table.start() + match.start(), match[0]) for match in re.finditer(r"[^\n]+", table[0])]
        head = _cells(lines[0][1])
        rows = [(at, line, _cells(line)) for at, line in lines[2:]]
        rows = [(at, line, cells) for at, line, cells in rows if len(cells) == len(head)]
        if len(head) > 1 and len(rows) > 2:
            yield from _table_facts(source, head, rows, heading)


def _cells(line: str) -> list[str]:
    return [plain(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _table_facts(
    source: Source, head: Sequence[str], rows: Sequence[tuple[int, str, list[str]]], heading: tuple[str, ...]
) -> Iterator[Fact]:
    names = [cells[0] for _, _, cells in rows]
    if not head[0] or len(set(names)) < len(names):
        return
    for at, line, cells in rows:
        name = re.sub(r"^\d+\.\s*", "", cells[0])
        begin = at + len(line) - len(line.lstrip())
        evidence = source.evidence(begin, at + len(line.rstrip()))
        if evidence is None or _NO_NAME.fullmatch(name) or "$" in name or len(name) > MOST_CELL / 1.5:
            continue
        said = "; ".join(f"{title}: {cell}" for title, cell in zip(head, cells, strict=True) if title and cell)
        for column in range(1, len(head)):
            value = cells[column]
            others = tuple(dict.fromkeys(other[column] for _, _, other in rows if other[column] != value))
            if head[column] and _is_value(value):
                kept = tuple(filter(_is_value, others))
                yield Fact(CELL, name, value, said, evidence, heading, alias=head[0], column=head[column], others=kept)


def _is_value(cell: str) -> bool:
    return 1 < len(cell) <= MOST_CELL and not _NO_VALUE.fullmatch(cell) and not re.search(r"[$\\{}]|^see\b", cell)


def every(sources: Iterable[Source]) -> list[Fact]:
    """Return the facts of many notes."""
    return [fact for one in sources for fact in facts(one)]
