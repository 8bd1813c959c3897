"""Source code and configuration: Python by definition, everything else by chunks between blank lines.

    class Trainer:             block 'class Trainer, line 1'
        def step(self): …      block 'def step, line 2', below the heading 'class Trainer'

The text is the file's own; blocks cover all of it but blank lines.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from ingest.errors import Unreadable
from ingest.read import Block, Document
from ingest.read.compose import fit
from ingest.read.text import decode

_PARSED = 1 << 20
"""Code points up to which Python is parsed; a syntax tree takes a hundred times as much memory."""
_CONFIGURATION = 1 << 18
"""Code points past which JSON, YAML and TOML are data, not notes."""
_LINE = 400
"""Mean length of a line past which a file was written by a program."""
_ENOUGH = 40
"""Lines after which a chunk ends at the next blank line, indented or not."""
_CLOSING = re.compile(r"[)\]}]|end\b|else\b|elif\b|except\b|finally\b|catch\b")
_COMMENT = re.compile(r"\s*#")


class _Cut(NamedTuple):
    """Where a block begins; it ends where the next one begins."""

    line: int
    """From 0."""
    locator: str
    heading: tuple[str, ...] = ()
    """The classes that it stands in."""


def read(path: Path, data: bytes) -> Document:
    """Read source code; each block is found by its definition or its line."""
    text, remark = decode(data)
    text = fit(text)
    suffix = path.suffix.lower()
    lines = text.split("\n")
    if suffix in (".json", ".yaml", ".yml", ".toml") and len(text) > _CONFIGURATION:
        raise Unreadable("skipped", f"{len(text)} characters of {suffix[1:]}: data, not notes")
    if len(text) > _LINE * len(lines):
        raise Unreadable("skipped", "generated or minified: its lines are too long to be read")
    module = _parsed(text) if suffix in (".py", ".pyi") else None
    cuts = list(_chunks(lines) if module is None else _definitions(module.body, lines))
    docstring = ast.get_docstring(module) if module else None
    title = (docstring or "").partition("\n")[0]
    return Document(text, title, tuple(_blocks(cuts, lines)), remark=remark)


def _parsed(text: str) -> ast.Module | None:
    """Return the syntax tree of Python source, None where it has none."""
    if len(text) > _PARSED:
        return None
    try:
        with warnings.catch_warnings():  # about the notes' own escapes and comparisons
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # the last is how the parser says 'too deep'
        return None


def _definitions(body: list[ast.stmt], lines: list[str], heading: tuple[str, ...] = ()) -> Iterator[_Cut]:
    """Yield where the statements of a module, or of a class after its head, are cut."""
    open_block = bool(heading)
    for statement in body:
        first = statement.lineno - 1
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            word = "class" if isinstance(statement, ast.ClassDef) else "def"
            above = min([first, *(decorator.lineno - 1 for decorator in statement.decorator_list)])
            while above and _COMMENT.match(lines[above - 1]):
                above -= 1
            yield _Cut(above, f"{word} {statement.name}, line {first + 1}", heading)
            if isinstance(statement, ast.ClassDef):
                yield from _definitions(statement.body, lines, (*heading, f"class {statement.name}"))
            open_block = False
        elif not open_block or (not heading and not lines[first - 1].strip()):
            yield _Cut(first, f"line {first + 1}", heading)
            open_block = True


def _chunks(lines: list[str]) -> Iterator[_Cut]:
    """Yield where code of any language is cut: at blank lines before what is not indented, or at length."""
    begun = 0
    for number in range(1, len(lines)):
        line = lines[number]
        inside = line[:1].isspace() or _CLOSING.match(line)
        if line.strip() and not lines[number - 1].strip() and (not inside or number - begun >= _ENOUGH):
            begun = number
            yield _Cut(number, f"line {number + 1}")


def _blocks(cuts: list[_Cut], lines: list[str]) -> Iterator[Block]:
    """Yield the blocks between the cuts, without the blank lines around them."""
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    for cut, following in pairwise([_Cut(0, "line 1"), *cuts, _Cut(len(lines), "")]):
        first, last = cut.line, following.line
        while first < last and not lines[first].strip():
            first += 1
        while first < last and not lines[last - 1].strip():
            last -= 1
        if first < last:
            locator = cut.locator if "," in cut.locator else f"line {first + 1}"
            yield Block(starts[first], starts[last - 1] + len(lines[last - 1].rstrip()), "code", cut.heading, locator)
