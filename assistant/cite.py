"""Which passage says what: citation marks are resolved, and every sentence is checked against what it cites.

Every sentence is checked, by `assistant.support`, which compares words and understands nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.retrieve import Passage
from assistant.support import Entailment, supports
from assistant.words import stems
from ingest import sentences
from ingest.sentences import Span

UNSUPPORTED = "[unsupported]"
"""What stands behind a sentence of which the check does not find the words in what it cites."""
WINDOW = 3
"""Most sentences of a passage that one citation quotes."""

_MARK = re.compile(
    r"[ \t]*(?:\[\^?(?:passages?\s*)?(?:n\s*=\s*)?(\d{1,3}(?:\s*[,;–-]\s*\^?\d{1,3})*)\](?!\()|【(\d{1,3})[^】]*】)",
    re.IGNORECASE,
)
"""[1], [1, 2], [1-3], [^1], [passage 1], 【1†source】: as models write them."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Citation:
    """An exact quote in a note."""

    n: int
    """Its number in the answer."""
    path: str
    locator: str
    """Where a person finds it: 'page 3', '§ Sharding'."""
    heading: str
    """Title and headings above it."""
    quote: str
    """Exactly the note's text from start to end."""
    start: int
    """First code point in the note's text."""
    end: int
    """One past the last."""
    score: float
    """The passage's score, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer."""

    text: str
    """Without citation marks."""
    citations: tuple[int, ...]
    """Numbers of the citations behind it."""
    supported: bool
    """Whether the check finds in the cited passages what it says."""


@dataclass(frozen=True, slots=True)
class Cited:
    """An answer with its marks resolved."""

    text: str
    """With marks for known passages only."""
    marked: str
    """The same, each sentence without support followed by UNSUPPORTED."""
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    """By number; only those that a sentence uses."""


def resolve(answer: str, passages: Sequence[Passage], entailment: Entailment | None = None) -> Cited:
    """Resolve the marks of an answer, numbered by position in `passages`, and check its sentences.

    Marks for passages that do not exist are dropped. A mark behind a full stop belongs to the sentence before it.
    """
    text, marks = _without_marks(answer, len(passages))
    found: list[Sentence] = []
    warnings: list[tuple[int, str]] = []
    spans = sentences.spans(text)
    fences = [match.span() for match in _CODE.finditer(text) if match[0].startswith("```")]
    beginnings = [*(start for start, _ in spans), len(text) + 1]
    for (start, end), following in zip(spans, beginnings[1:], strict=True):
        if not is_statement(text, start, end) or any(first <= start < last for first, last in fences):
            continue
        numbers = tuple(dict.fromkeys(n for at, n in marks if start < at <= following))
        cited = [readable(passages[n - 1]) for n in numbers]
        supported = bool(numbers) and supports(text[start:end], cited, entailment)
        found.append(Sentence(text[start:end], numbers, supported))
        if not supported:
            last = max((at for at, _ in marks if start < at <= following), default=end)
            warnings.append((last, UNSUPPORTED))
    citations = []
    for n in sorted({n for sentence in found for n in sentence.citations}):
        saying = " ".join(sentence.text for sentence in found if n in sentence.citations)
        citations.append(cite(n, passages[n - 1], best_quote(saying, passages[n - 1].chunk.text)))
    shown = [(at, f"[{n}]") for at, n in marks]
    both = sorted([*shown, *warnings], key=lambda mark: mark[0])  # stable: a warning follows its marks
    return Cited(_insert(text, shown), _insert(text, both), tuple(found), tuple(citations))


def readable(passage: Passage) -> str:
    """Return what a sentence may lean on: the text under its headings, without marks."""
    return passage.chunk.readable


def cite(n: int, passage: Passage, span: Span) -> Citation:
    """Return the citation of `span`, given in code points of the passage's text."""
    chunk = passage.chunk
    start, end = chunk.start + span[0], chunk.start + span[1]
    place = chunk.place_at(start)
    heading = " > ".join(dict.fromkeys(name for name in (chunk.title, *place.heading) if name))
    quote = chunk.text[span[0] : span[1]]
    return Citation(n, chunk.path, place.locator, heading, quote, start, end, round(passage.score, 4))


def _without_marks(answer: str, passages: int) -> tuple[str, list[tuple[int, int]]]:
    """Return the text without marks, and (position in it, number) of each known one."""
    code = [match.span() for match in _CODE.finditer(answer)]
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    at = length = 0
    for match in _MARK.finditer(answer):
        if any(start <= match.start() < end for start, end in code):
            continue
        parts.append(answer[at : match.start()])
        length += match.start() - at
        at = match.end()
        marks += [(length, n) for n in _numbers(match[1] or match[2]) if 1 <= n <= passages]
    return "".join([*parts, answer[at:]]), marks


def _numbers(mark: str) -> list[int]:
    """Return what '1, 3-5' names: 1, 3, 4, 5."""
    found: list[int] = []
    for part in re.split(r"[,;]", mark.replace("^", "")):
        first, _, last = part.replace("–", "-").partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def is_statement(text: str, start: int, end: int) -> bool:
    """Return whether a sentence of `text` claims something: no heading, table head, front matter or 'as follows:'."""
    line = text.rfind("\n", 0, start) + 1
    following = text[end:].lstrip(" \t|").removeprefix("\n")[:200].split("\n")[0]
    table_head = text[line:end].lstrip().startswith("|") and bool(re.fullmatch(r"\s*\|?[\s:|-]{3,}\|?\s*", following))
    heading = text[line:start].lstrip().startswith("#")
    return not (heading or table_head or text.startswith("---", start) or text[start:end].rstrip("*_ ").endswith(":"))


def _insert(text: str, marks: Sequence[tuple[int, str]]) -> str:
    parts: list[str] = []
    at = 0
    for position, mark in marks:
        space = "" if position == at and parts and mark != UNSUPPORTED else " "
        parts += [text[at:position], space + mark]
        at = position
    return "".join([*parts, text[at:]]).strip()


def best_quote(saying: str, text: str) -> Span:
    """Return the one to three neighbouring sentences of `text` that share most with `saying`."""
    every = sentences.spans(text) or [(0, len(text))]
    spans = [span for span in every if is_statement(text, *span)] or every
    wanted = stems(saying)
    own = [stems(text[start:end]) for start, end in spans]
    best, chosen = -1.0, spans[0]
    for first in range(len(spans)):
        together: set[str] = set()
        for last in range(first, min(first + WINDOW, len(spans))):
            together |= own[last]
            score = len(wanted & together) - 0.02 * len(together) - 0.25 * (last - first)
            if score > best:
                best, chosen = score, (spans[first][0], spans[last][1])
    return chosen
