"""A document becomes chunks that the embedding model can read whole.

Blocks are packed, in order, until a chunk is full or its section ends; small sections are joined. A block that
does not fit is split by llama-index's node parsers with the embedding model's own tokenizer: their import costs
a second, so it waits until a block needs it. Every chunk is one stretch of the note's text.
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ingest.read import Block, Document
from ingest.sentences import Span, split

VERSION = 2
"""Raise it when the same document gives other chunks."""
MOST_CHARACTERS = 100_000
"""Longest stretch that is given to the splitter at once."""
CHARACTERS_A_TOKEN = 20
"""Most, on average: tokenizers see a word without end as one unknown token, and no chunk shall be that word."""
SMALL_SECTION = 60
"""Tokens under which a section is joined with the next one."""

CountTokens = Callable[[Sequence[str]], list[int]]
_NAMESPACE = uuid.UUID("6f1f4bb6-6d0d-5c0e-9c53-5b0c7a1d8f0a")


class Place(NamedTuple):
    """From `start` on, a chunk's text stands here."""

    start: int
    """Code point in the note's text."""
    locator: str
    heading: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one version of a note, small enough to be embedded whole."""

    path: str
    """Relative to the notes folder, with slashes."""
    version: str
    """Which version of the file: a digest of its bytes and its reader."""
    ordinal: int
    """Position among the note's chunks, from 0."""
    start: int
    """First code point in the note's text."""
    end: int
    """One past the last."""
    text: str
    """Exactly the note's text from start to end."""
    title: str
    places: tuple[Place, ...]
    """At least one; ordered by start, the first at or before the chunk's start."""

    @property
    def course(self) -> str:
        """The sub-folder of the notes that it is in; empty at the top."""
        head, slash, _ = self.path.partition("/")
        return head if slash else ""

    @property
    def id(self) -> str:
        """The point's id in the index: the same chunk has the same id on every machine."""
        return chunk_id(self.path, self.version, self.ordinal)

    @property
    def heading(self) -> tuple[str, ...]:
        """Heading path of its first words."""
        return self.places[0].heading

    def place_at(self, offset: int) -> Place:
        """Return where the text at a code point of the note stands."""
        return next((place for place in reversed(self.places) if place.start <= offset), self.places[0])

    @property
    def heading_line(self) -> str:
        """Title and headings in one line, for people and for the model that answers."""
        return " > ".join(dict.fromkeys(name for name in (self.title, *self.heading) if name))

    @property
    def words(self) -> str:
        """Its text without marks: what is embedded, and what the word search reads.

        The headings that stand in it are part of it. A title put before every chunk of a note was measured: it
        found no more, and made it harder to tell a note on the subject from a note with the answer.
        """
        return clean(self.text)

    @property
    def readable(self) -> str:
        """Its words under its headings: what a sentence or a question about it may lean on."""
        return f"{self.heading_line}\n\n{self.words}"

    @property
    def key(self) -> str:
        """Digest of what is embedded: equal keys have equal vectors."""
        return key_of(self.words)


def key_of(words: str) -> str:
    """Return the digest that tells texts apart once they are clean."""
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def chunk_id(path: str, version: str, ordinal: int) -> str:
    """Return the id of a note's chunk as a UUID in canonical form."""
    return str(uuid.uuid5(_NAMESPACE, f"{path}\n{version}\n{ordinal}"))


class _Piece(NamedTuple):
    start: int
    end: int
    block: Block
    tokens: int


def chunk(document: Document, *, path: str, version: str, count_tokens: CountTokens, most_tokens: int) -> list[Chunk]:
    """Cut a document into chunks; what has no words (a rule, a comment, a bare link) is in none, or beside words.

    Args:
        document: What a reader found.
        path: The note's path, kept in each chunk.
        version: The note's version, kept in each chunk.
        count_tokens: Tokens of each text by the embedding model's tokenizer.
        most_tokens: Most tokens of a chunk's own text, as it is embedded.
    """
    text = document.text
    chunks: list[Chunk] = []
    for group in _groups(_pieces(document, count_tokens, most_tokens), most_tokens):
        places: list[Place] = []
        for piece in group:
            place = Place(piece.start, piece.block.locator, piece.block.heading)
            if not places or places[-1][1:] != place[1:]:
                places.append(place)
        start, end = group[0].start, group[-1].end
        found = Chunk(path, version, len(chunks), start, end, text[start:end], document.title, tuple(places))
        if found.words:
            chunks.append(found)
    return chunks


def _pieces(document: Document, count_tokens: CountTokens, most_tokens: int) -> list[_Piece]:
    """Return the blocks, each with the headings that stand before it, cut where they are too long.

    Front matter is no passage: it is left out, unless a note has nothing else.
    """
    text = document.text
    ends = [0, *(block.end for block in document.blocks)]
    starts = [_skip_space(text, end, block.start) for end, block in zip(ends, document.blocks, strict=False)]
    every = [((start, block.end), block) for start, block in zip(starts, document.blocks, strict=True)]
    body = [entry for entry in every if entry[1].kind != "meta"] or every
    counts = _count(text, [span for span, _ in body], count_tokens)
    pieces: list[_Piece] = []
    for ((start, end), block), tokens in zip(body, counts, strict=True):
        if tokens <= most_tokens:
            pieces.append(_Piece(start, end, block, tokens))
            continue
        for span in _split(text, start, end, block.kind, count_tokens, most_tokens):
            pieces += _fitting(text, span, block, count_tokens, most_tokens)
    return pieces


