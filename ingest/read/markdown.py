"""Markdown (CommonMark with tables, maths and front matter), by markdown-it's block parser.

    ---
    title: FSDP
    ---
    # Fully sharded data parallel
    FSDP shards *parameters*, gradients and optimizer states …

Only blocks are parsed: inline marks, wiki links and maths stay in the text as they were written. Pictures that
are written into the file as data are cut to their type, before offsets are taken.
"""

import re
from functools import cache
from itertools import accumulate
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.read import Block, Document
from ingest.read.text import bounded, decode, paragraphs

_KINDS = {
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "math_block": "code",
    "front_matter": "meta",
}
"""Everything else is text."""
_TITLE = re.compile(r"""^title:[ \t]*+(?![>|])(["']?)(?P<title>.+?)\1[ \t]*$""", re.MULTILINE)
_DATA = re.compile(r"(data:[\w.+-]{1,40}/[\w.+-]{1,80};base64,)[A-Za-z0-9+/=]{100,}")
_MOST_CHARACTERS = 5_000_000
"""Longest text that is parsed: a list of tiny items takes 500 times its size in memory."""
_LONGEST_HEADING = 200
"""Code points; what goes on for longer is no name."""
_EMPHASIS = re.compile(r"(\*\*|__|\*|`)(?=\S)(.+?)(?<=\S)\1")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@cache
def _parser() -> MarkdownIt:
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.front_matter import front_matter_plugin

    parser = MarkdownIt("commonmark").enable("table").use(front_matter_plugin).use(dollarmath_plugin)
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.disable("reference")  # a definition of a link is text that nobody else would keep
    parser.parse("")  # its rules are put together at first use, which two threads must not do at once
    return parser


def read(path: Path, data: bytes) -> Document:
    """Read a Markdown file; each top-level block knows the headings above it."""
    text, remark = decode(data)
    return read_markdown(text, remark)


def read_markdown(text: str, remark: str = "") -> Document:
    """Read Markdown that some other format carries (a notebook's cells, a saved web page)."""
    text = bounded(_DATA.sub(r"\1…", text))
    if len(text) > _MOST_CHARACTERS:
        remark = "; ".join(filter(None, [remark, "very long: read as plain text, without its headings"]))
        return Document(text=text, title="", blocks=tuple(paragraphs(text)), remark=remark)
    # The parser splits lines at \n alone, so that its line numbers are ours.
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    blocks: list[Block] = []
    path: list[tuple[int, str]] = []
    title = ""
    tokens = _parser().parse(text)
    for position, token in enumerate(tokens):
        if token.level or not token.map or token.type == "hr":
            continue
        start, end = starts[token.map[0]], starts[token.map[1]] - 1
        if token.type == "heading_open":
            level, name = int(token.tag[1]), _plain(tokens[position + 1])
            title = title or (name if level == 1 else "")
            path = [*(entry for entry in path if entry[0] < level), (level, name)]
            continue
        content = text[start:end]
        if not content.strip():
            continue
        kind = _KINDS.get(token.type, "text")
        if kind == "meta":
            declared = _TITLE.search(content)
            title = declared["title"] if declared else title
        start += len(content) - len(content.lstrip("\n"))
        end = start + len(text[start:end].rstrip())
        names = tuple(name for _, name in path if name and name != title)
        place = f"§ {path[-1][1]}" if path and path[-1][1] else f"line {token.map[0] + 1}"
        blocks.append(Block(start, end, kind, names, place))
    rest = blocks[-1].end if blocks else 0
    if any(letter.isalnum() for letter in text[rest:]):  # headings that nothing follows: they are blocks themselves
        start = len(text) - len(text[rest:].lstrip())
        blocks.append(Block(start, len(text.rstrip()), "text", (), f"line {text.count(chr(10), 0, start) + 1}"))
    return Document(text=text, title=title, blocks=tuple(blocks), remark=remark)


def _plain(inline: Token) -> str:
    """Return a heading's words without the marks around them."""
    words = _LINK.sub(r"\1", inline.content[:_LONGEST_HEADING])
    return _EMPHASIS.sub(r"\2", words).strip()
