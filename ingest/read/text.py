"""Plain text: paragraphs between blank lines, found by their line. Also decodes bytes for the other readers."""

import re
from collections.abc import Iterator
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
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
_BINARY_SHARE = 0.05
"""Share of control characters above which bytes are no text."""
_LONE_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_LONE_SHARE = 0.7
"""Share of bytes above 127 with ASCII on both sides, above which they are accents on Latin letters."""
_LOST_SHARE = 0.02
"""Share of undecodable characters above which something is not what its byte order mark says."""
_SURROGATE = re.compile("[\ud800-\udfff]")
MOST_TEXT = 10_000_000
"""Most characters of a note: some 5,000 pages. All of its chunks are in memory at once."""


def decode(data: bytes) -> tuple[str, str]:
    """Return the text of `data` with newlines as \\n and without NUL, and a remark where it is not sound UTF-8 or -16.

    Raises:
        Unreadable: The bytes are not text in any encoding that can be told.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "") or _wide(data[:65536])
    if not encoding and _controls(data) > _BINARY_SHARE * len(data):
        raise Unreadable("failed", "binary data, not text")
    try:
        text, remark = data.decode(encoding or "utf-8"), ""
    except UnicodeDecodeError as error:
        text, remark = _damaged(data, encoding, error.start)
    if encoding and _controls(text.encode()) > _BINARY_SHARE * len(text):
        raise Unreadable("failed", "binary data, not text")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd"), remark


def _controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))


def _wide(head: bytes) -> str:
    """Return which UTF-16 without a mark this is, told by the zeros that every other byte of Latin letters has."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 <= len(head) or min(even, odd) * 20 > len(head):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def _damaged(data: bytes, encoding: str, at: int) -> tuple[str, str]:
    """Decode what is mostly in `encoding` (empty: UTF-8), or in another one, with a remark.

    Latin letters in no Unicode are taken for windows-1252, as browsers do: which one of the old encodings it is
    can't be told from a few accents.
    """
    text = data.decode(encoding or "utf-8", "replace")
    lost = text.count("\ufffd")
    plain = len(text.encode("ascii", "ignore"))
    sound = lost <= 1 + _LOST_SHARE * len(text) if encoding else len(text) - plain > 2 * lost
    if sound:
        return text, f"damaged {encoding or 'utf-8'} (byte {at}): {lost} characters replaced"
    if encoding:
        raise Unreadable("failed", f"damaged {encoding}: {lost} of {len(text)} characters are none")
    high = len(data) - plain
    if len(_LONE_BYTE.findall(data)) > _LONE_SHARE * high:
        return data.decode("windows-1252", "replace"), f"not UTF-8 (byte {at}), read as windows-1252"
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_exclusion=["utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32"]).best()
    if best is None:
        raise Unreadable("failed", f"wrong encoding: byte {at} is not UTF-8, nor another known one")
    return _SURROGATE.sub("\ufffd", str(best)), f"not UTF-8 (byte {at}), read as {best.encoding}"


def read(path: Path, data: bytes) -> Document:
    """Read a text file; each paragraph is a block that is found by its first line."""
    text, remark = decode(data)
    return Document(text=bounded(text), title="", blocks=tuple(paragraphs(text)), remark=remark)


def bounded(text: str) -> str:
    """Return the text of a note as it is.

    Raises:
        Unreadable: It is longer than a note may be.
    """
    if len(text) > MOST_TEXT:
        told = f"holds {len(text):,} characters of text, more than {MOST_TEXT:,}; split it"
        raise Unreadable("failed", told)
    return text


def paragraphs(text: str) -> Iterator[Block]:
    """Yield what stands between blank lines."""
    line, counted = 1, 0
    for match in _PARAGRAPH.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        end = match.start() + len(match[0].rstrip())
        yield Block(match.start(), end, "text", (), f"line {line}")