def _skip_space(text: str, start: int, end: int) -> int:
    return end - len(text[start:end].lstrip())


def _count(text: str, spans: Sequence[Span], count_tokens: CountTokens) -> list[int]:
    return _sizes([text[start:end] for start, end in spans], count_tokens)


def _sizes(texts: Sequence[str], count_tokens: CountTokens) -> list[int]:
    words = [clean(text) for text in texts]
    return [max(n, len(own) // CHARACTERS_A_TOKEN) for n, own in zip(count_tokens(words), words, strict=True)]


def _groups(pieces: list[_Piece], most_tokens: int) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    tokens = 0
    for piece in pieces:
        if group:
            full = tokens + piece.tokens > most_tokens
            new_section = piece.block.heading != group[-1].block.heading and tokens >= SMALL_SECTION
            inside_a_word = piece.start == group[-1].end
            if full or new_section or inside_a_word:
                yield group
                group, tokens = [], 0
        group.append(piece)
        tokens += piece.tokens
    if group:
        yield group


def _split(text: str, start: int, end: int, kind: str, count_tokens: CountTokens, most_tokens: int) -> Iterator[Span]:
    """Yield spans of a piece that is too long: whole sentences, or whole lines of code, tables and lists."""
    from llama_index.core.node_parser import SentenceSplitter

    def tokenizer(piece: str) -> list[int]:
        # At least one, or the splitter would repeat it as overlap; a single character can't be cut further.
        return [0] * (max(1, *_sizes([piece], count_tokens)) if len(piece) > 1 else 1)

    def parts(piece: str) -> list[str]:
        found = split(piece) if kind == "text" else piece.splitlines(keepends=True)
        # A longer word or sentence is cut here, since the splitter counts words and characters one by one.
        return found if len(found) > 1 else phrases.findall(piece)

    most = max(1, most_tokens // 2)  # in characters, since some scripts have a token for each
    phrases = re.compile(rf".{{1,{most}}}(?:\s+|\Z)|.{{1,{most}}}", re.DOTALL)
    splitter = SentenceSplitter(
        chunk_size=most_tokens,
        chunk_overlap=0,
        tokenizer=tokenizer,
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=parts,
    )
    while start < end:
        stop = min(end, start + MOST_CHARACTERS)  # a line of 50 MB is cut somewhere, before it is looked at
        for part in splitter.split_text(text[start:stop]):
            found = text.index(part, start, stop)
            start = found + len(part)
            yield found, start
        start = stop


def _fitting(text: str, span: Span, block: Block, count_tokens: CountTokens, most_tokens: int) -> Iterator[_Piece]:
    """Yield a span, in halves where it is too long after all: parts of one word can have fewer tokens than it has."""
    start, end = span
    [tokens] = _count(text, [span], count_tokens)
    if tokens <= most_tokens or end - start == 1:
        yield _Piece(start, end, block, tokens)
        return
    middle = (start + end) // 2
    yield from _fitting(text, (start, middle), block, count_tokens, most_tokens)
    yield from _fitting(text, (middle, end), block, count_tokens, most_tokens)


_TAGS = (
    "a abbr b blockquote br center code dd del details div dl dt em figcaption figure font h[1-6] hr i iframe img ins "
    "kbd li mark nav ol p picture pre q s section small source span strong sub summary sup table tbody td tfoot th "
    "thead tr u ul video"
).replace(" ", "|")
_TARGET = r"(?:<[^<>\n]*>|(?:[^()\s]|\([^()\s]*\))*)"
_QUOTED = r"""(?:"[^"\n]*"|'[^'\n]*')"""
_MARKUP = (
    # Links and images keep their words; twice, for an image in a link.
    *[(re.compile(rf"!?\[([^\[\]]*)\]\(\s*+{_TARGET}(?:\s++{_QUOTED})?\s*+\)"), r"\1")] * 2,
    (re.compile(r"<!--(?:(?!<!--|-->).)*+-->", re.DOTALL), " "),
    (re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE), " "),
    (re.compile(r"https?://[\w.~:/?#\[\]@!$&'()*+,;=%-]+(?<![).,;:!?'\]])", re.ASCII), " "),
    (re.compile(r"^[ \t]*[|:-][ \t|:-]{4,}$", re.MULTILINE), ""),  # the line under a table's head
    (re.compile(r"[*`]+|\b__|__\b"), ""),
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"\n{3,}"), "\n\n"),
)
"""Each looks at a character a bounded number of times: a note may hold a million brackets and no end."""


def clean(text: str) -> str:
    """Return a text's words without Markdown and HTML marks: what is searched, never what is cited."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()
