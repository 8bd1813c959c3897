"""Pieces of a file become one text with exact offsets, whatever format they came from.

Readers lay headings and pieces one after another, a blank line between. A heading with nothing below it
becomes a block itself, so that every word of a file can be found.
"""

import re
from string import ascii_letters

from ingest.read import Block, Document

_UNFIT = re.compile("[\0\ud800-\udfff]")
_HEADING_LENGTH = 200
"""Code points past which a 'heading' is a paragraph in a heading's clothes."""
_EXPONENT = re.compile(r"[-−+]?\d{1,4}|[a-zA-Z]")


def _font(letters: str, signs: str) -> dict[int, str]:
    """Return what the private code points of a symbol font show: its letters from a to Z, then code and sign."""
    shown = {0xF000 + ord(letter): sign for letter, sign in zip(ascii_letters, letters, strict=False)}
    return shown | {int(f"F0{pair[:2]}", 16): pair[2] for pair in signs.split()}


SYMBOL = _font(
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",
    "22∀ 24∃ A3≤ A5∞ AB↔ AC← AE→ B1± B3≥ B4× B6∂ B9≠ BB≈ C7∩ C8∪ CE∈ D1∇ D6√ D7⋅ DB⇔ DE⇒ E5∑ F2∫",
)
"""Greek letters and signs in the font 'Symbol', as Word inserts them."""
WINGDINGS = _font("", "DF← E0→ E1↑ E2↓ E7⇐ E8⇒ F3⇔ FB✗ FC✓")
"""Arrows and ticks in the font 'Wingdings', which Office makes of '-->' while one types."""


def fit(text: str) -> str:
    """Return `text` with newlines as \\n and U+FFFD for NULs and lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _UNFIT.search(text):  # the round trip also joins pairs that JSON brought in two halves
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
    return text


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one space."""
    return " ".join(text.split())


def raised(text: str) -> str:
    """Return a superscript as plain text: 10⁶ must not read 106, and a mark like 'th' stays as it is."""
    return f"^{text.strip()}" if _EXPONENT.fullmatch(text.strip()) else text


def table_text(rows: list[list[str]]) -> str:
    """Return a table as Markdown writes it; the first row is its header, empty rows are dropped."""
    lines = ["| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows if any(row)]
    if len(lines) > 1:
        lines.insert(1, "|" + " --- |" * len(next(row for row in rows if any(row))))
    return "\n".join(lines)


class Draft:
    """A document in the making."""

    def __init__(self, *, title: str = "", place: str = "") -> None:
        self.title = title
        """Left empty, the only level 1 heading becomes the title."""
        self.place = place
        """Locator of what is added next; where empty, '§ heading', or 'paragraph N' before the first one."""
        self.lost: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._path: list[tuple[int, str]] = []
        self._tops: list[str] = []
        self._first = ""
        self._bare: Block | None = None
        """The last heading, while nothing stands below it."""

    @property
    def length(self) -> int:
        """Code points so far: where the next piece starts."""
        return self._length

    @property
    def first(self) -> str:
        """The first heading, '' where there is none yet."""
        return self._first

    @property
    def headed(self) -> bool:
        """Whether what is added next stands below a heading."""
        return bool(self._path)

    def head(self, level: int, name: str) -> None:
        """Add a heading; level 1 is the outermost."""
        name = one_line(fit(name))
        if len(name) > _HEADING_LENGTH:
            self.add(name)
            return
        if not name:
            return
        self._keep_bare(level)
        self._path = [entry for entry in self._path if entry[0] < level]
        parents = tuple(above for _, above in self._path)
        self._path.append((level, name))
        self._first = self._first or name
        if level == 1:
            self._tops.append(name)
        start, end = self._lay(name)
        self._bare = Block(start, end, "text", parents, self.place or f"§ {name}")

    def add(self, text: str, kind: str = "text", place: str = "") -> None:
        """Add a piece of the file; white space around it is dropped, but for the indent of a list or of code."""
        text = fit(text).rstrip()
        text = text.lstrip() if kind == "text" else re.sub(r"\A(?:[^\S\n]*\n)+", "", text)
        if not text:
            return
        self._bare = None
        start, end = self._lay(text)
        place = place or self.place or (f"§ {self._path[-1][1]}" if self._path else "")
        names = tuple(name for _, name in self._path)
        self._blocks.append(Block(start, end, kind, names, place or f"paragraph {len(self._blocks) + 1}"))

    def leave(self) -> None:
        """Forget the headings above: a new chapter or slide begins."""
        self._keep_bare(0)
        self._path = []

    def document(self, *, title: str = "", remark: str = "") -> Document:
        """Return what was laid.

        Args:
            title: Taken where the text itself shows none.
            remark: Something worth telling about the file.
        """
        self._keep_bare(0)
        title = self.title or (self._tops[0] if len(self._tops) == 1 else "") or one_line(fit(title))
        blocks = tuple(
            Block(at.start, at.end, at.kind, tuple(name for name in at.heading if name != title), at.locator)
            for at in self._blocks
        )
        return Document("\n\n".join(self._pieces), title, blocks, tuple(self.lost), remark)

    def _keep_bare(self, level: int) -> None:
        """Make a block of the last heading, if a heading of `level` comes next and leaves it empty."""
        if self._bare and (not level or self._path[-1][0] >= level):
            self._blocks.append(self._bare)
        self._bare = None

    def _lay(self, text: str) -> tuple[int, int]:
        start = self._length + (2 if self._pieces else 0)
        self._pieces.append(text)
        self._length = start + len(text)
        return start, self._length
