"""A web page becomes Markdown: by trafilatura where it keeps what the page says, else by our own reader.

    <main><h1>FSDP</h1><p>It shards <code>parameters</code> …</p></main>    →    # FSDP⏎⏎It shards `parameters` …

Our reader (read/html.py) keeps the words of a page and drops its marks; trafilatura keeps links and marks too, but
loses whole code blocks on some pages (8 of 25 kept on one of the Rust book). So both read, and trafilatura's
Markdown is taken where it holds what the reader found. It also takes minutes over some small pages (2.7 MB
of <span>: 176 s), so each runs in a child process with limits.
"""

import codecs
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.compose import raised
from ingest.read.worker import Workers, inherited

SECONDS = 15
"""Longest time that trafilatura gets."""
_ENOUGH = 0.8
"""Share of the reader's words that trafilatura must have kept; what it drops beyond boilerplate is text."""
_ENOUGH_SOLID = 0.97
"""The same for the words of code and tables, which are never boilerplate, in code and tables."""
_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"\w+")
_TARGET = re.compile(r"\]\([^)\s]*\)")
_FENCE = re.compile(r"(^```.*?^```[^\S\n]*$)", re.MULTILINE | re.DOTALL)
_ANCHOR = re.compile(r"[ \t]?\[(?:¶|#|§|🔗|\\#)?\]\([^)\s]*\)")
"""The mark at a heading that links to it."""
_RAISED = re.compile(r"<sup>([^<>\n]{1,40})</sup>")
_LOWERED = re.compile(r"<sub>([^<>\n]{1,40})</sub>")
_WRAPPED = re.compile(r"(?<=\S)[^\S\n]*\n[^\S\n]{3,}(?=[^\s\-*+|>\d])")
"""A line break within a paragraph of an indented page; before a list's mark or a number it may mean something."""
_HASH = re.compile(r"^(?=#{1,6}\s)", re.MULTILINE)
_NOT_OF_TEXT = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "utf-7", "undefined"})
"""Python's encodings that no page is in."""


def to_markdown(data: bytes, *, charset: str = "", address: str = "") -> tuple[str, str]:
    """Return the title and the Markdown of a web page.

    Args:
        data: Its HTML.
        charset: What the server says that it is encoded in.
        address: Where it comes from, to complete its links.

    Raises:
        Unreadable: There is no text in it.
    """
    data = _as_utf8(data, charset)
    reason: Unreadable | None = None
    found = Document("", "", ())
    with Workers(1) as workers:
        try:
            found = workers.read(Path("page.html"), data)
        except Unreadable as error:
            reason = error
    markdown = _by_trafilatura(data, address)
    if not _holds(markdown, found):
        if reason:
            raise reason
        markdown = "\n\n".join(_pieces(found)) + "\n"
    return found.title, markdown


def _as_utf8(data: bytes, charset: str) -> bytes:
    """Return a page so that both readers decode it alike; as it is, where only its own declaration is known."""
    try:
        if not charset or codecs.lookup(charset).name in _NOT_OF_TEXT:
            return data
        names = {"iso-8859-1": "windows-1252", "latin-1": "windows-1252", "us-ascii": "windows-1252"}
        return _BOM + data.decode(names.get(charset, charset), "replace").removeprefix("\ufeff").encode()
    except (LookupError, UnicodeError):
        return data


def _by_trafilatura(data: bytes, address: str) -> str:
    """Return a page's Markdown, tidied; empty where trafilatura finds nothing, fails or takes too long."""
    environ = inherited() | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ingest.extract", address],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            env=environ,
            check=True,
        )
        return tidy(str(json.loads(done.stdout)))
    except (subprocess.SubprocessError, ValueError):
        return ""


def tidy(markdown: str) -> str:
    """Return Markdown without what gets between a word and its search: 'FULL\\_SHARD', '10<sup>9</sup>', '[¶](#a)'."""
    parts = _FENCE.split(markdown)
    for number in range(0, len(parts), 2):  # the others are code
        text = _ANCHOR.sub("", parts[number])
        text = _RAISED.sub(lambda match: raised(match[1]), text)
        text = _LOWERED.sub(r"\1", text)
        text = _WRAPPED.sub(" ", text)
        parts[number] = re.sub(r"(?<=\w)\\_(?=\w)", "_", text)
    return "".join(parts).strip() + "\n"


def _holds(markdown: str, document: Document) -> bool:
    """Return whether Markdown keeps what the reader found of a page."""
    if not markdown.strip():
        return False
    markdown = _TARGET.sub("]", markdown)
    fenced = "\n".join(_FENCE.findall(markdown))
    rows = "\n".join(line for line in markdown.split("\n") if line.lstrip().startswith("|"))

    def words(kind: str) -> str:
        return "\n".join(document.text[block.start : block.end] for block in document.blocks if block.kind == kind)

    return (
        _share(markdown, document.text) >= _ENOUGH
        and _share(fenced, words("code")) >= _ENOUGH_SOLID
        and _share(rows, words("table")) >= _ENOUGH_SOLID
    )


def _share(kept: str, wanted: str) -> float:
    """Return which part of the wanted words is kept."""
    words = Counter(_WORD.findall(wanted))
    return (Counter(_WORD.findall(kept)) & words).total() / words.total() if words else 1.0


def _pieces(document: Document) -> Iterator[str]:
    """Yield a document's blocks as Markdown, with its headings where they change."""
    if document.title:
        yield f"# {document.title}"
    above: tuple[str, ...] = ()
    for block in document.blocks:
        text = document.text[block.start : block.end]
        same = next((n for n, (old, new) in enumerate(zip(above, block.heading, strict=False)) if old != new), None)
        first = min(len(above), len(block.heading)) if same is None else same
        for depth, name in enumerate(block.heading[first:], start=first + 2):
            yield f"{'#' * min(depth, 6)} {name}"
        above = block.heading
        if block.kind == "code":
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            yield f"{fence}\n{text}\n{fence}"
        else:
            yield text if block.kind == "table" else _HASH.sub(r"\\", text)


def main() -> None:
    """Read a page's HTML on stdin; print its Markdown as JSON."""
    from ingest.read.child import die_with_parent, limit_memory

    die_with_parent()
    limit_memory()
    import trafilatura

    data = sys.stdin.buffer.read()
    # Over a hostile page it raises anything; the parent then goes on without it.
    tree = trafilatura.load_html(data.removeprefix(_BOM).decode() if data.startswith(_BOM) else data)
    if tree is None:
        return
    for block in list(tree.iter("pre")):
        if block.find("code") is None:  # else it would be taken for prose
            code = block.makeelement("code")
            code.text, block.text = block.text, None
            code.extend(list(block))
            block.append(code)
    found = trafilatura.extract(
        tree,
        url=sys.argv[1] or None,
        output_format="markdown",
        include_links=True,
        include_tables=True,
        include_comments=False,
        favor_recall=True,
    )
    sys.stdout.write(json.dumps(found or ""))


if __name__ == "__main__":
    main()
