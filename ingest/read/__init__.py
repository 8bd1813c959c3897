"""A file becomes a document: its text, and where each block of it stands.

One module per format, imported when a file of that format is first met. Offsets count code points in
`Document.text`, which is stored as it is: whoever shows text cleans it then, so that offsets stay true.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePath
from typing import NamedTuple

from ingest.errors import Unreadable


class Reader(NamedTuple):
    """Which module reads a format, and the version of its text (raise it when the text changes)."""

    module: str
    version: int


MARKDOWN, TEXT, PDF = Reader("markdown", 1), Reader("text", 1), Reader("pdf", 1)
DOCX, PPTX, HTML, EPUB = Reader("docx", 1), Reader("pptx", 1), Reader("html", 1), Reader("epub", 1)
NOTEBOOK, SUBTITLES, TABLE, CODE = (
    Reader("ipynb", 1),
    Reader("subtitles", 1),
    Reader("csv_rows", 1),
    Reader("code", 1),
)
OUTLINE = Reader("outline", 1)

READERS: dict[str, Reader] = {
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".qmd": MARKDOWN,
    ".rmd": MARKDOWN,
    ".rst": OUTLINE,
    ".org": OUTLINE,
    ".adoc": OUTLINE,
    ".tex": OUTLINE,
    ".txt": TEXT,
    ".text": TEXT,
    ".pdf": PDF,
    ".docx": DOCX,
    ".docm": DOCX,
    ".pptx": PPTX,
    ".pptm": PPTX,
    ".ppsx": PPTX,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".epub": EPUB,
    ".ipynb": NOTEBOOK,
    ".vtt": SUBTITLES,
    ".srt": SUBTITLES,
    ".csv": TABLE,
    ".tsv": TABLE,
    **dict.fromkeys(
        (
            *(".py", ".pyi", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".scala", ".swift"),
            *(".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".cuh", ".cs", ".rb", ".php", ".r"),
            *(".jl", ".lua", ".hs", ".sh", ".bash", ".ps1", ".sql", ".proto", ".tf"),
            *(".yaml", ".yml", ".toml", ".json"),
        ),
        CODE,
    ),
}
"""By lower-case suffix."""


@dataclass(frozen=True, slots=True)
class Block:
    """The smallest piece that is kept whole where it fits: a paragraph, a list, a table, a code block."""

    start: int
    """First code point in the document's text."""
    end: int
    """One past the last code point."""
    kind: str
    """text, list, table, code or meta (front matter)."""
    heading: tuple[str, ...]
    """Headings above it, outermost first, without the document's title."""
    locator: str
    """Where a person finds it: 'page 3', 'slide 2', 'cell 5', '§ Sharding', '00:12:31', 'line 40'."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a reader found in one file."""

    text: str
    """All of it, newlines as \\n, no lone surrogates."""
    title: str
    """What the file calls itself (front matter, first heading, metadata); may be empty."""
    blocks: tuple[Block, ...]
    """In order, not overlapping; what lies between them is only white space and headings."""
    lost: tuple[str, ...] = ()
    """Parts that could not be read, with the reason: 'page 7: bad stream'."""
    remark: str = ""
    """Something worth telling about a file that was read: 'not UTF-8, read as windows-1252'."""


def reader_of(path: PurePath) -> Reader | None:
    """Return the reader for a file's suffix, or None where no reader knows it."""
    return READERS.get(path.suffix.lower())


def _read_here(reader: Reader, path: Path, data: bytes) -> Document:
    document: Document = import_module(f"ingest.read.{reader.module}").read(path, data)
    return document


def read(path: Path, data: bytes, *, run: Callable[[Reader, Path, bytes], Document] = _read_here) -> Document:
    """Read one file.

    Args:
        path: Where it lies; only its suffix and name are used.
        data: All of its bytes.
        run: How a reader is run; `worker.py` does it in another process.

    Raises:
        Unreadable: It holds no text that can be indexed; says in which state it is and why.
    """
    reader = reader_of(path)
    if reader is None:
        raise Unreadable("skipped", f"no reader for {path.suffix or 'a file without a suffix'}")
    if not data:
        raise Unreadable("empty", "the file has no bytes")
    document = run(reader, path, data)
    if not document.blocks and document.lost:
        raise Unreadable("failed", f"no text could be read of it; {document.lost[0]}")
    if not document.blocks:
        raise Unreadable("empty", "the file holds no text")
    return document
