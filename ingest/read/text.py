"""Plain text: paragraphs between blank lines, found by their line. Also decodes bytes for the other readers."""

import re
from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Block, Document

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_PARAGRAPH = re.compile(r"\S.*(?:\n[^\S\n]*\S.*)*")
_BINARY_SHARE = 0.05
"""Share of control characters in the first 64 KiB above which bytes are no text."""


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of `data` with newlines as \\n, and a remark where it is not UTF-8.

    Raises:
        Unreadable: The bytes are not text in any encoding that can be told.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    if not encoding and _looks_binary(data[:65536]):
        raise Unreadable("failed", "binary data, not text")
    remark = ""
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        text, remark = _decode_by_guess(data, error)
    return text.replace("\r\n", "\n").replace("\r", "\n"), remark


def _looks_binary(head: bytes) -> bool:
    controls = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
    return controls > _BINARY_SHARE * len(head)


def _decode_by_guess(data: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is None:
        raise Unreadable("failed", f"wrong encoding: byte {error.start} is not UTF-8, nor another known one")
    return str(best), f"not UTF-8 (byte {error.start}), read as {best.encoding}"


def read(path: Path, data: bytes) -> Document:
    """Read a text file; each paragraph is a block that is found by its first line."""
    text, remark = decode(data)
    blocks = []
    line, counted = 1, 0
    for match in _PARAGRAPH.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        blocks.append(Block(match.start(), match.end(), "text", (), f"line {line}"))
    return Document(text=text, title="", blocks=tuple(blocks), remark=remark)
